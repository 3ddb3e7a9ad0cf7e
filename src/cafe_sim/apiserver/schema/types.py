"""The types of built-in kinds, and how the real server's Go code would read a value into them.

Reading drops nulls and unknown fields, leaves out zero values where Go's `omitempty` does, fills those that
Go always writes, brings quantities and times into their canonical form, and applies the kind's defaults.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from cafe_sim.apiserver.schema.quantities import BadQuantityError, canonical
from cafe_sim.apiserver.schema.times import BadTimeError, canonical_time
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

Defaulter = Callable[[Json], None]
"""Fills in defaults, in place: the dict it is given is not shared yet."""

_GO_NAMES: dict[type, str] = {str: "string", bool: "bool", int: "number", float: "number"}
_GO_NAMES |= {list: "array", dict: "object"}
_TEXT: frozenset[type] = frozenset({str})
_TAKES: dict[str, frozenset[type]] = {
    **dict.fromkeys(("int", "int32", "int64"), frozenset({int})),
    "float": frozenset({int, float}),
    "bool": frozenset({bool}),
    "intstr": frozenset({int, str}),
    "quantity": frozenset({str, int, float}),
}
"""What Python types a plain field takes; `type()` tells True from 1. All others take text."""

_ZEROS: dict[str, Value] = {
    "string": "",
    "bool": False,
    "float": 0,
    "bytes": "",
    "quantity": "0",
    "intstr": 0,
}
_ZEROS |= {"int": 0, "int32": 0, "int64": 0}


_STRUCTS = frozenset({"struct", "time", "microtime"})
"""What is a struct in Go: its `omitempty` says nothing there, so that a time that nobody set is null."""


class BadTypeError(ValueError):
    """A value doesn't fit its field; worded as Go's JSON decoder does."""


@dataclass(slots=True)
class Notes:
    """What a strict reader would have complained about."""

    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct.

    Attributes:
        name: As in JSON.
        kind: `struct`, `list`, `map`, or the name of a plain type.
        inner: The struct's name; for lists and maps the element's type in the table's notation.
        is_pointer: A zero value is a value.
        is_omitted: A zero value isn't written.
        omits_empty_struct: Go's `omitzero`.
        is_required: OpenAPI lists it as required.
        list_type: `map`, `set`, `atomic` or empty (which means atomic for lists, granular for the rest).
        list_keys: Of a list of type `map`.
        merge_key: For strategic merge patches; None replaces the list, an empty key merges plain values.
        retains_keys: Strategic merge patches may say which keys of the elements remain.
        number: In Protocol Buffers; `2.1` lies in an inlined message.
    """

    name: str
    kind: str
    inner: str = ""
    is_pointer: bool = False
    is_omitted: bool = False
    omits_empty_struct: bool = False
    is_required: bool = False
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    merge_key: str | None = None
    retains_keys: bool = False
    number: str = ""

    def element(self) -> "Field":
        """Return the type of a list's or map's elements."""
        return parse_type(self.name, self.inner)


@cache
def parse_type(name: str, text: str) -> Field:
    """Read a type in the table's notation."""
    if text.startswith("["):
        return Field(name, "list", text[1:-1])
    if text.startswith("{"):
        return Field(name, "map", text[1:-1])
    return Field(name, "struct", text) if "/" in text else Field(name, text)


def _parse_field(name: str, text: str, flags: list[str]) -> Field:
    plain = parse_type(name, text)
    merging = next((flag for flag in flags if flag.startswith("@")), "@")[1:]
    list_type, _, keys = merging.partition(":")
    return Field(
        name,
        plain.kind,
        plain.inner,
        is_pointer="*" in flags,
        is_omitted="-" in flags,
        omits_empty_struct="0" in flags,
        is_required="!" in flags,
        list_type=list_type,
        list_keys=tuple(keys.split(",")) if keys else (),
        merge_key=next((flag[1:] for flag in flags if flag.startswith("^")), None),
        retains_keys="&" in flags,
        number=next((flag[1:] for flag in flags if flag.startswith("#")), ""),
    )


class Struct:
    """A declared type.

    Attributes:
        name: Such as `core/v1.PodSpec`.
        fields: By JSON name, in the order of their declaration.
        is_atomic: Server-side apply owns it only as a whole.
        defaulter: Called for each value that is read.
    """

    def __init__(self, name: str, fields: Mapping[str, Field], *, is_atomic: bool) -> None:
        self.name = name
        self.fields = fields
        self.is_atomic = is_atomic
        self.defaulter: Defaulter | None = None
        self._fills: list[tuple[str, Value]] | None = None

    def fills(self) -> list[tuple[str, Value]]:
        """Return what Go writes even if nobody set it."""
        if self._fills is None:
            self._fills = [(f.name, _zero(f)) for f in self.fields.values() if _is_always_written(f)]
        return self._fills


def _is_always_written(item: Field) -> bool:
    if item.is_pointer or item.kind == "any":
        return False
    if item.kind in _STRUCTS:
        return not item.omits_empty_struct
    return not item.is_omitted


def _zero(item: Field) -> Value:
    if item.kind == "struct":
        return dict(struct(item.inner).fills())
    return _ZEROS.get(item.kind)


@cache
def table() -> Mapping[str, Struct]:
    """Return all types of the generated table."""
    structs: dict[str, Struct] = {}
    for name, marks, fields in _blocks():
        structs[name] = Struct(name, fields, is_atomic="atomic" in marks)
    return structs


def _blocks() -> Iterator[tuple[str, list[str], dict[str, Field]]]:
    text = resources.files(__package__).joinpath("kinds.txt").read_text("utf-8")
    name, marks, fields = "", [""], dict[str, Field]()
    for line in text.splitlines()[1:]:
        if line.startswith(" "):
            field_name, kind, *flags = line.split()
            fields[field_name] = _parse_field(field_name, kind, flags)
            continue
        if name:
            yield name, marks, fields
        name, *marks = line.split()
        fields = {}
    yield name, marks, fields


def struct(name: str) -> Struct:
    """Return a declared type, such as `core/v1.Pod`."""
    return table()[name]


def read(kind: Struct, value: Value, notes: Notes, known: Value = None, at: str = "") -> Json:
    """Read *value* as Go would into *kind*.

    Args:
        kind: The type to read into.
        value: What was decoded from JSON.
        notes: Where unknown fields are noted.
        known: A value that was read before; parts shared with it are taken as they are.
        at: The path so far, for messages.

    Raises:
        BadTypeError: A value doesn't fit its field.
    """
    if value is known:
        return value  # type: ignore[no-any-return]
    if not isinstance(value, dict):
        raise BadTypeError(_mismatch(value, at, kind.name))
    result = _read_fields(kind, value, notes, known if isinstance(known, dict) else {}, at)
    for name, zero in kind.fills():
        if name not in result:
            result[name] = zero
    if kind.defaulter is not None:
        kind.defaulter(result)
    return result


def _read_fields(kind: Struct, value: Json, notes: Notes, before: Json, at: str) -> Json:
    fields = kind.fields
    result: Json = {}
    for name, item in value.items():
        if item is not None and item is before.get(name):
            result[name] = item
            continue
        spec = fields.get(name)
        if spec is None:
            notes.unknown.append(f"{at}{name}")
        elif item is not None:
            part = _read_field(spec, item, notes, before.get(name), f"{at}{name}")
            if not _is_left_out(spec, part):
                result[name] = part
    return result


def _is_left_out(spec: Field, value: Value) -> bool:
    if value or spec.is_pointer:
        return False
    if spec.kind == "struct":
        return spec.omits_empty_struct
    return spec.is_omitted


def _read_field(spec: Field, value: Value, notes: Notes, known: Value, at: str) -> Value:
    if value is known or spec.kind == "any":
        return value
    if spec.kind == "struct":
        return read(struct(spec.inner), value, notes, known, f"{at}.")
    if spec.kind == "list":
        return _read_list(spec, value, notes, known, at)
    if spec.kind == "map":
        return _read_map(spec, value, notes, known, at)
    return _read_plain(spec, value, at)


def _read_list(spec: Field, value: Value, notes: Notes, known: Value, at: str) -> Value:
    if not isinstance(value, list):
        raise BadTypeError(_mismatch(value, at, f"[]{spec.inner.rpartition('/')[2]}"))
    element = spec.element()
    before = known if isinstance(known, list) else []
    by_id = {id(item): item for item in before}
    result = []
    for index, item in enumerate(value):
        if item is None:
            result.append(_zero(element))
        else:
            result.append(_read_field(element, item, notes, by_id.get(id(item)), f"{at}[{index}]"))
    return result


def _read_map(spec: Field, value: Value, notes: Notes, known: Value, at: str) -> Value:
    if not isinstance(value, dict):
        raise BadTypeError(_mismatch(value, at, f"map[string]{spec.inner.rpartition('/')[2]}"))
    element = spec.element()
    before = known if isinstance(known, dict) else {}
    return {
        key: _zero(element)
        if item is None
        else _read_field(element, item, notes, before.get(key), f"{at}.{key}")
        for key, item in value.items()
    }


def _read_plain(spec: Field, value: Value, at: str) -> Value:
    if type(value) not in _TAKES.get(spec.kind, _TEXT):
        raise BadTypeError(_mismatch(value, at, spec.kind))
    try:
        if spec.kind == "quantity":
            return canonical(str(value))
        return canonical_time(value, spec.kind) if spec.kind in {"time", "microtime"} else value
    except (BadQuantityError, BadTimeError) as error:
        raise BadTypeError(str(error)) from error


def _mismatch(value: Value, at: str, kind: str) -> str:
    name = _GO_NAMES.get(type(value), "value")
    return f"json: cannot unmarshal {name} into Go struct field .{at.rstrip('.')} of type {kind}"
