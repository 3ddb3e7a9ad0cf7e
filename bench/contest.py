"""The contest that the benchmarks share: workloads of several kinds on one real API server, measured in turn.

stage (control plane, fake nodes, our controller) ── one measured change of one workload ──▶ Figures
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import mean
from typing import Any, Final

from bench.counting import Audit, Samples, scrape
from bench.machine import busy_time, cpu_of, peak_memory_of
from cafe.api.names import API_VERSION
from cafe.kernel import SystemClock
from testbed import ControlPlane, Options, control_plane, fake_nodes
from testbed.client import MERGE
from testbed.controlplane import answers, free_ports
from testbed.waiting import wait_for
from testbed.watching import watching

PATIENCE: Final = timedelta(minutes=5)
IMAGES: Final = tuple(f"cafe.test/bookinfo/productpage:{tag}" for tag in ("v1", "v2"))
SPACE: Final = "bench"
OURS, PEER = "InPlaceSet", "Deployment"
KINDS: Final = {
    OURS: f"/apis/{API_VERSION}/namespaces/{SPACE}/cafedeployments",
    PEER: f"/apis/apps/v1/namespaces/{SPACE}/deployments",
}
PROGRAMS: Final = {OURS: "cafe", PEER: "kube-controller-manager"}
"""Who works for each kind: the first word of its user agent."""
SERVERS: Final = ("kube-apiserver", "etcd", "kube-scheduler", "fakenodes-fake")
WATCHER: Final = "the benchmark"

Column = Callable[["Figures", str], float]
"""One figure of a round of one kind."""


@dataclass
class Pods:
    """The pods of one workload, as a watch sees them.

    Attributes:
        wanted: How many there shall be.
        image: Which they shall run.
        unavailable: Pod-seconds by which availability fell short so far.
        done: Set once all that are wanted, and no others, run the image and are available.
    """

    wanted: int
    image: str = IMAGES[0]
    unavailable: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._states: dict[str, tuple[bool, str]] = {}  # Available, and the image.
        self._clock = SystemClock()
        self._last = self._clock.monotonic()
        self._available = 0

    def saw(self, event: str, pod: dict[str, Any]) -> None:
        """Take in one event."""
        now = self._clock.monotonic()
        self.unavailable += (now - self._last).total_seconds() * max(0, self.wanted - self._available)
        self._last = now
        uid = pod["metadata"]["uid"]
        if event == "DELETED":
            self._states.pop(uid, None)
        else:
            ready = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}.get("Ready")
            is_available = ready == "True" and "deletionTimestamp" not in pod["metadata"]
            self._states[uid] = (is_available, pod["spec"]["containers"][0]["image"])
        self._available = sum(available for available, _ in self._states.values())
        if len(self._states) == self.wanted and all(
            available and image == self.image for available, image in self._states.values()
        ):
            self.done.set()

    def want(self, wanted: int, image: str) -> None:
        """Expect something else from now on."""
        self.wanted, self.image = wanted, image
        self._last = self._clock.monotonic()
        self.unavailable = 0.0
        self.done.clear()


@dataclass
class Figures:
    """What one round cost.

    Attributes:
        took: Seconds from the request to the last pod's availability.
        settled: Seconds until the workload's own status said so, too.
        unavailable: Pod-seconds.
        cpu: CPU-seconds by program; our controller and the peer's by the kind.
        writes: Requests of the kind's program that change something, by verb, resource and code.
        writes_of_all: The same of everybody, kubelets and scheduler included.
        busy: CPU-seconds of the whole machine, whoever used them.
        memory: The most that the kind's program ever had resident, in MiB.
        before: Our controller's metrics.
        after: The same.
    """

    took: float
    settled: float
    unavailable: float
    cpu: dict[str, float]
    writes: Counter[str]
    writes_of_all: int
    busy: float
    memory: int
    before: Samples = field(default_factory=dict)
    after: Samples = field(default_factory=dict)

    def share_of(self, program: str) -> float:
        """Return a program's part of the CPU that all programs of the run used, the watcher too."""
        return self.cpu[program] / sum(self.cpu.values())


class Stage:
    """A control plane with fake nodes, our controller, and a workload of each kind."""

    def __init__(self, plane: ControlPlane, controller: int, port: int, audit: Audit) -> None:
        self.plane = plane
        self.port = port
        self.audit = audit
        self.pods = {kind: Pods(0) for kind in KINDS}
        self.pids = {OURS: controller, PEER: plane.children["kube-controller-manager"].pid or 0}
        self.pids |= {name: plane.children[name].pid or 0 for name in SERVERS}
        self.pids[WATCHER] = os.getpid()

    def create(self, kind: str, replicas: int, most: int) -> None:
        """Create a workload of *replicas* pods, *most* in its life, and wait until it is whole."""
        self.pods[kind].want(replicas, IMAGES[0])
        self.plane.client.create(KINDS[kind], workload(kind, replicas, most))
        if replicas:
            self._wait(kind)
        self._settle(kind)

    def release(self, kind: str, image: str) -> Figures:
        """Give a workload another image and measure until all of its pods run it and are available."""
        patch = {"spec": {"template": {"spec": {"containers": [container(image)]}}}}
        return self._measure(kind, patch, self.pods[kind].wanted, image)

    def scale(self, kind: str, replicas: int) -> Figures:
        """Give a workload another number of pods and measure until all are available, or gone."""
        return self._measure(kind, {"spec": {"replicas": replicas}}, replicas, self.pods[kind].image)

    def _measure(self, kind: str, patch: dict[str, Any], wanted: int, image: str) -> Figures:
        pods, clock = self.pods[kind], SystemClock()
        before = scrape(self.port)
        self.audit.news()
        cpu, busy = self._cpu(), busy_time()
        pods.want(wanted, image)
        start = clock.monotonic()
        self.plane.client.patch(f"{KINDS[kind]}/{kind.lower()}", patch, MERGE)
        self._wait(kind)
        took = (clock.monotonic() - start).total_seconds()
        unavailable = pods.unavailable
        self._settle(kind)
        written = self.audit.news()
        return Figures(
            took=took,
            settled=(clock.monotonic() - start).total_seconds(),
            unavailable=unavailable,
            cpu={name: used - cpu[name] for name, used in self._cpu().items()},
            writes=written.get(PROGRAMS[kind], Counter()),
            writes_of_all=sum(counts.total() for counts in written.values()),
            busy=(busy_time() - busy).total_seconds(),
            memory=peak_memory_of(self.pids[kind]),
            before=before,
            after=scrape(self.port),
        )

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_of(pid).total_seconds() for name, pid in self.pids.items()}

    def _wait(self, kind: str) -> None:
        assert self.pods[kind].done.wait(PATIENCE.total_seconds()), f"{kind} took more than {PATIENCE}"

    def _settle(self, kind: str) -> None:
        """Wait until the workload's own status says that it is done."""

        def is_done() -> bool:
            found = self.plane.client.get(f"{KINDS[kind]}/{kind.lower()}")
            status, wanted = found.get("status", {}), found["spec"]["replicas"]
            is_new = status.get("observedGeneration") == found["metadata"]["generation"]
            counts = {status.get(name, 0) for name in ("updatedReplicas", "availableReplicas")}
            return is_new and counts == {wanted} and status.get("phase", "Complete") == "Complete"

        wait_for(f"{kind} says that it is done", is_done, PATIENCE)


def container(image: str) -> dict[str, Any]:
    """Return the one container of each pod."""
    return {"name": "app", "image": image, "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}


def workload(kind: str, replicas: int, most: int) -> dict[str, Any]:
    """Return a workload that may have 20 % of its pods unavailable, and none in excess."""
    labels = {"app": kind.lower()}
    strategy: dict[str, Any] = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "20%"}}
    if kind == OURS:
        strategy = {"upgradeType": "Batch", "batchSize": most, "maxUnavailable": "20%"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container(IMAGES[0])]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "strategy": strategy}
    return {
        "apiVersion": API_VERSION if kind == OURS else "apps/v1",
        "kind": "CafeDeployment" if kind == OURS else "Deployment",
        "metadata": {"name": kind.lower()},
        "spec": {**spec, "template": template},
    }


@contextmanager
def controller(plane: ControlPlane, log: Path) -> Iterator[tuple[int, int]]:
    """Run our controller; yields its process id and the port of its metrics."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "cafe.processes.controller", f"--kubeconfig={plane.kubeconfig}"]
    command += ["--install-crds", "--no-leader-elect", f"--probe-port={port}"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            wait_for("the controller", lambda: answers(port, "/readyz", tls=False), PATIENCE)
            yield process.pid, port
        finally:
            process.terminate()
            process.wait()


@contextmanager
def staged(nodes: int) -> Iterator[Stage]:
    """Start everything, with *nodes* fake nodes and a watch of the pods of each kind; end it afterwards."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        audit = Audit(directory)
        plane = stack.enter_context(control_plane(Options(apiserver=audit.flags)))
        stack.enter_context(fake_nodes(plane, nodes))
        pid, port = stack.enter_context(controller(plane, directory / "controller.log"))
        plane.client.create("/api/v1/namespaces", {"metadata": {"name": SPACE}})
        plane.client.wait_exists(f"/api/v1/namespaces/{SPACE}/serviceaccounts/default", PATIENCE)
        stage = Stage(plane, pid, port, audit)
        for kind in KINDS:
            pods = f"/api/v1/namespaces/{SPACE}/pods"
            selector = f"labelSelector=app%3D{kind.lower()}"
            stack.enter_context(watching(plane.client, pods, stage.pods[kind].saw, selector))
        yield stage


def in_turn(number: int) -> list[str]:
    """Return the kinds in the order of a round; who goes first changes, as what is warm or busy may help."""
    kinds = list(KINDS)
    return kinds if number % 2 == 0 else kinds[::-1]


def compare(rounds: dict[str, list[Figures]], rows: dict[str, Column]) -> Iterator[str]:
    """Tell figures side by side: means of all rounds, their ratio, and the range of the rounds' ratios."""
    yield f"{'':28}{OURS:>12}{PEER:>12}{'ratio':>8}  {'(of rounds)':14}each round"
    for name, of in rows.items():
        ours, peer = ([of(f, kind) for f in rounds[kind]] for kind in (OURS, PEER))
        ratios = [a / b for a, b in zip(ours, peer, strict=True) if b]
        ratio = f"{mean(ours) / mean(peer):8.2f}" if mean(peer) else f"{'-':>8}"
        span = f"({min(ratios):.2f}-{max(ratios):.2f})" if ratios else ""
        each = " | ".join(f"{_short(a)} : {_short(b)}" for a, b in zip(ours, peer, strict=True))
        yield f"{name:28}{_short(mean(ours)):>12}{_short(mean(peer)):>12}{ratio}  {span:14}{each}"


def _short(figure: float) -> str:
    return f"{figure:.2f}" if figure < 10 else f"{figure:.1f}"


def costs(pods: int) -> dict[str, Column]:
    """Return the rows that every comparison has; what is told per pod is of *pods* pods."""

    def cpu_per_pod(program: str) -> Column:
        return lambda figures, kind: 1000 * figures.cpu[program or kind] / pods

    return {
        "pods/s": lambda f, _: pods / f.took,
        "seconds": lambda f, _: f.took,
        "seconds, status settled": lambda f, _: f.settled,
        "writes/pod": lambda f, _: f.writes.total() / pods,
        "writes/pod by everybody": lambda f, _: f.writes_of_all / pods,
        "CPU ms/pod, controller": cpu_per_pod(""),
        "CPU ms/pod, API server": cpu_per_pod("kube-apiserver"),
        "CPU ms/pod, etcd": cpu_per_pod("etcd"),
        "cores used by this run": lambda f, _: sum(f.cpu.values()) / f.settled,
        "cores used by anybody": lambda f, _: f.busy / f.settled,
        "peak memory MiB": lambda f, _: f.memory,
    }


def conflicts(writes: Counter[str]) -> int:
    """Count the writes that were refused because the object had moved."""
    return sum(count for what, count in writes.items() if what.endswith(" 409"))
