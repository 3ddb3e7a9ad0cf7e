"""What rigs of registries share: applications that register themselves, and who asks them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Collection, Mapping, Sequence
from datetime import timedelta

from aiohttp import web

from cafe.traffic.domain.facts import Member, Pool, ReplicaView
from cafe.traffic.ports import TrafficAdapter
from tests.ports.traffic.rig import Unanswered
from tests.worlds.answering import Answering, Asking, Lost

SOON = timedelta(seconds=10)


class Registering:
    """An adapter, before whose first attach of a member its application registers itself.

    So it is with registries: CAFE doesn't tell them of a member that they have never heard of.
    """

    def __init__(self, adapter: TrafficAdapter, rig: "RegistryRig") -> None:
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


class RegistryRig(ABC):
    """Applications by address, and one who asks them."""

    sees_arrivals = False
    forgets = False
    knows_pools = False
    undoes_detach = True

    def __init__(self, pool: Pool, replicas: Sequence[str]) -> None:
        self.pool = pool
        self.replicas = tuple(replicas)
        self.applications: dict[str, Answering] = {}
        self.asking = Asking()
        self.adapter: TrafficAdapter = Registering(self.make_adapter(), self)
        self._registered: set[str] = set()

    @abstractmethod
    def make_adapter(self) -> TrafficAdapter:
        """Return a fresh adapter."""

    @abstractmethod
    def make_application(self, name: str) -> Answering:
        """Return an application that isn't started yet."""

    @abstractmethod
    async def register(self, application: Answering) -> None:
        """Have an application register itself, as it does when it starts."""

    @abstractmethod
    async def register_again(self, member: Member) -> None:
        """Have an application do what its client does after it has lost its connection."""

    @abstractmethod
    async def stop(self, replica: str) -> None:
        """Take a process away."""

    @abstractmethod
    async def start(self, replica: str) -> None:
        """Bring it back."""

    @abstractmethod
    async def settle(self) -> None:
        """Let pass what is needed until consumers have heard."""

    @abstractmethod
    def known(self, replica: str) -> Sequence[str]:
        """Return the addresses that a consumer at a process has heard of."""

    async def member(self, name: str) -> Member:
        application = self.make_application(name)
        await application.start()
        self.applications[application.address] = application
        return Member(name, application.host, application.port)

    async def register_once(self, member: Member) -> None:
        if member.address not in self._registered:
            self._registered.add(member.address)
            await self.register(self.applications[member.address])

    async def restart(self, member: Member) -> None:
        application = self.applications[member.address]
        await application.kill()
        await application.start()
        await self.register(application)

    async def kill(self, member: Member) -> None:
        await self.applications[member.address].kill()

    async def take_over(self) -> None:
        await self.adapter.close()
        self.adapter = Registering(self.make_adapter(), self)

    async def ask(self, replica: str) -> str:
        self.asking.addresses = self.known(replica)
        try:
            return await self.asking.post(self.asking.choose())
        except Lost as lost:
            raise Unanswered from lost

    async def hold(self, replica: str) -> tuple[str, Awaitable[str]]:
        self.asking.addresses = self.known(replica)
        application = self.applications[self.asking.choose()]
        answer = asyncio.create_task(self.asking.post(application.address, path="/hold"))
        async with asyncio.timeout(SOON.total_seconds()):
            while not application.held:  # noqa: ASYNC110 -- over HTTP
                await asyncio.sleep(0.01)
        return application.name, answer

    async def release(self) -> None:
        for application in self.applications.values():
            application.release()

    async def close(self) -> None:
        await self.adapter.close()
        await self.asking.close()
        await asyncio.gather(*(application.close() for application in self.applications.values()))


class Site:
    """A double's server on loopback; it can go away and come back on its port."""

    def __init__(self, application: web.Application) -> None:
        self._runner = web.AppRunner(application, shutdown_timeout=0, handle_signals=False)
        self._site: web.TCPSite | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def is_up(self) -> bool:
        return self._site is not None

    async def start(self) -> None:
        if self._runner.server is None:
            await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and all connections."""
        site, self._site = self._site, None
        if site is not None:
            await site.stop()
        for connection in self._runner.server.connections if self._runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        await self.stop()
        await self._runner.cleanup()
