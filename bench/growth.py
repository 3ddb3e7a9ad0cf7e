"""What one more revision, and one more app, cost the controller in a small and in a large cluster.

    python -m bench.growth [--others 100 10000] [--rounds 5] [--times 4]

Two simulated clusters, equal but for the pods of other apps (ten each), live side by side in this process; in
each works a controller, a process of its own that reaches it over HTTP. A round lets nothing happen for some
seconds, adds apps of ten pods one after the other, and releases new images of another app, in the one cluster
and then in the other. CPU is the controller process's, from the request until the app says that it is done;
what it would have used in that time if nothing had happened is told apart. Writes are its own.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import mean
from typing import Any, Final

from bench.contest import controller, is_done
from bench.contestants import OURS, container
from bench.counting import requests_between, scrape
from bench.machine import exact_cpu_of, machine, peak_memory_of
from cafe.kernel import SystemClock, SystemEntropy
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.http import serve
from cafe_sim.cluster import ClusterOptions, SimCluster
from cafe_sim.contract import Json, StoreEvent
from cafe_sim.kubelet.registry import Image, Registry
from cafe_sim.timeline import LoopTimeline

APPS: Final = "cafedeployments.apps.cafe.sofastack.io"
SPACE: Final = "default"
RELEASED: Final = "released"
PODS: Final = 10
"""Of each app."""
NODES: Final = 60
"""Of each cluster, small or large: the pods of others shall be the only difference."""
ROOM: Final = {"cpu": "64", "memory": "256Gi", "pods": "500"}
HERE_ALREADY: Final = Registry(default=Image(digest="", pull_time=timedelta()))
"""Images that nobody waits for: what the controller uses while it waits is not the question."""
IDLE: Final = 4.0
"""Seconds for which nothing happens."""
SETTLES: Final = 0.5
BOUND: Final = 1.2
TITLE: Final = 44


@dataclass
class Cost:
    """What something cost the controller: CPU-seconds, requests that change something, seconds."""

    cpu: float
    writes: int
    seconds: float


@dataclass
class Site:
    """One cluster with its controller.

    Attributes:
        others: Pods of other apps.
        server: The API.
        pid: The controller's.
        port: Where its metrics are.
        costs: By what was done, of each round.
    """

    others: int
    server: ApiServer
    pid: int
    port: int
    costs: dict[str, list[Cost]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self.server.subscribe(APPS, lambda _: self._changed.set())
        self.server.subscribe("pods", self._pod_changed)

    def _pod_changed(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            self._gone.set()

    async def fill(self) -> None:
        """Let the other apps run."""
        names = [f"other-{number:05}" for number in range(self.others // PODS)]
        for name in names:
            self.server.create(APPS, SPACE, app(name))
        for name in names:
            await self.until_done(name)

    async def until_done(self, name: str) -> None:
        """Wait until an app's own status says that it is done."""
        while not self._is_done(name):
            self._changed.clear()
            await self._changed.wait()

    def _is_done(self, name: str) -> bool:
        found = self.server.get(APPS, SPACE, name)
        return found is not None and is_done(found)

    def add(self, name: str) -> None:
        """Add an app."""
        self.server.create(APPS, SPACE, app(name))

    async def remove(self, names: Sequence[str]) -> None:
        """Remove apps, and wait until none of their pods is left."""
        for name in names:
            self.server.delete(APPS, SPACE, name)
        while any(pod["metadata"]["labels"]["app"] in names for pod in self.server.list("pods", SPACE)):
            self._gone.clear()
            await self._gone.wait()
        await asyncio.sleep(SETTLES)

    def release(self, name: str, tag: str) -> None:
        """Give an app a new image."""
        patch = {"spec": {"template": {"spec": {"containers": [container(f"cafe.test/app:{tag}")]}}}}
        self.server.patch(APPS, SPACE, name, patch)

    @asynccontextmanager
    async def counted(self, what: str) -> AsyncIterator[None]:
        """Count what the controller does while the block lasts."""
        clock = SystemClock()
        before = await asyncio.to_thread(scrape, self.port)
        start, cpu = clock.monotonic(), exact_cpu_of(self.pid)
        yield
        used, took = exact_cpu_of(self.pid) - cpu, clock.monotonic() - start
        writes = requests_between(before, await asyncio.to_thread(scrape, self.port)).total()
        self.costs.setdefault(what, []).append(Cost(used.total_seconds(), writes, took.total_seconds()))

    def idle(self) -> float:
        """Return the CPU-seconds a second that the controller uses while nothing happens."""
        costs = self.costs["idle"]
        return sum(cost.cpu for cost in costs) / sum(cost.seconds for cost in costs)


def app(name: str) -> Json:
    """Return an app that releases all of its pods as one group."""
    body: dict[str, Any] = OURS.workload(PODS, PODS)
    body["metadata"] = {"name": name}
    body["spec"]["selector"]["matchLabels"] = {"app": name}
    body["spec"]["template"]["metadata"] = {"labels": {"app": name}}
    return body


@asynccontextmanager
async def site(others: int, directory: Path) -> AsyncIterator[Site]:
    """Start a cluster and its controller, and fill it."""
    timeline, entropy = LoopTimeline(SystemClock()), SystemEntropy()
    async with AsyncExitStack() as stack:
        server = ApiServer(timeline, entropy)
        address = await stack.enter_async_context(serve(server))
        cluster = SimCluster(
            server, timeline, entropy, ClusterOptions(registry=HERE_ALREADY, has_events=False)
        )
        for number in range(NODES):
            cluster.add_node(f"node-{number}", {"cafe.sofastack.io/cell": f"cell-{number % 2}"}, ROOM)
        cluster.start()
        stack.callback(cluster.stop)
        kubeconfig = directory / f"kubeconfig-{others}"
        address.write_kubeconfig(kubeconfig)
        running = controller(kubeconfig, directory / f"controller-{others}.log")
        pid, port = await asyncio.to_thread(running.__enter__)
        stack.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
        made = Site(others, server, pid, port)
        clock = SystemClock()
        began = clock.monotonic()
        await made.fill()
        took = (clock.monotonic() - began).total_seconds()
        print(f"{others} pods of {others // PODS} other apps run after {took:.0f} s", flush=True)
        yield made


async def one_round(at: Site, number: int, times: int) -> None:
    """Rest, add apps one by one, and release new images of another one; then remove what was added."""
    names = [f"added-{number}-{time}" for time in range(times)]
    async with at.counted("idle"):
        await asyncio.sleep(IDLE)
    async with at.counted("one more app"):
        for name in names:
            at.add(name)
            await at.until_done(name)
    async with at.counted("one more revision"):
        for time in range(times):
            at.release(RELEASED, f"r{number}-{time}")
            await at.until_done(RELEASED)
    await at.remove(names)


def table(small: Site, large: Site, times: int) -> Iterator[str]:
    """Tell the costs per pod beside each other; ratios are of the sums of all rounds, and of each."""
    yield f"{'':{TITLE}}{f'{small.others} others':>14}{f'{large.others} others':>14}   ratio (of rounds)"
    for what in ("one more app", "one more revision"):
        units: dict[str, Callable[[Cost, float], float]] = {
            "CPU ms/pod": lambda cost, idle: 1000 * (cost.cpu - idle * cost.seconds),
            "CPU ms/pod with idling": lambda cost, _: 1000 * cost.cpu,
            "writes/pod": lambda cost, _: cost.writes,
        }
        for unit, of in units.items():
            few, many = (
                [of(cost, at.idle()) / PODS / times for cost in at.costs[what]] for at in (small, large)
            )
            yield row(f"{what}, {unit}", few, many)
    yield f"{'idling, CPU ms/s':{TITLE}}{''.join(f'{1000 * at.idle():14.2f}' for at in (small, large))}"
    yield f"{'peak memory MiB':{TITLE}}{''.join(f'{peak_memory_of(at.pid):14}' for at in (small, large))}"


def row(title: str, small: Sequence[float], large: Sequence[float]) -> str:
    """Tell one figure: means, the ratio of the sums, the range of the rounds' ratios, and the goal."""
    rounds = [b / a for a, b in zip(small, large, strict=True)]
    ratio = sum(large) / sum(small)
    span = f"{ratio:8.2f} ({min(rounds):.2f}-{max(rounds):.2f})"
    goal = f"   goal {BOUND}: {'kept' if ratio <= BOUND else 'MISSED'}"
    return f"{title:{TITLE}}{mean(small):14.2f}{mean(large):14.2f}{span}{goal}"


async def measure(options: argparse.Namespace) -> None:
    """Measure and print."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        small, large = [await stack.enter_async_context(site(n, directory)) for n in options.others]
        for at in (small, large):
            at.add(RELEASED)
            await at.until_done(RELEASED)
        for number in range(options.rounds):
            for at in (small, large) if number % 2 == 0 else (large, small):
                await one_round(at, number, options.times)
            print(f"round {number + 1} of {options.rounds}", flush=True)
        print("\n".join(table(small, large, options.times)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--others", type=int, nargs=2, default=(100, 10_000), metavar="PODS")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=4, help="apps and revisions in each round")
    options = parser.parse_args()
    print(machine(), flush=True)
    asyncio.run(measure(options))


if __name__ == "__main__":
    main()
