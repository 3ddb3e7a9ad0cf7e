"""A pod's phase from its containers' statuses, by the kubelet's rules."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cafe_sim.contract import Json


class _Count(NamedTuple):
    unknown: int
    running: int
    waiting: int
    stopped: int
    succeeded: int


def restart_policy(pod: Json) -> str:
    """Return the pod's restart policy, Always by default."""
    return str(pod["spec"].get("restartPolicy") or "Always")


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """Tell whether an init container keeps running beside the others (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def phase_from(
    pod: Json, init_statuses: Sequence[Json], statuses: Sequence[Json], *, is_over: bool = False
) -> str:
    """Return Pending, Running, Succeeded or Failed. *is_over*: nothing will be started any more."""
    initialising = _initialising(pod, init_statuses)
    count = _count(pod["spec"]["containers"], statuses)
    if initialising == "Failed":
        return "Failed"
    if initialising == "Pending" and not is_over:
        return "Pending"
    if count.waiting and not is_over:
        return "Pending"
    if count.running and not count.unknown:
        return "Running"
    if count.stopped and not count.unknown:
        return _stopped_phase(restart_policy(pod), count, is_over=is_over)
    return "Failed" if is_over and initialising else "Pending"


def _stopped_phase(policy: str, count: _Count, *, is_over: bool) -> str:
    if policy == "Always" and not is_over:
        return "Running"
    if count.stopped == count.succeeded:
        return "Succeeded"
    return "Failed" if policy == "Never" or is_over else "Running"


def _initialising(pod: Json, statuses: Iterable[Json]) -> str:
    """Return what the init containers alone make of the pod; empty when they are done."""
    by_name = {status["name"]: status for status in statuses}
    for container in pod["spec"].get("initContainers") or ():
        status = by_name.get(container["name"])
        if is_sidecar(container):
            if status is None or not status.get("started"):
                return "Pending"
            continue
        ended = _ended(status)
        if ended is None:
            return "Pending"
        if ended["exitCode"] != 0:
            return "Failed" if restart_policy(pod) == "Never" else "Pending"
    return ""


def _ended(status: Json | None) -> Json | None:
    if status is None or "running" in status["state"]:
        return None
    ended: Json | None = status["state"].get("terminated") or status["lastState"].get("terminated")
    return ended


def _count(containers: Iterable[Json], statuses: Iterable[Json]) -> _Count:
    by_name = {status["name"]: status for status in statuses}
    unknown = running = waiting = stopped = succeeded = 0
    for container in containers:
        status = by_name.get(container["name"])
        if status is None:
            unknown += 1
        elif "running" in status["state"]:
            running += 1
        elif (ended := _ended(status)) is not None:
            stopped += 1
            succeeded += ended["exitCode"] == 0
        else:
            waiting += 1
    return _Count(unknown, running, waiting, stopped, succeeded)
