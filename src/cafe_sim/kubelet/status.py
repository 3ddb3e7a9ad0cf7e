"""A pod's status, computed from what really runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from cafe_sim.contract import Json
from cafe_sim.kubelet.conditions import Resizing, pod_conditions
from cafe_sim.kubelet.phase import is_sidecar, phase_from
from cafe_sim.kubelet.probes import outlook
from cafe_sim.kubelet.resizing import is_busy
from cafe_sim.kubelet.runtime import Container, Sandbox
from cafe_sim.machinery.objects import text_of


class Waiting(NamedTuple):
    """Why a container doesn't run: reason and message of its waiting state."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a kubelet knows of one pod.

    Attributes:
        sandbox: None before there is one.
        waiting: By container name, where something is the matter.
        host_ip: The node's address.
        started_at: When the kubelet first saw the pod.
        is_over: All has ended and nothing will be started again.
        resize_pending: Why a resize waits; empty if none does.
    """

    sandbox: Sandbox | None
    waiting: Mapping[str, Waiting]
    host_ip: str
    started_at: datetime
    is_over: bool = False
    resize_pending: str = ""


def pod_status(pod: Json, old: Mapping[str, Any], truth: Truth, now: datetime) -> Json:
    """Return the whole status: fields of others as in *old*, the kubelet's own by *truth*."""
    new: Json = {k: v for k, v in old.items() if k not in {"reason", "message", "nominatedNodeName"}}
    if pod["metadata"].get("generation"):
        new["observedGeneration"] = pod["metadata"]["generation"]
    new["hostIP"] = truth.host_ip
    new["hostIPs"] = [{"ip": truth.host_ip}]
    new.setdefault("startTime", text_of(truth.started_at))
    if truth.sandbox is not None and not truth.sandbox.is_dead:
        new["podIP"] = truth.sandbox.ip
        new["podIPs"] = [{"ip": truth.sandbox.ip}]
    spec = pod["spec"]
    if spec.get("initContainers"):
        new["initContainerStatuses"] = [
            _container_status(c, truth, now, is_init=True) for c in spec["initContainers"]
        ]
    inits = new.get("initContainerStatuses", [])
    pending = any(
        not _is_initialised(c, s) for c, s in zip(spec.get("initContainers") or (), inits, strict=True)
    )
    idle = Waiting("PodInitializing" if pending else "ContainerCreating")
    statuses = [_container_status(c, truth, now, idle=idle) for c in spec["containers"]]
    new["containerStatuses"] = sorted(statuses, key=_name)
    if old.get("phase") not in {"Succeeded", "Failed"}:  # A terminal phase is never taken back.
        new["phase"] = phase_from(pod, inits, statuses, is_over=truth.is_over)
    else:
        new |= {k: old[k] for k in ("reason", "message") if k in old}
    has_sandbox = truth.sandbox is not None and not truth.sandbox.is_dead and not truth.is_over
    is_resizing = truth.sandbox is not None and is_busy(truth.sandbox)
    resizing = Resizing(truth.resize_pending, is_busy=is_resizing)
    new["conditions"] = pod_conditions(pod, old, new, now, has_sandbox=has_sandbox, resizing=resizing)
    return new


def _name(status: Json) -> str:
    return str(status["name"])


def _is_initialised(container: Mapping[str, Any], status: Json) -> bool:
    return bool(status.get("started") if is_sidecar(container) else status["ready"])


def _container_status(
    spec: Mapping[str, Any],
    truth: Truth,
    now: datetime,
    *,
    is_init: bool = False,
    idle: Waiting | None = None,
) -> Json:
    name = spec["name"]
    sandbox = truth.sandbox
    current = sandbox.current(name) if sandbox is not None else None
    waiting = truth.waiting.get(name)
    if current is None:
        return _not_made(spec, waiting or idle or Waiting("PodInitializing"))
    previous = sandbox.previous(name) if sandbox is not None else None
    status: Json = {
        "name": name,
        "lastState": {"terminated": _terminated(previous)} if previous is not None else {},
        "ready": False,
        "restartCount": current.restart_count,
        "image": current.image_ref,
        "imageID": current.image_id,
        "containerID": f"containerd://{current.id}",
        "started": False,
    }
    if current.is_running:
        status["state"] = {"running": {"startedAt": text_of(current.started_at)}}
        future = outlook(spec, current)
        status["started"] = future.is_started(now)
        status["ready"] = future.is_ready(now) and (not is_init or is_sidecar(spec))
        status |= _resources(current.resources, (sandbox.allocated if sandbox else {}).get(name))
    elif waiting is not None:
        status["state"] = {"waiting": _waiting_state(waiting)}
        status["lastState"] = {"terminated": _terminated(current)}
    else:
        status["state"] = {"terminated": _terminated(current)}
        status["ready"] = is_init and not is_sidecar(spec) and current.exit_code == 0
    return status


def _not_made(spec: Mapping[str, Any], why: Waiting) -> Json:
    return {
        "name": spec["name"],
        "state": {"waiting": _waiting_state(why)},
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "image": spec["image"],
        "imageID": "",
        "started": False,
    }


def _waiting_state(waiting: Waiting) -> Json:
    state: Json = {"reason": waiting.reason}
    if waiting.message:
        state["message"] = waiting.message
    return state


def _terminated(container: Container) -> Json:
    finished = container.finished_at or container.started_at
    return {
        "exitCode": container.exit_code,
        "reason": container.reason,
        "startedAt": text_of(container.started_at),
        "finishedAt": text_of(finished),
        "containerID": f"containerd://{container.id}",
    }


def _resources(given: Json, allocated: Json | None) -> Json:
    """What in-place resize (GA in 1.35) made part of every running container's status."""
    requests = (given if allocated is None else allocated).get("requests")
    found: Json = {"resources": given}
    if requests:
        found["allocatedResources"] = requests
    return found
