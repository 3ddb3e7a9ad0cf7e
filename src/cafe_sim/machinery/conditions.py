"""Lists of conditions, each type at most once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cafe_sim.contract import Json
from cafe_sim.machinery.objects import text_of


def find_condition(holder: Mapping[str, Any], kind: str) -> Json | None:
    """Return the condition of type *kind* of a status, or None."""
    for condition in holder.get("conditions") or ():
        if condition["type"] == kind:
            found: Json = condition
            return found
    return None


def is_true(holder: Mapping[str, Any], kind: str) -> bool:
    """Tell whether the status has the condition and it is True."""
    condition = find_condition(holder, kind)
    return condition is not None and condition["status"] == "True"


def with_condition(conditions: Sequence[Json], new: Json, now: datetime) -> list[Json]:
    """Return *conditions* with *new* in its type's place, or at the end.

    `lastTransitionTime` is *now* if the status changes, and else the one it had.
    """
    result, placed = [], False
    for old in conditions:
        if old["type"] != new["type"]:
            result.append(old)
            continue
        placed = True
        kept = old["status"] == new["status"] and "lastTransitionTime" in old
        stamp = old["lastTransitionTime"] if kept else text_of(now)
        result.append({**new, "lastTransitionTime": stamp})
    if not placed:
        result.append({**new, "lastTransitionTime": text_of(now)})
    return result
