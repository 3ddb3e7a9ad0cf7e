"""Sets of fields in the form of `FieldsV1`, and the walks over objects that make them.

A node is a dict of path elements: `f:name` a field, `k:{...}` an item by its keys, `v:...` one by its value.
The empty node is the place itself; a node with `.` is the place itself and some below; one without is
only some below. Nodes are shared and never changed; None is the empty set.
"""

import json
from collections.abc import Iterator

from cafe_sim.apiserver.merging import MergeType
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

Node = Json
SELF = "."
_LEAF: Node = {}


def _is_member(node: Node) -> bool:
    return not node or SELF in node


def _built(children: Node, *, is_member: bool) -> Node | None:
    if not children:
        return _LEAF if is_member else None
    return {SELF: _LEAF, **children} if is_member else children


def _children(node: Node) -> Iterator[tuple[str, Node]]:
    return ((name, child) for name, child in node.items() if name != SELF)


def union(a: Node | None, b: Node | None) -> Node | None:
    """Return what is in either."""
    if a is None or b is None or a is b:
        return b if a is None else a
    children = dict(_children(a))
    for name, child in _children(b):
        children[name] = union(children.get(name), child) or _LEAF
    return _built(children, is_member=_is_member(a) or _is_member(b))


def difference(a: Node | None, b: Node | None) -> Node | None:
    """Return what is in *a* alone; *a* itself if nothing goes."""
    if a is None or b is None:
        return a
    children: Node = {}
    changed = _is_member(a) and _is_member(b)
    for name, child in _children(a):
        other = b.get(name)
        left = child if other is None else difference(child, other)
        changed = changed or left is not child
        if left is not None:
            children[name] = left
    return _built(children, is_member=_is_member(a) and not _is_member(b)) if changed else a


def intersection(a: Node | None, b: Node | None) -> Node | None:
    """Return what is in both."""
    if a is None or b is None:
        return None
    children: Node = {}
    for name, child in _children(a):
        other = b.get(name)
        both = None if other is None else intersection(child, other)
        if both is not None:
            children[name] = both
    return _built(children, is_member=_is_member(a) and _is_member(b))


def tree(children: Node) -> Node | None:
    """Return a root: it is never a member itself, so an empty one is None."""
    return {name: child for name, child in children.items() if name != SELF} or None


def paths(node: Node, at: str = "") -> Iterator[str]:
    """Return all members as conflicts print them: `.spec.containers[name="a"].image`."""
    if at and _is_member(node):
        yield at
    for name, child in sorted(_children(node)):
        yield from paths(child, at + _printed(name))


def _printed(element: str) -> str:
    kind, _, rest = element.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "v":
        return f"[={rest}]"
    keys = json.loads(rest)
    return "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in sorted(keys.items())) + "]"


def _compact(value: Value) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def elements(kind: MergeType, value: Value) -> dict[str, Value] | None:
    """Return the parts of a container by their path elements; None if it is owned as a whole."""
    if kind.kind == "map" and isinstance(value, dict):
        return {f"f:{name}": item for name, item in value.items()}
    if kind.kind == "set" and isinstance(value, list):
        return {f"v:{_compact(item)}": item for item in value}
    if kind.kind == "keyed" and isinstance(value, list):
        return {_item_key(kind, item): item for item in value}
    return None


def _item_key(kind: MergeType, item: Value) -> str:
    keys = {}
    for key in kind.keys:
        found = item.get(key) if isinstance(item, dict) else None
        found = kind.key_default(key) if found is None else found
        if found is not None:
            keys[key] = found
    return f"k:{_compact(keys)}"


def inner(kind: MergeType, element: str) -> MergeType:
    """Return the type of what lies at a path element."""
    return kind.child(element[2:]) if kind.kind == "map" else kind.element()


def whole(kind: MergeType, value: Value) -> Node:
    """Return a value's place and all that lies below."""
    parts = elements(kind, value)
    if not parts:
        return _LEAF
    children = {name: whole(inner(kind, name), item) for name, item in parts.items()}
    return {SELF: _LEAF, **children}


def stated(kind: MergeType, value: Value) -> Node | None:
    """Return what an applied configuration states: its leaves, and the items of its lists.

    An empty map is a leaf. A list that is owned by its items states nothing if it has none.
    """
    parts = elements(kind, value)
    if not parts:
        return None if kind.kind in {"set", "keyed"} else _LEAF
    children: Node = {}
    for name, item in parts.items():
        child = stated(inner(kind, name), item)
        if name[0] == "k":
            children[name] = {SELF: _LEAF, **child} if child else _LEAF
        elif child is not None:
            children[name] = child
    return children or None


def compare(kind: MergeType, old: Value, new: Value) -> tuple[Node | None, Node | None]:
    """Return what came or changed between two values, and what went."""
    if old is new:
        return None, None
    after = elements(kind, new)
    before = {} if old is None else elements(kind, old)
    if before is None or after is None:
        return (None, None) if old == new else (_LEAF, None)
    came: Node = {}
    went: Node = {}
    for name, item in after.items():
        if name not in before:
            came[name] = whole(inner(kind, name), item)
            continue
        more, less = compare(inner(kind, name), before[name], item)
        if more is not None:
            came[name] = more
        if less is not None:
            went[name] = less
    for name, item in before.items():
        if name not in after:
            went[name] = whole(inner(kind, name), item)
    return tree(came), tree(went)
