"""Strategic merge patches: merge patches that know by what the items of a list are told apart.

Merge keys are those of Go's struct tags. `$patch` replaces or deletes what it stands in, `$setElementOrder`
orders a list, `$deleteFromPrimitiveList` takes plain values out of one, `$retainKeys` drops all other keys.
"""

from cafe_sim.apiserver.errors import StatusError, bad_request
from cafe_sim.apiserver.schema.types import Field, struct
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_PATCH, _RETAIN = "$patch", "$retainKeys"


def apply_strategic(type_name: str, document: Json, patch: Value) -> Json:
    """Return *document* of a declared type with *patch* merged in.

    Raises:
        StatusError: 400, the patch can't be understood.
    """
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal value into Go value of type map[string]interface {}")
    return _merge_map(struct(type_name).fields, document, patch)


def _fields_of(item: Field | None) -> dict[str, Field]:
    if item is None or item.kind != "struct":
        return {}
    return dict(struct(item.inner).fields)


def _field(fields: Value, name: str) -> Field | None:
    found: Field | None = fields.get(name)
    return found


def _merge_map(fields: Value, old: Json, patch: Json) -> Json:
    directive = patch.get(_PATCH)
    if directive is not None:
        return _directed(fields, old, patch, directive)
    result = dict(old)
    if _RETAIN in patch:
        result = {name: item for name, item in result.items() if name in patch[_RETAIN]}
    for name, item in patch.items():
        if name.startswith(_DELETE):
            _take_out(result, name[len(_DELETE) :], item)
        elif name.startswith(_ORDER) or name == _RETAIN:
            continue
        elif item is None:
            result.pop(name, None)
        else:
            order = patch.get(_ORDER + name)
            result[name] = _merge(_field(fields, name), result.get(name), item, order)
    for name in patch:
        plain = name[len(_ORDER) :]
        if name.startswith(_ORDER) and plain not in patch and isinstance(result.get(plain), list):
            result[plain] = _ordered(_field(fields, plain), result[plain], patch[name], old[plain])
    return result


def _directed(fields: Value, old: Json, patch: Json, directive: str) -> Json:
    rest = {name: item for name, item in patch.items() if name != _PATCH}
    if directive == "replace":
        return rest
    if directive == "delete":
        return {}
    if directive == "merge":
        return _merge_map(fields, old, rest)
    raise StatusError(400, "BadRequest", f"Unknown patch type: {directive}")


def _take_out(result: Json, name: str, values: list[Value]) -> None:
    if isinstance(result.get(name), list):
        result[name] = [item for item in result[name] if item not in values]


def _merge(item: Field | None, old: Value, patch: Value, order: Value) -> Value:
    if isinstance(patch, dict):
        base = old if isinstance(old, dict) else {}
        if item is not None and item.kind == "any":
            _check_anything(base, patch)
        if item is not None and item.kind == "map":
            return _merge_entries(item, base, patch)
        return _merge_map(_fields_of(item), base, patch)
    if not isinstance(patch, list) or item is None or item.merge_key is None:
        return _cleaned(patch)
    before = old if isinstance(old, list) else []
    merged = _ordered(item, _merge_list(item, before, patch), patch, before)
    return _ordered(item, merged, order, before) if order is not None else merged


def _check_anything(old: Json, patch: Json) -> None:
    """Refuse to merge what is in a field of any type: no schema says how."""
    for name, value in patch.items():
        if isinstance(value, dict | list) and type(old.get(name)) is type(value):
            text = f'unable to find api field in struct RawExtension for the json field "{name}"'
            raise StatusError(500, "", text)


def _merge_entries(item: Field, old: Json, patch: Json) -> Json:
    element = item.element()
    if patch.get(_PATCH) == "replace":
        return {name: value for name, value in patch.items() if name != _PATCH}
    result = dict(old)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge(element, old.get(name), value, None)
    return result


def _cleaned(value: Value) -> Value:
    """Return a value without directives, for a place where nothing stood."""
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {name: _cleaned(item) for name, item in value.items() if not name.startswith("$")}
    return value


def _merge_list(item: Field, old: list[Value], patch: list[Value]) -> list[Value]:
    key = item.merge_key
    if not key:
        return [*old, *(value for value in patch if value not in old)]
    if any(isinstance(value, dict) and value.get(_PATCH) == "replace" for value in patch):
        return [_cleaned(value) for value in patch if value.get(_PATCH) != "replace"]
    element = item.element()
    result = list(old)
    for value in patch:
        if not isinstance(value, dict) or key not in value:
            raise bad_request(f"map: {value} does not contain declared merge key: {key}")
        found = next((i for i, has in enumerate(result) if has.get(key) == value[key]), None)
        if value.get(_PATCH) == "delete":
            result = [has for has in result if has.get(key) != value[key]]
        elif found is None:
            result.append(_merge_map(_fields_of(element), {}, value))
        else:
            result[found] = _merge_map(_fields_of(element), result[found], value)
    return result


def _ordered(item: Field | None, items: list[Value], order: list[Value], old: list[Value]) -> list[Value]:
    """Return *items* in the wanted order; the others stand before what they stood before in *old*."""
    key = item.merge_key if item is not None else None

    def name_of(value: Value) -> Value:
        return value.get(key) if isinstance(value, dict) else value

    wanted, before = [name_of(value) for value in order], [name_of(value) for value in old]
    named = sorted(
        (value for value in items if name_of(value) in wanted), key=lambda v: wanted.index(name_of(v))
    )
    result: list[Value] = []
    for value in (value for value in items if name_of(value) not in wanted):
        while named and not _stands_before(name_of(value), name_of(named[0]), before):
            result.append(named.pop(0))
        result.append(value)
    return result + named


def _stands_before(one: Value, other: Value, names: list[Value]) -> bool:
    return one in names and other in names and names.index(one) < names.index(other)
