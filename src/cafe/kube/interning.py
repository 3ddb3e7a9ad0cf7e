"""Equal strings stored once: ten thousand pods say `True`, `Ready` and their image's name very often.

`sys.intern` is not used: what it holds may stay for the life of the process (CPython 3.12), and pod names,
UIDs and timestamps would pile up in it.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")

_UNIQUE = frozenset(
    {
        "name",
        "uid",
        "resource_version",
        "creation_timestamp",
        "pod_ip",
        "container_id",
        "message",
        "start_time",
        "data",
        "annotations",
        "last_transition_time",
        "started_at",
        "finished_at",
    }
)
"""Fields whose values hardly ever repeat: looking them up would only cost."""

_WALKED = frozenset({"conditions", "container_statuses"})
"""Lists that differ from object to object, in a timestamp or an ID, though their words repeat. Shared whole,
each old state would stay in the pool."""


class Pool:
    """Shares equal strings and equal parts among objects.

    Lists of frozen parts without dicts (containers, owner references) are shared whole: looking one up is a
    hash in C, walking through it is not. At *capacity* the pool begins anew, so it never holds much that is
    of use to nobody.
    """

    def __init__(self, capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._known: dict[Any, Any] = {}
        self._fields: dict[type, tuple[str, ...]] = {}

    def share(self, body: T) -> T:
        """Return *body* with its repeated parts shared; the same object, changed only in identity."""
        if len(self._known) > self._capacity:
            self._known.clear()
        if isinstance(body, Struct):
            self._walk(body)
        return body

    def _walk(self, part: Struct) -> None:
        fields = self._fields.get(type(part))
        if fields is None:
            names = (name for name in part.__struct_fields__ if name not in _UNIQUE)
            fields = self._fields[type(part)] = tuple(names)
        known = self._known
        for name in fields:
            value = getattr(part, name)
            if not value:
                continue
            kind = type(value)
            if kind is str:
                shared = known.setdefault(value, value)
            elif kind is tuple:
                if name in _WALKED:
                    self._walk_all(value)
                    continue
                shared = self._tuple(value)
            elif kind is dict:
                self._dict(value)
                continue
            elif isinstance(value, Struct):
                self._walk(value)
                continue
            else:
                continue
            if shared is not value:
                msgspec.structs.force_setattr(part, name, shared)

    def _tuple(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            shared: tuple[Any, ...] = self._known.setdefault(value, value)
        except TypeError:  # A part with a dict has no hash.
            self._walk_all(value)
            return value
        return shared

    def _walk_all(self, parts: tuple[Any, ...]) -> None:
        for part in parts:
            if isinstance(part, Struct):
                self._walk(part)

    def _dict(self, value: dict[str, Any]) -> None:
        known = self._known
        for key, inner in value.items():
            if type(inner) is str:
                value[key] = known.setdefault(inner, inner)
