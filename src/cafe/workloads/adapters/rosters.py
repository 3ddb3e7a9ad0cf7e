"""Rosters of InPlaceSets, as objects of their own."""

from collections.abc import Hashable, Sequence
from datetime import timedelta
from typing import Any

import structlog

from cafe.api.inplaceset import InPlaceSet
from cafe.api.podroster import PodRoster
from cafe.api.shapes import Metadata
from cafe.kernel import Clock, Conflict, ObjectKey
from cafe.kube.client import Client
from cafe.kube.errors import AlreadyExists, NotFound
from cafe.kube.kinds import POD_ROSTERS
from cafe.kube.noting import create_noted
from cafe.kube.patches import MergePatch
from cafe.workloads.adapters.pace import Pace
from cafe.workloads.adapters.watched import Watched, controller_of
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.pods import owner_reference
from cafe.workloads.domain.roster import InstanceFact, take_stock

log = structlog.get_logger(__name__)

PERIOD = timedelta(seconds=2)
"""How far a roster may lag: it is written once for a whole wave of pods, and looking at all of them costs."""


class Rosters:
    """Reads and writes the roster of each set."""

    def __init__(self, client: Client, watched: Watched, clock: Clock) -> None:
        self._client = client
        self._watched = watched
        self._pace = Pace(clock, PERIOD)
        self._seen: dict[str, tuple[Crowd, PodRoster | None, int]] = {}
        self._read: dict[str, tuple[PodRoster, tuple[InstanceFact, ...]]] = {}

    def of(self, owner: Metadata) -> Sequence[InstanceFact]:
        """Return the roster of the set *owner*; empty if there is none yet.

        Each pass asks; only a roster that changed is read again.
        """
        found = self._found(owner)
        if found is None:
            return ()
        known = self._read.get(owner.uid)
        if known is None or known[0] is not found:
            facts = tuple(InstanceFact(i.id, i.pod, i.revision) for i in found.spec.instances)
            known = self._read[owner.uid] = (found, facts)
        return known[1]

    async def write(self, owner: InPlaceSet, pods: Crowd, replicas: int, scope: Hashable) -> timedelta | None:
        """Bring the roster up to what is seen, if it is due.

        Returns:
            When to look again, if it isn't due yet.
        """
        meta, found = owner.metadata, self._found(owner.metadata)
        if self._seen.get(meta.uid) == (pods, found, replicas):
            return None
        left = self._pace.left(meta.uid)
        if left is not None:
            return left
        stock = take_stock(self.of(meta), pods, replicas)
        if stock != self.of(meta):
            await self._store(owner, found, stock, scope)
        self._pace.wrote(meta.uid)
        self._seen[meta.uid] = (pods, found, replicas)
        return None

    def forget(self, uid: str) -> None:
        """Drop what is known of a set that is gone."""
        self._seen.pop(uid, None)
        self._read.pop(uid, None)
        self._pace.forget(uid)

    def _found(self, owner: Metadata) -> PodRoster | None:
        found = self._watched.rosters.get(ObjectKey(owner.namespace, owner.name))
        above = controller_of(found.metadata) if found is not None else None
        return found if above is not None and above.uid == owner.uid else None

    async def _store(
        self, owner: InPlaceSet, found: PodRoster | None, stock: Sequence[InstanceFact], scope: Hashable
    ) -> None:
        key = ObjectKey(owner.metadata.namespace, owner.metadata.name)
        spec = {
            "instances": [{"id": one.number, "pod": one.pod, "revision": one.revision} for one in stock],
            "count": len(stock),
        }
        if found is None:
            meta: dict[str, Any] = {"name": key.name, "ownerReferences": [owner_reference(owner)]}
            body = {"metadata": meta, "spec": spec}
            try:
                await create_noted(self._client, self._watched.rosters, POD_ROSTERS, key, body, scope)
            except AlreadyExists:
                # Of a set of that name that is gone, and its collection is under way; or a person's own.
                log.info("roster.taken", set=str(key), then="numbers go by the labels of living pods alone")
            return
        guard = {"uid": found.metadata.uid, "resourceVersion": found.metadata.resource_version}
        try:
            stored = await self._client.patch(POD_ROSTERS, key, MergePatch({"metadata": guard, "spec": spec}))
        except NotFound as error:
            raise Conflict(f"PodRoster {key} is gone") from error
        self._watched.rosters.note_write(key, stored.metadata.resource_version, owner=scope)
