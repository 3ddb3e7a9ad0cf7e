"""From a pod as the API holds it to what decisions need of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from cafe.api.names import (
    DELETION_COST_ANNOTATION,
    INSTANCE_LABEL,
    POD_REVISION_LABEL,
    REVISION_LABEL,
    SKIP_ANNOTATION,
    SPECIFIED_DELETE_LABEL,
    TRAFFIC_GATE,
    UPDATE_GATE,
    UPDATE_STATE_ANNOTATION,
)
from cafe.kube.objects import Condition, Container, ContainerStatus, Pod, Resources, parse_time
from cafe.traffic.contract import Marks, TrafficFact, stand_of
from cafe.workloads.domain.facts import ContainerFact, PodFact, Resizing
from cafe.workloads.domain.pods import read_state

STARTING = {"ContainerCreating", "PodInitializing", "Completed"}
"""Reasons that are no problem: on its way to run, or just stopped in order to be started anew."""


LACK_OF_ROOM = ("Insufficient ", "Too many pods", "didn't have free ports")
"""By what the scheduler's message tells that a node would do, had it more room."""


def convert(pod: Pod) -> PodFact:
    """Return the fact of *pod*."""
    meta, status = pod.metadata, pod.status
    conditions = {c.type: c for c in status.conditions}
    reported = {c.name: c for c in status.container_statuses}
    state = read_state(meta.annotations.get(UPDATE_STATE_ANNOTATION))
    is_sized = state is not None and bool(state.sizes)
    restarts = sum(c.restart_count for c in status.container_statuses)
    marks = _marks(pod, conditions, restarts)
    traffic = stand_of(marks)
    return PodFact(
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
        revision=meta.labels.get(POD_REVISION_LABEL) or meta.labels.get(REVISION_LABEL, ""),
        phase=status.phase or "Pending",
        node=pod.spec.node_name,
        created_at=_time(meta.creation_timestamp),
        ready_since=_since(conditions.get("Ready")),
        is_deleting=meta.deletion_timestamp is not None,
        is_gated=_has_gate(pod, UPDATE_GATE)
        and (not _is_true(conditions.get(UPDATE_GATE)) or _is_forgotten(marks, traffic)),
        has_gate=_has_gate(pod, UPDATE_GATE),
        is_observed=status.observed_generation >= meta.generation or not status.observed_generation,
        farewell=timedelta(seconds=pod.spec.termination_grace_period_seconds),
        is_delete_wanted=SPECIFIED_DELETE_LABEL in meta.labels,
        deletion_cost=_cost(meta.annotations.get(DELETION_COST_ANNOTATION, "0")),
        restarts=restarts,
        state=state,
        resizing=_resizing(conditions) if is_sized else None,
        is_skipped=bool(meta.annotations.get(SKIP_ANNOTATION)),
        starved_since=_starved_since(conditions.get("PodScheduled")),
        instance=_number(meta.labels.get(INSTANCE_LABEL, "")),
        unready_since=_unready_since(conditions.get("Ready"), meta.creation_timestamp),
        traffic=traffic,
        has_traffic_gate=marks.has_gate,
        containers={
            c.name: _container(c, reported.get(c.name, ContainerStatus()), is_sized=is_sized)
            for c in pod.spec.containers
        },
    )


def _is_forgotten(marks: Marks, traffic: TrafficFact) -> bool:
    """Whether nobody wants a pod out of traffic, and yet it is: its gate is still to rise."""
    return marks.has_gate and not marks.is_gate_on and not traffic.operations


def _marks(pod: Pod, conditions: Mapping[str, Condition], restarts: int) -> Marks:
    return Marks(
        uid=pod.metadata.uid,
        restarts=restarts,
        annotations=pod.metadata.annotations,
        finalizers=pod.metadata.finalizers,
        has_gate=_has_gate(pod, TRAFFIC_GATE),
        is_gate_on=_is_true(conditions.get(TRAFFIC_GATE)),
    )


def _has_gate(pod: Pod, wanted: str) -> bool:
    """Whether the pod was made with a gate; it can't be added to a living one."""
    return any(gate.condition_type == wanted for gate in pod.spec.readiness_gates)


def _starved_since(scheduled: Condition | None) -> datetime | None:
    """Return since when no node has had room; other reasons for which none fits are not mended by moving.

    The scheduler has one reason for all of them, so its words must tell (kube-scheduler's NodeResourcesFit
    and NodePorts).
    """
    if scheduled is None or scheduled.status != "False" or scheduled.reason != "Unschedulable":
        return None
    if not any(words in scheduled.message for words in LACK_OF_ROOM):
        return None
    return _time(scheduled.last_transition_time)


def _resizing(conditions: Mapping[str, Condition]) -> Resizing | None:
    """Return what the node says of a resize; its words end where numbers begin that change all the time."""
    pending, busy = conditions.get("PodResizePending"), conditions.get("PodResizeInProgress")
    told = pending if pending is not None and _is_true(pending) else busy
    if told is None or not _is_true(told):
        return None
    reason = told.reason or ("Deferred" if told is pending else "InProgress")
    return Resizing(reason, told.message.split(", requested", 1)[0])


def _amounts(resources: Resources) -> dict[str, str]:
    held = {
        "limits.cpu": resources.limits.cpu,
        "limits.memory": resources.limits.memory,
        "requests.cpu": resources.requests.cpu,
        "requests.memory": resources.requests.memory,
    }
    return {key: amount for key, amount in held.items() if amount}


def _container(asked: Container, status: ContainerStatus, *, is_sized: bool) -> ContainerFact:
    given = status.resources
    waiting, ended = status.state.waiting, status.state.terminated
    problem = ended.reason if ended and ended.reason not in STARTING else ""
    if waiting is not None and waiting.reason not in STARTING:
        problem = waiting.reason
    return ContainerFact(
        image=asked.image,
        asked=_amounts(asked.resources) if is_sized else {},
        given=_amounts(given) if is_sized and given is not None else None,
        image_id=status.image_id,
        reported=status.image,
        container_id=status.container_id,
        is_running=status.state.running is not None,
        is_ready=status.ready,
        problem=problem,
    )


def _is_true(condition: Condition | None) -> bool:
    return condition is not None and condition.status == "True"


def _since(condition: Condition | None) -> datetime | None:
    if condition is None or condition.status != "True":
        return None
    return _time(condition.last_transition_time)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _unready_since(condition: Condition | None, created: str | None) -> datetime | None:
    if condition is None:
        return _time(created)
    return None if condition.status == "True" else _time(condition.last_transition_time or created)


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def _cost(text: str) -> int:
    """Read a deletion cost; what is no number costs nothing, as for a ReplicaSet."""
    try:
        return int(text)
    except ValueError:
        return 0
