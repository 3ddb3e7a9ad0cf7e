"""The smallest JSON merge patch (RFC 7396) between two states."""

from collections.abc import Mapping
from typing import Any


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that makes *new* of *old*; empty if they are equal.

    None counts as absent on both sides. Lists are replaced whole. Fields that *old* doesn't show, because a
    partial model has no word for them, stay as they are on the server.
    """
    patch: dict[str, Any] = {}
    for key in old.keys() | new.keys():
        was, will = old.get(key), new.get(key)
        if was == will:
            continue
        if isinstance(was, Mapping) and isinstance(will, Mapping):
            if inner := difference(was, will):
                patch[key] = inner
        else:
            patch[key] = will
    return patch
