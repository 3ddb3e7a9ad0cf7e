"""JSON patch (RFC 6902) on shared values: nothing is changed in place."""

from cafe_sim.apiserver.errors import StatusError, bad_request
from cafe_sim.apiserver.values import Value

_OPERATIONS = {"add", "remove", "replace", "move", "copy", "test"}


def apply_json_patch(document: Value, patch: Value) -> Value:
    """Return *document* with all operations applied, or none.

    Raises:
        StatusError: 400, it is no JSON patch. 422, an operation can't be done, or a test fails.
    """
    if not isinstance(patch, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    for step in patch:
        if not isinstance(step, dict) or step.get("op") not in _OPERATIONS or "path" not in step:
            raise _refused()
        document = _apply(document, step)
    return document


def _refused() -> StatusError:
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request")


def _apply(document: Value, step: Value) -> Value:
    operation, path = step["op"], _split(step["path"])
    if operation == "remove":
        return _without(document, path)
    if operation == "test":
        if _at(document, path) != step.get("value"):
            raise _refused()
        return document
    if operation == "replace":
        # Unlike the RFC, the server's library replaces what isn't there too, if only its parent is.
        _at(document, path[:-1])
        return _put(document, path, step.get("value"), is_insert=False)
    if operation == "add":
        return _put(document, path, step.get("value"), is_insert=True)
    source = _split(step.get("from", ""))
    value = _at(document, source)
    if operation == "move":
        document = _without(document, source)
    return _put(document, path, value, is_insert=True)


def _split(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise _refused()
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _index(items: list[Value], part: str, *, is_insert: bool) -> int:
    if part == "-" and is_insert:
        return len(items)
    if not part.lstrip("-").isdigit():
        raise _refused()
    index = int(part)
    if index < 0:
        index += len(items)
    if not 0 <= index < len(items) + is_insert:
        raise _refused()
    return index


def _at(value: Value, path: list[str]) -> Value:
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list):
            value = value[_index(value, part, is_insert=False)]
        else:
            raise _refused()
    return value


def _put(value: Value, path: list[str], item: Value, *, is_insert: bool) -> Value:
    if not path:
        return item
    head, *rest = path
    if isinstance(value, dict):
        if rest and head not in value:
            raise _refused()
        return {**value, head: _put(value.get(head), rest, item, is_insert=is_insert)}
    if not isinstance(value, list):
        raise _refused()
    index = _index(value, head, is_insert=is_insert and not rest)
    if rest or not is_insert:
        return [*value[:index], _put(value[index], rest, item, is_insert=is_insert), *value[index + 1 :]]
    return [*value[:index], item, *value[index:]]


def _without(value: Value, path: list[str]) -> Value:
    if not path:
        raise _refused()
    head, *rest = path
    if isinstance(value, dict):
        if head not in value:
            raise _refused()
        if rest:
            return {**value, head: _without(value[head], rest)}
        return {name: item for name, item in value.items() if name != head}
    if not isinstance(value, list):
        raise _refused()
    index = _index(value, head, is_insert=False)
    if rest:
        return [*value[:index], _without(value[index], rest), *value[index + 1 :]]
    return [*value[:index], *value[index + 1 :]]
