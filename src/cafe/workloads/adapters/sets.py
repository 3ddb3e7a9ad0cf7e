"""InPlaceSets on Kubernetes."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.inplaceset import InPlaceSet, InPlaceSetStatus
from cafe.api.names import REVISION_LABEL, UPDATE_STATE_ANNOTATION
from cafe.api.selectors import matches
from cafe.api.shapes import Metadata
from cafe.kernel import Clock, Conflict, Note, ObjectKey, Unavailable
from cafe.kube.client import Client
from cafe.kube.errors import AlreadyExists, ApiRefusal, Forbidden, NotFound, Unauthorized
from cafe.kube.kinds import IN_PLACE_SETS
from cafe.kube.noting import Target, delete_noted
from cafe.kube.objects import PODS, Pod
from cafe.kube.patches import MergePatch, Patch, StrategicPatch
from cafe.kube.statuses import status_patch
from cafe.traffic.contract import TrafficWatch
from cafe.workloads.adapters.members import Members
from cafe.workloads.adapters.owning import Teller
from cafe.workloads.adapters.pace import Pace
from cafe.workloads.adapters.podfacts import convert
from cafe.workloads.adapters.podwrites import patch_of, wanted_state
from cafe.workloads.adapters.revisions import Revisions
from cafe.workloads.adapters.rosters import Rosters
from cafe.workloads.adapters.watched import ORPHANS, OWNER_APP, Watched, controller_of, set_scope
from cafe.workloads.domain.budget import Elsewhere, Use
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact, RevisionFact
from cafe.workloads.domain.pods import owner_reference, render_pod
from cafe.workloads.domain.revisions import MakeRevision
from cafe.workloads.domain.scaling import Creation, Deletion
from cafe.workloads.domain.setstatus import can_wait
from cafe.workloads.domain.steps import LowerGate, Resize, Step, Withdraw, WriteChange
from cafe.workloads.domain.telling import few
from cafe.workloads.ports import ResizeRefused, SetView

NODE_CAPACITY = "NodeCapacity"
"""Cause of a refused resize that is too large for the pod's node (admission of 1.36)."""


class KubeSets:
    """The `SetStore` of a cluster."""

    def __init__(
        self, client: Client, watched: Watched, clock: Clock, teller: Teller, traffic: TrafficWatch
    ) -> None:
        self._traffic = traffic
        self._client = client
        self._watched = watched
        self._clock = clock
        self._teller = teller
        self._door = watched.door
        self._members = Members(watched.pods)
        self._revisions = Revisions(client, watched, IN_PLACE_SETS.kind)
        self._pace = Pace(clock)
        self._rosters = Rosters(client, watched, clock)
        watched.sets.on_change(self._forget)

    def _forget(self, old: InPlaceSet | None, new: InPlaceSet | None) -> None:
        if old is not None and new is None:
            self._members.forget(old.metadata.uid)
            self._pace.forget(old.metadata.uid)
            self._rosters.forget(old.metadata.uid)
            self._door.forget(_app_of(old), old.metadata.uid)

    async def view(self, key: ObjectKey) -> SetView | None:
        """Return the set; None if it is gone, or while our own writes are not visible."""
        owner = self._watched.sets.get(key)
        if owner is None or not self._watched.is_current(set_scope(key)):
            return None
        selector = owner.spec.selector
        dwell = Dwell(self._clock.now(), timedelta(seconds=owner.spec.min_ready_seconds))
        pods, misfits = self._members.of(owner.metadata, selector, dwell)
        strays = [
            pod
            for pod in self._watched.pods.by_index(ORPHANS, key.namespace)
            if pod.metadata.deletion_timestamp is None and matches(selector, pod.metadata.labels)
        ]
        return SetView(
            owner=owner,
            pods=pods,
            revisions=self._revisions.of(owner.metadata),
            strays=[convert(p) for p in strays],
            misfits=misfits,
            instances=self._rosters.of(owner.metadata),
            is_taken=lambda name: self._watched.pods.get(ObjectKey(key.namespace, name)) is not None,
        )

    def promised(self, owner: InPlaceSet) -> Collection[str]:
        """Return the UIDs of the set's pods that somebody else may be taking, though they still serve."""
        return self._door.promised(owner.metadata.uid)

    def elsewhere(self, owner: InPlaceSet) -> Elsewhere | None:
        """Return what the other sets of its application take now; None if it belongs to none."""
        above = controller_of(owner.metadata)
        app = self._watched.apps.get(ObjectKey(owner.metadata.namespace, above.name)) if above else None
        if above is None or app is None or app.metadata.uid != above.uid:
            return None
        others = [s for s in self._watched.sets.by_index(OWNER_APP, above.uid) if _counts_beside(s, owner)]
        return Elsewhere.of(app.spec.replicas, map(self.use_of, others), halt=self._halt(app, owner, others))

    def _halt(self, app: CafeDeployment, owner: InPlaceSet, others: Sequence[InPlaceSet]) -> str:
        """Return why the set may begin nothing; empty if nothing speaks against it."""
        if app.status.update_revision not in {"", owner.metadata.labels.get(REVISION_LABEL)}:
            return "The application is on its way to another revision: no further pod is updated to this one"
        stuck = [pod for other in others for pod in self._crowd(other).unsettled() if pod.traffic.stuck]
        return f"No further pod is touched: {few(stuck)} not free of traffic" if stuck else ""

    def _crowd(self, owner: InPlaceSet) -> Crowd:
        dwell = Dwell(self._clock.now(), timedelta(seconds=owner.spec.min_ready_seconds))
        return self._members.of(owner.metadata, owner.spec.selector, dwell)[0]

    def use_of(self, owner: InPlaceSet) -> Use:
        """Return what a set takes of a budget, those included of which its pods don't tell yet."""
        dwell = Dwell(self._clock.now(), timedelta(seconds=owner.spec.min_ready_seconds))
        pods, _ = self._members.of(owner.metadata, owner.spec.selector, dwell)
        away = self._door.away(owner.metadata.uid)
        return Use.of(owner.spec.replicas, pods, owner.status.update_revision, dwell, away)

    def take(self, owner: InPlaceSet, use: Use, pods: Collection[str], *, is_held_back: bool) -> None:
        """Put on record, before anything is written, what a pass takes out of service."""
        uid, app = owner.metadata.uid, _app_of(owner)
        self._door.take(app, uid, use, pods)
        if is_held_back:
            self._door.wait(app, _key(owner.metadata))

    async def adopt(self, view: SetView, pod: PodFact) -> None:
        """Make a stray pod the set's own, after a live look at the set."""
        owner = view.owner
        live = await self._client.get(IN_PLACE_SETS, _key(owner.metadata))
        if live.metadata.uid != owner.metadata.uid or live.metadata.deletion_timestamp is not None:
            raise Conflict(f"{owner.metadata.name} is not the set that it was")
        body = {"metadata": {**_guard(pod), "ownerReferences": [owner_reference(owner)]}}
        await self._patch_pod(view, pod, StrategicPatch(body))

    async def release(self, view: SetView, pod: PodFact) -> None:
        """Let go of a misfit."""
        mine = {"$patch": "delete", "uid": view.owner.metadata.uid}
        body = {"metadata": {**_guard(pod), "ownerReferences": [mine]}}
        await self._patch_pod(view, pod, StrategicPatch(body))

    async def make_revision(self, owner: InPlaceSet, wanted: MakeRevision) -> RevisionFact:
        """Store a revision."""
        return await self._revisions.make(owner.metadata, wanted, _scope(owner))

    async def renumber_revision(self, owner: InPlaceSet, revision: RevisionFact, number: int) -> RevisionFact:
        """Give an old revision a new number."""
        return await self._revisions.renumber(owner.metadata, revision, number, _scope(owner))

    async def delete_revision(self, owner: InPlaceSet, revision: RevisionFact) -> None:
        """Forget a revision."""
        await self._revisions.delete(owner.metadata, revision, _scope(owner))

    async def create_pod(self, view: SetView, creation: Creation, revision: RevisionFact) -> None:
        """Create a pod; quietly accept that it exists already as the set's own."""
        owner = view.owner
        key = ObjectKey(owner.metadata.namespace, creation.name)
        pods = self._watched.pods
        pods.note_create(key, owner=_scope(owner))
        try:
            body = render_pod(owner, creation, revision, self._expected_of(owner, revision))
            stored = await self._client.create(PODS, key.namespace, body)
            pods.note_write(key, stored.metadata.resource_version, owner=_scope(owner))
        except AlreadyExists:
            await self._meet_namesake(owner, key)
        except Unavailable as error:
            if error.is_outcome_known:
                pods.retract(key)
            else:
                await self._settle_unknown(key)
            raise
        except BaseException:
            pods.retract(key)
            raise

    def _expected_of(self, owner: InPlaceSet, revision: RevisionFact) -> str:
        labels = (revision.template.get("metadata") or {}).get("labels") or {}
        return self._traffic.expected_text(owner.metadata.namespace, labels)

    async def _meet_namesake(self, owner: InPlaceSet, key: ObjectKey) -> None:
        """Accept an own pod made by a create whose answer was lost; wait out anybody else's."""
        live = await self._client.get(PODS, key)
        controller = live.metadata.controller
        if controller is None or controller.uid != owner.metadata.uid:
            self._watched.pods.retract(key)
            raise Conflict(f"Pod {key} belongs to somebody else")

    async def _settle_unknown(self, key: ObjectKey) -> None:
        """Look whether a create without an answer happened; if not, do not wait for it."""
        try:
            await self._client.get(PODS, key)
        except NotFound:
            self._watched.pods.retract(key)

    async def delete_pod(self, view: SetView, deletion: Deletion) -> None:
        """Begin the deletion of exactly the pod that was judged.

        Raises:
            Conflict: Its traffic was not seen to be gone a moment ago; the set is woken when it is.
        """
        pod = deletion.pod
        self._demand_confirmed(view, pod)
        key = ObjectKey(view.owner.metadata.namespace, pod.name)
        target = Target(PODS, key, pod.uid, pod.resource_version)
        await delete_noted(self._client, self._watched.pods, target, _scope(view.owner))

    async def take_step(self, view: SetView, step: Step) -> PodFact:
        """Make the one write of *step*; return the pod as stored then."""
        if isinstance(step, Resize):
            return convert(await self._resize(view, step))
        if isinstance(step, WriteChange) and step.change.images:
            self._demand_confirmed(view, step.pod)
        now = self._clock.now()
        expected = ""
        if isinstance(step, LowerGate | Withdraw) and step.pod.has_traffic_gate:
            labels = self._labels_of(view, step.pod)
            expected = self._traffic.expected_text(view.owner.metadata.namespace, labels)
        patch, subresource = patch_of(step, now, expected)
        # The grace period counts from the time within: a write that has to wait is made anew by a later pass.
        is_dated = isinstance(step, LowerGate)
        stored = await self._patch_pod(view, step.pod, patch, subresource, may_retry=not is_dated)
        wanted = wanted_state(step, now)
        if is_dated and stored.metadata.annotations.get(UPDATE_STATE_ANNOTATION) != wanted:
            # This server keeps annotations out of status writes: write them on their own.
            notes = patch.body["metadata"]["annotations"] if isinstance(patch, StrategicPatch) else {}
            body = {"metadata": {"uid": step.pod.uid, "annotations": notes}}
            stored = await self._patch_pod(view, step.pod, MergePatch(body))
        return convert(stored)

    def _demand_confirmed(self, view: SetView, pod: PodFact) -> None:
        key = ObjectKey(view.owner.metadata.namespace, pod.name)
        is_forced = any(op.force >= 2 for op in pod.traffic.operations.values())
        is_free = not pod.traffic.is_guarded or pod.is_over or is_forced
        if not is_free and not self._traffic.is_confirmed(key):
            raise Conflict(f"Pod {key} was not seen to be out of traffic just now")

    def _labels_of(self, view: SetView, pod: PodFact) -> Mapping[str, str]:
        found = self._watched.pods.get(ObjectKey(view.owner.metadata.namespace, pod.name))
        return found.metadata.labels if found is not None else {}

    async def _resize(self, view: SetView, step: Resize) -> Pod:
        key = ObjectKey(view.owner.metadata.namespace, step.pod.name)
        patch, subresource = patch_of(step, self._clock.now())
        try:
            stored = await self._client.patch(PODS, key, patch, subresource)
        except NotFound as error:
            # Said of a pod that is gone, and of a server older than `resize` (Kubernetes 1.33).
            if await self._is_there(key):
                raise ResizeRefused(
                    step.pod.name, "this server has no resize", is_replaceable=True
                ) from error
            raise Conflict(f"Pod {key} is gone") from error
        except ApiRefusal as error:
            is_barred = isinstance(error, Forbidden | Unauthorized) and not error.has_cause(NODE_CAPACITY)
            raise ResizeRefused(step.pod.name, error.message, is_replaceable=not is_barred) from error
        self._watched.pods.note_write(key, stored.metadata.resource_version, owner=_scope(view.owner))
        return stored

    async def _is_there(self, key: ObjectKey) -> bool:
        try:
            await self._client.get(PODS, key)
        except NotFound:
            return False
        return True

    async def _patch_pod(
        self, view: SetView, pod: PodFact, patch: Patch, subresource: str = "", *, may_retry: bool = True
    ) -> Pod:
        key = ObjectKey(view.owner.metadata.namespace, pod.name)
        try:
            stored = await self._client.patch(PODS, key, patch, subresource, may_retry=may_retry)
        except NotFound as error:
            raise Conflict(f"Pod {key} is gone") from error
        self._watched.pods.note_write(key, stored.metadata.resource_version, owner=_scope(view.owner))
        return stored

    async def write_status(self, owner: InPlaceSet, status: InPlaceSetStatus) -> timedelta | None:
        """Write the status, if it differs from the stored one and is due."""
        body = status_patch(owner.metadata, owner.status, status, self._clock.now())
        if body is None:
            return None
        left = self._pace.left(owner.metadata.uid)
        if left is not None and can_wait(owner.status, status):
            return left
        key = _key(owner.metadata)
        stored = await self._client.patch(IN_PLACE_SETS, key, MergePatch(body), "status")
        self._watched.sets.note_write(key, stored.metadata.resource_version, owner=_scope(owner))
        self._pace.wrote(owner.metadata.uid)
        return None

    async def write_roster(self, owner: InPlaceSet, pods: Crowd, replicas: int) -> timedelta | None:
        """Bring the roster up to what is seen, if it is due."""
        return await self._rosters.write(owner, pods, replicas, _scope(owner))

    async def tell(self, owner: InPlaceSet, note: Note) -> None:
        """Record an Event."""
        self._teller.tell(IN_PLACE_SETS.kind, owner.metadata, note)


def _app_of(owner: InPlaceSet) -> str:
    """Return the UID of the application that a set belongs to; empty if there is none."""
    above = controller_of(owner.metadata)
    return above.uid if above is not None else ""


def _counts_beside(other: InPlaceSet, owner: InPlaceSet) -> bool:
    return other.metadata.uid != owner.metadata.uid and other.metadata.deletion_timestamp is None


def _guard(pod: PodFact) -> dict[str, Any]:
    return {"uid": pod.uid, "resourceVersion": pod.resource_version}


def _key(meta: Metadata) -> ObjectKey:
    return ObjectKey(meta.namespace, meta.name)


def _scope(owner: InPlaceSet) -> Hashable:
    return set_scope(_key(owner.metadata))
