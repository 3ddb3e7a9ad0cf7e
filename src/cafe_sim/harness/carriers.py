"""What carries the application's traffic in a world: a balancer of several processes, and the ways to it."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from cafe.api.names import CONTROLLER_NAMESPACE
from cafe.traffic.domain.facts import Member, Pool, ReplicaView
from cafe_sim.contract import Json
from cafe_sim.harness.names import APP, BINDINGS, PROVIDERS, SERVICES, SPACE
from cafe_sim.traffic.balancer import Balancer

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

T = TypeVar("T")

PROVIDER, POOL, PORT = "edge", "web", 8080
LONGEST = timedelta(seconds=3)
"""What the longest request takes."""


class Wire:
    """One life's way to the balancer. What it sent arrives, also when it is dead by then."""

    def __init__(self, world: "World", balancer: Balancer) -> None:
        self._world = world
        self._balancer = balancer

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        """Ask how each process stands."""
        return await self._send(lambda: self._balancer.observe(pools))

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Tell that *members* get no new requests."""
        await self._send(lambda: self._balancer.detach(pool, members))

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Tell that *members* get requests."""
        await self._send(lambda: self._balancer.attach(pool, members))

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Tell to forget *members*."""
        await self._send(lambda: self._balancer.remove(pool, members))

    async def close(self) -> None:
        """Give up nothing."""

    async def _send(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def arrive() -> None:
            result = _at_once(work())
            self._world.network.later(self._world.network.trip(), lambda: _answer(done, result))

        self._world.network.later(self._world.network.trip(), arrive)
        return await done


def _answer(done: "asyncio.Future[T]", result: T) -> None:
    if not done.done():
        done.set_result(result)


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits: the double answers at once, the way there and back takes its time."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    raise RuntimeError("the balancer waits for something")


def install(world: "World") -> None:
    """Put the balancer and a Service in front of the application, and declare both; nothing without one."""
    if world.balancer is None:
        return
    replicas = [{"name": n, "address": "10.9.0.1:9999"} for n in world.balancer.processes]
    world.server.create(
        PROVIDERS,
        CONTROLLER_NAMESPACE,
        {
            "metadata": {"name": PROVIDER, "namespace": CONTROLLER_NAMESPACE},
            "spec": {"type": "HAProxy", "replicas": replicas},
        },
    )
    pool = {"name": "main", "provider": PROVIDER, "pool": POOL, "port": PORT}
    # Small worlds have applications of one pod, which could never be released otherwise.
    spec = {"app": APP, "pools": [pool], "mayDrainLast": True}
    world.server.create(BINDINGS, SPACE, {"metadata": {"name": APP, "namespace": SPACE}, "spec": spec})
    ports = {"selector": {"app": APP}, "ports": [{"port": 80}]}
    world.server.create(SERVICES, SPACE, {"metadata": {"name": APP, "namespace": SPACE}, "spec": ports})


def balancer_of(world: "World", processes: int) -> Balancer | None:
    """Return the balancer of a world that has one."""
    if not processes:
        return None
    made = Balancer(world.clock, [f"process-{n}" for n in range(1, processes + 1)], [POOL])
    made.is_busy, made.last_request = True, LONGEST
    return made


def senders(world: "World", pod: Json) -> list[str]:
    """Return who may still send a pod requests, or waits for its answer: the truth."""
    ip = (pod.get("status") or {}).get("podIP")
    if world.balancer is None or not ip:
        return []
    return [*world.balancer.serving(f"{ip}:{PORT}"), *_services(world, ip)]


def _services(world: "World", ip: str) -> list[str]:
    return [
        "a Service"
        for body in world.server.list("endpointslices.discovery.k8s.io", SPACE)
        for endpoint in body.get("endpoints") or ()
        if ip in endpoint["addresses"] and endpoint["conditions"].get("ready")
    ]
