"""JSON values that are shared and never changed in place: what is equal is the same object.

A write costs what it changes, not what the object weighs, and "did anything change" is a comparison of
identities.
"""

from typing import Any, TypeAlias

from cafe_sim.contract import Json

Value: TypeAlias = Any
"""Any JSON value."""

Path: TypeAlias = tuple[str, ...]
"""Names of fields, from the object's root."""


def graft(old: Value, new: Value) -> Value:
    """Return *new* rebuilt from *old*'s parts wherever they are equal; *old* itself if all is equal.

    `1`, `1.0` and `true` are different values, unlike in Python.
    """
    if old is new or type(old) is not type(new):
        return new
    if isinstance(new, dict):
        return _graft_map(old, new)
    if isinstance(new, list):
        parts = [graft(old[i], item) if i < len(old) else item for i, item in enumerate(new)]
        if len(old) == len(parts) and all(a is b for a, b in zip(old, parts, strict=True)):
            return old
        return parts
    return old if old == new else new


def graft_object(old: Json, new: Json) -> Json:
    """Return `graft` of two objects."""
    result: Json = graft(old, new)
    return result


def _graft_map(old: Json, new: Json) -> Json:
    same = len(old) == len(new)
    result = {}
    for key, item in new.items():
        known = old.get(key, old)  # No object holds itself: `old` stands for absence.
        if known is item:
            part = item
        elif known is old:
            same, part = False, item
        else:
            part = graft(known, item)
            same = same and part is known
        result[key] = part
    return old if same else result


def merge(target: Value, patch: Value) -> Value:
    """Apply a JSON merge patch (RFC 7396). Returns *target* itself if nothing changes."""
    if not isinstance(patch, dict):
        return graft(target, patch)
    base: Json = target if isinstance(target, dict) else {}
    result: Json | None = None if isinstance(target, dict) else {}
    for key, item in patch.items():
        if item is None:
            if key in base:
                result = dict(base) if result is None else result
                result.pop(key, None)
            continue
        merged = merge(base.get(key), item)
        if key not in base or merged is not base[key]:
            result = dict(base) if result is None else result
            result[key] = merged
    return base if result is None else result


def dig(value: Value, *path: str) -> Value:
    """Return what lies at *path*, or None if any part of the way is missing."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def with_fields(obj: Json, **fields: Value) -> Json:
    """Return *obj* with *fields* set, those of None removed; *obj* itself if all is as wanted."""
    if all(obj.get(name) is item for name, item in fields.items()):
        return obj
    result = {**obj, **fields}
    for name, item in fields.items():
        if item is None:
            del result[name]
    return result


def with_meta(obj: Json, **fields: Value) -> Json:
    """Return *obj* with fields of its metadata set; a field of None is removed."""
    return with_fields(obj, metadata=with_fields(obj.get("metadata") or {}, **fields))


def with_path(obj: Json, path: Path, value: Value) -> Json:
    """Return *obj* with *value* at *path*, making what is missing on the way; None removes the field."""
    head, *rest = path
    if not rest:
        return with_fields(obj, **{head: value})
    inner = obj.get(head)
    inner = inner if isinstance(inner, dict) else {}
    return with_fields(obj, **{head: with_path(inner, tuple(rest), value)})


def same_but(old: Json, new: Json, *names: str) -> bool:
    """Tell whether two objects are equal but for the top-level fields *names*."""
    if old is new:
        return True
    left = {k: v for k, v in old.items() if k not in names}
    return left == {k: v for k, v in new.items() if k not in names}
