"""Managed fields: who last set what (`metadata.managedFields`), brought up to date at each write."""

from typing import NamedTuple, Protocol

from cafe_sim.apiserver.context import Context, Target
from cafe_sim.apiserver.fieldsets import SELF, Node, compare, difference, tree, union
from cafe_sim.apiserver.schema.types import Notes
from cafe_sim.apiserver.values import Value, with_meta
from cafe_sim.contract import Json

_SERVER_META = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields",
    "resourceVersion",
    "clusterName", "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip
_UNOWNED: Node = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {SELF: {}, **{f"f:{name}": {} for name in _SERVER_META}},
}
_MOST_UPDATERS = 10


class Owner(NamedTuple):
    """Who owns fields: a manager, by one operation, in one version, through one subresource."""

    manager: str
    operation: str
    api_version: str
    subresource: str


class Stamper(Protocol):
    """Where the time of a write comes from."""

    def stamp(self) -> str:
        """Return the world's time as `metav1.Time`."""


def owners_of(obj: Json) -> dict[Owner, Json]:
    """Return an object's entries by their owners."""
    entries = obj["metadata"].get("managedFields") or []
    return {
        Owner(
            item.get("manager", ""),
            item.get("operation", ""),
            item.get("apiVersion", ""),
            item.get("subresource", ""),
        ): item
        for item in entries
    }


def fields_of(entry: Json) -> Node | None:
    """Return the set of an entry."""
    return entry.get("fieldsV1") or None


def owned(node: Node | None, target: Target) -> Node | None:
    """Return a set without what no client owns: the server's own fields, and what this door doesn't reach."""
    node = difference_whole(node, _UNOWNED)
    if node is None:
        return None
    if target.subresource == "status":
        keep = ("f:status",) if target.resource.rules.status_keeps is None else ("f:status", "f:metadata")
        return tree({name: child for name, child in node.items() if name in keep})
    if target.resource.rules.has_status and not target.subresource:
        return tree({name: child for name, child in node.items() if name != "f:status"})
    return node


def difference_whole(node: Node | None, without: Node) -> Node | None:
    """Return a set without the places of another and all that lies below them; an emptied parent goes too."""
    if node is None:
        return None
    left: Node = {}
    for name, child in node.items():
        cut = without.get(name)
        if cut is None:
            left[name] = child
        elif cut:
            rest = difference_whole({k: v for k, v in child.items() if k != SELF}, cut)
            if rest:
                left[name] = rest
    return tree(left)


def _nothing(target: Target) -> Json:
    """Return a blank object: with zeros, but without the defaults, which belong to the creator."""
    blank = target.resource.shape.read({}, Notes())
    return {name: value for name, value in blank.items() if isinstance(value, dict) or not value}


class FieldTracker:
    """Keeps managed fields."""

    def __init__(self, clock: Stamper) -> None:
        self._clock = clock

    def updated(self, target: Target, context: Context, asked: Json, old: Json | None) -> list[Json] | None:
        """Return the entries after a write that isn't an apply.

        Args:
            target: What is written.
            context: Who writes.
            asked: What the client wants, before admission and the kind's rules had their say.
            old: What is stored, None for a creation.
        """
        given = asked["metadata"].get("managedFields")
        if given is not None and not any(given):
            return None  # A client may wipe the slate.
        base = asked if given else old
        before: Value = _nothing(target) if old is None else old
        came, went = compare(target.resource.shape.merge_type(), before, asked)
        came, went = owned(came, target), owned(went, target)
        entries = owners_of(base) if base is not None else {}
        if came is None and went is None:
            return list(entries.values()) or None
        door = context.through or target.subresource
        me = Owner(context.manager, "Update", target.resource.api_version, door)
        return self.settled(entries, me, came, went)

    def settled(
        self, entries: dict[Owner, Json], me: Owner, came: Node | None, went: Node | None
    ) -> list[Json] | None:
        """Return the entries once *me* has set some fields and removed others."""
        result: dict[Owner, Json] = {}
        for owner, entry in entries.items():
            had = fields_of(entry)
            left = difference(had, went)
            if owner != me:
                left = difference(left, came)
            if left is not None:
                result[owner] = entry if left is had else {**entry, "fieldsV1": left}
        mine = result.get(me)
        fields = union(fields_of(mine) if mine else None, came)
        if fields is not None and (mine is None or fields != mine["fieldsV1"] or came is not None):
            result[me] = self.entry(me, fields)
        return self._capped(list(result.values())) or None

    def entry(self, owner: Owner, fields: Node) -> Json:
        """Return a new entry, as of now."""
        entry: Json = {
            "manager": owner.manager,
            "operation": owner.operation,
            "apiVersion": owner.api_version,
            "time": self._clock.stamp(),
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        if owner.subresource:
            entry["subresource"] = owner.subresource
        return entry

    @staticmethod
    def _capped(entries: list[Json]) -> list[Json]:
        """Fold the oldest updaters into one, so that an object can't grow without end."""
        updaters = [entry for entry in entries if entry["operation"] == "Update"]
        surplus = len(updaters) - _MOST_UPDATERS
        if surplus <= 0:
            return entries
        folded, fields = sorted(updaters, key=lambda e: e.get("time", ""))[: surplus + 1], None
        for entry in folded:
            fields = union(fields, fields_of(entry))
        rest = [entry for entry in entries if entry not in folded]
        old = {**folded[0], "manager": "ancient-changes", "fieldsV1": fields}
        old.pop("subresource", None)
        return [old, *rest]


class NoTracker:
    """Keeps none, for worlds in which nobody looks at them."""

    def updated(self, target: Target, context: Context, asked: Json, old: Json | None) -> list[Json] | None:
        """Return no entries."""
        del target, context, asked, old
        return None


def with_entries(obj: Json, entries: list[Json] | None) -> Json:
    """Return *obj* with these managed fields."""
    return with_meta(obj, managedFields=entries)
