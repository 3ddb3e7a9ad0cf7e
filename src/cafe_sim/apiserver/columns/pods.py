"""The row of a pod: the one line of Kubernetes that people read most."""

from datetime import datetime

from cafe_sim.apiserver.columns.cells import Cell, age, columns
from cafe_sim.apiserver.values import Value, dig
from cafe_sim.contract import Json

_COLUMNS = columns(
    "Name Ready Status Restarts Age IP|wide Node|wide Nominated_Node|wide Readiness_Gates|wide"
)


def _state_reason(status: Json, fallback: str) -> str:
    state: Value = status.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    if waiting.get("reason"):
        return str(waiting["reason"])
    if ended.get("reason"):
        return str(ended["reason"])
    if "terminated" in state:
        return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"
    return fallback


def _init_reason(pod: Json) -> str:
    total = len(pod["spec"].get("initContainers") or [])
    for index, status in enumerate(dig(pod, "status", "initContainerStatuses") or []):
        state = status.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if status.get("started") and status.get("ready"):
            continue
        if ended is not None:
            return "Init:" + _state_reason(status, "")
        waiting = (state.get("waiting") or {}).get("reason")
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{index}/{total}"
    return ""


def phase_text(pod: Json) -> str:
    """Return what stands in the STATUS column."""
    status = pod.get("status") or {}
    meta = pod["metadata"]
    text = str(status.get("reason") or status.get("phase") or "")
    for item in status.get("conditions") or []:
        if item["type"] == "PodScheduled" and item.get("reason") == "SchedulingGated":
            text = "SchedulingGated"
    starting = _init_reason(pod)
    if starting:
        text = starting
    else:
        has_running = False
        for container in reversed(status.get("containerStatuses") or []):
            text = _state_reason(container, text)
            has_running = has_running or (
                container.get("ready", False) and "running" in (container.get("state") or {})
            )
        if text == "Completed" and has_running:
            ready = any(
                c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or []
            )
            text = "Running" if ready else "NotReady"
    if meta.get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return text


def _restarts(pod: Json, now: datetime | None) -> str:
    total, last = 0, ""
    for container in dig(pod, "status", "containerStatuses") or []:
        total += container.get("restartCount", 0)
        ended = dig(container, "lastState", "terminated", "finishedAt") or ""
        last = max(last, ended)
    return f"{total} ({age(last, now)} ago)" if total and last else str(total)


def _row(pod: Json, now: datetime | None) -> list[Cell]:
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    states = status.get("containerStatuses") or []
    ready = sum(1 for item in states if item.get("ready") and "running" in (item.get("state") or {}))
    gates = spec.get("readinessGates") or []
    true = {item["type"] for item in status.get("conditions") or [] if item["status"] == "True"}
    passed = sum(gate["conditionType"] in true for gate in gates)
    return [
        meta["name"],
        f"{ready}/{len(spec.get('containers') or [])}",
        phase_text(pod),
        _restarts(pod, now),
        age(meta.get("creationTimestamp"), now),
        status.get("podIP") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        f"{passed}/{len(gates)}" if gates else "<none>",
    ]


PRINTERS = {"pods": (_COLUMNS, _row)}
