"""One pod on one node, brought from what is to what should be.

    pod bound ── sandbox ── init containers, one by one ── containers ── Ready
                               │ image changed: stop that container only, start the new one,
                               │ same sandbox, same IP, restartCount + 1
    deletionTimestamp ── preStop, SIGTERM, grace, SIGKILL ── last status ── delete with grace 0

`sync` looks at the whole, does what is due and returns when to look again; it is the only entrance, so a
kubelet that forgot everything goes on from the runtime.
"""

from datetime import datetime, timedelta

from cafe_sim.contract import Json
from cafe_sim.kubelet.driver import Driver
from cafe_sim.kubelet.host import Host
from cafe_sim.kubelet.phase import is_sidecar, restart_policy
from cafe_sim.kubelet.probes import outlook
from cafe_sim.kubelet.resizing import Resizer
from cafe_sim.kubelet.runtime import Container, Sandbox
from cafe_sim.kubelet.status import Truth, Waiting
from cafe_sim.machinery.objects import uid_of
from cafe_sim.machinery.pods import is_finished
from cafe_sim.machinery.recorder import Note


class PodWorker:
    """Drives one pod. Its memory may be lost at any time; the runtime's isn't."""

    def __init__(self, host: Host, pod: Json) -> None:
        self.pod = pod
        self.uid = uid_of(pod)
        self.waiting: dict[str, Waiting] = {}
        self.first_seen = host.timeline.now()
        self.resizer = Resizer(host)
        self._host = host
        self._drivers: dict[str, Driver] = {}
        self._sandbox_due: datetime | None = None
        self._grace_ends: datetime | None = None
        self._grace: int | None = None

    @property
    def sandbox(self) -> Sandbox | None:
        """The pod's sandbox, if there is one."""
        return self._host.runtime.sandboxes.get(self.uid)

    def truth(self, *, is_over: bool = False) -> Truth:
        """Return what a status is computed from."""
        return Truth(
            self.sandbox, self.waiting, self._host.address, self.first_seen, is_over, self.resizer.pending
        )

    def sync(self) -> timedelta | None:
        """Do what is due; return when to look again, None if only an event can change anything."""
        now = self._host.timeline.now()
        if is_finished(self.pod):
            self._stop_all(timedelta())
            return None
        sandbox = self.sandbox
        if sandbox is None or sandbox.is_dead:
            due = self._make_sandbox(now)
            if due is not None:
                return due - now
        dues = [self._resize(now), self._sync_containers(now)]
        due = min((due for due in dues if due is not None), default=None)
        return None if due is None else due - now

    def is_done(self) -> bool:
        """Tell whether every container ended for good (restart policies Never and OnFailure)."""
        sandbox = self.sandbox
        if sandbox is None or restart_policy(self.pod) == "Always":
            return False
        return all(
            (made := sandbox.current(c["name"])) is not None
            and not made.is_running
            and not self._driver(c["name"]).restarts(c, made)
            for c in self.pod["spec"]["containers"]
        )

    def terminate(self) -> bool:
        """Stop what runs, as the deletion asks; return whether nothing runs any more."""
        now = self._host.timeline.now()
        grace = int(self.pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        if self._grace is None or grace < self._grace:
            self._grace = grace
            self._grace_ends = now + timedelta(seconds=grace)
        left = (self._grace_ends or now) - now
        self._stop_all(max(left, timedelta()))
        return self.sandbox is None or not self.sandbox.running()

    def _stop_all(self, grace: timedelta) -> None:
        sandbox = self.sandbox
        if sandbox is None:
            return
        specs = self._specs()
        for container in sandbox.running():
            self._driver(container.name).stop(specs.get(container.name), container, grace)

    def _make_sandbox(self, now: datetime) -> datetime | None:
        if self._sandbox_due is None:
            if self.sandbox is not None:
                message = "Pod sandbox changed, it will be killed and re-created."
                self._post("Normal", "SandboxChanged", message)
            self._sandbox_due = now + self._host.timing.sandbox
        if now < self._sandbox_due:
            return self._sandbox_due
        self._sandbox_due = None
        meta = self.pod["metadata"]
        host_ip = self._host.address if self.pod["spec"].get("hostNetwork") else ""
        self._host.runtime.create_sandbox(self.uid, meta["namespace"], meta["name"], host_ip)
        return None

    def _sync_containers(self, now: datetime) -> datetime | None:
        dues: list[datetime | None] = []
        for spec in self.pod["spec"].get("initContainers") or ():
            if self._has_begun() and not is_sidecar(spec):
                continue
            dues.append(self._step(spec, now, is_init=True))
            if not self._is_initialised(spec, now):
                return min((due for due in dues if due is not None), default=None)
        dues += [self._step(spec, now) for spec in self.pod["spec"]["containers"]]
        return min((due for due in dues if due is not None), default=None)

    def _resize(self, now: datetime) -> datetime | None:
        if self.sandbox is None:
            return None

        def restart(spec: Json, current: Container) -> None:
            self._driver(spec["name"]).restart_resized(spec, current)

        return self.resizer.step(self.pod, self.sandbox, now, restart)

    def _has_begun(self) -> bool:
        sandbox = self.sandbox
        return sandbox is not None and any(
            sandbox.current(c["name"]) is not None for c in self.pod["spec"]["containers"]
        )

    def _is_initialised(self, spec: Json, now: datetime) -> bool:
        made = self.sandbox.current(spec["name"]) if self.sandbox else None
        if made is None:
            return False
        if is_sidecar(spec):
            return made.is_running and outlook(spec, made).is_started(now)
        return not made.is_running and made.exit_code == 0

    def _step(self, spec: Json, now: datetime, *, is_init: bool = False) -> datetime | None:
        current = self.sandbox.current(spec["name"]) if self.sandbox else None
        return self._driver(spec["name"]).step(spec, current, now, is_init=is_init)

    def _driver(self, name: str) -> Driver:
        driver = self._drivers.get(name)
        if driver is None:
            driver = self._drivers[name] = Driver(self._host, self.pod, self.uid, self.waiting)
        driver.pod = self.pod
        return driver

    def _specs(self) -> dict[str, Json]:
        spec = self.pod["spec"]
        return {c["name"]: c for c in (*(spec.get("initContainers") or ()), *spec["containers"])}

    def _post(self, kind: str, reason: str, message: str) -> None:
        self._host.post(self.pod, Note(kind, reason, message))
