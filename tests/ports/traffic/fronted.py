"""What load balancers in front of small applications have in common."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from cafe.traffic.domain.facts import Member, Pool
from cafe.traffic.ports import TrafficAdapter
from tests.ports.traffic.rig import Unanswered
from tests.worlds.answering import Answering, Asking, Lost


class Fronts(Protocol):
    """Processes that take requests."""

    addresses: dict[str, str]
    fronts: dict[str, str]

    def start(self, *names: str) -> None:
        """Start processes."""

    def kill(self, *names: str) -> None:
        """End processes as a power cut would."""

    def close(self) -> None:
        """End all."""


class FrontedRig:
    """Asks the front of a process."""

    sees_arrivals = True
    forgets = True

    def __init__(self, servers: Fronts, pool: Pool, adapter: TrafficAdapter) -> None:
        self.pool = pool
        self.replicas = tuple(servers.addresses)
        self.adapter = adapter
        self._servers = servers
        self._members: list[Answering] = []
        self._asking = Asking()

    async def member(self, name: str) -> Member:
        application = Answering(name)
        await application.start()
        self._members.append(application)
        return Member(name, "127.0.0.1", application.port)

    async def ask(self, replica: str) -> str:
        try:
            answer = await self._asking.post(self._servers.fronts[replica])
        except Lost as lost:
            raise Unanswered from lost
        if answer not in {member.name for member in self._members}:
            raise Unanswered(answer)
        return answer

    async def hold(self, replica: str) -> tuple[str, Awaitable[str]]:
        answer = asyncio.create_task(self._asking.post(self._servers.fronts[replica], path="/hold"))
        async with asyncio.timeout(10):
            while not any(member.held for member in self._members):  # noqa: ASYNC110 -- over HTTP
                await asyncio.sleep(0.01)
        return next(member.name for member in self._members if member.held), answer

    async def release(self) -> None:
        for member in self._members:
            member.release()

    async def stop(self, replica: str) -> None:
        await asyncio.to_thread(self._servers.kill, replica)

    async def start(self, replica: str) -> None:
        await asyncio.to_thread(self._servers.start, replica)

    async def settle(self) -> None:
        await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.adapter.close()
        await self._asking.close()
        await asyncio.gather(*(member.close() for member in self._members))
        await asyncio.to_thread(self._servers.close)
