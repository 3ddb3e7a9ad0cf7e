"""The conditions that a kubelet owns, by the rules and in the words of the real one (1.36)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cafe_sim.contract import Json
from cafe_sim.kubelet.phase import is_sidecar
from cafe_sim.machinery.conditions import find_condition
from cafe_sim.machinery.objects import text_of

ALWAYS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
RESIZE = ("PodResizePending", "PodResizeInProgress")
"""Only there while they are true."""
OWNED = (*RESIZE, *ALWAYS)


@dataclass(frozen=True, slots=True)
class Resizing:
    """How a resize stands.

    Attributes:
        pending: Why it waits; empty if it doesn't.
        is_busy: Whether it is granted and under way.
    """

    pending: str = ""
    is_busy: bool = False


def pod_conditions(
    pod: Json,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    now: datetime,
    *,
    has_sandbox: bool,
    resizing: Resizing = Resizing(),
) -> list[Json]:
    """Return the pod's conditions.

    Args:
        pod: As the kubelet has it; its generation is what the conditions have observed.
        old: The status in the API now; conditions of others are kept as they are there.
        new: Phase and container statuses, already computed.
        now: The time of a transition.
        has_sandbox: Whether the pod's network exists.
        resizing: How a resize stands.
    """
    verdicts = {
        "PodReadyToStartContainers": _verdict(has_sandbox),
        "Initialized": _initialized(pod, new),
        "Ready": _ready(pod, old, new),
        "ContainersReady": _containers_ready(pod, new),
        "PodScheduled": _verdict(is_true=True),
    }
    if resizing.pending:
        verdicts[RESIZE[0]] = _verdict(is_true=True, reason="Deferred", message=resizing.pending)
    if resizing.is_busy:
        verdicts[RESIZE[1]] = _verdict(is_true=True)
    generation = pod["metadata"].get("generation")
    conditions = []
    for kind in (kind for kind in OWNED if kind in verdicts):
        # No kubelet fills lastProbeTime in, but every one sends it, as the API keeps it.
        condition = {"type": kind, **verdicts[kind], "lastProbeTime": None}
        if generation:
            condition["observedGeneration"] = generation
        before = find_condition(old, kind)
        kept = before is not None and before["status"] == condition["status"]
        condition["lastTransitionTime"] = (
            before["lastTransitionTime"] if kept and before is not None else text_of(now)
        )
        conditions.append(condition)
    others = [c for c in old.get("conditions") or () if c["type"] not in OWNED]
    return [*conditions, *others]


def _verdict(is_true: bool, reason: str = "", message: str = "") -> Json:  # noqa: FBT001 -- it is the verdict
    verdict: Json = {"status": "True" if is_true else "False"}
    if reason:
        verdict["reason"] = reason
    if message:
        verdict["message"] = message
    return verdict


def _names(names: Sequence[str]) -> str:
    return f"[{' '.join(names)}]"  # As Go prints a slice.


def _containers_ready(pod: Json, new: Mapping[str, Any]) -> Json:
    if new["phase"] == "Failed":
        return _verdict(is_true=False, reason="PodFailed")
    if new["phase"] == "Succeeded":
        return _verdict(is_true=False, reason="PodCompleted")
    statuses = [*new.get("initContainerStatuses", ()), *new.get("containerStatuses", ())]
    ready = {status["name"] for status in statuses if status["ready"]}
    sidecars = [c for c in pod["spec"].get("initContainers") or () if is_sidecar(c)]
    watched = [*sidecars, *pod["spec"]["containers"]]
    unready = [c["name"] for c in watched if c["name"] not in ready]
    if unready:
        message = f"containers with unready status: {_names(unready)}"
        return _verdict(is_true=False, reason="ContainersNotReady", message=message)
    return _verdict(is_true=True)


def _ready(pod: Json, old: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    containers = _containers_ready(pod, new)
    if containers["status"] != "True":
        return containers
    messages = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        condition = find_condition(old, kind)
        if condition is None:
            messages.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif condition["status"] != "True":
            found = condition["status"]
            messages.append(f'the status of pod readiness gate "{kind}" is not "True", but {found}')
    if messages:
        return _verdict(is_true=False, reason="ReadinessGatesNotReady", message=", ".join(messages))
    return _verdict(is_true=True)


def _initialized(pod: Json, new: Mapping[str, Any]) -> Json:
    if new["phase"] == "Succeeded":
        return _verdict(is_true=True, reason="PodCompleted")
    if any(_has_run(status) for status in new.get("containerStatuses", ())):
        return _verdict(is_true=True)
    by_name = {status["name"]: status for status in new.get("initContainerStatuses", ())}
    incomplete = []
    for container in pod["spec"].get("initContainers") or ():
        status = by_name[container["name"]]
        if not (status.get("started") if is_sidecar(container) else status["ready"]):
            incomplete.append(container["name"])
    if incomplete:
        message = f"containers with incomplete status: {_names(incomplete)}"
        return _verdict(is_true=False, reason="ContainersNotInitialized", message=message)
    return _verdict(is_true=True)


def _has_run(status: Json) -> bool:
    return "waiting" not in status["state"] or "terminated" in status["lastState"]
