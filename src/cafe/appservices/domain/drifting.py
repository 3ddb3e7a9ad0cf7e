"""What somebody changed by hand: the fields of a stored object that are not as they were asked for.

The server adds fields that nobody asked for (defaults, addresses, ports of nodes). Only what was asked for is
compared. List items that have a name are paired by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NAMES = ("name", "key", "type", "ip", "mountPath", "containerPort", "port")
"""Fields by which items of Kubernetes' lists are told apart, the most telling one first."""


def drift(wanted: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Return the paths of all fields that were asked for and are otherwise, in order."""
    return sorted(_paths("", wanted, stored))


def name_key(items: Sequence[Any]) -> str | None:
    """Return the field that tells the items of a list apart; None if there is none."""
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    for key in NAMES:
        values = [item.get(key) for item in items]
        if None not in values and len({str(v) for v in values}) == len(values):
            return key
    return None


def _paths(path: str, wanted: Any, stored: Any) -> Iterator[str]:  # noqa: ANN401 -- any part of an object
    if isinstance(wanted, Mapping):
        if not isinstance(stored, Mapping):
            if wanted or stored is not None:
                yield path
            return
        for key, value in wanted.items():
            inner = f"{path}.{key}" if path else str(key)
            if value is None or (value in ({}, []) and not stored.get(key)):
                if value is None and stored.get(key) is not None:
                    yield inner
                continue
            yield from _paths(inner, value, stored.get(key))
    elif isinstance(wanted, list | tuple):
        yield from _item_paths(path, wanted, stored)
    elif wanted != stored:
        yield path


def _item_paths(path: str, wanted: Sequence[Any], stored: Any) -> Iterator[str]:  # noqa: ANN401 -- as above
    if not isinstance(stored, list | tuple) or len(stored) != len(wanted):
        yield path
        return
    key = name_key(wanted)
    if key is None:
        for index, (one, other) in enumerate(zip(wanted, stored, strict=True)):
            yield from _paths(f"{path}[{index}]", one, other)
        return
    there = {str(item.get(key)): item for item in stored if isinstance(item, Mapping)}
    for item in wanted:
        yield from _paths(f"{path}[{item[key]}]", item, there.get(str(item[key])))
