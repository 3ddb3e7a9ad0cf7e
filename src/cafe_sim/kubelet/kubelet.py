"""One node's kubelet: it registers the node, runs its pods, and can be killed, cut off and rebooted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cafe.kernel import Entropy, ObjectKey
from cafe_sim.contract import ApiError, DeleteOptions, Json, StoreEvent, Timeline, Timer
from cafe_sim.kubelet.conditions import OWNED
from cafe_sim.kubelet.host import Host, Timing
from cafe_sim.kubelet.images import Images
from cafe_sim.kubelet.node import (
    LEASE_NAMESPACE,
    LEASE_PERIOD,
    LEASES,
    NodeSpec,
    last_beat,
    lease_key,
    lease_object,
    node_object,
    node_status,
)
from cafe_sim.kubelet.registry import Registry
from cafe_sim.kubelet.runtime import Runtime
from cafe_sim.kubelet.status import pod_status
from cafe_sim.kubelet.worker import PodWorker
from cafe_sim.machinery.client import Client
from cafe_sim.machinery.objects import is_deleting, key_of, merge_diff, micro_text_of, status_of, uid_of
from cafe_sim.machinery.pods import by_node, is_finished
from cafe_sim.machinery.queue import Queue
from cafe_sim.machinery.recorder import Note, Recorder, Source, reference
from cafe_sim.machinery.requests import amount, request_of

EPOCH = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class World:
    """What all kubelets share.

    Attributes:
        renews_leases: Whether heartbeats are real writes, every 10 s. Else a lease is written only when the
            kubelet comes or goes: nobody can tell from a verdict, and simulated hours stay cheap.
        on_silence: Told the node's name when its heartbeats cease, for those who would else have to poll.
    """

    client: Client
    timeline: Timeline
    entropy: Entropy
    recorder: Recorder
    registry: Registry
    timing: Timing = field(default_factory=Timing)
    renews_leases: bool = False
    on_silence: Callable[[str], None] = lambda _: None


class Kubelet:
    """Runs the pods bound to its node. What it knows may be lost; its `runtime` is the truth.

    Attributes:
        spec: The node.
        runtime: The containers, whatever the API says.
        is_alive: The kubelet's process runs.
        is_powered: The machine is on.
        is_connected: The API can be reached.
        report_delay: How long a status takes from the kubelet's eyes to the API.
    """

    def __init__(self, world: World, spec: NodeSpec) -> None:
        self.spec = spec
        self.runtime = Runtime(world.timeline, spec.pod_prefix)
        self.images = Images(world.registry)
        self.is_alive = False
        self.is_powered = True
        self.is_connected = True
        self.report_delay = timedelta()
        self._reported: dict[str, datetime] = {}
        self._world = world
        self._source = Source("kubelet", spec.name)
        self._workers: dict[str, PodWorker] = {}
        self._queue: Queue[str] = Queue(world.timeline, self._sync)
        self._boot_id = world.entropy.uid()
        self._beating_since = world.timeline.now()
        self._beat: Timer | None = None
        self.runtime.on_exit = self._on_exit
        world.client.informer("pods").index("node", by_node)
        self._host = Host(
            world.timeline, self.runtime, self.images, world.timing, spec.address, self._post, self._lacking
        )

    def start(self) -> None:
        """Register the node and take on the pods that are bound to it."""
        self.is_alive = True
        self._queue.stop()
        self._queue = Queue(self._world.timeline, self._sync)
        self._beating_since = self._world.timeline.now()
        self._register()
        bound = self._world.client.informer("pods").by_index("node", self.spec.name)
        known = {uid_of(pod) for pod in bound}
        for uid in [uid for uid in self.runtime.sandboxes if uid not in known]:
            self.runtime.remove_sandbox(uid)
        self._workers = {uid: worker for uid, worker in self._workers.items() if uid in known}
        for pod in bound:
            self._take(pod)

    def on_pod(self, event: StoreEvent) -> None:
        """Hear of a pod bound to this node."""
        if not self._hears:
            return
        uid = uid_of(event.new)
        if event.type == "DELETED":
            self._workers.pop(uid, None)
            self._queue.forget(uid)
            self._end_orphan(uid)
        else:
            self._take(event.new)

    def crash(self) -> None:
        """Kill the kubelet's process: containers run on, nobody reports them, its memory is gone."""
        self._fall_silent()
        self.is_alive = False
        self._queue.stop()
        self._workers.clear()

    def restart(self) -> None:
        """Start the kubelet's process again (or anew)."""
        if self.is_alive:
            self.crash()
        self.start()

    def cut_off(self) -> None:
        """Cut the node from the API. Containers and restarts go on, by what the kubelet last heard."""
        self._fall_silent()
        self.is_connected = False

    def reconnect(self) -> None:
        """Let the node reach the API again."""
        self.is_connected = True
        if self.is_alive:
            self.start()

    def power_off(self) -> None:
        """Pull the plug: all containers end at this instant, and their networks with them."""
        self.crash()
        self.is_powered = False
        self.runtime.power_off()

    def power_on(self) -> None:
        """Boot: pods still bound get a new sandbox and IP, and their containers are restarted."""
        self.is_powered = True
        self._boot_id = self._world.entropy.uid()
        self.start()
        node = self._world.client.informer("nodes").get(ObjectKey("", self.spec.name))
        if node is not None:
            note = Note(
                "Warning", "Rebooted", f"Node {self.spec.name} has been rebooted, boot id: {self._boot_id}"
            )
            self._world.recorder.record(self._source, reference(node, "v1", "Node"), note)

    def reboot(self, after: timedelta) -> None:
        """Pull the plug, and boot *after* that time."""
        self.power_off()
        self._world.timeline.after(after, self.power_on)

    def stop(self) -> None:
        """End with the simulated world."""
        self._queue.stop()
        self.is_alive = False
        if self._beat is not None:
            self._beat.cancel()

    def hang(self, uid: str, container: str) -> None:
        """Let a container's probes fail from now on, though its process lives."""
        sandbox = self.runtime.sandboxes[uid]
        made = sandbox.current(container)
        if made is not None:
            made.hung_at = self._world.timeline.now()
            self._queue.add(uid)

    def recover(self, uid: str, container: str) -> None:
        """Let a container's probes succeed again."""
        made = self.runtime.sandboxes[uid].current(container)
        if made is not None and made.hung_at is not None:
            made.hung_at = None
            self._queue.add(uid)

    @property
    def is_beating(self) -> bool:
        """Whether heartbeats reach the API."""
        return self.is_alive and self.is_connected

    @property
    def _hears(self) -> bool:
        return self.is_alive and self.is_connected

    def _take(self, pod: Json) -> None:
        uid = uid_of(pod)
        worker = self._workers.get(uid)
        if worker is None:
            worker = self._workers[uid] = PodWorker(self._host, pod)
        worker.pod = pod
        self._queue.add(uid)

    def _on_exit(self, uid: str) -> None:
        if not self.is_alive:
            return
        if uid in self._workers:
            self._queue.add(uid)
        else:
            self._end_orphan(uid)

    def _end_orphan(self, uid: str) -> None:
        """Stop what is left of a pod that the API has forgotten (force-deleted)."""
        sandbox = self.runtime.sandboxes.get(uid)
        if sandbox is None:
            return
        running = sandbox.running()
        for container in running:
            self.runtime.stop(uid, container, timedelta(seconds=1), timedelta())
        if not running:
            self.runtime.remove_sandbox(uid)

    def _sync(self, uid: str) -> timedelta | None:
        worker = self._workers.get(uid)
        if worker is None or not self.is_alive:
            return None
        if is_deleting(worker.pod):
            if worker.terminate():
                self._finish(worker)
            else:
                self._report(worker)
            return None
        recheck = worker.sync()
        self._report(worker, is_over=worker.is_done())
        return recheck

    def _finish(self, worker: PodWorker) -> None:
        """Say the last word about a pod that was asked to go, and let it go."""
        if not self.is_connected:
            return
        if worker.sandbox is not None:
            self._report(worker, is_over=True)
        options = DeleteOptions(grace_period=timedelta(), uid=worker.uid, by=f"node:{self.spec.name}")
        try:
            self._world.client.delete("pods", key_of(worker.pod), options)
        except ApiError as error:
            if error.status != 409:  # Another pod of that name stands there: ours is gone.
                raise
        self.runtime.remove_sandbox(worker.uid)
        self._workers.pop(worker.uid, None)
        self._queue.forget(worker.uid)
        for uid, other in self._workers.items():
            if other.resizer.pending:
                other.resizer.look_again()
                self._queue.add(uid)

    def _lacking(self, pod: Json) -> str:
        """Say in the words of the real one what the node lacks for *pod* beside its other pods."""
        asked = request_of(pod).resources
        others = [
            request_of(_allocated(worker)).resources
            for uid, worker in self._workers.items()
            if uid != uid_of(pod) and not is_finished(worker.pod)
        ]
        offered = node_status(self.spec, "", EPOCH, EPOCH)["allocatable"]
        for name in ("cpu", "memory"):
            used, has = sum(other.get(name, 0) for other in others), amount(name, offered[name])
            if asked.get(name, 0) > has - used:
                return (
                    f"Node didn't have enough resource: {name}, requested: {asked[name]}, used: {used}, "
                    f"capacity: {has}"
                )
        return ""

    def _report(self, worker: PodWorker, *, is_over: bool = False) -> None:
        """Write the pod's status if it changed, on top of what others have written meanwhile.

        If reports are late it is written later, and tells how the pod was.
        """
        if not self.is_connected:
            return
        uid, pod, now = worker.uid, worker.pod, self._world.timeline.now()
        fresh = self._world.client.api.get("pods", *key_of(pod))
        if fresh is None or uid_of(fresh) != uid:
            return
        new = pod_status(pod, status_of(fresh), worker.truth(is_over=is_over), now)
        if not self.report_delay:
            self._write_status(pod, fresh, new)
            if uid in self._reported:
                self._reported[uid] = now
            return
        self._reported.setdefault(uid, EPOCH)
        self._world.timeline.after(self.report_delay, lambda: self._write_late(pod, new, now))

    def _write_late(self, pod: Json, seen: Json, seen_at: datetime) -> None:
        """Write what was seen, unless something newer was reported already: reports never overtake."""
        uid = uid_of(pod)
        fresh = self._world.client.api.get("pods", *key_of(pod))
        is_lost = not self.is_alive or not self.is_connected or seen_at < self._reported.get(uid, EPOCH)
        if is_lost or fresh is None or uid_of(fresh) != uid:
            return
        self._reported[uid] = seen_at
        old = status_of(fresh)
        own = [c for c in seen["conditions"] if c["type"] in OWNED]
        others = [c for c in old.get("conditions") or () if c["type"] not in OWNED]
        self._write_status(pod, fresh, {**old, **seen, "conditions": [*own, *others]})

    def _write_status(self, pod: Json, fresh: Json, new: Json) -> None:
        old = status_of(fresh)
        # Real ones patch strategically: conditions are paired by type, and keep the place that they have.
        new = {**new, "conditions": _in_place(old.get("conditions") or (), new["conditions"])}
        diff = merge_diff(old, new)
        if diff:
            patch = {"metadata": {"uid": uid_of(pod)}, "status": diff}
            self._world.client.patch("pods", key_of(pod), patch, "status")

    def _post(self, pod: Json, note: Note, container: str = "", *, is_init: bool = False) -> None:
        if not self.is_connected:
            return
        kind = "initContainers" if is_init else "containers"
        field = f"spec.{kind}{{{container}}}" if container else ""
        self._world.recorder.record(self._source, reference(pod, "v1", "Pod", field), note)

    def _register(self) -> None:
        client, now = self._world.client, self._world.timeline.now()
        node = client.api.get("nodes", "", self.spec.name)
        if node is None:
            node = client.create("nodes", "", node_object(self.spec))
        status = node_status(self.spec, self._boot_id, now, now)
        old = status_of(node)
        kept = {c["type"]: c for c in old.get("conditions") or ()}
        for condition in status["conditions"]:
            before = kept.get(condition["type"])
            if before is not None and before["status"] == condition["status"]:
                condition["lastTransitionTime"] = before["lastTransitionTime"]
        diff = merge_diff(old, {**old, **status})
        if diff:
            client.patch("nodes", ObjectKey("", self.spec.name), {"status": diff}, "status")
        self._renew(node, now)
        if self._world.renews_leases:
            self._plan_beat()

    def _plan_beat(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
        self._beat = self._world.timeline.after(LEASE_PERIOD, self._on_beat)

    def _on_beat(self) -> None:
        if self.is_beating:
            node = self._world.client.api.get("nodes", "", self.spec.name)
            if node is not None:
                self._renew(node, self._world.timeline.now())
            self._plan_beat()

    def _renew(self, node: Json, at: datetime) -> None:
        client, key = self._world.client, lease_key(self.spec.name)
        if client.api.get(LEASES, *key) is None:
            client.create(LEASES, LEASE_NAMESPACE, lease_object(node, at))
        else:
            client.patch(LEASES, key, {"spec": {"renewTime": micro_text_of(at)}})

    def _fall_silent(self) -> None:
        """Write the last heartbeat that was due before now, so that the lease tells the truth."""
        if not self.is_beating:
            return
        if self._beat is not None:
            self._beat.cancel()
        node = self._world.client.api.get("nodes", "", self.spec.name)
        if node is not None and not self._world.renews_leases:
            self._renew(node, last_beat(self._beating_since, self._world.timeline.now()))
        self._world.timeline.soon(lambda: self._world.on_silence(self.spec.name))


def _in_place(old: Sequence[Json], new: Sequence[Json]) -> list[Json]:
    """Return conditions with those that were there before in the order in which they were."""
    places = {condition["type"]: place for place, condition in enumerate(old)}
    return sorted(new, key=lambda condition: places.get(condition["type"], len(places)))


def _allocated(worker: PodWorker) -> Json:
    """Return the worker's pod with what it was granted instead of what it asks for."""
    granted = worker.sandbox.allocated if worker.sandbox else {}
    spec = worker.pod["spec"]
    containers = [{**c, "resources": granted.get(c["name"], c.get("resources"))} for c in spec["containers"]]
    return {**worker.pod, "spec": {**spec, "containers": containers}}
