"""Two real HAProxy processes, with small applications behind them."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from cafe.traffic.adapters.haproxy import HAProxyAdapter
from cafe.traffic.domain.facts import Member, Pool
from testbed.haproxy import HAProxy, requirements
from tests.ports.traffic.rig import Rig, Unanswered
from tests.worlds.answering import Answering, Asking, Lost


def processes(count: int = 2) -> HAProxy:
    """Return fresh processes: what one case told them, no other may see."""
    if lacking := requirements():
        said = f"this machine lacks: {'; '.join(lacking)}"
        if os.environ.get("CI") == "true":
            pytest.fail(said, pytrace=False)
        pytest.skip(said)
    return HAProxy(count)


class HAProxyRig:
    """Asks the frontend of a process."""

    sees_arrivals = True
    forgets = True

    def __init__(self, servers: HAProxy) -> None:
        self.pool = Pool("web", 0)
        self.replicas = tuple(servers.addresses)
        self.adapter = HAProxyAdapter(servers.addresses)
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


@asynccontextmanager
async def haproxy_rig() -> AsyncIterator[Rig]:
    """Yield two processes of its own."""
    rig = HAProxyRig(await asyncio.to_thread(processes))
    try:
        yield rig
    finally:
        await rig.close()
