"""The simulated balancer, with clients and pods that are mere names."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from itertools import count

from cafe.kernel import SystemClock
from cafe.traffic.domain.facts import Member, MemberState, Pool
from cafe_sim.traffic.balancer import Balancer, Entry
from tests.ports.traffic.rig import Rig, Unanswered

REPLICAS = ("left", "right")


class DoubleRig:
    """Asks the double whom it would send a request to."""

    replicas = REPLICAS
    sees_arrivals = True
    forgets = True

    def __init__(self) -> None:
        self.pool = Pool("web", 8080)
        self.adapter = self._balancer = Balancer(SystemClock(), REPLICAS, ["web"])
        self._numbers = count(1)
        self._turn = count()
        self._held: list[tuple[Entry, asyncio.Future[str]]] = []

    async def member(self, name: str) -> Member:
        return Member(name, f"10.0.0.{next(self._numbers)}", self.pool.port)

    async def ask(self, replica: str) -> str:
        entry = self._chosen(replica)
        entry.arrived += 1
        return entry.member.name

    async def hold(self, replica: str) -> tuple[str, Awaitable[str]]:
        entry = self._chosen(replica)
        entry.arrived += 1
        entry.held += 1
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._held.append((entry, answer))
        return entry.member.name, answer

    async def release(self) -> None:
        for entry, answer in self._held:
            entry.held -= 1
            answer.set_result(entry.member.name)
        self._held.clear()

    async def stop(self, replica: str) -> None:
        self._balancer.processes[replica].is_up = False

    async def start(self, replica: str) -> None:
        self._balancer.restart(replica)
        self._balancer.processes[replica].is_up = True

    async def settle(self) -> None:
        await asyncio.sleep(0)

    def _chosen(self, replica: str) -> Entry:
        entries = self._balancer.processes[replica].pools[self.pool.name]
        serving = [entry for entry in entries.values() if entry.state is MemberState.SERVING]
        if not serving:
            raise Unanswered
        return serving[next(self._turn) % len(serving)]


@asynccontextmanager
async def double_rig() -> AsyncIterator[Rig]:
    """Yield a fresh double."""
    yield DoubleRig()
