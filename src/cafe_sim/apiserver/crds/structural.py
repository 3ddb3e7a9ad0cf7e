"""Structural schemas: what of an object is kept, what is filled in, and how it merges."""

from collections.abc import Mapping
from functools import cached_property

from cafe_sim.apiserver.merging import LEAF, UNTYPED, MergeKind, MergeType, struct_type
from cafe_sim.apiserver.schema import types
from cafe_sim.apiserver.schema.types import Notes
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

_META = "meta/v1.ObjectMeta"
_HEAD = ("apiVersion", "kind", "metadata")
_MOST_REMEMBERED = 4096
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"


def pruned(schema: Json, value: Value, notes: Notes, at: str = "", *, is_object: bool = False) -> Value:
    """Return *value* without the fields that its schema doesn't know; *value* itself if it knows all."""
    if isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, dict):
            return value
        parts = [pruned(items, item, notes, f"{at}[{index}]") for index, item in enumerate(value)]
        return value if all(a is b for a, b in zip(parts, value, strict=True)) else parts
    if not isinstance(value, dict):
        return value
    is_object = is_object or bool(schema.get(EMBEDDED))
    known: Mapping[str, Json] = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    result: Json = {}
    for name, item in value.items():
        inner = known.get(name)
        if is_object and name in _HEAD:
            result[name] = item
        elif inner is not None:
            result[name] = pruned(inner, item, notes, f"{at}.{name}" if at else name)
        elif isinstance(rest, dict):
            result[name] = pruned(rest, item, notes, f"{at}.{name}" if at else name)
        elif rest is True or schema.get(PRESERVE):
            result[name] = item
        else:
            notes.unknown.append(f"{at}.{name}" if at else name)
    return value if len(result) == len(value) and all(result[n] is value[n] for n in result) else result


def defaulted(schema: Json, value: Value) -> Value:
    """Return *value* with the defaults of its schema; *value* itself if nothing was missing."""
    if isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, dict):
            return value
        parts = [defaulted(items, item) for item in value]
        return value if all(a is b for a, b in zip(parts, value, strict=True)) else parts
    if not isinstance(value, dict):
        return value
    known: Mapping[str, Json] = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    result: Json = {}
    for name, item in value.items():
        inner = known.get(name, rest if isinstance(rest, dict) else {})
        if item is None and not inner.get("nullable"):
            if "default" in inner:
                continue  # A null where none may be counts as missing.
            result[name] = item
            continue
        result[name] = defaulted(inner, item)
    for name, inner in known.items():
        if name not in result and "default" in inner:
            result[name] = defaulted(inner, inner["default"])
    return value if len(result) == len(value) and all(result[n] is value.get(n) for n in result) else result


def has_defaults(schema: Value) -> bool:
    """Whether values of a schema may have something filled in, or a null taken away, at any depth."""
    if isinstance(schema, list):
        return any(has_defaults(item) for item in schema)
    if not isinstance(schema, dict):
        return False
    return "default" in schema or any(has_defaults(inner) for inner in schema.values())


class CustomType:
    """The type of a place in a custom resource, by its schema."""

    def __init__(self, schema: Json, *, is_root: bool = False) -> None:
        self._schema = schema
        self._is_root = is_root
        self._children: dict[str, MergeType] = {}

    @cached_property
    def kind(self) -> MergeKind:
        """How the place is merged."""
        schema = self._schema
        if schema.get("type") == "array":
            kinds: dict[str, MergeKind] = {"map": "keyed", "set": "set"}
            return kinds.get(schema.get("x-kubernetes-list-type", "atomic"), "leaf")
        if schema.get("type") == "object" or self._is_root:
            return "leaf" if schema.get("x-kubernetes-map-type") == "atomic" else "map"
        return "map" if schema.get(PRESERVE) else "leaf"

    @property
    def keys(self) -> tuple[str, ...]:
        """What tells a list's items apart."""
        return tuple(self._schema.get("x-kubernetes-list-map-keys") or ())

    def key_default(self, key: str) -> object:
        """Return the default of a key that an item leaves out."""
        return (((self._schema.get("items") or {}).get("properties") or {}).get(key) or {}).get("default")

    def declares(self, name: str) -> bool:
        """Tell whether it is a property of the schema."""
        return (self._is_root and name in _HEAD) or name in (self._schema.get("properties") or {})

    def child(self, name: str) -> MergeType:
        """Return the type of a field."""
        found = self._children.get(name)
        if found is None:
            found = self._children[name] = self._make_child(name)
        return found

    def _make_child(self, name: str) -> MergeType:
        if self._is_root and name in _HEAD:
            return struct_type(_META) if name == "metadata" else LEAF
        inner = (self._schema.get("properties") or {}).get(name)
        rest = self._schema.get("additionalProperties")
        if inner is None:
            inner = rest if isinstance(rest, dict) else None
        return UNTYPED if inner is None else CustomType(inner)

    def element(self) -> MergeType:
        """Return the type of the items."""
        items = self._schema.get("items")
        return CustomType(items) if isinstance(items, dict) else UNTYPED


class CustomShape:
    """Objects as a structural schema describes them.

    Args:
        schema: `openAPIV3Schema` of one version.
    """

    is_builtin = False

    def __init__(self, schema: Json) -> None:
        self.schema = schema
        self._meta = types.struct(_META)
        self._type = CustomType(schema, is_root=True)
        self._known: dict[int, Json] = {}
        parts: Mapping[str, Json] = schema.get("properties") or {}
        self._without_defaults = frozenset(n for n, part in parts.items() if not has_defaults(part))

    def read(self, value: Value, notes: Notes, known: Value = None) -> Json:
        """Return *value* pruned and defaulted."""
        if not isinstance(value, dict):
            raise types.BadTypeError("the object is no object")
        fresh: Json = {name: part for name, part in value.items() if not self._has_read(part)}
        kept: Json = pruned(self.schema, fresh, notes, is_object=True)
        full: Json = self._defaulted(kept)
        if len(fresh) < len(value):
            seen = {name: part for name, part in value.items() if name not in fresh}
            whole = {**full, **seen}
            full = {name: whole[name] for name in dict.fromkeys((*value, *full)) if name in whole}
        before = known.get("metadata") if isinstance(known, dict) else None
        meta = types.read(self._meta, full.get("metadata") or {}, notes, before, "metadata.")
        self._remember(full)
        return full if meta is full.get("metadata") else {**full, "metadata": meta}

    def _defaulted(self, kept: Json) -> Json:
        """Fill defaults in, but in parts whose schema has none: most writes are of a status."""
        idle = {name: part for name, part in kept.items() if name in self._without_defaults}
        if not idle:
            return defaulted(self.schema, kept)  # type: ignore[no-any-return]
        full = {**defaulted(self.schema, {n: p for n, p in kept.items() if n not in idle}), **idle}
        return {name: full[name] for name in dict.fromkeys((*kept, *full))}

    def _has_read(self, part: Value) -> bool:
        """Whether a part came out of this very shape: nobody changes it, so it needs no second look."""
        return self._known.get(id(part)) is part

    def _remember(self, full: Json) -> None:
        if len(self._known) > _MOST_REMEMBERED:
            self._known.clear()
        for name in ("spec", "status"):
            part = full.get(name)
            if isinstance(part, dict):
                self._known[id(part)] = part

    def merge_type(self) -> MergeType:
        """Return how server-side apply merges it."""
        return self._type

    def openapi(self) -> Json:
        """Return the schema."""
        return self.schema
