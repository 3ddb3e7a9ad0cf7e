"""The writes of an update in place, as patches guarded by the UID and version of the pod that was judged.

A label or annotation that comes with a status write is applied by the API server (observed on 1.20 and 1.36,
held by a conformance case). So the gate and the update's state travel together.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from cafe.api.names import (
    REVISION_LABEL,
    SKIP_ANNOTATION,
    SPECIFIED_DELETE_LABEL,
    UPDATE_GATE,
    UPDATE_STATE_ANNOTATION,
)
from cafe.kube.objects import format_time
from cafe.kube.patches import Patch, StrategicPatch
from cafe.workloads.domain.facts import Doubt, PodFact, UpdateState
from cafe.workloads.domain.launching import later_of
from cafe.workloads.domain.pods import write_state
from cafe.workloads.domain.proving import outstanding
from cafe.workloads.domain.sizes import as_resources
from cafe.workloads.domain.updating import (
    LowerGate,
    MarkForDeletion,
    NoteDoubt,
    RaiseGate,
    Resize,
    Step,
    WriteChange,
)

NOT_READY = f'the status of pod readiness gate "{UPDATE_GATE}" is not "True", but False'
"""What the kubelet says of a pod whose gate is down (`GeneratePodReadyCondition`)."""


def patch_of(step: Step, now: datetime) -> tuple[Patch, str]:
    """Return the patch of *step* and the subresource it goes to."""
    if isinstance(step, LowerGate):
        return StrategicPatch(_lowered(step, now)), "status"
    if isinstance(step, RaiseGate):
        return StrategicPatch(_raised(step, now)), "status" if step.pod.is_gated else ""
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


def _lowered(step: LowerGate, now: datetime) -> dict[str, Any]:
    """Lower the gate, and Ready with it: only the kubelet raises Ready again (k#996).

    Ready falls in the kubelet's own words. It would write them over any others, between our write of the gate
    and that of the image, which then is a conflict.
    """
    message = f"The pod is being updated to revision {step.revision}"
    return {
        "metadata": _guarded(step.pod, annotations={UPDATE_STATE_ANNOTATION: wanted_state(step, now)}),
        "status": {
            "conditions": [
                _condition(UPDATE_GATE, "False", "InPlaceUpdate", message, now),
                _condition("Ready", "False", "ReadinessGatesNotReady", NOT_READY, now),
            ]
        },
    }


def _raised(step: RaiseGate, now: datetime) -> dict[str, Any]:
    state = {UPDATE_STATE_ANNOTATION: wanted_state(step, now)} if step.pod.state else {}
    told: dict[str, Any] = {"metadata": _guarded(step.pod, annotations=state)}
    if step.pod.is_gated:
        gate = _condition(UPDATE_GATE, "True", "Serving", "No update in place is under way", now)
        told["status"] = {"conditions": [gate]}
    return told


def _sized(step: Resize) -> dict[str, Any]:
    containers = [{"name": name, "resources": as_resources(amounts)} for name, amounts in step.sizes.items()]
    return {"metadata": _guarded(step.pod), "spec": {"containers": containers}}


def _changed(step: WriteChange, now: datetime) -> dict[str, Any]:
    labels: dict[str, str | None] = {**step.change.labels, REVISION_LABEL: step.revision}
    annotations: dict[str, str | None] = dict(step.change.annotations)
    if step.before is not None:
        annotations[UPDATE_STATE_ANNOTATION] = wanted_state(step, now)
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
