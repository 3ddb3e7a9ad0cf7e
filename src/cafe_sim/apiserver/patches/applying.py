"""Server-side apply: a manager states what it wants, and owns exactly that.

live + configuration -> merged; fields that others own and that would change -> conflict, unless forced
fields that the manager stated last time and not now, and nobody else owns -> removed
"""

from cafe_sim.apiserver.context import Context, Target
from cafe_sim.apiserver.errors import StatusError
from cafe_sim.apiserver.fieldsets import (
    SELF,
    Node,
    compare,
    difference,
    elements,
    inner,
    intersection,
    paths,
    stated,
    union,
)
from cafe_sim.apiserver.merging import MergeType
from cafe_sim.apiserver.tracking import FieldTracker, Owner, fields_of, owned, owners_of
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json


def merged(kind: MergeType, live: Value, config: Value) -> Value:
    """Return *live* with all that *config* states."""
    parts, wanted = elements(kind, live), elements(kind, config)
    if parts is not None and config is None:
        return live  # Null is an empty container: it takes nothing away.
    if parts is None or wanted is None:
        return config
    if kind.kind == "map":
        result = dict(live)
        for name, item in config.items():
            result[name] = merged(kind.child(name), live[name], item) if name in live else item
        return result
    items: list[Value] = []
    for name in _interleaved(list(parts), list(wanted)):
        if name in parts and name in wanted:
            items.append(merged(kind.element(), parts[name], wanted[name]))
        else:
            items.append(wanted.get(name, parts.get(name)))
    return items


def _interleaved(live: list[str], wanted: list[str]) -> list[str]:
    """Return the items of both lists: the wanted ones in their order, the others between their neighbours."""
    result: list[str] = []
    shared = [name for name in wanted if name in set(live)]
    at = 0
    for name in wanted:
        while at < len(live) and live[at] not in wanted:
            result.append(live[at])
            at += 1
        result.append(name)
        if shared and name == shared[0]:
            shared.pop(0)
            while at < len(live) and (live[at] in result):
                at += 1
    return result + [name for name in live if name not in result]


def _pruned(kind: MergeType, value: Value, remove: Node, keep: Node | None) -> Value:
    """Return *value* without what is to be removed and below which nobody owns anything.

    A struct's field goes whole, with the defaults in it that nobody owns; a map's key goes alone.
    """
    parts = elements(kind, value)
    if parts is None:
        return value
    left: dict[str, Value] = {}
    for name, item in parts.items():
        gone = remove.get(name)
        if gone is None:
            left[name] = item
            continue
        kept = None if keep is None else keep.get(name)
        is_whole = not gone or SELF in gone or (kind.kind == "map" and kind.declares(name[2:]))
        if is_whole and kept is None:
            continue
        left[name] = _pruned(inner(kind, name), item, gone, kept)
    if len(left) == len(parts) and all(left[name] is parts[name] for name in left):
        return value
    return {name[2:]: item for name, item in left.items()} if kind.kind == "map" else list(left.values())


class Applier:
    """Applies one configuration to one object."""

    def __init__(self, tracker: FieldTracker) -> None:
        self._tracker = tracker

    def applied(self, target: Target, context: Context, live: Json, config: Json) -> tuple[Json, list[Json]]:
        """Return the object and its managed fields after *config* is applied to *live*.

        Raises:
            StatusError: 409, others own what would change, and the apply isn't forced.
        """
        kind = target.resource.shape.merge_type()
        door = context.through or target.subresource
        me = Owner(context.manager, "Apply", target.resource.api_version, door)
        entries = owners_of(live)
        mine = owned(stated(kind, config), target)
        result = merged(kind, live, config)
        came, _ = compare(kind, live, result)
        conflicts = _conflicts(entries, me, came)
        if conflicts and not context.is_forced:
            raise _conflict(conflicts)
        last = fields_of(entries[me]) if me in entries else None
        keep = mine
        for owner, entry in entries.items():
            if owner != me:
                keep = union(keep, difference(fields_of(entry), conflicts.get(owner)))
        gone = _unlisted(last, keep)
        if gone is not None:
            result = _pruned(kind, result, gone, keep)
        came, went = compare(kind, live, result)
        return result, self._entries(entries, me, mine, (came, went, conflicts))

    def _entries(
        self,
        entries: dict[Owner, Json],
        me: Owner,
        mine: Node | None,
        changes: tuple[Node | None, Node | None, dict[Owner, Node]],
    ) -> list[Json]:
        came, went, conflicts = changes
        result = []
        for owner, entry in entries.items():
            if owner == me:
                continue
            had = fields_of(entry)
            left = difference(difference(had, conflicts.get(owner)), went)
            if left is not None:
                result.append(entry if left is had else {**entry, "fieldsV1": left})
        before = entries.get(me)
        if mine is None:
            return result
        is_same = before is not None and before["fieldsV1"] == mine and came is None and went is None
        return [before if is_same and before else self._tracker.entry(me, mine), *result]


def _unlisted(last: Node | None, keep: Node | None) -> Node | None:
    return difference(last, keep)


def _conflicts(entries: dict[Owner, Json], me: Owner, came: Node | None) -> dict[Owner, Node]:
    found: dict[Owner, Node] = {}
    for owner, entry in entries.items():
        both = None if owner == me else intersection(fields_of(entry), came)
        if both is not None:
            found[owner] = both
    return found


def _conflict(conflicts: dict[Owner, Node]) -> StatusError:
    causes: list[dict[str, str]] = []
    lines: dict[str, list[str]] = {}
    for owner, node in sorted(conflicts.items()):
        name = _printed(owner)
        for path in paths(node):
            causes.append(
                {"reason": "FieldManagerConflict", "message": f"conflict with {name}", "field": path}
            )
            lines.setdefault(name, []).append(path)
    if len(causes) == 1:
        text = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        parts = [
            "\n".join([f"conflicts with {name}:", *(f"- {path}" for path in listed)])
            for name, listed in sorted(lines.items())
        ]
        text = f"Apply failed with {len(causes)} conflicts: " + "\n".join(parts)
    return StatusError(409, "Conflict", text, causes)


def _printed(owner: Owner) -> str:
    text = f'"{owner.manager}"'
    if owner.subresource:
        text += f' with subresource "{owner.subresource}"'
    if owner.operation == "Update":
        text += f" using {owner.api_version}"
    return text
