"""Reading Protocol Buffers: kubectl's typed commands send their bodies so, and don't ask whether they may.

A body is `k8s\\0` and an envelope `runtime.Unknown` (1: type with 1: apiVersion, 2: kind; 2: the raw message).
The messages themselves are read by the field numbers of the generated table. Answers are always JSON.
"""

import base64
import struct as packing
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

import msgspec

from cafe_sim.apiserver.schema.types import Field, Struct, struct
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Wire = int | bytes


class BadMessageError(ValueError):
    """The bytes are no such message."""


def read_envelope(body: bytes) -> tuple[str, str, bytes]:
    """Return an envelope's apiVersion, kind and raw message.

    Raises:
        BadMessageError: It is none.
    """
    if not body.startswith(MAGIC):
        raise BadMessageError("provided data does not appear to be a protobuf message, expected prefix k8s\\0")
    fields = dict(_fields(body[len(MAGIC) :]))
    head = dict(_fields(_bytes(fields.get(1, b""))))
    return _bytes(head.get(1, b"")).decode(), _bytes(head.get(2, b"")).decode(), _bytes(fields.get(2, b""))


def read_message(kind: Struct, data: bytes) -> Json:
    """Read a message of a declared type into JSON.

    Raises:
        BadMessageError: It isn't one.
    """
    return _read(_by_number(kind), data)


Numbers = dict[int, "Field | Numbers"]


@cache
def _by_number(kind: Struct) -> Numbers:
    numbers: Numbers = {}
    for item in kind.fields.values():
        place = numbers
        *outer, last = (int(part) for part in item.number.split(".")) if item.number else (0,)
        for part in outer:
            inner = place.setdefault(part, {})
            if isinstance(inner, Field):
                break
            place = inner
        place[last] = item
    return numbers


def _read(numbers: Numbers, data: bytes) -> Json:
    result: Json = {}
    for number, wire in _fields(data):
        item = numbers.get(number)
        if item is None:
            continue
        if not isinstance(item, Field):
            result.update(_read(item, _bytes(wire)))
        elif item.kind == "list":
            result.setdefault(item.name, []).append(_value(item.element(), wire))
        elif item.kind == "map":
            entry = dict(_fields(_bytes(wire)))
            key = _bytes(entry.get(1, b"")).decode()
            result.setdefault(item.name, {})[key] = _value(item.element(), entry.get(2, b""))
        else:
            result[item.name] = _value(item, wire)
    return result


def _value(item: Field, wire: Wire) -> Value:  # noqa: PLR0911 -- one return for each way of writing a value
    kind = item.kind
    if kind == "struct":
        return read_message(struct(item.inner), _bytes(wire))
    if kind in {"int", "int32", "int64"}:
        return _signed(wire)
    if kind == "bool":
        return bool(wire)
    if kind == "float":
        return packing.unpack("<d", _bytes(wire))[0]
    if kind == "string":
        return _bytes(wire).decode()
    if kind == "bytes":
        return base64.b64encode(_bytes(wire)).decode()
    return _wrapped(kind, dict(_fields(_bytes(wire))))


def _wrapped(kind: str, fields: dict[int, Wire]) -> Value:
    """Read the small messages that are plain values in JSON."""
    if kind == "quantity":
        return _bytes(fields.get(1, b"0")).decode()
    if kind in {"time", "microtime"}:
        if not fields:
            return None  # Go's zero time is an empty message.
        when = datetime.fromtimestamp(_signed(fields.get(1, 0)), UTC)
        text = when.strftime("%Y-%m-%dT%H:%M:%S")
        return f"{text}.{_signed(fields.get(2, 0)) // 1000:06d}Z" if kind == "microtime" else f"{text}Z"
    if kind == "intstr":
        return _bytes(fields.get(3, b"")).decode() if fields.get(1) else _signed(fields.get(2, 0))
    if kind == "duration":
        return f"{_signed(fields.get(1, 0)) / 1e9:g}s"
    raw = _bytes(fields.get(1, b""))
    return msgspec.json.decode(raw) if raw else None


def _bytes(wire: Wire) -> bytes:
    if isinstance(wire, bytes):
        return wire
    raise BadMessageError("a number stands where bytes belong")


def _signed(wire: Wire) -> int:
    if isinstance(wire, bytes):
        raise BadMessageError("bytes stand where a number belongs")
    return wire - (1 << 64) if wire >= 1 << 63 else wire


def _fields(data: bytes) -> Iterator[tuple[int, Wire]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
        if size < 0 or at + size > len(data):
            raise BadMessageError("unexpected EOF")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise BadMessageError("unexpected EOF")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
