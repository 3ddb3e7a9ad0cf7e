"""Fields that a JSON body gives twice: JSON allows it, and Kubernetes warns of it or refuses it."""

import json
from collections.abc import Iterator

import msgspec

from cafe_sim.apiserver.values import Value


class _TwiceError(Exception):
    """A field is given twice."""


class _Pairs(list[tuple[str, Value]]):
    """An object with all its fields, in their order."""


def _once(pairs: list[tuple[str, Value]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _TwiceError


def duplicates(text: bytes) -> list[str]:
    """Return the paths of the fields that JSON gives more than once; none of what isn't JSON."""
    if _is_written_by_us(text):
        return []
    try:
        json.loads(text, object_pairs_hook=_once)
    except ValueError:
        return []  # YAML may begin as JSON does.
    except _TwiceError:
        return list(dict.fromkeys(_paths(json.loads(text, object_pairs_hook=_Pairs), "")))
    return []


def _is_written_by_us(text: bytes) -> bool:
    """Whether a body is as msgspec writes it: read and written again it is the same, so no field is lost."""
    try:
        return msgspec.json.encode(msgspec.json.decode(text)) == text
    except msgspec.DecodeError:
        return False


def added_up(text: bytes) -> Value:
    """Return what JSON says to Go, which reads a field's second value into the first: maps add up."""
    return _plain(json.loads(text, object_pairs_hook=_Pairs))


def _paths(value: Value, at: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen = set()
        for name, item in value:
            path = f"{at}.{name}" if at else name
            if name in seen:
                yield path
            seen.add(name)
            yield from _paths(item, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, f"{at}[{index}]")


def _plain(value: Value) -> Value:
    if isinstance(value, _Pairs):
        result: dict[str, Value] = {}
        for name, item in value:
            result[name] = _joined(result.get(name), _plain(item))
        return result
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _joined(first: Value, second: Value) -> Value:
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return second
    return {**first, **{name: _joined(first.get(name), item) for name, item in second.items()}}
