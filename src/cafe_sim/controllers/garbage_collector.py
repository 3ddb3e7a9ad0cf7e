"""The garbage collector: nothing outlives its owners, unless asked to.

Owners are found by UID, never by name alone. Of an owner that is gone or was never there, the reference
counts as dangling; an object all of whose references dangle is deleted.

    delete owner, Background   owner goes, then this collector deletes its dependents
    … Foreground               owner waits (finalizer foregroundDeletion) for dependents that block it
    … Orphan                   owner waits (finalizer orphan) until its dependents have lost the reference
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from cafe.kernel import ObjectKey
from cafe_sim.contract import ApiError, DeleteOptions, Json, StoreEvent
from cafe_sim.controllers.base import Plane
from cafe_sim.machinery.kinds import Kind
from cafe_sim.machinery.objects import is_deleting, key_of, owner_references, uid_of
from cafe_sim.machinery.queue import Queue

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
IGNORED = frozenset({"events"})


@dataclass(slots=True)
class _Node:
    """One object: where it is, and whom it names as owners."""

    kind: Kind
    key: ObjectKey
    owners: dict[str, bool] = field(default_factory=dict)
    """UID of each owner, and whether the reference blocks the owner's deletion."""


def _finalizers(obj: Json) -> list[str]:
    return list(obj["metadata"].get("finalizers") or ())


def _waits_for_dependents(obj: Json) -> bool:
    return is_deleting(obj) and FOREGROUND in _finalizers(obj)


class GarbageCollector:
    """Keeps a graph of all objects by UID, from events alone."""

    def __init__(self, plane: Plane) -> None:
        self._client = plane.client
        self._catalogue = plane.catalogue
        self._nodes: dict[str, _Node] = {}
        self._dependents: dict[str, dict[str, None]] = {}
        self.queue: Queue[str] = Queue(plane.timeline, self._process)

    def start(self) -> None:
        """Follow every kind, those to come included."""
        self._catalogue.follow(self._on_kind)

    def stop(self) -> None:
        """Collect no more."""
        self.queue.stop()

    def _on_kind(self, kind: Kind) -> None:
        if kind.resource not in IGNORED:
            self._client.informer(kind.resource).follow(lambda event: self._on_event(kind, event))

    def _on_event(self, kind: Kind, event: StoreEvent) -> None:
        obj, uid = event.new, uid_of(event.new)
        if event.type == "DELETED":
            self._forget(uid)
            return
        node = self._nodes.get(uid)
        is_news = node is None
        if node is None:
            node = self._nodes[uid] = _Node(kind, key_of(obj))
        owners = {ref["uid"]: bool(ref.get("blockOwnerDeletion")) for ref in owner_references(obj)}
        if owners != node.owners:
            is_news = True
            self._link(uid, node, owners)
        if is_news and owners:
            self.queue.add(uid)
        if is_deleting(obj):
            for owner in owners:
                self._wake_if_waiting(owner)
            if {FOREGROUND, ORPHAN} & set(_finalizers(obj)):
                self.queue.add(uid)

    def _link(self, uid: str, node: _Node, owners: dict[str, bool]) -> None:
        for owner in [owner for owner in node.owners if owner not in owners]:
            self._dependents.get(owner, {}).pop(uid, None)
            self._wake_if_waiting(owner)
        for owner, blocks in owners.items():
            self._dependents.setdefault(owner, {})[uid] = None
            if not blocks:
                self._wake_if_waiting(owner)
        node.owners = owners

    def _forget(self, uid: str) -> None:
        node = self._nodes.pop(uid, None)
        if node is None:
            return
        for owner in node.owners:
            left = self._dependents.get(owner)
            if left is not None:
                left.pop(uid, None)
                if not left:
                    del self._dependents[owner]
            self._wake_if_waiting(owner)
        for dependent in self._dependents.get(uid, ()):
            self.queue.add(dependent)

    def _wake_if_waiting(self, uid: str) -> None:
        obj = self._object(uid)
        if obj is not None and _waits_for_dependents(obj):
            self.queue.add(uid)

    def _object(self, uid: str) -> Json | None:
        node = self._nodes.get(uid)
        if node is None:
            return None
        obj = self._client.informer(node.kind.resource).get(node.key)
        return obj if obj is not None and uid_of(obj) == uid else None

    def _process(self, uid: str) -> timedelta | None:
        obj = self._object(uid)
        if obj is None:
            return None
        node = self._nodes[uid]
        if is_deleting(obj):
            if ORPHAN in _finalizers(obj):
                self._orphan_dependents(uid, node, obj)
            elif FOREGROUND in _finalizers(obj):
                self._delete_dependents(uid, node, obj)
            return None
        if owner_references(obj):
            self._judge(uid, node, obj)
        return None

    def _judge(self, uid: str, node: _Node, obj: Json) -> None:
        """Keep, unlink or delete an object by the state of its owners."""
        states = {ref["uid"]: self._owner_state(node, ref) for ref in owner_references(obj)}
        if "solid" in states.values():
            kept = [ref for ref in owner_references(obj) if states[ref["uid"]] == "solid"]
            if len(kept) < len(owner_references(obj)):
                self._patch(node, obj, {"ownerReferences": kept})
        elif "waiting" in states.values() and self._dependents.get(uid):
            self._unblock_if_circular(uid, node, obj)
            self._delete(node, uid, "Foreground")
        else:
            finalizers = _finalizers(obj)
            policy: Literal["Orphan", "Foreground", "Background"] = "Background"
            if ORPHAN in finalizers:
                policy = "Orphan"
            elif FOREGROUND in finalizers:
                policy = "Foreground"
            self._delete(node, uid, policy)

    def _owner_state(self, node: _Node, ref: Json) -> str:
        """Return solid, waiting (for its dependents, to go) or absent."""
        known = self._nodes.get(ref["uid"])
        owner = self._object(ref["uid"])
        if known is not None and owner is not None:
            if known.kind.is_namespaced and known.key.namespace != node.key.namespace:
                return "absent"  # Owners in other namespaces are not owners.
            return "waiting" if _waits_for_dependents(owner) else "solid"
        kind = self._catalogue.kind_of(ref["apiVersion"], ref["kind"])
        if kind is None or (kind.is_namespaced and not node.key.namespace):
            return "solid"  # What can't be looked up is not known to be gone.
        namespace = node.key.namespace if kind.is_namespaced else ""
        live = self._client.api.get(kind.resource, namespace, ref["name"])
        return "solid" if live is not None and uid_of(live) == ref["uid"] else "absent"

    def _unblock_if_circular(self, uid: str, node: _Node, obj: Json) -> None:
        for dependent in self._dependents.get(uid, ()):
            other = self._object(dependent)
            if other is not None and _waits_for_dependents(other):
                references = [{**ref, "blockOwnerDeletion": False} for ref in owner_references(obj)]
                self._patch(node, obj, {"ownerReferences": references})
                return

    def _delete_dependents(self, uid: str, node: _Node, obj: Json) -> None:
        blocking = [d for d in self._dependents.get(uid, ()) if self._nodes[d].owners.get(uid)]
        if not blocking:
            self._drop_finalizer(node, obj, FOREGROUND)
            return
        for dependent in blocking:
            other = self._object(dependent)
            if other is not None and not is_deleting(other):
                self.queue.add(dependent)

    def _orphan_dependents(self, uid: str, node: _Node, obj: Json) -> None:
        for dependent in list(self._dependents.get(uid, ())):
            other = self._object(dependent)
            if other is not None:
                kept = [ref for ref in owner_references(other) if ref["uid"] != uid]
                self._patch(self._nodes[dependent], other, {"ownerReferences": kept or None})
        self._drop_finalizer(node, obj, ORPHAN)

    def _drop_finalizer(self, node: _Node, obj: Json, finalizer: str) -> None:
        left = [one for one in _finalizers(obj) if one != finalizer]
        self._patch(node, obj, {"finalizers": left or None})

    def _patch(self, node: _Node, obj: Json, metadata: Json) -> None:
        guard = {"uid": uid_of(obj), "resourceVersion": obj["metadata"]["resourceVersion"]}
        try:
            self._client.patch(node.kind.resource, node.key, {"metadata": guard | metadata})
        except ApiError as error:
            if error.status != 404:
                raise

    def _delete(self, node: _Node, uid: str, policy: Literal["Orphan", "Foreground", "Background"]) -> None:
        options = DeleteOptions(propagation=policy, uid=uid, by="generic-garbage-collector")
        try:
            self._client.delete(node.kind.resource, node.key, options)
        except ApiError as error:
            if error.status != 409:  # Another object has its name: this one is gone.
                raise
