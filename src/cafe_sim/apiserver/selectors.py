"""Label and field selectors, as strings in a query and as `metav1.LabelSelector` in objects."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from cafe_sim.apiserver.errors import StatusError, bad_request
from cafe_sim.apiserver.values import Value, dig
from cafe_sim.contract import Json

Labels = Mapping[str, str]
Matcher = Callable[[Json], bool]
"""Tells whether an object is selected."""

_SET = re.compile(r"\s*([^\s=!,()]+)\s+(in|notin)\s*\(([^)]*)\)\s*")
_EQUALS = re.compile(r"\s*([^\s=!,()<>]+)\s*(==|=|!=)\s*([^\s=!,()]*)\s*")
_COMPARES = re.compile(r"\s*([^\s=!,()<>]+)\s*([<>])\s*(-?[0-9]+)\s*")
_EXISTS = re.compile(r"\s*(!?)\s*([^\s=!,()]+)\s*")


def _one(text: str) -> Callable[[Labels], bool]:
    if found := _SET.fullmatch(text):
        key, values = found[1], frozenset(part.strip() for part in found[3].split(","))
        if found[2] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUALS.fullmatch(text):
        key, value = found[1], found[3]
        if found[2] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _COMPARES.fullmatch(text):
        key, bound, above = found[1], int(found[3]), found[2] == ">"
        return lambda labels: _compares(labels.get(key), bound, above=above)
    if found := _EXISTS.fullmatch(text):
        key, wanted = found[2], not found[1]
        return lambda labels: (key in labels) == wanted
    raise bad_request(
        f"unable to parse requirement: found '{text}', expected: !, identifier, or \"end of string\""
    )


def _compares(value: str | None, bound: int, *, above: bool) -> bool:
    if value is None or not re.fullmatch(r"-?[0-9]+", value):
        return False
    return int(value) > bound if above else int(value) < bound


@lru_cache(maxsize=1024)
def parse_labels(text: str) -> Callable[[Labels], bool]:
    """Read a label selector such as `app=a,tier in (x, y),!old`.

    Raises:
        StatusError: 400, it can't be read.
    """
    parts = [part for part in re.split(r",(?![^(]*\))", text)]
    tests = tuple(_one(part) for part in parts)
    return lambda labels: all(test(labels) for test in tests)


def matches_selector(selector: Value, labels: Labels | None) -> bool:
    """Tell whether a `metav1.LabelSelector` selects these labels. None selects nothing, empty everything."""
    if selector is None:
        return False
    have: Labels = labels or {}
    wanted = selector.get("matchLabels") or {}
    if any(have.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(item, have) for item in selector.get("matchExpressions") or [])


def _expression(item: Json, labels: Labels) -> bool:
    key, operator, values = item["key"], item["operator"], item.get("values") or []
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return (key in labels) == (operator == "Exists")


def parse_fields(text: str, allowed: Mapping[str, tuple[str, ...]]) -> Matcher:
    """Read a field selector such as `spec.nodeName=n1,status.phase!=Running`.

    Args:
        text: The selector.
        allowed: The kind's selectable fields with the path of each.

    Raises:
        StatusError: 400, it can't be read or names a field that can't be selected by.
    """
    tests: list[Matcher] = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", part)
        if not found:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if found[1] not in allowed:
            raise unknown_field(found[1])
        tests.append(_field_test(allowed[found[1]], found[3], is_equal=found[2] != "!="))
    return lambda obj: all(test(obj) for test in tests)


def unknown_field(name: str) -> StatusError:
    """400: nobody can select by this field."""
    return bad_request(f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def _field_test(path: tuple[str, ...], value: str, *, is_equal: bool) -> Matcher:
    def test(obj: Json) -> bool:
        found = dig(obj, *path)
        text = "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)
        return (text == value) == is_equal

    return test
