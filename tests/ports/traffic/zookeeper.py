"""A real ensemble of three, with applications that register themselves and a consumer at each server."""

import asyncio
import atexit
import functools
import itertools
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from cafe.traffic.adapters.zookeeper import ZooKeeperAdapter
from cafe.traffic.domain.facts import Member, Pool
from cafe.traffic.ports import TrafficAdapter
from testbed.waiting import wait_for
from testbed.zookeeper import ZooKeeper, requirements
from tests.ports.traffic.registering import SOON, RegistryRig
from tests.ports.traffic.rig import Registry
from tests.worlds.answering import Answering
from tests.worlds.dubbo import Provider, Watching, end, session

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


class ZooKeeperRig(RegistryRig):
    """Asks a provider of whom the watching consumer at a server has heard."""

    knows_pools = True

    def __init__(self, servers: ZooKeeper, pool: Pool, consumers: Mapping[str, Watching]) -> None:
        self._servers = servers
        self._any = ",".join(servers.addresses.values())
        self._consumers = consumers
        super().__init__(pool, tuple(servers.addresses))

    def make_adapter(self) -> TrafficAdapter:
        return ZooKeeperAdapter(self._servers.addresses)

    def make_application(self, name: str) -> Answering:
        return Provider(name)

    async def register(self, application: Answering) -> None:
        assert isinstance(application, Provider)
        await application.register(self._any, self.pool.name)

    async def register_again(self, member: Member) -> None:
        application = self.applications[member.address]
        assert isinstance(application, Provider)
        await application.register_again()

    def known(self, replica: str) -> Sequence[str]:
        return self._consumers[replica].addresses

    async def stop(self, replica: str) -> None:
        """Kill a server, and wait until those who are left have agreed on a leader."""
        self._servers.kill(replica)
        others = list(filter(self._is_running, self.replicas))

        def look() -> bool:
            return all(map(self._servers.is_serving, others))

        await asyncio.to_thread(wait_for, "the others serve", look, SOON)

    async def start(self, replica: str) -> None:
        await asyncio.to_thread(self._servers.start, replica)

    async def settle(self) -> None:
        running = filter(self._is_running, self.replicas)
        await asyncio.gather(*(self._consumers[name].wait_caught_up() for name in running))

    async def close(self) -> None:
        gone = [name for name in self.replicas if not self._is_running(name)]
        await asyncio.to_thread(self._servers.start, *gone)
        await super().close()
        await asyncio.gather(*(consumer.close() for consumer in self._consumers.values()))

    def _is_running(self, name: str) -> bool:
        return self._servers.servers[name].is_running()


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
