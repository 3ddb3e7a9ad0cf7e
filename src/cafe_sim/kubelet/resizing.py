"""CPU and memory of running containers: asked for, allocated, given (KEP-1287, as of 1.36).

    spec ── room on the node? ──▶ allocated ── a moment, or a restart ──▶ given
              │ no: PodResizePending, Deferred; looked at anew when a pod leaves, and now and then

What is allocated survives the kubelet (a real one keeps it in a file), so it is kept with the sandbox.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from cafe_sim.contract import Json
from cafe_sim.kubelet.host import Host
from cafe_sim.kubelet.runtime import Container, Sandbox
from cafe_sim.machinery.recorder import Note

RETRY = timedelta(minutes=3)
"""When a resize for which there was no room is looked at again, if no pod leaves before."""

Restart = Callable[[Json, Container], None]


class Resizer:
    """Resizes the containers of one pod. Its memory may be lost: then all is looked at anew.

    Attributes:
        pending: Why what the spec asks for is not allocated; empty if it is.
    """

    def __init__(self, host: Host) -> None:
        self.pending = ""
        self._host = host
        self._retry_at: datetime | None = None
        self._due: datetime | None = None

    def step(self, pod: Json, sandbox: Sandbox, now: datetime, restart: Restart) -> datetime | None:
        """Bring the pod's sizes forward; return when to look again."""
        self._allocate(pod, sandbox, now)
        lagging = [
            (spec, made)
            for spec in pod["spec"]["containers"]
            if (made := sandbox.current(spec["name"])) is not None
            and made.is_running
            and made.resources != sandbox.allocated[spec["name"]]
        ]
        if not lagging:
            self._due = None
            return self._retry_at
        self._due = self._due or now + self._host.timing.resize
        if now < self._due:
            return self._due
        for spec, made in lagging:
            if _needs_restart(spec, made.resources, sandbox.allocated[spec["name"]]):
                restart(spec, made)
            else:
                made.resources = sandbox.allocated[spec["name"]]
        return self._retry_at

    def look_again(self) -> None:
        """Look for room anew at the next step: a pod has left the node."""
        self._retry_at = None

    def _allocate(self, pod: Json, sandbox: Sandbox, now: datetime) -> None:
        wanted = {c["name"]: c.get("resources") or {} for c in pod["spec"]["containers"]}
        if not sandbox.allocated:
            sandbox.allocated = wanted
        if sandbox.allocated == wanted:
            self.pending, self._retry_at = "", None
            return
        if self._retry_at is not None and now < self._retry_at:
            return
        lacking = self._host.lacking(pod)
        if not lacking:
            sandbox.allocated = wanted
            self.pending, self._retry_at = "", None
            self._post(pod, "Normal", "ResizeStarted", "Pod resize started")
            return
        if not self.pending:
            self._post(pod, "Warning", "ResizeDeferred", f"Pod resize Deferred: {lacking}")
        self.pending, self._retry_at = lacking, now + RETRY

    def _post(self, pod: Json, kind: str, reason: str, message: str) -> None:
        self._host.post(pod, Note(kind, reason, message))


def is_busy(sandbox: Sandbox) -> bool:
    """Whether a container has not yet got what it was allocated."""
    return any(
        (made := sandbox.current(name)) is not None and made.is_running and made.resources != resources
        for name, resources in sandbox.allocated.items()
    )


def _needs_restart(spec: Mapping[str, Any], given: Json, allocated: Json) -> bool:
    policies = {p["resourceName"]: p["restartPolicy"] for p in spec.get("resizePolicy") or ()}
    return any(
        policies.get(name) == "RestartContainer"
        and any(
            (given.get(group) or {}).get(name) != (allocated.get(group) or {}).get(name)
            for group in ("limits", "requests")
        )
        for name in ("cpu", "memory")
    )
