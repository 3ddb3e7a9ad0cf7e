"""No request is lost while an application behind a real ZooKeeper is restarted; without the wait some are.

Two consumers post to three providers, each request once: one that watches the directory and one that looks
every two seconds. What proves a drain is that every server says so, and then the time that consumers need.
"""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

from cafe.kernel import Refusal, SystemClock
from cafe.traffic.adapters.zookeeper import ZooKeeperAdapter
from cafe.traffic.domain.facts import Member, MemberState, Pool
from testbed.zookeeper import ZooKeeper
from tests.ports.traffic.zookeeper import ensemble
from tests.worlds.answering import Asking, Lost
from tests.worlds.dubbo import SOON, Caching, Provider, Watching, end, session

pytestmark = [pytest.mark.real, pytest.mark.slow]

WATCHED_FLOOR = timedelta(seconds=3)
CACHED_FLOOR = Caching.refresh + timedelta(seconds=1)
EVERY = 0.01
"""Seconds between two requests of one consumer: a hundred a second, and there are two."""

_NUMBERS = itertools.count(1)


class World:
    """Three providers, two consumers, and an adapter.

    Attributes:
        lost: Bodies of requests that nobody answered.
    """

    def __init__(self, servers: ZooKeeper, pool: Pool) -> None:
        self.servers = servers
        self.pool = pool
        self.any = ",".join(servers.addresses.values())
        self.adapter = ZooKeeperAdapter(servers.addresses)
        self.providers = [Provider(name, work=timedelta(milliseconds=30)) for name in ("a", "b", "c")]
        self.consumers: list[Watching] = []
        self.sent = 0
        self.lost: list[str] = []
        self._posts: list[asyncio.Task[None]] = []
        self._streams: list[asyncio.Task[None]] = []

    @property
    def first(self) -> Member:
        return Member("a", "127.0.0.1", self.providers[0].port)

    async def begin(self) -> None:
        for provider in self.providers:
            await provider.start()
            await provider.register(self.any, self.pool.name)
        for kind, server in ((Watching, "zk-2"), (Caching, "zk-3")):
            consumer = kind(await session(self.servers.addresses[server]), self.pool.name)
            await consumer.follow()
            self.consumers.append(consumer)
            self._streams.append(asyncio.create_task(self._stream(consumer)))

    async def end(self) -> None:
        """Let all requests come to their ends."""
        for stream in self._streams:
            stream.cancel()
        await asyncio.gather(*self._posts)

    async def close(self) -> None:
        await self.end()
        await self.adapter.close()
        await asyncio.gather(*(one.close() for one in (*self.providers, *self.consumers)))

    def doubled(self) -> list[str]:
        seen = sum((provider.seen for provider in self.providers), start=type(self.providers[0].seen)())
        return [body for body, times in seen.items() if times > 1]

    async def states(self) -> list[MemberState | None]:
        views = (await self.adapter.observe([self.pool]))[self.pool.name]
        assert [view.problem for view in views] == [""] * len(views)
        return [m.state if (m := view.members.get(self.first.address)) else None for view in views]

    async def drain(self) -> None:
        """Detach until every server has said so."""
        while set(await self.states()) != {MemberState.DRAINING}:
            await self.adapter.detach(self.pool, [self.first])

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(SOON.total_seconds()):
            while not holds():  # noqa: ASYNC110 -- consumers and providers live in threads and sockets
                await asyncio.sleep(0.01)

    async def _stream(self, consumer: Asking) -> None:
        while True:
            self.sent += 1
            self._posts.append(asyncio.create_task(self._post(consumer, f"order-{self.sent}")))
            await asyncio.sleep(EVERY)

    async def _post(self, consumer: Asking, body: str) -> None:
        try:
            await consumer.post(consumer.choose(), body)
        except Lost:
            self.lost.append(body)


async def make_directory(servers: ZooKeeper, acl: object = None) -> str:
    parent = f"/dubbo/shop.Order-{next(_NUMBERS)}"
    directory = f"{parent}/providers"
    client = await session(",".join(servers.addresses.values()))
    await asyncio.to_thread(client.ensure_path, parent)
    await asyncio.to_thread(client.create, directory, acl=acl or OPEN_ACL_UNSAFE)
    await end(client)
    return directory


async def wait_well(adapter: ZooKeeperAdapter, pool: Pool) -> None:
    """Wait until no server has a problem."""
    async with asyncio.timeout(SOON.total_seconds()):
        while any(v.problem for v in (await adapter.observe([pool]))[pool.name]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # Other processes come back: nothing here could signal it.


@pytest.fixture(scope="module")
def servers() -> ZooKeeper:
    return ensemble()


@asynccontextmanager
async def world_of(servers: ZooKeeper) -> AsyncIterator[World]:
    world = World(servers, Pool(await make_directory(servers), 0))
    try:
        await world.begin()
        await world.until(lambda: all(len(consumer.addresses) == 3 for consumer in world.consumers))
        await world.until(lambda: world.sent > 50)
        yield world
    finally:
        await world.close()


async def test_no_request_is_lost_or_doubled_while_an_application_is_restarted(servers: ZooKeeper) -> None:
    async with world_of(servers) as world:
        first = world.providers[0]
        await world.drain()
        await asyncio.sleep(max(WATCHED_FLOOR, CACHED_FLOOR).total_seconds())
        assert set(await world.states()) == {MemberState.DRAINING}
        answered = first.seen.total()
        await first.kill()
        await first.start()
        await first.register(world.any, world.pool.name)
        await world.adapter.attach(world.pool, [world.first])
        assert set(await world.states()) == {MemberState.SERVING}
        await world.until(lambda: all(first.address in consumer.addresses for consumer in world.consumers))
        await world.until(lambda: first.seen.total() > answered + 20)
        await world.end()
        assert world.sent > 600
        assert world.lost == []
        assert world.doubled() == []


async def test_requests_are_lost_if_nobody_waits_after_the_registration_is_gone(servers: ZooKeeper) -> None:
    async with world_of(servers) as world:
        await world.drain()
        await world.providers[0].kill()
        await world.until(lambda: world.lost)


async def test_a_client_that_registers_itself_again_during_the_drain_is_noticed(servers: ZooKeeper) -> None:
    async with world_of(servers) as world:
        await world.drain()
        await world.providers[0].register_again()
        assert set(await world.states()) == {MemberState.SERVING}
        await world.drain()
        await world.adapter.attach(world.pool, [world.first])
        assert set(await world.states()) == {MemberState.SERVING}
        assert world.lost == []


async def test_a_server_that_hangs_is_told_of_in_time_and_the_others_are_obeyed(servers: ZooKeeper) -> None:
    clock = SystemClock()
    async with world_of(servers) as world:
        await world.states()
        servers.servers["zk-1"].signal(signal.SIGSTOP)
        try:
            began = clock.monotonic()
            seen = (await world.adapter.observe([world.pool]))[world.pool.name]
            assert clock.monotonic() - began < timedelta(seconds=2.5)
            assert [bool(view.problem) for view in seen] == [True, False, False]
            await world.adapter.detach(world.pool, [world.first])
            seen = (await world.adapter.observe([world.pool]))[world.pool.name]
            assert [view.members[world.first.address].state for view in seen[1:]] == [
                MemberState.DRAINING
            ] * 2
            assert clock.monotonic() - began < timedelta(seconds=9)
        finally:
            servers.servers["zk-1"].signal(signal.SIGCONT)
        await wait_well(world.adapter, world.pool)


async def test_an_ensemble_without_a_majority_is_told_of_and_comes_back(servers: ZooKeeper) -> None:
    pool = Pool(await make_directory(servers), 0)
    adapter = ZooKeeperAdapter(servers.addresses)
    try:
        await adapter.observe([pool])
        servers.kill("zk-1", "zk-2")
        async with asyncio.timeout(SOON.total_seconds()):
            # A leader answers until it has noticed that nobody follows any more.
            while not all(view.problem for view in (await adapter.observe([pool]))[pool.name]):
                await adapter.detach(pool, [Member("one", "127.0.0.1", 1)])
    finally:
        await asyncio.to_thread(servers.start, "zk-1", "zk-2")
        await wait_well(adapter, pool)
        await adapter.close()


async def test_a_wrong_password_is_refused_and_the_right_one_is_not(servers: ZooKeeper) -> None:
    acl = [make_digest_acl("cafe", "secret", all=True)]
    pool = Pool(await make_directory(servers, acl), 0)
    member = Member("one", "127.0.0.1", 1)
    wrong = ZooKeeperAdapter(servers.addresses, "cafe", "guessed")
    right = ZooKeeperAdapter(servers.addresses, "cafe", "secret")
    try:
        with pytest.raises(Refusal) as refused:
            await wrong.observe([pool])
        assert refused.value.code == "CredentialsRefused"
        with pytest.raises(Refusal) as refused:
            await wrong.detach(pool, [member])
        assert refused.value.code == "CredentialsRefused"
        await right.detach(pool, [member])
        assert not any(view.problem for view in (await right.observe([pool]))[pool.name])
        other = Pool(await make_directory(servers), 0)
        seen = await wrong.observe([pool, other])
        assert all("refuses" in view.problem for view in seen[pool.name])
        assert not any(view.problem for view in seen[other.name])
    finally:
        await asyncio.gather(wrong.close(), right.close())


async def test_an_access_list_survives_parking(servers: ZooKeeper) -> None:
    acl = [make_digest_acl("cafe", "secret", all=True)]
    directory = await make_directory(servers, acl)
    pool, member = Pool(directory, 0), Member("one", "127.0.0.1", 1)
    adapter = ZooKeeperAdapter(servers.addresses, "cafe", "secret")
    client = await session(",".join(servers.addresses.values()))
    try:
        await asyncio.to_thread(client.add_auth, "digest", "cafe:secret")
        node = f"{directory}/dubbo%3A%2F%2F127.0.0.1%3A1%2Fshop.Order"
        await asyncio.to_thread(client.create, node, b"data", acl, ephemeral=True)
        await adapter.detach(pool, [member])
        assert await asyncio.to_thread(client.get_children, directory) == []
        await adapter.attach(pool, [member])
        data, stat = await asyncio.to_thread(client.get, node)
        assert (data, stat.ephemeralOwner) == (b"data", 0)
        assert (await asyncio.to_thread(client.get_acls, node))[0] == acl
    finally:
        await adapter.close()
        await end(client)
