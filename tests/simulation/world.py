"""The real controllers on the simulated cluster: no sockets, virtual time, chance from a seed.

Nothing is replaced: `WorkloadControllers` speaks through `SimTransport` to the API server that the simulated
kubelets, scheduler and garbage collector use. Lives of the controller come and go; the cluster stays.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry

from cafe.api.names import CONFIRM_ANNOTATION, CONTROLLER_NAMESPACE, UPDATE_GATE, UPDATE_STATE_ANNOTATION
from cafe.kube.client import Client
from cafe.kube.transport import Request, Response
from cafe.processes.crds import install
from cafe.processes.workloads import Surroundings, WorkloadControllers
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.dispatch import Caller
from cafe_sim.apiserver.steps import WebhookCall, WebhookReply
from cafe_sim.cluster import ClusterOptions, SimCluster
from cafe_sim.contract import Json, StoreEvent
from cafe_sim.kubelet.registry import Registry
from cafe_sim.machinery.conditions import find_condition
from cafe_sim.timeline import LoopTimeline
from cafe_sim.traffic.balancer import Balancer
from cafe_sim.transport import SimTransport
from tests.worlds.clock import LoopClock, SeededEntropy, running

T = TypeVar("T")
Check: TypeAlias = Callable[[], object]

PODS = "pods"
SETS = "inplacesets.apps.cafe.sofastack.io"
APPS = "cafedeployments.apps.cafe.sofastack.io"
APP_SERVICES = "cafeappservices.apps.cafe.sofastack.io"
APP_REVISIONS = "cafeapprevisions.apps.cafe.sofastack.io"
REVISIONS = "controllerrevisions.apps"
EVENTS = "events.events.k8s.io"
CELLS = {"cell-a": "zone-1", "cell-b": "zone-2"}
PATIENCE = timedelta(minutes=10)
MANY_OBJECTS = 1_500_000


class Fragile(SimTransport):
    """A way to the API server that breaks for good at a chosen write: the process behind it is dead.

    Attributes:
        writes: What was written and accepted, Events apart: method and path.
        breaks_at: Index of the write at which it breaks, refused ones counted; None for never.
        is_applied: Whether that write still reaches the server; its answer never comes back.
    """

    def __init__(self, server: ApiServer) -> None:
        super().__init__(server, Caller(agent="cafe"))
        self.writes: list[str] = []
        self.tried = 0
        self.breaks_at: int | None = None
        self.is_applied = False
        self.broken = asyncio.Event()

    async def send(self, request: Request) -> Response:
        """Send *request*, unless the line is dead; then wait for ever, as a dead process does."""
        if self.broken.is_set():
            return await _for_ever()
        if request.method == "GET" or "/events" in request.path:
            return await super().send(request)
        self.tried += 1
        if self.breaks_at is not None and self.tried > self.breaks_at:
            self.broken.set()
            if self.is_applied:
                await super().send(request)
            return await _for_ever()
        answer = await super().send(request)
        if answer.status < 300:
            self.writes.append(f"{request.method} {request.path}")
        return answer


async def _for_ever() -> Response:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("a dead line never answers")


@dataclass
class Life:
    """One life of the controller: from its start to its end."""

    transport: Fragile
    task: "asyncio.Task[None]"
    controllers: WorkloadControllers

    async def end(self) -> None:
        """Drop everything it was about to do."""
        self.transport.broken.set()
        self.task.cancel()
        await running(self.task)


@dataclass
class World:
    """A cluster, its controllers, and words for acting on them and looking at them.

    Attributes:
        leads: What controllers are told when they ask whether they lead.
        balancers: By name of the TrafficProvider, what it stands for.
        registry: Metrics of the life that began last.
        commits: Every state of pods, sets, applications and revisions, in order: (resource, event).
    """

    api: ApiServer
    cluster: SimCluster
    clock: LoopClock
    entropy: SeededEntropy
    commits: list[tuple[str, StoreEvent]] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    hooks: list[Callable[[WebhookCall], WebhookReply]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    leads: bool = True
    balancers: dict[str, Balancer] = field(default_factory=dict)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    # The controller

    def start_controller(self, breaks_at: int | None = None, *, is_applied: bool = False) -> Life:
        """Begin a life; it may be told to break at one of its writes."""
        transport = Fragile(self.api)
        transport.breaks_at, transport.is_applied = breaks_at, is_applied
        client = Client(transport, self.clock, self.entropy)
        self.registry = CollectorRegistry()
        around = Surroundings(
            self.clock,
            self.entropy,
            self.registry,
            make_adapter=lambda p: self.balancers[p.metadata.name],
        )
        controllers = WorkloadControllers(client, around, f"life-{len(self.lives)}", lambda: self.leads)
        life = Life(transport, asyncio.ensure_future(controllers.run()), controllers)
        self.lives.append(life)
        return life

    async def crash_controller(self) -> None:
        """Drop all lives where they are."""
        for life in self.lives:
            if not life.task.done():
                await life.end()

    @property
    def writes(self) -> list[str]:
        """Return what all lives wrote, Events apart."""
        return [write for life in self.lives for write in life.transport.writes]

    # Acting

    def apply(self, body: Json) -> Json:
        """Create an object, or merge *body* into the one that is there."""
        resource = f"{body['kind'].lower()}s.apps.cafe.sofastack.io"
        name = body["metadata"]["name"]
        if self.api.get(resource, "default", name) is None:
            return self.api.create(resource, "default", body)
        return self.api.patch(resource, "default", name, body)

    def patch(self, resource: str, name: str, body: Json, subresource: str = "") -> Json:
        """Merge *body* into an object of the namespace `default`."""
        return self.api.patch(resource, "default", name, body, subresource)

    def edit(self, resource: str, name: str, **spec: object) -> Json:
        """Merge fields into an object's spec."""
        return self.patch(resource, name, {"spec": spec})

    def set_image(self, resource: str, name: str, image: str) -> Json:
        """Ask for another image of the first container."""
        template = self.one(resource, name)["spec"]["template"]
        first, *others = template["spec"]["containers"]
        containers = [{**first, "image": image}, *others]
        return self.edit(resource, name, template={"spec": {"containers": containers}})

    def annotate(self, resource: str, name: str, **annotations: str | None) -> Json:
        """Set annotations whose keys are given in full."""
        return self.patch(resource, name, {"metadata": {"annotations": dict(annotations)}})

    def confirm(self, app: str, value: str | None = None) -> None:
        """Answer the question that the status asks, or say *value*."""
        waiting = self.one(APPS, app)["status"].get("waiting") or {}
        said = value or f"{waiting['group']}/{waiting['planHash']}"
        self.annotate(APPS, app, **{CONFIRM_ANNOTATION: said})

    # Time

    async def run(self, until: Check, within: timedelta = PATIENCE) -> None:
        """Let time pass until *until* holds; it is asked after every commit, and each second."""
        deadline = self.clock.monotonic() + within
        while not until():
            assert self.clock.monotonic() < deadline, f"not there after {within}: {self.told()}"
            self.changed.clear()
            try:
                async with asyncio.timeout(1.0):
                    await self.changed.wait()
            except TimeoutError:
                continue

    async def rest(self, still: timedelta = timedelta(seconds=20), within: timedelta = PATIENCE) -> None:
        """Let time pass until nothing was committed for *still*."""
        deadline = self.clock.monotonic() + within
        seen = -1
        while seen != len(self.commits):
            assert self.clock.monotonic() < deadline, f"no rest within {within}: {self.told()}"
            seen = len(self.commits)
            await self.clock.sleep(still)

    async def stays(self, holds: Check, during: timedelta) -> None:
        """Let *during* pass, and demand that *holds* all the time."""
        end = self.clock.monotonic() + during
        while self.clock.monotonic() < end:
            assert holds(), self.told()
            self.changed.clear()
            try:
                async with asyncio.timeout(min(1.0, (end - self.clock.monotonic()).total_seconds())):
                    await self.changed.wait()
            except TimeoutError:
                continue
        assert holds(), self.told()

    # Looking

    def one(self, resource: str, name: str) -> Json:
        """Return an object that must be there."""
        found = self.api.get(resource, "default", name)
        assert found is not None, f"there is no {resource} {name}"
        return found

    def status(self, resource: str, name: str) -> Json:
        """Return its status, empty as long as it has none."""
        return dict(self.one(resource, name).get("status") or {})

    def pods(self) -> list[Json]:
        """Return the pods of the namespace `default`, by name."""
        return self.api.list(PODS, "default")

    def pod(self, name: str) -> Json:
        """Return a pod that must be there."""
        return self.one(PODS, name)

    def events(self, reason: str) -> list[Json]:
        """Return the Events with that reason."""
        return [e for e in self.api.list(EVENTS) if e["reason"] == reason]

    def condition(self, resource: str, name: str, kind: str) -> Json:
        """Return a condition of an object, empty as long as there is none."""
        found = find_condition(self.status(resource, name), kind)
        return dict(found or {})

    def history(self, uid: str) -> list[Json]:
        """Return every state in which that pod was stored."""
        return [e.new for r, e in self.commits if r == PODS and e.new["metadata"]["uid"] == uid]

    def is_settled(self, name: str) -> bool:
        """Whether a set has done all that its newest spec asks for."""
        found = self.one(SETS, name)
        progressing = self.condition(SETS, name, "Progressing")
        is_seen = self.status(SETS, name).get("observedGeneration") == found["metadata"]["generation"]
        return is_seen and progressing.get("reason") in {"Complete", "PartitionReached"}

    def is_complete(self, app: str) -> bool:
        """Whether an application's newest spec is released whole."""
        found = self.one(APPS, app)
        status = found.get("status") or {}
        is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
        return is_seen and status.get("phase") == "Complete"

    def waits(self, app: str, reason: str, group: int | None = None) -> bool:
        """Whether an application says, of its newest spec, that it waits for that."""
        found = self.one(APPS, app)
        status = found.get("status") or {}
        waiting = status.get("waiting") or {}
        is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
        return (
            is_seen and waiting.get("reason") == reason and (group is None or waiting.get("group") == group)
        )

    def asks(self, app: str, group: int) -> bool:
        """Whether a group waits for its confirmation, and the annotation invites one."""
        annotations = self.one(APPS, app)["metadata"].get("annotations") or {}
        return self.waits(app, "WaitingForConfirm", group) and annotations.get(CONFIRM_ANNOTATION) == "false"

    def told(self) -> str:
        """Return what sets and applications say of themselves, for the message of a failed test."""
        lines = [
            f"{kind} {o['metadata']['name']}: {o.get('status')}"
            for kind, resource in (("app", APPS), ("set", SETS))
            for o in self.api.list(resource)
        ]
        return "\n".join([*lines, *(brief(pod) for pod in self.pods())])


def brief(pod: Json) -> str:
    """Write a pod in one line."""
    meta, status = pod["metadata"], pod.get("status") or {}
    state = (meta.get("annotations") or {}).get(UPDATE_STATE_ANNOTATION, "")
    return (
        f"pod {meta['name']}: {status.get('phase')} ready={is_ready(pod)} gate={gate(pod)} {image(pod)} "
        f"restarts={restarts(pod)} {meta.get('deletionTimestamp', '')} {state}"
    )


def image(pod: Json) -> str:
    """Return the image that a pod asks for."""
    return str(pod["spec"]["containers"][0]["image"])


def gate(pod: Json) -> str | None:
    """Return the status of the pod's own readiness gate; None as long as nobody wrote it."""
    return _verdict(pod, UPDATE_GATE)


def is_ready(pod: Json) -> bool:
    """Whether the pod is ready."""
    return _verdict(pod, "Ready") == "True"


def is_available(pod: Json) -> bool:
    """Whether traffic may reach the pod."""
    return is_ready(pod) and gate(pod) == "True" and "deletionTimestamp" not in pod["metadata"]


def _verdict(pod: Json, kind: str) -> str | None:
    found = find_condition(pod.get("status") or {}, kind)
    return None if found is None else str(found["status"])


def restarts(pod: Json) -> int:
    """Return how often the pod's containers were restarted."""
    return sum(c["restartCount"] for c in (pod.get("status") or {}).get("containerStatuses") or [])


def place(pod: Json) -> tuple[str, str, str]:
    """Return what an update in place keeps: UID, IP, node."""
    return pod["metadata"]["uid"], pod["status"]["podIP"], pod["spec"]["nodeName"]


def lowest(world: World, since: int, wanted: Callable[[Json], bool] = is_available) -> int:
    """Return the smallest number of pods for which *wanted* held at any commit from index *since* on."""
    now: dict[str, Json] = {}
    counts: list[int] = []
    for number, (resource, event) in enumerate(world.commits):
        if resource != PODS:
            continue
        uid = event.new["metadata"]["uid"]
        if event.type == "DELETED":
            now.pop(uid, None)
        else:
            now[uid] = event.new
        if number >= since:
            counts.append(sum(wanted(pod) for pod in now.values()))
    return min(counts, default=sum(wanted(pod) for pod in now.values()))


def a_template(image: str = "web:1", **container: object) -> Json:
    """Return a pod template of one container."""
    containers = [{"name": "app", "image": image, **container}]
    spec = {"containers": containers, "terminationGracePeriodSeconds": 1}
    return {"metadata": {"labels": {"app": "web"}}, "spec": spec}


PROBED: Json = {
    "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1, "failureThreshold": 1}
}
"""For `a_template`: a container whose hanging is noticed."""


def a_set(replicas: int = 3, name: str = "web", **more: Any) -> Json:  # noqa: ANN401 -- any field
    """Return an InPlaceSet; *more* goes into its spec, `strategy` over a partition of all pods."""
    strategy = {"partition": replicas, **more.pop("strategy", {})}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": a_template()}
    return {
        "apiVersion": "apps.cafe.sofastack.io/v1alpha1",
        "kind": "InPlaceSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**spec, "strategy": strategy, **more},
    }


def a_service(
    replicas: int = 10,
    publish: Mapping[str, object] | None = None,
    **more: Any,  # noqa: ANN401 -- any field
) -> Json:
    """Return a CafeAppService over cells, with a Service and a config; *more* goes into its spec."""
    app = an_app(replicas)["spec"]
    template = a_template(envFrom=[{"configMapRef": {"name": "settings"}}])
    spec = {
        "selector": app["selector"],
        "template": template,
        "services": [{"name": "web", "spec": {"ports": [{"name": "http", "port": 80}]}}],
        "configs": [{"name": "settings", "data": {"COLOUR": "blue"}}],
        "elasticity": {"replicas": replicas},
        "deploy": {"strategy": app["strategy"], "topology": app["topology"]},
    }
    return {
        "apiVersion": "apps.cafe.sofastack.io/v1alpha1",
        "kind": "CafeAppService",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {**spec, **({"publish": dict(publish)} if publish else {}), **more},
    }


def an_app(
    replicas: int = 10,
    values: Sequence[str] = tuple(CELLS),
    pins: Mapping[str, object] | None = None,
    **strategy: object,
) -> Json:
    """Return a CafeDeployment over cells: Beta, then groups of 4."""
    topology: Json = {"unitType": "Cell", "values": list(values)} if values else {}
    if pins:
        topology["unitReplicas"] = dict(pins)
    return {
        "apiVersion": "apps.cafe.sofastack.io/v1alpha1",
        "kind": "CafeDeployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "topology": topology,
            "strategy": {"batchSize": 4, "maxUnavailable": 1, **strategy},
            "template": a_template(),
        },
    }


@asynccontextmanager
async def a_world(
    cells: Mapping[str, str] | None = None,
    nodes_per_cell: int = 2,
    registry: Registry | None = None,
    *,
    seed: int = 1,
    is_controlled: bool = True,
) -> AsyncIterator[World]:
    """Build a cluster with CAFE's kinds and, unless told otherwise, a running controller."""
    clock, entropy = LoopClock(), SeededEntropy(seed)
    timeline = LoopTimeline(clock)
    hooks: list[Callable[[WebhookCall], WebhookReply]] = []

    def ask(call: WebhookCall) -> WebhookReply:
        return hooks[0](call)

    api = ApiServer(timeline, entropy, ask=ask)
    options = ClusterOptions(registry=registry or Registry(), has_events=False)
    cluster = SimCluster(api, timeline, entropy, options)
    cluster.build_cells(cells or CELLS, nodes_per_cell)
    cluster.start()
    world = World(api, cluster, clock, entropy, hooks=hooks)
    await install(Client(SimTransport(api), clock, entropy), CONTROLLER_NAMESPACE)
    for resource in (PODS, SETS, APPS, REVISIONS):
        _record(world, resource)
    if is_controlled:
        world.start_controller()
    try:
        yield world
    finally:
        await world.crash_controller()
        cluster.stop()
        # A controller's start freezes what is alive, which is right for a process of its own. Here, worlds
        # that are over must be found again some day, but a walk through everything after each takes 0.1 s.
        if gc.get_freeze_count() > MANY_OBJECTS:
            gc.unfreeze()


def _record(world: World, resource: str) -> None:
    def saw(event: StoreEvent) -> None:
        world.commits.append((resource, event))
        world.changed.set()

    world.api.subscribe(resource, saw)


async def released(world: World, body: Json | None = None) -> None:
    """Bring up the application `web` without questions, then apply *body* as it is."""
    wanted = body or an_app()
    quiet = {**wanted, "spec": {**wanted["spec"]}}
    quiet["spec"]["strategy"] = {**wanted["spec"]["strategy"], "needWaitingForConfirm": False}
    world.apply(quiet)
    await world.run(lambda: world.is_complete("web"))
    world.apply(wanted)
    await world.run(lambda: world.is_complete("web"))
