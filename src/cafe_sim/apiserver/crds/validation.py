"""Checking a value against a structural schema, worded as the real server words it."""

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from cafe_sim.apiserver.crds.structural import EMBEDDED, INT_OR_STRING, PRESERVE
from cafe_sim.apiserver.errors import FieldError
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

_NAMES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
_NAMES |= {dict: "object", list: "array", type(None): "null"}


def check_value(schema: Json, value: Value, at: str, old: Value = None) -> Iterator[FieldError]:
    """Yield what is wrong with *value*, found at the path *at*.

    Of an object's fields, those that are still the same as in *old* are not checked again (KEP-4008).
    """
    if value is None and schema.get("nullable"):
        return
    wanted = schema.get("type")
    if schema.get(INT_OR_STRING):
        if not isinstance(value, str) and (isinstance(value, bool) or not isinstance(value, int)):
            yield _wrong_type(value, "integer,string", at)
        return
    if wanted and not _fits(value, wanted):
        yield _wrong_type(value, wanted, at)
        return
    if "enum" in schema and value not in schema["enum"]:
        names = ", ".join(json.dumps(item) for item in schema["enum"])
        yield FieldError("NotSupported", at, value, f"supported values: {names}")
    if isinstance(value, dict):
        yield from _check_map(schema, value, at, old if isinstance(old, dict) else {})
    elif (check := _CHECKS.get(_NAMES.get(type(value), ""))) is not None:
        yield from check(schema, value, at)
    yield from _check_combined(schema, value, at)


def _fits(value: Value, wanted: str) -> bool:
    found = _NAMES.get(type(value), "")
    if wanted == "number":
        return found in {"integer", "number"}
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return found == wanted


def _wrong_type(value: Value, wanted: str, at: str) -> FieldError:
    found = _NAMES.get(type(value), "")
    return FieldError("TypeInvalid", at, found, f'{at} in body must be of type {wanted}: "{found}"')


def _check_text(schema: Json, value: str, at: str) -> Iterator[FieldError]:
    if len(value) > schema.get("maxLength", len(value)):
        yield FieldError("TooLong", at, value, f"may not be more than {schema['maxLength']} bytes")
    if len(value) < schema.get("minLength", 0):
        text = f"{at} in body should be at least {schema['minLength']} chars long"
        yield FieldError("Invalid", at, value, text)
    pattern = schema.get("pattern")
    if pattern and not _compiled(pattern).search(value):
        yield FieldError("Invalid", at, value, f"{at} in body should match '{pattern}'")
    form = schema.get("format")
    if form in _FORMATS and not _FORMATS[form].fullmatch(value):
        yield FieldError("Invalid", at, value, f'{at} in body must be of type {form}: "{value}"')


_FORMATS = {
    "date-time": re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "uuid": re.compile(r"(?i)[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}"),
    "ipv4": re.compile(r"(\d{1,3}\.){3}\d{1,3}"),
    "duration": re.compile(r"-?((\d+(\.\d+)?)(ns|us|µs|ms|s|m|h))+|0"),
}


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _check_number(schema: Json, value: float, at: str) -> Iterator[FieldError]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        words = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield FieldError("Invalid", at, value, f"{at} in body should be {words} {low:g}")
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        words = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield FieldError("Invalid", at, value, f"{at} in body should be {words} {high:g}")
    step = schema.get("multipleOf")
    if step and value % step:
        yield FieldError("Invalid", at, value, f"{at} in body should be a multiple of {step:g}")
    if schema.get("format") == "int32" and not -(2**31) <= value < 2**31:
        yield FieldError("Invalid", at, value, f"{at} in body should be of type int32")


def _check_list(schema: Json, value: list[Value], at: str) -> Iterator[FieldError]:
    if len(value) > schema.get("maxItems", len(value)):
        yield FieldError(
            "TooMany", at, len(value), f"{len(value)}: must have at most {schema['maxItems']} items"
        )
    if len(value) < schema.get("minItems", 0):
        text = f"{at} in body should have at least {schema['minItems']} items"
        yield FieldError("Invalid", at, len(value), text)
    items = schema.get("items")
    if isinstance(items, dict):
        for index, item in enumerate(value):
            yield from check_value(items, item, f"{at}[{index}]")
    yield from _check_unique(schema, value, at)


def _check_unique(schema: Json, value: list[Value], at: str) -> Iterator[FieldError]:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in {"map", "set"}:
        return
    keys = schema.get("x-kubernetes-list-map-keys") or []
    seen: list[Value] = []
    for index, item in enumerate(value):
        mark = {key: item.get(key) for key in keys} if kind == "map" and isinstance(item, dict) else item
        if mark in seen:
            yield FieldError("Duplicate", f"{at}[{index}]", mark)
        seen.append(mark)


def _check_map(schema: Json, value: Json, at: str, old: Json) -> Iterator[FieldError]:
    for name in schema.get("required") or []:
        if name not in value:
            yield FieldError("Required", f"{at}.{name}" if at else name)
    known, rest = schema.get("properties") or {}, schema.get("additionalProperties")
    if len(value) > schema.get("maxProperties", len(value)):
        yield FieldError(
            "TooMany", at, len(value), f"{len(value)}: must have at most {schema['maxProperties']} items"
        )
    for name, item in value.items():
        inner = known.get(name, rest if isinstance(rest, dict) else None)
        if inner is not None and (item is not old.get(name) or item is None):
            yield from check_value(inner, item, f"{at}.{name}" if at else name, old.get(name))


def _check_combined(schema: Json, value: Value, at: str) -> Iterator[FieldError]:
    for inner in schema.get("allOf") or []:
        yield from check_value(inner, value, at)
    for word, wanted in (("anyOf", "at least one"), ("oneOf", "one and only one")):
        choices = schema.get(word)
        if not choices:
            continue
        fitting = sum(not any(check_value(inner, value, at)) for inner in choices)
        if fitting == 0 or (word == "oneOf" and fitting > 1):
            text = f"{at} in body must validate {wanted} schema ({word})"
            yield FieldError("Invalid", at, value, text)
    inner = schema.get("not")
    if inner and not any(check_value(inner, value, at)):
        yield FieldError("Invalid", at, value, f"{at} in body must not validate the schema (not)")


_CHECKS: dict[str, Callable[[Json, Value, str], Iterator[FieldError]]] = {
    "string": _check_text,
    "integer": _check_number,
    "number": _check_number,
    "array": _check_list,
}

_TYPES = {"string", "integer", "number", "boolean", "array", "object"}


def check_structural(schema: Json, at: str, *, is_root: bool = True) -> Iterator[FieldError]:
    """Yield why a schema isn't structural."""
    kind = schema.get("type")
    if not kind and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        yield FieldError("Required", f"{at}.type", None, "must not be empty for specified object fields"
                         if not is_root else "must not be empty at the root")  # fmt: skip
    elif kind and kind not in _TYPES:
        names = ", ".join(f'"{name}"' for name in sorted(_TYPES))
        yield FieldError("NotSupported", f"{at}.type", kind, f"supported values: {names}")
    elif is_root and kind != "object":
        yield FieldError("Invalid", f"{at}.type", kind, "must be object at the root")
    if schema.get("x-kubernetes-list-type") == "map" and not schema.get("x-kubernetes-list-map-keys"):
        yield FieldError(
            "Required", f"{at}.x-kubernetes-list-map-keys", None,
            "must not be empty if x-kubernetes-list-type is map",
        )  # fmt: skip
    if kind == "array" and not isinstance(schema.get("items"), dict):
        yield FieldError("Required", f"{at}.items", None, "must be specified")
    for name, inner in (schema.get("properties") or {}).items():
        is_meta = (is_root or schema.get(EMBEDDED)) and name == "metadata"
        if not is_meta:
            yield from check_structural(inner, f"{at}.properties[{name}]", is_root=False)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from check_structural(schema[name], f"{at}.{name}", is_root=False)
