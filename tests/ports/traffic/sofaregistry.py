"""A double of SOFARegistry; no SOFARegistry runs here. Operators use HTTP, clients call methods."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from cafe.kernel import SystemClock
from cafe.traffic.adapters.sofaregistry import GROUP, INSTANCE, SPLIT, SofaRegistryAdapter
from cafe.traffic.domain.facts import Member, Pool
from cafe.traffic.ports import TrafficAdapter
from cafe_sim.traffic.sofaregistry import Connection, SofaRegistry
from testbed.controlplane import free_ports
from tests.ports.traffic.registering import RegistryRig, Site
from tests.ports.traffic.rig import Registry
from tests.worlds.answering import Answering

NAMES = ("session-1", "session-2")
RECONNECTS_AFTER = 0.01
"""Seconds."""

_HOSTS = itertools.count(2)


class Publishing(Answering):
    """An application that publishes itself, and again whenever its connection was closed.

    Each has an IP of its own, since SOFARegistry deals with clients by IP.
    """

    def __init__(self, name: str, registry: SofaRegistry, pool: Pool) -> None:
        super().__init__(name)
        number = next(_HOSTS)
        self.host = f"127.0.{number // 200}.{number % 200 + 2}"
        self.port = pool.port
        self.connection: Connection | None = None
        self.published = asyncio.Event()
        self._registry = registry
        self._service = SPLIT.join((pool.name, INSTANCE, GROUP))

    def publish(self) -> None:
        """Connect to any server, and publish."""
        if self.connection is not None:
            self._registry.disconnect(self.connection)
        self.connection = self._registry.connect(self.host, self._lose)
        if self.connection is None:
            self._lose()
        else:
            self.connection.published[self._service] = f"bolt://{self.address}?weight=100"
            self.published.set()

    async def kill(self) -> None:
        await super().kill()
        if self.connection is not None:
            self._registry.disconnect(self.connection)

    def _lose(self) -> None:
        self.connection = None
        self.published.clear()
        asyncio.get_running_loop().call_later(RECONNECTS_AFTER, self.publish)


class SofaRegistryRig(RegistryRig):
    """Asks a publisher of those that a subscriber is pushed.

    Whoever was connected to a session server that is gone connects to another, and publishes again.
    """

    forgets = True

    def __init__(self, registry: SofaRegistry, sites: Mapping[str, Site], port: int) -> None:
        self.registry = registry
        self._sites = sites
        super().__init__(Pool("shop.Cart:1.0@DEFAULT", port), tuple(sites))

    def make_adapter(self) -> TrafficAdapter:
        addresses = {name: site.address for name, site in self._sites.items()}
        return SofaRegistryAdapter(addresses, SystemClock())

    def make_application(self, name: str) -> Answering:
        return Publishing(name, self.registry, self.pool)

    async def register(self, application: Answering) -> None:
        assert isinstance(application, Publishing)
        application.publish()

    async def register_again(self, member: Member) -> None:
        await self.register(self.applications[member.address])

    def known(self, replica: str) -> Sequence[str]:
        urls = self.registry.lookup(SPLIT.join((self.pool.name, INSTANCE, GROUP)))
        return [] if replica in self.registry.down else [url.split("/")[2].split("?")[0] for url in urls]

    async def stop(self, replica: str) -> None:
        self.registry.stop(replica)
        await self._sites[replica].stop()
        await self.settle()

    async def start(self, replica: str) -> None:
        self.registry.down.discard(replica)
        await self._sites[replica].start()

    async def settle(self) -> None:
        """Wait until everybody who has lost a connection has another."""
        for client in self.applications.values():
            if isinstance(client, Publishing) and client.address in self._registered:
                await client.published.wait()


@asynccontextmanager
async def sofaregistry_rig() -> AsyncIterator[Registry]:
    """Yield two session servers."""
    registry = SofaRegistry(NAMES)
    sites = {name: Site(registry.application(name)) for name in NAMES}
    await asyncio.gather(*(site.start() for site in sites.values()))
    rig = SofaRegistryRig(registry, sites, free_ports(1)[0])
    try:
        yield rig
    finally:
        await rig.close()
        await asyncio.gather(*(site.close() for site in sites.values()))
