"""Whether a configuration fits a custom resource's schema, as server-side apply sees it.

Apply converts what it is given into typed values before anything else; what doesn't fit is a 500, and
comes before the 422 of the schema's own rules.
"""

import json
from collections.abc import Iterator

from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

_OMITS = "associative list with keys has an element that omits all key fields"


def misfits(schema: Json, value: Value, at: str = "") -> Iterator[str]:
    """Return what of *value* has another type than its schema says, and items that are given twice."""
    wanted = schema.get("type")
    if value is None or wanted is None:
        return
    if wanted == "object":
        yield from _in_map(schema, value, at)
    elif wanted == "array":
        yield from _in_list(schema, value, at)
    elif wanted in {"integer", "number"}:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{at}: expected numeric (int or float), got {_GO_NAMES.get(type(value), 'map')}"
    elif not isinstance(value, _PLAIN[wanted]):
        yield f"{at}: expected {wanted}, got {json.dumps(value)}"


_PLAIN = {"string": str, "boolean": bool}
_GO_NAMES: dict[type, str] = {str: "string", bool: "bool", list: "list"}


def _in_map(schema: Json, value: Value, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: expected map, got &{{{value}}}"
        return
    known, rest = schema.get("properties") or {}, schema.get("additionalProperties")
    for name, item in value.items():
        inner = known.get(name, rest)
        if isinstance(inner, dict):
            yield from misfits(inner, item, f"{at}.{name}")


def _in_list(schema: Json, value: Value, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{at}: expected list, got &{{{value}}}"
        return
    items, kind = schema.get("items") or {}, schema.get("x-kubernetes-list-type")
    seen: set[str] = set()
    for index, item in enumerate(value):
        name = f"[{index}]"
        if kind == "map":
            keys = schema.get("x-kubernetes-list-map-keys") or []
            if not isinstance(item, dict):
                yield f"{at}: element {index}: associative list with keys may not have non-map elements"
                continue
            defaults = {key: _default(items, key) for key in keys}
            found = {key: item.get(key, defaults[key]) for key in keys}
            if all(part is None for part in found.values()):
                yield f"{at}: element {index}: {_OMITS} {json.dumps(keys)}"
                continue
            name = "[" + ",".join(f"{key}={json.dumps(part)}" for key, part in found.items()) + "]"
        elif kind == "set":
            name = f"[={json.dumps(item)}]"
        if kind in {"map", "set"} and name in seen:
            yield f"{at}: duplicate entries for key {name}"
        seen.add(name)
        yield from misfits(items, item, at + name)


def _default(items: Json, key: str) -> Value:
    return ((items.get("properties") or {}).get(key) or {}).get("default")
