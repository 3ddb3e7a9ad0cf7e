"""The contest that the benchmarks share: workloads of several kinds on one real API server, measured in turn.

stage (control plane, fake nodes, controllers) ── one measured change of one workload ──▶ Figures
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from bench.contestants import CLONE_SET, DEPLOYMENT, EVERYBODY, IMAGES, OURS, Contestant, container
from bench.counting import Audit, scrape
from bench.figures import Figures
from bench.machine import busy_time, cpu_of, machine, peak_memory_of
from bench.pods import Pods
from cafe.kernel import SystemClock
from testbed import ControlPlane, Lacking, NotStarted, Options, control_plane, fake_nodes, openkruise
from testbed.client import MERGE
from testbed.controlplane import BURST, QPS, answers, free_ports
from testbed.openkruise import GATES, prepare
from testbed.waiting import wait_for
from testbed.watching import watching

PATIENCE: Final = timedelta(minutes=10)
SERVERS: Final = ("kube-apiserver", "etcd", "kube-scheduler", "fakenodes-fake")
WATCHER: Final = "the benchmark"


@dataclass(frozen=True)
class Limits:
    """What the peers' clients may do; ours has no limit.

    Attributes:
        deployment: Requests per second of each controller of Kubernetes, and for a moment.
        clone_set: The same of OpenKruise's manager.
    """

    deployment: tuple[int, int] = (QPS, BURST)
    clone_set: tuple[int, int] = (QPS, BURST)

    def __str__(self) -> str:
        """Tell it in a line."""
        told = {CLONE_SET.name: self.clone_set, DEPLOYMENT.name: self.deployment}
        return ", ".join(
            [f"{OURS.name} none", *(f"{name} {qps}/{burst}" for name, (qps, burst) in told.items())]
        )


LIMITS: Final = {"raised": Limits(), "own": Limits(deployment=(20, 30), clone_set=(30, 50))}
"""Raised above what the machine can do, which is as good as none; or each peer's own default."""


class Stage:
    """A control plane with fake nodes, the contestants' controllers, and a workload of each contestant."""

    def __init__(self, plane: ControlPlane, port: int, audit: Audit, pids: dict[str, int]) -> None:
        self.plane = plane
        self.port = port
        self.audit = audit
        self.contestants = [one for one in EVERYBODY if one.name in pids]
        self.pods = {one.name: Pods(0) for one in self.contestants}
        self.pids = pids | {name: plane.children[name].pid or 0 for name in SERVERS} | {WATCHER: os.getpid()}

    def create(self, one: Contestant, replicas: int, most: int) -> None:
        """Create a workload of *replicas* pods, *most* in its life, and wait until it is whole."""
        self.pods[one.name].want(replicas, IMAGES[0])
        self.plane.client.create(one.collection, one.workload(replicas, most))
        if replicas:
            self._wait(one)
        self._settle(one)

    def release(self, one: Contestant, image: str) -> Figures:
        """Give a workload another image and measure until all of its pods run it and are available."""
        patch = {"spec": {"template": {"spec": {"containers": [container(image)]}}}}
        return self._measure(one, patch, self.pods[one.name].wanted, image)

    def scale(self, one: Contestant, replicas: int) -> Figures:
        """Give a workload another number of pods and measure until all are available, or gone."""
        return self._measure(one, {"spec": {"replicas": replicas}}, replicas, self.pods[one.name].image)

    def _measure(self, one: Contestant, patch: dict[str, Any], wanted: int, image: str) -> Figures:
        pods, clock = self.pods[one.name], SystemClock()
        before = scrape(self.port)
        self.audit.news()
        cpu, busy = self._cpu(), busy_time()
        pods.want(wanted, image)
        start = clock.monotonic()
        self.plane.client.patch(one.path, patch, MERGE)
        self._wait(one)
        took = (clock.monotonic() - start).total_seconds()
        unavailable = pods.unavailable
        self._settle(one)
        written = self.audit.news()
        return Figures(
            took=took,
            settled=(clock.monotonic() - start).total_seconds(),
            unavailable=unavailable,
            created=pods.created,
            cpu={name: used - cpu[name] for name, used in self._cpu().items()},
            writes=written.get(one.program, Counter()),
            writes_of_all=sum(counts.total() for counts in written.values()),
            busy=(busy_time() - busy).total_seconds(),
            memory=peak_memory_of(self.pids[one.name]),
            before=before,
            after=scrape(self.port),
        )

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_of(pid).total_seconds() for name, pid in self.pids.items()}

    def _wait(self, one: Contestant) -> None:
        if not self.pods[one.name].done.wait(PATIENCE.total_seconds()):
            raise RuntimeError(f"{one.name} took more than {PATIENCE}")

    def _settle(self, one: Contestant) -> None:
        """Wait until the workload's own status says that it is done."""
        wait_for(
            f"{one.name} says that it is done", lambda: is_done(self.plane.client.get(one.path)), PATIENCE
        )


def is_done(workload: dict[str, Any]) -> bool:
    """Tell whether a workload's status says that all pods are new and available, whatever its kind."""
    status, wanted = workload.get("status", {}), workload["spec"]["replicas"]
    is_new = status.get("observedGeneration") == workload["metadata"]["generation"]
    counts = {status.get(name, 0) for name in ("updatedReplicas", "availableReplicas")}
    return is_new and counts == {wanted} and status.get("phase", "Complete") == "Complete"


@contextmanager
def controller(kubeconfig: Path, log: Path) -> Iterator[tuple[int, int]]:
    """Run our controller; yields its process id and the port of its metrics."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "cafe.processes.controller", f"--kubeconfig={kubeconfig}"]
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
def staged(options: argparse.Namespace) -> Iterator[Stage]:
    """Start everything, with fake nodes and a watch of the pods of each contestant; end it afterwards."""
    limits = LIMITS[options.limits]
    print(f"{machine()}\nlimits    {limits}\ngates     {CLONE_SET.name} {options.gates}", flush=True)
    has_kruise = comes(prepare)
    flags = tuple(
        f"--kube-api-{name}={limit}" for name, limit in zip(("qps", "burst"), limits.deployment, strict=True)
    )
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        audit = Audit(directory)
        plane = stack.enter_context(control_plane(Options(apiserver=audit.flags, controller_manager=flags)))
        stack.enter_context(fake_nodes(plane, options.nodes))
        pid, port = stack.enter_context(controller(plane.kubeconfig, directory / "controller.log"))
        pids = {OURS.name: pid, DEPLOYMENT.name: plane.children["kube-controller-manager"].pid or 0}
        kruise = openkruise(plane, limits.clone_set, options.gates)
        if has_kruise and comes(lambda: stack.enter_context(kruise)):
            pids[CLONE_SET.name] = plane.children["kruise-manager"].pid or 0
        stage = Stage(plane, port, audit, pids)
        for one in stage.contestants:
            labels = dict(one.labels)
            plane.client.create("/api/v1/namespaces", {"metadata": {"name": one.namespace, "labels": labels}})
            namespace = f"/api/v1/namespaces/{one.namespace}"
            plane.client.wait_exists(f"{namespace}/serviceaccounts/default", PATIENCE)
            stack.enter_context(watching(plane.client, f"{namespace}/pods", stage.pods[one.name].saw))
        yield stage


def comes(step: Callable[[], object]) -> bool:
    """Take a step that OpenKruise needs; without it, say why, and that it is not compared."""
    try:
        step()
    except (Lacking, NotStarted) as problem:
        print(f"{CLONE_SET.name} IS NOT COMPARED: {problem}", flush=True)
        return False
    return True


def in_turn(contestants: Sequence[Contestant], number: int) -> list[Contestant]:
    """Return the contestants in the order of a round.

    Who comes first and who follows whom changes, as what is warm or still busy may help or hurt.
    """
    start = number // 2 % len(contestants)
    order = [*contestants[start:], *contestants[:start]]
    return order[::-1] if number % 2 else order


def options_of(description: str | None, pods: int) -> argparse.Namespace:
    """Read the command line of a contest."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pods", type=int, default=pods)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limits", choices=LIMITS, default="raised", help="the client limits of the peers")
    parser.add_argument("--gates", default=GATES, help="feature gates of OpenKruise")
    return parser.parse_args()
