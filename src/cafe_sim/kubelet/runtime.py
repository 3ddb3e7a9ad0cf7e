"""The container runtime of one node: sandboxes, containers and their processes. This is the ground truth.

A kubelet may crash, be cut off or be wrong; what is here runs on. A sandbox keeps its IP until the pod dies;
containers come and go inside it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cafe_sim.contract import Json, Timeline, Timer
from cafe_sim.kubelet.registry import Image
from cafe_sim.machinery.hashes import hex_id

LOG_LINES = 1000
SIGKILLED = 137


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a container wrote, and when."""

    time: datetime
    text: str


@dataclass(slots=True)
class Container:
    """One container; a restarted one is another.

    Attributes:
        id: 64 hexadecimal characters.
        name: As in the pod.
        image: As the pod's spec named it.
        image_ref: As containerd reports it (`status.image`).
        image_id: Repository and digest (`status.imageID`).
        behaviour: What its process does.
        restart_count: How many of its name there were in this pod before.
        started_at: When its process began.
        finished_at: When it ended, None while it runs.
        exit_code: With what.
        reason: `Completed`, `Error`, or what befell it.
        hung_at: Since when its probes fail for reasons of its own.
        resources: What it really has: CPU and memory, as its cgroup says.
        stopping: The planned end of a stop.
        log: Its last lines.
        readers: Who follows the log; called with None at its end.
    """

    id: str
    name: str
    image: str
    image_ref: str
    image_id: str
    behaviour: Image
    restart_count: int
    started_at: datetime
    finished_at: datetime | None = None
    exit_code: int = 0
    reason: str = ""
    hung_at: datetime | None = None
    resources: Json = field(default_factory=dict)
    stopping: tuple[datetime, Timer] | None = None
    ending: Timer | None = None
    log: deque[LogLine] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    readers: list[Callable[[LogLine | None], None]] = field(default_factory=list)

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self.finished_at is None

    def write(self, time: datetime, text: str) -> None:
        """Write a line to the log."""
        line = LogLine(time, text)
        self.log.append(line)
        for reader in list(self.readers):
            reader(line)


@dataclass(slots=True)
class Sandbox:
    """What a pod's containers share. *is_dead* after a reboot: its network is gone.

    Attributes:
        allocated: By container name the `resources` that the kubelet has granted.
    """

    id: str
    pod_uid: str
    pod_name: str
    namespace: str
    ip: str
    created_at: datetime
    containers: dict[str, list[Container]] = field(default_factory=dict)
    is_dead: bool = False
    allocated: dict[str, Json] = field(default_factory=dict)

    def current(self, name: str) -> Container | None:
        """Return the latest container of that name."""
        made = self.containers.get(name)
        return made[-1] if made else None

    def previous(self, name: str) -> Container | None:
        """Return the container before the latest."""
        made = self.containers.get(name)
        return made[-2] if made and len(made) > 1 else None

    def running(self) -> list[Container]:
        """Return the containers whose process lives."""
        return [made[-1] for made in self.containers.values() if made[-1].is_running]


@dataclass(frozen=True, slots=True)
class Launch:
    """What a container is started from."""

    name: str
    image: str
    image_ref: str
    image_id: str
    behaviour: Image
    resources: Json = field(default_factory=dict)


class Runtime:
    """Starts and stops processes, and tells *on_exit* (with the pod's UID) when one ended."""

    def __init__(self, timeline: Timeline, address_prefix: str) -> None:
        self._timeline = timeline
        self._prefix = address_prefix
        self._next_address = 1
        self._serial = 0
        self.sandboxes: dict[str, Sandbox] = {}
        self.on_exit: Callable[[str], None] = lambda _: None

    def create_sandbox(self, uid: str, namespace: str, name: str, host_ip: str = "") -> Sandbox:
        """Give a pod its network; containers of a dead sandbox are kept, as their restarts count on."""
        self._serial += 1
        before = self.sandboxes.get(uid)
        sandbox = Sandbox(
            id=hex_id("sandbox", self._prefix, uid, str(self._serial)),
            pod_uid=uid,
            pod_name=name,
            namespace=namespace,
            ip=host_ip or self._address(),
            created_at=self._timeline.now(),
            containers=before.containers if before else {},
            allocated=before.allocated if before else {},
        )
        self.sandboxes[uid] = sandbox
        return sandbox

    def remove_sandbox(self, uid: str) -> None:
        """Kill what runs and forget the pod."""
        sandbox = self.sandboxes.pop(uid, None)
        if sandbox is not None:
            for container in sandbox.running():
                self._end(uid, container, SIGKILLED, tell=False)

    def start(self, uid: str, launch: Launch) -> Container:
        """Start a container in the pod's sandbox."""
        sandbox = self.sandboxes[uid]
        made = sandbox.containers.setdefault(launch.name, [])
        count = made[-1].restart_count + 1 if made else 0
        now = self._timeline.now()
        self._serial += 1
        container = Container(
            id=hex_id("container", uid, launch.name, str(count), str(self._serial), self._prefix),
            name=launch.name,
            image=launch.image,
            image_ref=launch.image_ref,
            image_id=launch.image_id,
            behaviour=launch.behaviour,
            restart_count=count,
            started_at=now,
            resources=launch.resources,
        )
        if launch.behaviour.hangs_after is not None:
            container.hung_at = now + launch.behaviour.hangs_after
        made.append(container)
        del made[:-2]  # The runtime keeps the last dead one, for `logs --previous`.
        container.write(now, f"starting {launch.image}")
        if launch.behaviour.exits_after is not None:
            code = launch.behaviour.exit_code
            container.ending = self._timeline.after(
                launch.behaviour.exits_after, lambda: self._end(uid, container, code)
            )
        return container

    def stop(self, uid: str, container: Container, grace: timedelta, pre_stop: timedelta) -> None:
        """Send SIGTERM after *pre_stop*, SIGKILL once *grace* has passed. A shorter grace overtakes."""
        if not container.is_running:
            return
        takes = pre_stop + container.behaviour.stops_after
        code = 0 if takes <= grace else SIGKILLED
        end = self._timeline.now() + min(takes, grace)
        if container.stopping is not None:
            if container.stopping[0] <= end:
                return
            container.stopping[1].cancel()
        container.write(self._timeline.now(), "stopping on request")
        timer = self._timeline.after(end - self._timeline.now(), lambda: self._end(uid, container, code))
        container.stopping = (end, timer)

    def kill(self, uid: str, name: str, exit_code: int = SIGKILLED, reason: str = "") -> None:
        """End a container's process now, as a fault: `reason` OOMKilled, or a bug of its own."""
        container = self.sandboxes[uid].current(name)
        if container is not None and container.is_running:
            self._end(uid, container, exit_code, reason)

    def power_off(self) -> None:
        """End everything at once; nobody is told, and no network survives."""
        for uid, sandbox in self.sandboxes.items():
            sandbox.is_dead = True
            for container in sandbox.running():
                self._end(uid, container, 255, "Unknown", tell=False)

    def _end(
        self, uid: str, container: Container, exit_code: int, reason: str = "", *, tell: bool = True
    ) -> None:
        if not container.is_running:
            return
        for timer in (container.ending, container.stopping[1] if container.stopping else None):
            if timer is not None:
                timer.cancel()
        container.ending = container.stopping = None
        container.finished_at = self._timeline.now()
        container.exit_code = exit_code
        container.reason = reason or ("Completed" if exit_code == 0 else "Error")
        container.write(container.finished_at, f"exited with code {exit_code}")
        for reader in list(container.readers):
            reader(None)
        container.readers.clear()
        if tell:
            self.on_exit(uid)

    def _address(self) -> str:
        taken = {sandbox.ip for sandbox in self.sandboxes.values()}
        for _ in range(254):
            self._next_address = self._next_address % 254 + 1
            address = f"{self._prefix}.{self._next_address}"
            if address not in taken:
                return address
        raise RuntimeError(f"no free pod address is left in {self._prefix}.0/24")
