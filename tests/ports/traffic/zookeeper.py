"""A real ensemble of three, with applications that register themselves and a consumer at each server."""

import asyncio
import atexit
import functools
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from cafe.traffic.adapters.zookeeper import ZooKeeperAdapter
from cafe.traffic.domain.facts import Member, Pool, ReplicaView
from cafe.traffic.ports import TrafficAdapter
from testbed.waiting import wait_for
from testbed.zookeeper import ZooKeeper, requirements
from tests.ports.traffic.rig import Registry, Unanswered
from tests.worlds.answering import Lost
from tests.worlds.dubbo import SOON, Provider, Watching, end, session

_NUMBERS = itertools.count(1)


@functools.cache
def ensemble() -> ZooKeeper:
    """Return three servers for all cases of this process; each case has a directory of its own."""
    lacking = requirements()
    if lacking:
        said = f"this machine lacks: {'; '.join(lacking)}"
        if os.environ.get("CI") == "true":
            pytest.fail(said, pytrace=False)
        pytest.skip(said)
    made = ZooKeeper(3)
    atexit.register(made.close)
    return made


class Registering:
    """An adapter, before whose first attach of a member its application registers itself.

    So it is with registries: CAFE doesn't tell them of a member that they have never heard of.
    """

    def __init__(self, adapter: TrafficAdapter, rig: "ZooKeeperRig") -> None:
        self._adapter = adapter
        self._rig = rig

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        return await self._adapter.observe(pools)

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        await self._adapter.detach(pool, members)

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        for member in members:
            await self._rig.register_once(member)
        await self._adapter.attach(pool, members)

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        await self._adapter.remove(pool, members)

    async def close(self) -> None:
        await self._adapter.close()


class ZooKeeperRig:
    """Asks a provider of whom the watching consumer at a server has heard."""

    sees_arrivals = False
    forgets = False
    undoes_detach = True

    def __init__(self, servers: ZooKeeper, pool: Pool, consumers: Mapping[str, Watching]) -> None:
        self.pool = pool
        self.replicas = tuple(servers.addresses)
        self.adapter: TrafficAdapter = Registering(ZooKeeperAdapter(servers.addresses), self)
        self._servers = servers
        self._any = ",".join(servers.addresses.values())
        self._consumers = consumers
        self._providers: dict[str, Provider] = {}

    async def member(self, name: str) -> Member:
        provider = Provider(name)
        await provider.start()
        self._providers[provider.address] = provider
        return Member(name, "127.0.0.1", provider.port)

    async def register_once(self, member: Member) -> None:
        provider = self._providers[member.address]
        if not provider.nodes:
            await provider.register(self._any, self.pool.name)

    async def register_again(self, member: Member) -> None:
        await self._providers[member.address].register_again()

    async def restart(self, member: Member) -> None:
        provider = self._providers[member.address]
        await provider.kill()
        await provider.start()
        await provider.register(self._any, self.pool.name)

    async def kill(self, member: Member) -> None:
        await self._providers[member.address].kill()

    async def take_over(self) -> None:
        await self.adapter.close()
        self.adapter = Registering(ZooKeeperAdapter(self._servers.addresses), self)

    def known(self, replica: str) -> Sequence[str]:
        return self._consumers[replica].addresses

    async def ask(self, replica: str) -> str:
        consumer = self._consumers[replica]
        try:
            return await consumer.post(consumer.choose())
        except Lost as lost:
            raise Unanswered from lost

    async def hold(self, replica: str) -> tuple[str, Awaitable[str]]:
        consumer = self._consumers[replica]
        provider = self._providers[consumer.choose()]
        answer = asyncio.create_task(consumer.post(provider.address, path="/hold"))
        async with asyncio.timeout(SOON.total_seconds()):
            while not provider.held:  # noqa: ASYNC110 -- over HTTP
                await asyncio.sleep(0.01)
        return provider.name, answer

    async def release(self) -> None:
        for provider in self._providers.values():
            provider.release()

    async def stop(self, replica: str) -> None:
        self._servers.kill(replica)
        await self._wait_serving([name for name in self.replicas if self._is_running(name)])

    async def start(self, replica: str) -> None:
        await asyncio.to_thread(self._servers.start, replica)

    async def settle(self) -> None:
        running = list(filter(self._is_running, self.replicas))
        await asyncio.gather(*(self._consumers[name].wait_caught_up() for name in running))

    async def close(self) -> None:
        await self.adapter.close()
        gone = [name for name in self.replicas if not self._is_running(name)]
        await asyncio.to_thread(self._servers.start, *gone)
        everyone = [*self._providers.values(), *self._consumers.values()]
        await asyncio.gather(*(one.close() for one in everyone))

    def _is_running(self, name: str) -> bool:
        return self._servers.servers[name].is_running()

    async def _wait_serving(self, names: Collection[str]) -> None:
        """Wait until those who are left have agreed on a leader."""

        def look() -> bool:
            return all(map(self._servers.is_serving, names))

        await asyncio.to_thread(wait_for, "the others serve", look, SOON)


@asynccontextmanager
async def zookeeper_rig() -> AsyncIterator[Registry]:
    """Yield a directory of its own in the ensemble."""
    servers = await asyncio.to_thread(ensemble)
    directory = f"/dubbo/shop.Cart-{next(_NUMBERS)}/providers"
    client = await session(",".join(servers.addresses.values()))
    await asyncio.to_thread(client.ensure_path, directory)
    await end(client)
    consumers = {name: Watching(await session(at), directory) for name, at in servers.addresses.items()}
    for consumer in consumers.values():
        await asyncio.to_thread(consumer.client.sync, directory)
        await consumer.follow()
    rig = ZooKeeperRig(servers, Pool(directory, 0), consumers)
    try:
        yield rig
    finally:
        await rig.close()
