"""Kubernetes' own ReplicaSets and StatefulSets as the sets of units."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cafe.api.cafedeployment import CafeDeployment, PodSetType
from cafe.api.names import (
    DELETION_COST_ANNOTATION,
    POD_REVISION_LABEL,
    REVISION_LABEL,
    TEMPLATE_ANNOTATION,
    UNIT_GOAL_ANNOTATION,
    UNIT_LABEL,
)
from cafe.api.shapes import LabelSelector, Metadata
from cafe.kernel import Clock, Conflict, Note, ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.client import Client
from cafe.kube.errors import NotFound
from cafe.kube.kinds import CAFE_DEPLOYMENTS
from cafe.kube.merging import difference
from cafe.kube.noting import Target, delete_noted
from cafe.kube.objects import PODS, REPLICA_SETS, STATEFUL_SETS, ObjectMeta, ReplicaSet, StatefulSet
from cafe.kube.patches import MergePatch
from cafe.kube.resources import Kind
from cafe.workloads.adapters.leaving import Leaving, leavers
from cafe.workloads.adapters.members import Members
from cafe.workloads.adapters.owning import NewSet, Teller, drop_set, make_set, scope_of
from cafe.workloads.adapters.watched import OWNER_APP, Watched
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.podsets import replicasets, statefulsets
from cafe.workloads.domain.podsets.facts import (
    PodSet,
    Release,
    ReplicaSetFact,
    StatefulSetFact,
    UnitFact,
    UnitReport,
)
from cafe.workloads.domain.podsets.natives import (
    REPLICA_SET,
    ChangeNative,
    DropNative,
    MakeNative,
    NativeAction,
    PricePod,
)
from cafe.workloads.domain.scaling import Deletion

Native = ReplicaSet | StatefulSet


class KubeNatives:
    """Reads and writes the native sets of a CafeDeployment's units."""

    def __init__(
        self, client: Client, watched: Watched, clock: Clock, teller: Teller, leaving: Leaving
    ) -> None:
        self._client = client
        self._leaving = leaving
        self._watched = watched
        self._clock = clock
        self._teller = teller
        self._members = Members(watched.pods)
        watched.replica_sets.on_change(self._forget)
        watched.stateful_sets.on_change(self._forget)

    def _forget(self, old: Native | None, new: Native | None) -> None:
        if old is not None and new is None:
            self._members.forget(old.metadata.uid)

    def units(self, app: CafeDeployment, whole: Mapping[str, str]) -> list[UnitFact]:
        """Return one fact for each unit that has a set.

        Args:
            app: Whose.
            whole: By unit, the hash that pods carry of the revision that was released whole, where it isn't
                that revision's own.
        """
        if app.spec.pod_set_type is PodSetType.REPLICA_SET:
            found = self._by_replica_sets(app)
        else:
            found = [
                self._by_stateful_set(app, one)
                for one in self._watched.stateful_sets.by_index(OWNER_APP, app.metadata.uid)
                if not one.metadata.is_deleting
            ]
        return [replace(fact, whole=whole.get(fact.unit, "")) for fact in found] if whole else found

    def _by_replica_sets(self, app: CafeDeployment) -> list[UnitFact]:
        by_unit: dict[str, list[ReplicaSet]] = {}
        for found in self._watched.replica_sets.by_index(OWNER_APP, app.metadata.uid):
            if not found.metadata.is_deleting:
                by_unit.setdefault(found.metadata.labels.get(UNIT_LABEL, ""), []).append(found)
        facts: list[UnitFact] = []
        for sets in by_unit.values():
            records = {s.metadata.name: _record_of(s.metadata) for s in sets}
            newest = max(sets, key=lambda s: (records[s.metadata.name][1], s.metadata.name))
            goal, _ = records[newest.metadata.name]
            held = tuple(self._replica_set(app, s) for s in sets)
            report = replicasets.unit_report(app, pod_revision_of(newest), goal, held)
            facts.append(self._fact(newest, goal, held, report, sets))
        return facts

    def _replica_set(self, app: CafeDeployment, found: ReplicaSet) -> ReplicaSetFact:
        failures = [c.message for c in found.status.conditions if c.type == "ReplicaFailure"]
        return ReplicaSetFact(
            name=found.metadata.name,
            revision=pod_revision_of(found),
            asked=found.spec.replicas,
            pods=self._pods(app, found.metadata),
            rendered=found.metadata.annotations.get(TEMPLATE_ANNOTATION, ""),
            min_ready_seconds=found.spec.min_ready_seconds,
            failure=failures[0] if failures else "",
        )

    def _by_stateful_set(self, app: CafeDeployment, found: StatefulSet) -> UnitFact:
        meta, spec = found.metadata, found.spec
        goal, _ = _record_of(meta)
        held = StatefulSetFact(
            name=meta.name,
            replicas=spec.replicas,
            partition=spec.update_strategy.rolling_update.partition,
            pods=self._pods(app, meta),
            rendered=meta.annotations.get(TEMPLATE_ANNOTATION, ""),
            min_ready_seconds=spec.min_ready_seconds,
            retention=spec.persistent_volume_claim_retention_policy or None,
        )
        report = statefulsets.unit_report(app, pod_revision_of(found), goal, held)
        return self._fact(found, goal, held, report, [found])

    def _fact(
        self, newest: Native, goal: UnitGoal, held: PodSet, report: UnitReport, sets: Sequence[Native]
    ) -> UnitFact:
        meta, owners = newest.metadata, frozenset(s.metadata.uid for s in sets)
        return UnitFact(
            unit=meta.labels.get(UNIT_LABEL, ""),
            revision=meta.labels.get(REVISION_LABEL, ""),
            goal=goal,
            held=held,
            report=report,
            is_observed=True,
            name=meta.name,
            promised=sum(len(self._watched.door.promised(uid)) for uid in owners),
            owners=owners,
            pod_revision=pod_revision_of(newest),
        )

    def _pods(self, app: CafeDeployment, meta: ObjectMeta) -> Crowd:
        dwell = Dwell(self._clock.now(), timedelta(seconds=app.spec.strategy.min_ready_seconds))
        owner = Metadata(name=meta.name, namespace=meta.namespace, uid=meta.uid)
        pods, _ = self._members.of(owner, LabelSelector(), dwell)
        return pods

    async def act(self, app: CafeDeployment, action: NativeAction) -> None:
        """Make the one write of *action*.

        Raises:
            Conflict: Pods that it would take away have to leave traffic first.
        """
        namespace = app.metadata.namespace
        if isinstance(action, MakeNative):
            record = _record(action.goal, action.release, action.rendered)
            kind, cache = self._of(action.kind)
            revision = action.release.revision
            spec = self._leaving.gated(namespace, action.spec)
            new = NewSet(kind, cache, action.unit, action.name, revision, spec, record)
            await make_set(self._client, app, new, self._teller)
        elif isinstance(action, ChangeNative):
            await self._change(app, action)
        elif isinstance(action, DropNative):
            kind, cache = self._of(action.kind)
            await drop_set(self._client, app, kind, cache, action.name)
        elif isinstance(action, PricePod):
            await self._price(app, action)
        else:
            await self._replace(app, action)

    def _of(self, kind: str) -> tuple[Kind[Any], Cache[Any]]:
        if kind == REPLICA_SET:
            return REPLICA_SETS, self._watched.replica_sets
        return STATEFUL_SETS, self._watched.stateful_sets

    async def _change(self, app: CafeDeployment, action: ChangeNative) -> None:
        kind, cache = self._of(action.kind)
        key = ObjectKey(app.metadata.namespace, action.name)
        current = cache.get(key)
        if current is None:
            raise Conflict(f"{kind.kind} {key} is gone")
        pods = self._pods(app, current.metadata)
        self._leaving.demand(key.namespace, leavers(app, current, action.spec, pods))
        wanted = self._leaving.gated(key.namespace, action.spec)
        meta: dict[str, Any] = {
            "uid": current.metadata.uid,
            "resourceVersion": current.metadata.resource_version,
        }
        if action.release is not None and action.goal is not None:
            meta["labels"] = {REVISION_LABEL: action.release.revision}
            meta["annotations"] = _record(action.goal, action.release, action.rendered)
        body: dict[str, Any] = {"metadata": meta, "spec": dict(wanted)}
        if "template" in wanted:
            body["spec"]["template"] = difference(current.spec.template, wanted["template"])
        stored = await self._client.patch(kind, key, MergePatch(body))
        cache.note_write(key, stored.metadata.resource_version, owner=scope_of(app))

    async def _price(self, app: CafeDeployment, action: PricePod) -> None:
        pod, key = action.pod, ObjectKey(app.metadata.namespace, action.pod.name)
        cost = None if action.cost is None else str(action.cost)
        guard = {"uid": pod.uid, "resourceVersion": pod.resource_version}
        body = {"metadata": {**guard, "annotations": {DELETION_COST_ANNOTATION: cost}}}
        try:
            stored = await self._client.patch(PODS, key, MergePatch(body))
        except NotFound as error:
            raise Conflict(f"Pod {key} is gone") from error
        self._watched.pods.note_write(key, stored.metadata.resource_version, owner=scope_of(app))

    async def _replace(self, app: CafeDeployment, action: Deletion) -> None:
        pod, key = action.pod, ObjectKey(app.metadata.namespace, action.pod.name)
        self._leaving.demand(key.namespace, [(pod, action.reason)])
        target = Target(PODS, key, pod.uid, pod.resource_version)
        await delete_noted(self._client, self._watched.pods, target, scope_of(app))
        note = Note("PodDeleted", f"Pod {pod.name} is deleted: {action.reason}")
        self._teller.tell(CAFE_DEPLOYMENTS.kind, app.metadata, note)


def pod_revision_of(found: Native) -> str:
    """Return the hash that pods carry which a set makes."""
    labels: dict[str, str] = (found.spec.template.get("metadata") or {}).get("labels") or {}
    return labels.get(POD_REVISION_LABEL, "")


def _record(goal: UnitGoal, release: Release, rendered: str) -> dict[str, str]:
    content = {"replicas": goal.replicas, "partition": goal.partition, "release": release.number}
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    return {UNIT_GOAL_ANNOTATION: text, TEMPLATE_ANNOTATION: rendered}


def _record_of(meta: ObjectMeta) -> tuple[UnitGoal, int]:
    """Return what a set was asked for, and by which release; nothing, if somebody broke the record."""
    try:
        content = json.loads(meta.annotations.get(UNIT_GOAL_ANNOTATION, ""))
        return UnitGoal(int(content["replicas"]), int(content["partition"])), int(content["release"])
    except (ValueError, KeyError, TypeError):
        return UnitGoal(0, 0), 0
