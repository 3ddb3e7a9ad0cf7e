"""The writes of an update in place, as patches guarded by the UID and version of the pod that was judged.

A label or annotation that comes with a status write is applied by the API server (observed on 1.20 and 1.36,
held by a conformance case). So the gate and the update's state travel together.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from cafe.api.names import (
    REVISION_LABEL,
    SKIP_ANNOTATION,
    SPECIFIED_DELETE_LABEL,
    TRAFFIC_GATE,
    UPDATE_GATE,
    UPDATE_STATE_ANNOTATION,
)
from cafe.api.trafficmarks import Operation
from cafe.kube.objects import format_time
from cafe.kube.patches import Patch, StrategicPatch
from cafe.traffic.contract import Asking, begin, end, operating
from cafe.workloads.domain.facts import Doubt, PodFact, UpdateState
from cafe.workloads.domain.launching import later_of
from cafe.workloads.domain.pods import write_state
from cafe.workloads.domain.proving import outstanding
from cafe.workloads.domain.sizes import as_resources
from cafe.workloads.domain.steps import (
    LowerGate,
    MarkForDeletion,
    NoteDoubt,
    RaiseGate,
    Resize,
    Step,
    Withdraw,
    WriteChange,
)
from cafe.workloads.domain.withdrawing import DELETE, UPDATE, operation_for, own_operations


def patch_of(step: Step, now: datetime, expected: str = "") -> tuple[Patch, str]:
    """Return the patch of *step* and the subresource it goes to.

    Args:
        step: What is to be done.
        now: When.
        expected: Who sends the pod requests by now, as its annotation holds it; empty for nobody.
    """
    if isinstance(step, LowerGate | Withdraw):
        return StrategicPatch(_taken(step, now, expected)), "status"
    if isinstance(step, RaiseGate):
        body = _raised(step, now)
        return StrategicPatch(body), "status" if "status" in body else ""
    if isinstance(step, MarkForDeletion):
        return StrategicPatch({"metadata": _guarded(step.pod, labels={SPECIFIED_DELETE_LABEL: "true"})}), ""
    if isinstance(step, Resize):
        return StrategicPatch(_sized(step)), "resize"
    if isinstance(step, NoteDoubt):
        noted = {UPDATE_STATE_ANNOTATION: wanted_state(step, now)}
        return StrategicPatch({"metadata": _guarded(step.pod, annotations=noted)}), ""
    return StrategicPatch(_changed(step, now)), ""


def wanted_state(step: Step, now: datetime) -> str | None:
    """Return what the state annotation must hold once *step* is written."""
    if isinstance(step, LowerGate):
        later = tuple(later_of(step.pod))
        return write_state(UpdateState(step.revision, now, sizes=outstanding(step.pod), later=later))
    if isinstance(step, NoteDoubt) and step.pod.state is not None:
        return write_state(replace(step.pod.state, doubted=Doubt(step.containers, now)))
    if isinstance(step, WriteChange) and step.before is not None:
        since = step.pod.state.since if step.pod.state else now
        state = UpdateState(step.revision, since, step.before, sizes=step.sizes, later=step.later)
        return write_state(state)
    if isinstance(step, RaiseGate) and step.pod.state is not None and (sizes := outstanding(step.pod)):
        # A resize outlives an update that is called off: its pod is of the revision that asked for it.
        return write_state(UpdateState(step.pod.revision, step.pod.state.since, {}, sizes=sizes))
    return None


def _taken(step: LowerGate | Withdraw, now: datetime, expected: str) -> dict[str, Any]:
    if isinstance(step, LowerGate):
        return _lowered(step, now, expected)
    return _withdrawn(step, now, expected)


def _lowered(step: LowerGate, now: datetime, expected: str) -> dict[str, Any]:
    """Lower the gate, and Ready with it: only the kubelet raises Ready again (k#996).

    Ready falls in the kubelet's own words (`GeneratePodReadyCondition`). It would write them over any others,
    between our write of the gate and that of the image, which then is a conflict.
    """
    message = f"The pod is being updated to revision {step.revision}"
    asking = _asked(step.pod, UPDATE, operation_for(UPDATE, now, step.revision), expected)
    notes = {**asking.annotations, UPDATE_STATE_ANNOTATION: wanted_state(step, now)}
    told = [_condition(UPDATE_GATE, "False", "InPlaceUpdate", message, now)]
    gates = [UPDATE_GATE]
    if asking.gate is False and step.pod.has_traffic_gate:
        gates.append(TRAFFIC_GATE)
        told.append(_condition(TRAFFIC_GATE, "False", "Draining", message, now))
    told.append(_unready(gates, now))
    return {"metadata": _guarded(step.pod, annotations=notes), "status": {"conditions": told}}


def _withdrawn(step: Withdraw, now: datetime, expected: str) -> dict[str, Any]:
    """Take the pod out of traffic for good. The update's gate stays as it is: it may be down already."""
    pod = step.pod
    asking = _asked(pod, DELETE, operation_for(DELETE, now, reason=step.reason), expected)
    told: list[dict[str, Any]] = []
    if pod.has_traffic_gate:
        message = "The pod is to be deleted"
        gates = [*([UPDATE_GATE] if pod.is_gated else []), TRAFFIC_GATE]
        told = [_condition(TRAFFIC_GATE, "False", "Draining", message, now), _unready(gates, now)]
    return {
        "metadata": _guarded(pod, annotations=dict(asking.annotations)),
        "status": {"conditions": told},
    }


def _asked(pod: PodFact, name: str, operation: Operation, expected: str) -> Asking:
    """Return what asks for the pod's traffic to go; nothing if nobody sends it any."""
    if not expected and not pod.traffic.is_guarded:
        return Asking()
    return begin(name, operation, expected)


def _unready(gates: Sequence[str], now: datetime) -> dict[str, Any]:
    """Return the Ready condition in the kubelet's own words."""
    told = ", ".join(f'the status of pod readiness gate "{gate}" is not "True", but False' for gate in gates)
    return _condition("Ready", "False", "ReadinessGatesNotReady", told, now)


def _raised(step: RaiseGate, now: datetime) -> dict[str, Any]:
    pod, fact = step.pod, step.pod.traffic
    notes = {UPDATE_STATE_ANNOTATION: wanted_state(step, now)} if pod.state else {}
    own = own_operations(pod)
    for name in own:
        notes |= end(fact, name).annotations
    told: dict[str, Any] = {"metadata": _guarded(pod, annotations=notes)}
    conditions: list[dict[str, Any]] = []
    if pod.is_gated:
        conditions.append(_condition(UPDATE_GATE, "True", "Serving", "No update in place is under way", now))
    if pod.has_traffic_gate and (pod.is_gated or own) and not fact.operations.keys() - set(own):
        conditions.append(_condition(TRAFFIC_GATE, "True", "Serving", "Nobody wants the pod offline", now))
    return told | ({"status": {"conditions": conditions}} if conditions else {})


def _sized(step: Resize) -> dict[str, Any]:
    containers = [{"name": name, "resources": as_resources(amounts)} for name, amounts in step.sizes.items()]
    return {"metadata": _guarded(step.pod), "spec": {"containers": containers}}


def _changed(step: WriteChange, now: datetime) -> dict[str, Any]:
    labels: dict[str, str | None] = {**step.change.labels, REVISION_LABEL: step.revision}
    annotations: dict[str, str | None] = dict(step.change.annotations)
    if step.before is not None:
        annotations[UPDATE_STATE_ANNOTATION] = wanted_state(step, now)
    if (operation := step.pod.traffic.operations.get(UPDATE)) is not None and step.change.images:
        annotations |= operating(UPDATE, operation).annotations
    if step.pod.is_skipped:
        annotations[SKIP_ANNOTATION] = None  # It was said of the revision that is left.
    patch: dict[str, Any] = {"metadata": _guarded(step.pod, labels=labels, annotations=annotations)}
    if step.change.images:
        containers = [{"name": name, "image": image} for name, image in step.change.images.items()]
        patch["spec"] = {"containers": containers}
    return patch


def _guarded(pod: PodFact, **maps: Any) -> dict[str, Any]:  # noqa: ANN401 -- labels or annotations
    return {"uid": pod.uid, "resourceVersion": pod.resource_version, **{k: v for k, v in maps.items() if v}}


def _condition(kind: str, status: str, reason: str, message: str, now: datetime) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": format_time(now),
    }
