"""Pods of native sets under traffic: made with the gate, and drained before their set is told to let them go.

Their controllers delete what they like at once, so the set is not told before the pods that will go are out
of traffic: a ReplicaSet takes those that aren't ready first, a StatefulSet those of the highest ordinals.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import EXPECTED_ANNOTATION, POD_REVISION_LABEL, TRAFFIC_GATE
from cafe.kernel import Conflict, ObjectKey
from cafe.kube.objects import ReplicaSet, StatefulSet
from cafe.traffic.contract import LOWERED, RETIREMENT, Drains, TrafficWatch
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.podsets.statefulsets import ordinal_of
from cafe.workloads.domain.scaling import deletion_order

Native = ReplicaSet | StatefulSet
Leaver = tuple[PodFact, str]
"""A pod that is to go, and why."""


class Leaving:
    """Has pods leave traffic before their set lets them go.

    Args:
        watch: Knows who sends requests to whom.
        drains: Takes pods out of traffic; None if nobody guards any.
    """

    def __init__(self, watch: TrafficWatch, drains: Drains | None = None) -> None:
        self._watch = watch
        self._drains = drains

    def gated(self, namespace: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a set's spec whose pods have the gate of traffic, if anybody sends them requests."""
        template = spec.get("template")
        if not template:
            return spec
        meta = template.get("metadata") or {}
        expected = self._watch.expected_text(namespace, meta.get("labels") or {})
        if not expected:
            return spec
        notes = {**(meta.get("annotations") or {}), EXPECTED_ANNOTATION: expected}
        inner = template.get("spec") or {}
        gates = [g for g in inner.get("readinessGates") or () if g.get("conditionType") != TRAFFIC_GATE]
        gated = {**inner, "readinessGates": [*gates, {"conditionType": TRAFFIC_GATE}]}
        return {**spec, "template": {**template, "metadata": {**meta, "annotations": notes}, "spec": gated}}

    def demand(self, namespace: str, leavers: Iterable[Leaver]) -> None:
        """Demand that pods are out of traffic; ask for it where they aren't.

        Raises:
            Conflict: Some are not yet. Their events tell when they are.
        """
        left = [(pod, reason) for pod, reason in leavers if not self._may_go(namespace, pod)]
        for pod, reason in left:
            if self._drains is not None:
                self._drains.ask(ObjectKey(namespace, pod.name), pod.uid, RETIREMENT, reason)
        if left and self._drains is not None:
            names = ", ".join(sorted(pod.name for pod, _ in left))
            raise Conflict(f"{names} must leave traffic first")

    def _may_go(self, namespace: str, pod: PodFact) -> bool:
        if not pod.traffic.is_guarded or pod.is_over or pod.is_deleting:
            return True
        key = ObjectKey(namespace, pod.name)
        return pod.traffic.is_drained_for(RETIREMENT) and self._watch.is_confirmed(key)


def leavers(app: CafeDeployment, current: Native, spec: Mapping[str, Any], pods: Crowd) -> list[Leaver]:
    """Return the pods that go when *current* gets *spec*, as its controller chooses them."""
    reason = "another takes its place" if app.spec.replicas else LOWERED
    replicas = int(spec.get("replicas", current.spec.replicas))
    live = [pod for pod in pods if not pod.is_deleting and not pod.is_over]
    if isinstance(current, ReplicaSet):
        surplus = max(0, min(len(live), current.spec.replicas) - replicas)
        return [(pod, reason) for pod in _ranked(live)[:surplus]]
    before = current.spec.update_strategy.rolling_update.partition
    strategy = spec.get("updateStrategy") or {}
    partition = int((strategy.get("rollingUpdate") or {}).get("partition", before))
    revision = (current.spec.template.get("metadata") or {}).get("labels", {}).get(POD_REVISION_LABEL, "")
    return [
        (pod, reason)
        for pod in live
        if ordinal_of(pod) >= replicas
        or (partition < before and partition <= ordinal_of(pod) and pod.revision != revision)
    ]


def _ranked(pods: list[PodFact]) -> list[PodFact]:
    """Return pods in the order in which they go: who is on the way out of traffic already goes first."""
    return sorted(deletion_order(pods), key=lambda pod: RETIREMENT not in pod.traffic.operations)
