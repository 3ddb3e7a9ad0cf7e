"""How server-side apply sees an object: what is owned as a whole, and what tells list items apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol

from cafe_sim.apiserver.schema.types import Field, struct

MergeKind = Literal["leaf", "map", "keyed", "set"]


class MergeType(Protocol):
    """One place in an object."""

    @property
    def kind(self) -> MergeKind:
        """`leaf`: owned as a whole. `map`: field by field. `keyed`: items by keys. `set`: items by value."""

    @property
    def keys(self) -> tuple[str, ...]:
        """What tells the items of a `keyed` list apart."""

    def key_default(self, key: str) -> object:
        """Return the default of a key that an item leaves out, or None."""

    def declares(self, name: str) -> bool:
        """Tell whether a field is one of a struct, and not a key of a map."""

    def child(self, name: str) -> "MergeType":
        """Return the type of a field."""

    def element(self) -> "MergeType":
        """Return the type of a list's items."""


@dataclass(frozen=True, slots=True)
class Untyped:
    """Nothing is known: objects merge field by field, lists are owned as a whole."""

    kind: MergeKind = "map"
    keys: tuple[str, ...] = ()

    def key_default(self, key: str) -> object:
        """There are no keys."""
        del key
        return None

    def declares(self, name: str) -> bool:
        """Nothing is declared."""
        del name
        return False

    def child(self, name: str) -> MergeType:
        """All that lies below is unknown as well."""
        del name
        return self

    def element(self) -> MergeType:
        """All that lies below is unknown as well."""
        return self


UNTYPED = Untyped()
LEAF = Untyped("leaf")

_KEY_DEFAULTS = {"protocol": "TCP"}


@dataclass(frozen=True, slots=True)
class BuiltinType:
    """The type of a place in a built-in kind, by the generated table."""

    kind: MergeKind
    fields: Mapping[str, Field]
    inner: Field | None = None
    keys: tuple[str, ...] = ()

    def key_default(self, key: str) -> object:
        """Return the only default that a key has in the built-in kinds: ports are TCP."""
        return _KEY_DEFAULTS.get(key)

    def declares(self, name: str) -> bool:
        """Tell whether it is a field of a struct."""
        return name in self.fields

    def child(self, name: str) -> MergeType:
        """Return the type of a field, or of a map's value."""
        found = self.fields.get(name, self.inner)
        return UNTYPED if found is None else builtin_type(found)

    def element(self) -> MergeType:
        """Return the type of the items."""
        return UNTYPED if self.inner is None else builtin_type(self.inner)


@cache
def builtin_type(item: Field) -> MergeType:
    """Return how a field of a built-in kind is merged."""
    if item.list_type == "atomic":
        return LEAF
    if item.kind == "struct":
        return struct_type(item.inner)
    if item.kind == "map":
        return BuiltinType("map", {}, item.element())
    if item.kind == "list":
        return _list_type(item)
    return LEAF  # What may be anything, such as a revision's data, is owned whole.


def _list_type(item: Field) -> MergeType:
    if item.list_type == "map":
        return BuiltinType("keyed", {}, item.element(), item.list_keys)
    if item.list_type == "set":
        return BuiltinType("set", {}, item.element())
    return LEAF


@cache
def struct_type(name: str) -> MergeType:
    """Return how a declared type is merged."""
    found = struct(name)
    return LEAF if found.is_atomic else BuiltinType("map", found.fields)
