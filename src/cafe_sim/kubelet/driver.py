"""One container of a pod: pulled, started, watched, killed, restarted with patience."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cafe_sim.contract import Json
from cafe_sim.kubelet.host import Host
from cafe_sim.kubelet.images import Backoff
from cafe_sim.kubelet.phase import is_sidecar, restart_policy
from cafe_sim.kubelet.probes import Outlook, outlook
from cafe_sim.kubelet.registry import Image, default_pull_policy
from cafe_sim.kubelet.runtime import Container, Launch
from cafe_sim.kubelet.status import Waiting
from cafe_sim.machinery.recorder import Note

ERROR_SHOWN = timedelta(seconds=2)
"""How long `ErrImagePull` stands before the next look turns it into `ImagePullBackOff`."""
RECHECK_TIME = timedelta(milliseconds=300)
"""How long a pull takes of an image that is here already (`imagePullPolicy: Always`)."""


@dataclass(slots=True)
class Slot:
    """One container name of the pod: what is under way for it.

    Attributes:
        image: The image that is being pulled or started.
        due: When that ends.
        pulled: What was pulled; set while the container is being started.
        backoff: Patience with restarts, anew for each image.
        passed: The id of the dead container whose restart is already granted.
        told: Ids and words of which events went out, so that none goes out twice.
    """

    image: str = ""
    due: datetime | None = None
    pulled: Image | None = None
    backoff: Backoff = field(default_factory=Backoff)
    backoff_image: str = ""
    passed: str = ""
    pull_backoff: Backoff = field(default_factory=Backoff)
    pull_failed_at: datetime | None = None
    told: set[tuple[str, str]] = field(default_factory=set)


class Driver:
    """Drives one container name of one pod; `pod` is the pod as last delivered."""

    def __init__(self, host: Host, pod: Json, uid: str, waiting: dict[str, Waiting]) -> None:
        self.pod = pod
        self._host = host
        self._uid = uid
        self._waiting = waiting
        self._slot = Slot()

    def step(
        self, spec: Json, current: Container | None, now: datetime, *, is_init: bool = False
    ) -> datetime | None:
        """Bring one container forward; return when to look at it again."""
        slot = self._slot
        if current is not None and current.is_running:
            return self._watch(spec, current, slot, now)
        if slot.due is not None and slot.image != spec["image"]:
            slot.due = slot.pulled = None
        if slot.due is None:
            wait = self._may_begin(spec, current, slot, now, is_init=is_init)
            if wait is not None:
                return wait if wait > now else None
        if slot.due is not None and now < slot.due:
            return slot.due
        if slot.pulled is None:
            return self._pull(spec, slot, now)
        return self._launch(spec, slot, now, is_init=is_init)

    def stop(self, spec: Mapping[str, Any] | None, container: Container, grace: timedelta) -> None:
        """Stop the container for good."""
        if (container.id, "stop") not in self._slot.told:
            self._slot.told.add((container.id, "stop"))
            self._post("Normal", "Killing", f"Stopping container {container.name}", container.name)
        pre_stop = _pre_stop(spec, container) if spec is not None else timedelta()
        self._host.runtime.stop(self._uid, container, grace, pre_stop)

    def _watch(self, spec: Json, current: Container, slot: Slot, now: datetime) -> datetime | None:
        if current.image != spec["image"]:
            slot.passed = current.id  # Restarted whatever the restart policy says.
            self._kill(spec, current, slot, f"Container {spec['name']} definition changed")
            return None
        future = outlook(spec, current)
        self._tell_failures(spec, current, slot, future, now)
        if future.killed_at is not None and future.killed_at <= now:
            self._kill(spec, current, slot, f"Container {spec['name']} failed {future.kill_reason}")
            return None
        return future.next_change(now)

    def restart_resized(self, spec: Json, current: Container) -> None:
        """Restart a container that can't take its new size while it runs."""
        self._slot.passed = current.id
        self._kill(spec, current, self._slot, f"Container {spec['name']} resize requires restart")

    def _tell_failures(
        self, spec: Json, current: Container, slot: Slot, future: Outlook, now: datetime
    ) -> None:
        for failure in future.failures:
            mark = (current.id, f"{failure.kind}{failure.at}")
            if failure.at <= now and mark not in slot.told:
                slot.told.add(mark)
                message = f"{failure.kind} probe failed: HTTP probe failed with statuscode: 503"
                self._post("Warning", "Unhealthy", message, spec["name"])

    def _kill(self, spec: Json, current: Container, slot: Slot, why: str) -> None:
        if current.stopping is not None:
            return
        slot.told.add((current.id, "stop"))
        self._post("Normal", "Killing", f"{why}, will be restarted", spec["name"])
        grace = timedelta(seconds=int(self.pod["spec"].get("terminationGracePeriodSeconds", 30)))
        self._host.runtime.stop(self._uid, current, grace, _pre_stop(spec, current))

    def _may_begin(
        self, spec: Json, current: Container | None, slot: Slot, now: datetime, *, is_init: bool
    ) -> datetime | None:
        """Return None if the container may be started now, else when to ask again (*now*: never)."""
        if current is not None and slot.passed != current.id:
            if not self.restarts(spec, current, is_init=is_init):
                return now
            wait = self._restart_wait(spec, current, slot, now)
            if wait > timedelta():
                return now + wait
            slot.passed = current.id
        if slot.pull_failed_at is not None and slot.image == spec["image"]:
            return self._pull_wait(spec, slot, now)
        return None

    def restarts(self, spec: Json, current: Container, *, is_init: bool = False) -> bool:
        """Tell whether a container that ended is to be started again."""
        if current.image != spec["image"] and restart_policy(self.pod) == "Always":
            return True
        if is_sidecar(spec):
            return True
        if is_init:
            return current.exit_code != 0 and restart_policy(self.pod) != "Never"
        policy = restart_policy(self.pod)
        return policy == "Always" or (policy == "OnFailure" and current.exit_code != 0)

    def _restart_wait(self, spec: Json, current: Container, slot: Slot, now: datetime) -> timedelta:
        finished = current.finished_at or now
        if slot.backoff_image != spec["image"]:
            slot.backoff, slot.backoff_image = Backoff(), spec["image"]
        wait = timedelta()
        if current.image == spec["image"]:
            wait = slot.backoff.remaining(finished, now)
        if wait <= timedelta():
            if current.image == spec["image"]:
                slot.backoff.fail(finished)
            self._waiting.pop(spec["name"], None)
            return timedelta()
        meta = self.pod["metadata"]
        full = f"{meta['name']}_{meta['namespace']}({self._uid})"
        name, delay = spec["name"], _go_duration(slot.backoff.delay)
        message = f"back-off {delay} restarting failed container={name} pod={full}"
        if self._waiting.get(name) != Waiting("CrashLoopBackOff", message):
            self._waiting[name] = Waiting("CrashLoopBackOff", message)
            told = f"Back-off restarting failed container {name} in pod {full}"
            self._post("Warning", "BackOff", told, name)
        return wait

    def _pull_wait(self, spec: Json, slot: Slot, now: datetime) -> datetime | None:
        failed = slot.pull_failed_at or now
        until = failed + slot.pull_backoff.delay
        if now >= until:
            slot.pull_failed_at = None
            return None
        if now < failed + ERROR_SHOWN:
            return failed + ERROR_SHOWN
        error = self._host.images.registry.pull_error(spec["image"])
        told = f'Back-off pulling image "{spec["image"]}"'
        if self._waiting[spec["name"]].reason != "ImagePullBackOff":
            self._waiting[spec["name"]] = Waiting("ImagePullBackOff", f"{told}: ErrImagePull: {error}")
            self._post("Normal", "BackOff", told, spec["name"])
            self._post("Warning", "Failed", "Error: ImagePullBackOff", spec["name"])
        return until

    def _pull(self, spec: Json, slot: Slot, now: datetime) -> datetime | None:
        """Begin a pull, or end the one that is due."""
        reference = spec["image"]
        policy = spec.get("imagePullPolicy") or default_pull_policy(reference)
        here = self._host.images.find(reference)
        if slot.due is None:
            slot.image = reference
            if here is not None and policy != "Always":
                message = f'Container image "{reference}" already present on machine'
                tail = " and can be accessed by the pod"
                self._post("Normal", "Pulled", message + (tail if policy != "Never" else ""), spec["name"])
                return self._prepare(slot, here, now)
            if policy == "Never":
                message = f'Container image "{reference}" is not present with pull policy of Never'
                return self._fail_pull(spec, slot, Waiting("ErrImageNeverPull", message), now)
            self._post("Normal", "Pulling", f'Pulling image "{reference}"', spec["name"])
            image = self._host.images.registry.resolve(reference)
            slot.due = now + (RECHECK_TIME if here is not None or image is None else image.pull_time)
            return slot.due
        return self._end_pull(spec, slot, now)

    def _end_pull(self, spec: Json, slot: Slot, now: datetime) -> datetime | None:
        reference = spec["image"]
        image = self._host.images.registry.resolve(reference)
        if image is None:
            error = self._host.images.registry.pull_error(reference)
            message = f'Failed to pull image "{reference}": {error}'
            self._post("Warning", "Failed", message, spec["name"])
            return self._fail_pull(spec, slot, Waiting("ErrImagePull", error), now)
        here = self._host.images.find(reference) == image
        self._host.images.add(reference, image)
        took = _go_duration(RECHECK_TIME if here else image.pull_time)
        message = f'Successfully pulled image "{reference}" in {took} ({took} including waiting). '
        self._post("Normal", "Pulled", f"{message}Image size: {image.size} bytes.", spec["name"])
        slot.pull_backoff = Backoff()
        return self._prepare(slot, image, now)

    def _fail_pull(self, spec: Json, slot: Slot, why: Waiting, now: datetime) -> datetime:
        slot.due = None
        slot.pull_failed_at = now
        slot.pull_backoff.fail(now)
        self._waiting[spec["name"]] = why
        self._post("Warning", "Failed", f"Error: {why.reason}", spec["name"])
        return now + ERROR_SHOWN

    def _prepare(self, slot: Slot, image: Image, now: datetime) -> datetime:
        slot.pulled = image
        slot.due = now + self._host.timing.start
        return slot.due

    def _launch(self, spec: Json, slot: Slot, now: datetime, *, is_init: bool) -> datetime | None:
        image = slot.pulled
        slot.due = slot.pulled = slot.pull_failed_at = None
        if image is None:
            raise AssertionError("a container is launched only from a pulled image")
        behaviour = image
        if is_init and not is_sidecar(spec) and image.exits_after is None:
            behaviour = replace(image, exits_after=self._host.timing.init_run)
        images = self._host.images
        self._waiting.pop(spec["name"], None)
        slot.told.clear()
        allocated = self._host.runtime.sandboxes[self._uid].allocated
        launch = Launch(
            spec["name"],
            spec["image"],
            images.reported(image),
            images.image_id(image),
            behaviour,
            allocated.get(spec["name"]) or spec.get("resources") or {},
        )
        container = self._host.runtime.start(self._uid, launch)
        self._post("Normal", "Created", "Container created", spec["name"])
        self._post("Normal", "Started", "Container started", spec["name"])
        return self._watch(spec, container, slot, now)

    def _post(self, kind: str, reason: str, message: str, container: str) -> None:
        is_init = any(c["name"] == container for c in self.pod["spec"].get("initContainers") or ())
        self._host.post(self.pod, Note(kind, reason, message), container, is_init=is_init)


def _pre_stop(spec: Mapping[str, Any], container: Container) -> timedelta:
    hook = (spec.get("lifecycle") or {}).get("preStop")
    if not hook:
        return timedelta()
    if "sleep" in hook:
        return timedelta(seconds=int(hook["sleep"].get("seconds") or 0))
    return container.behaviour.pre_stop


def _go_duration(delay: timedelta) -> str:
    """Write a duration as Go does: `10s`, `2m40s`, `300ms`."""
    if delay < timedelta(seconds=1):
        return f"{round(delay / timedelta(milliseconds=1))}ms"
    minutes, seconds = divmod(round(delay.total_seconds(), 3), 60)
    return f"{int(minutes)}m{seconds:g}s" if minutes else f"{seconds:g}s"
