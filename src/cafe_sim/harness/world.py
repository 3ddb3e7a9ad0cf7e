"""A whole simulated world: cluster, controllers, people, faults, and the truth about all of them."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache

from cafe.api.crd import DECLARATIONS, crd_of
from cafe.api.names import CONTROLLER_NAMESPACE
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.steps import WebhookCall, WebhookFailure, WebhookReply
from cafe_sim.apiserver.store import Commit
from cafe_sim.cluster import ClusterOptions, SimCluster
from cafe_sim.contract import Json
from cafe_sim.harness.candidates import Candidate
from cafe_sim.harness.carriers import balancer_of
from cafe_sim.harness.chance import Chance, SeededEntropy
from cafe_sim.harness.journal import Journal
from cafe_sim.harness.lane import Lane
from cafe_sim.harness.loop import SeededLoop
from cafe_sim.harness.names import APP, APPS, DEFINITIONS, PODS, SPACE
from cafe_sim.harness.network import Network, Travel
from cafe_sim.harness.people import SAME_CONTENT
from cafe_sim.harness.plan import Plan
from cafe_sim.harness.processes import WorldClock
from cafe_sim.kubelet.host import Timing
from cafe_sim.kubelet.kubelet import Kubelet
from cafe_sim.kubelet.registry import Registry

Watcher = Callable[[str, Commit, str], None]
"""Told of each commit: the resource, the commit, and whose it is (empty for the cluster's own parts)."""


REGISTRY = Registry(aliases=SAME_CONTENT)
"""Where all nodes pull from while it can be reached."""


@cache
def _definitions() -> tuple[Json, ...]:
    """Return the definitions of our kinds, made once for all worlds: objects are shared and never changed."""
    return tuple(crd_of(declaration) for declaration in DECLARATIONS)


class Nodes:
    """What faults do to all kubelets at once."""

    def __init__(self, timing: Timing) -> None:
        self.kubelets: dict[str, Kubelet] = {}
        self._timing = timing

    @property
    def registry(self) -> Registry:
        """Return where they pull from."""
        return next(iter(self.kubelets.values())).images.registry

    def set_registry(self, registry: Registry) -> None:
        """Have them pull from somewhere else."""
        for kubelet in self.kubelets.values():
            kubelet.images.registry = registry

    def set_timing(self, start: timedelta) -> None:
        """Have containers take so long to start."""
        self._timing.start = start

    def reset_timing(self) -> None:
        """Have them work as usual."""
        self._timing.start = Timing().start


class World:
    """Everything of one run.

    Attributes:
        labels: What was met so far, as `fault in phase`.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = Chance(plan.seed, "world")
        self.loop = SeededLoop(  # type: ignore[abstract] # the rest is fenced off
            Chance(plan.seed, "schedule"), plan.disorder
        )
        self.loop.order_until = plan.order_until
        self.clock = WorldClock(self.loop)
        self.journal = Journal()
        self.labels: set[str] = set()
        self.watchers: list[Watcher] = []
        self.user = ""
        self.webhooks_answer = True
        self.bugs: list[str] = []
        lane, shape = Lane(self.loop), plan.shape
        entropy = SeededEntropy(self.chance.stream("cluster"))
        self.server = ApiServer(lane, entropy, history=shape.history, ask=self._ask, tracks_fields=False)
        travel = Travel(most=timedelta(milliseconds=shape.slowest))
        self.network = Network(self.loop, self.server, self.chance.stream("network"), shape.servers, travel)
        timing = Timing()
        self.cluster = SimCluster(
            self.server, lane, entropy, ClusterOptions(REGISTRY, timing, has_events=False)
        )
        self.nodes = Nodes(timing)
        self.nodes.kubelets = self.cluster.kubelets
        self.cells = {f"cell-{letter}": f"zone-{letter}" for letter in "abcdefgh"[: shape.cells]}
        self.balancer = balancer_of(self, shape.carriers)
        self.candidates = [Candidate(self, f"controller-{n}") for n in range(shape.candidates)]
        self.server.store.observers.append(self._committed)

    def build(self) -> None:
        """Bring the cluster up, with CAFE's kinds installed; run inside the loop."""
        self.cluster.build_cells(self.cells, self.plan.shape.nodes)
        self.cluster.start()
        self.server.create("namespaces", "", {"metadata": {"name": CONTROLLER_NAMESPACE}})
        for definition in _definitions():
            self.server.create(DEFINITIONS, "", definition)

    def start_controllers(self) -> None:
        """Switch all candidates on."""
        for candidate in self.candidates:
            candidate.start()

    def stop(self) -> None:
        """End everything."""
        for candidate in self.candidates:
            candidate.stop()
        self.cluster.stop()

    # Telling

    def tell(self, who: str, what: str) -> None:
        """Write into the journal."""
        self.journal.tell(self.loop.now, who, what)

    def met(self, label: str) -> None:
        """Take note that a fault was met, and in which phase of the release."""
        self.labels.add(f"{label} while {self.phase()}")

    def phase(self) -> str:
        """Return in which phase the application's release is, by the truth."""
        app = self.app()
        status = {} if app is None else app.get("status") or {}
        return PHASES.get(status.get("phase", ""), "starting")

    # Looking

    def app(self) -> Json | None:
        """Return the application."""
        return self.server.get(APPS, SPACE, APP)

    def pods(self) -> list[Json]:
        """Return all pods of the application's namespace."""
        return self.server.list(PODS, SPACE)

    def kubelets(self) -> list[Kubelet]:
        """Return all kubelets, by name."""
        return [self.cluster.kubelets[name] for name in sorted(self.cluster.kubelets)]

    def leader(self) -> Candidate | None:
        """Return a candidate that leads, as far as it knows itself."""
        return next((c for c in self.candidates if c.is_leading), None)

    def started_last(self, uid: str) -> str:
        """Return the image of the container that was started last for a pod; empty if none was."""
        for kubelet in self.cluster.kubelets.values():
            sandbox = kubelet.runtime.sandboxes.get(uid)
            made = [c[-1] for c in sandbox.containers.values() if c] if sandbox is not None else []
            if made:
                return made[0].image
        return ""

    def given(self, uid: str) -> str:
        """Return the CPU that the running container of a pod has; empty if none runs, or it has none."""
        for kubelet in self.cluster.kubelets.values():
            sandbox = kubelet.runtime.sandboxes.get(uid)
            running = sandbox.running() if sandbox is not None else []
            if running:
                return str((running[0].resources.get("requests") or {}).get("cpu", ""))
        return ""

    # Acting

    def act(self, who: str, step: Callable[[], object]) -> object:
        """Do something to the API in a person's name."""
        before, self.user = self.user, who
        try:
            return step()
        finally:
            self.user = before

    def _committed(self, resource: str, commit: Commit) -> None:
        author = self.network.author or self.user
        self.journal.commit(self.loop.now, author, resource, commit)
        for watcher in self.watchers:
            watcher(resource, commit, author)

    def _ask(self, call: WebhookCall) -> WebhookReply:
        if not self.webhooks_answer:
            return WebhookFailure(f'Post "{call.client.get("url")}": connection refused')
        return {"response": {"uid": call.review["request"]["uid"], "allowed": True}}


PHASES = {
    "Progressing": "updating",
    "WaitingForConfirm": "waiting",
    "Paused": "paused",
    "Complete": "at rest",
    "Refused": "refused",
}
