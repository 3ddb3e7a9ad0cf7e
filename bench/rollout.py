"""The same rollout by an InPlaceSet and by a native Deployment, in turn, on one real API server.

    python -m bench.rollout [--pods 400] [--nodes 50] [--rounds 2]

Both are there all the time; a round gives one of them another image and measures until every pod runs it
and is available. Fake nodes play the kubelets; see docs/reference/benchmarks.md for what the figures mean.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import mean
from typing import Any, Final

from bench.counting import Audit, Samples, passes_between, quantile_between, requests_between, scrape
from bench.machine import cpu_of, machine, peak_memory_of
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


@dataclass
class Pods:
    """The pods of one workload, as a watch sees them.

    Attributes:
        unavailable: Pod-seconds by which availability fell short so far.
    """

    wanted: int
    image: str = IMAGES[0]
    unavailable: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._states: dict[str, tuple[bool, bool]] = {}
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
            self._states[uid] = (is_available, pod["spec"]["containers"][0]["image"] == self.image)
        self._available = sum(available for available, _ in self._states.values())
        if len(self._states) == self.wanted and all(a and new for a, new in self._states.values()):
            self.done.set()


@dataclass
class Figures:
    """What one round cost."""

    took: float
    unavailable: float
    cpu: dict[str, float]
    writes: Counter[str]
    memory: int
    before: Samples = field(default_factory=dict)
    after: Samples = field(default_factory=dict)


class Bench:
    """A control plane with fake nodes, our controller, and both workloads."""

    def __init__(self, plane: ControlPlane, controller: int, port: int, audit: Audit, pods: int) -> None:
        self.plane = plane
        self.port = port
        self.audit = audit
        self.pods = {kind: Pods(pods) for kind in KINDS}
        self.pids = {OURS: controller, PEER: plane.children["kube-controller-manager"].pid or 0}
        self.pids |= {name: plane.children[name].pid or 0 for name in ("kube-apiserver", "etcd")}
        self._round = 0

    def deploy(self, kind: str) -> None:
        """Create a workload and wait until it is whole."""
        body = workload(kind, self.pods[kind].wanted, IMAGES[0])
        self.plane.client.create(KINDS[kind], body)
        self._wait(kind)

    def release(self, kind: str, image: str) -> Figures:
        """Give a workload another image and measure until all of its pods run it and are available."""
        pods, clock = self.pods[kind], SystemClock()
        pods.image, pods.unavailable = image, 0.0
        pods.done.clear()
        before = scrape(self.port)
        self.audit.news()
        cpu = self._cpu()
        patch = {"spec": {"template": {"spec": {"containers": [container(image)]}}}}
        start = clock.monotonic()
        self.plane.client.patch(f"{KINDS[kind]}/{kind.lower()}", patch, MERGE)
        self._wait(kind)
        took = (clock.monotonic() - start).total_seconds()
        unavailable = pods.unavailable
        self._settle(kind)
        return Figures(
            took=took,
            unavailable=unavailable,
            cpu={name: used - cpu[name] for name, used in self._cpu().items()},
            writes=self.audit.news().get(PROGRAMS[kind], Counter()),
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
            status, wanted = found["status"], found["spec"]["replicas"]
            is_new = status.get("observedGeneration") == found["metadata"]["generation"]
            counts = {status.get(name) for name in ("updatedReplicas", "availableReplicas")}
            return is_new and counts == {wanted} and status.get("phase", "Complete") == "Complete"

        wait_for(f"{kind} says that it is done", is_done, PATIENCE)


def container(image: str) -> dict[str, Any]:
    """Return the one container of each pod."""
    return {"name": "app", "image": image, "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}


def workload(kind: str, replicas: int, image: str) -> dict[str, Any]:
    """Return a workload that may have 20 % of its pods unavailable, and none in excess."""
    labels = {"app": kind.lower()}
    strategy: dict[str, Any] = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "20%"}}
    if kind == OURS:
        strategy = {"upgradeType": "Batch", "batchSize": replicas, "maxUnavailable": "20%"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container(image)]},
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


def compare(rounds: dict[str, list[Figures]], pods: int) -> Iterator[str]:
    """Tell the figures side by side: the mean of all rounds, and the ratio."""
    rows = {
        "pods/s": lambda f, _: pods / f.took,
        "seconds": lambda f, _: f.took,
        "writes/pod": lambda f, _: f.writes.total() / pods,
        "CPU ms/pod, controller": lambda f, kind: 1000 * f.cpu[kind] / pods,
        "CPU ms/pod, API server": lambda f, _: 1000 * f.cpu["kube-apiserver"] / pods,
        "CPU ms/pod, etcd": lambda f, _: 1000 * f.cpu["etcd"] / pods,
        "peak memory MiB": lambda f, _: f.memory,
        "unavailable pod-s": lambda f, _: f.unavailable,
    }
    yield f"{'':24}{OURS:>12}{PEER:>12}{'ratio':>8}   each round"
    for name, of in rows.items():
        ours, peer = ([of(f, kind) for f in rounds[kind]] for kind in (OURS, PEER))
        each = " | ".join(f"{a:.1f} : {b:.1f}" for a, b in zip(ours, peer, strict=True))
        yield f"{name:24}{mean(ours):12.1f}{mean(peer):12.1f}{mean(ours) / mean(peer):8.2f}   {each}"


def details(ours: Figures, peer: Figures) -> Iterator[str]:
    """Tell more of the last round of each."""
    for name, of in (("a pass", "reconcile"), ("loop lag", "loop_lag"), ("a request", "api_request")):
        p99 = quantile_between(ours.before, ours.after, f"cafe_{of}_seconds", 0.99)
        yield f"{f'p99 of {name}, s':24}{p99}"
    yield f"passes                  {dict(passes_between(ours.before, ours.after))}"
    yield f"writes by our client    {dict(requests_between(ours.before, ours.after))}"
    yield f"writes by the audit     {dict(ours.writes)}"
    yield f"the peer's by the audit {dict(peer.writes)}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=400)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    print(machine(), flush=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        audit = Audit(directory)
        plane = stack.enter_context(control_plane(Options(apiserver=audit.flags)))
        stack.enter_context(fake_nodes(plane, options.nodes))
        pid, port = stack.enter_context(controller(plane, directory / "controller.log"))
        plane.client.create("/api/v1/namespaces", {"metadata": {"name": SPACE}})
        plane.client.wait_exists(f"/api/v1/namespaces/{SPACE}/serviceaccounts/default", PATIENCE)
        bench = Bench(plane, pid, port, audit, options.pods)
        rounds: dict[str, list[Figures]] = {OURS: [], PEER: []}
        for kind in rounds:
            pods = f"/api/v1/namespaces/{SPACE}/pods"
            selector = f"labelSelector=app%3D{kind.lower()}"
            stack.enter_context(watching(plane.client, pods, bench.pods[kind].saw, selector))
            bench.deploy(kind)
        for number in range(options.rounds):
            for kind, figures in rounds.items():
                figures.append(bench.release(kind, IMAGES[(number + 1) % 2]))
                print(f"round {number + 1}   {kind}: {figures[-1].took:.1f} s", flush=True)
    print("\n".join(compare(rounds, options.pods)))
    print("\n".join(details(rounds[OURS][-1], rounds[PEER][-1])))


if __name__ == "__main__":
    main()
