"""Applications that register themselves in ZooKeeper, and consumers that look them up and call them.

All are real clients of a real ZooKeeper. Requests go straight to the provider, by HTTP over loopback. A
provider's node is named as Dubbo names it: the encoded URL, with a time stamp.
"""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError
from kazoo.retry import KazooRetry

from cafe.traffic.adapters.parking import address_of
from tests.worlds.answering import Answering, Asking

SOON = timedelta(seconds=10)
_QUIET = logging.getLogger("tests.kazoo")
_QUIET.setLevel(logging.CRITICAL)  # It would tell of each server that a test stops.
_STAMPS = itertools.count(1_700_000_000_000)


async def session(server: str) -> KazooClient:
    """Return a client of one server."""
    retry = KazooRetry(max_tries=-1, max_delay=0.5)
    client = KazooClient(server, timeout=2.0, connection_retry=retry, logger=_QUIET)
    await asyncio.to_thread(client.start, 10)
    return client


async def end(client: KazooClient) -> None:
    await asyncio.to_thread(client.stop)
    client.close()


class Provider(Answering):
    """An application that registers itself, with a session of its own.

    Attributes:
        nodes: The paths by which it believes itself registered.
    """

    def __init__(self, name: str, work: timedelta = timedelta(0)) -> None:
        super().__init__(name, work)
        self.nodes: list[str] = []
        self._client: KazooClient | None = None

    async def register(self, server: str, directory: str, *queries: str) -> None:
        """Register as at a start: with a new session, and URLs that say when."""
        if self._client is None:
            self._client = await session(server)
        self.nodes = []
        for query in queries or ("",):
            url = f"dubbo://{self.address}/shop.Cart?application={self.name}{query}&timestamp={next(_STAMPS)}"
            self.nodes.append(f"{directory}/{quote(url, safe='')}")
        await self.register_again()

    async def register_again(self) -> None:
        """Do what a client does after it has lost its connection: the same nodes once more."""
        client = self._client
        assert client is not None

        def create(node: str) -> None:
            try:
                client.create(node, b"127.0.0.1", ephemeral=True, makepath=True)
            except NodeExistsError:  # As Dubbo, which takes the node for one of its own earlier session.
                client.delete(node)
                client.create(node, b"127.0.0.1", ephemeral=True)

        for node in self.nodes:
            await asyncio.to_thread(create, node)

    async def kill(self) -> None:
        """End as by SIGKILL; the session ends at once, where a real one would wait for its timeout."""
        await super().kill()
        client, self._client = self._client, None
        if client is not None:
            await end(client)


class Watching(Asking):
    """Is told of each change by one server."""

    def __init__(self, client: KazooClient, directory: str) -> None:
        super().__init__()
        self.client = client
        self.directory = directory

    async def follow(self) -> None:
        """Begin to look."""
        await asyncio.to_thread(self.client.ChildrenWatch, self.directory, self._hear)

    def _hear(self, names: Sequence[str]) -> None:
        self.addresses = sorted(address for name in names if (address := address_of(name)) is not None)

    async def wait_caught_up(self) -> None:
        """Wait until it has heard all that its server knows, and that knows all that the leader does."""

        def truth() -> list[str]:
            self.client.sync(self.directory)
            return sorted(filter(None, map(address_of, self.client.get_children(self.directory))))

        async with asyncio.timeout(SOON.total_seconds()):
            while self.addresses != await asyncio.to_thread(truth):  # noqa: ASYNC110 -- a thread of kazoo's writes
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        await super().close()
        await end(self.client)


class Caching(Watching):
    """Looks every so often, and believes what it saw until then."""

    refresh = timedelta(seconds=2)

    async def follow(self) -> None:
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking())

    async def _look(self) -> None:
        self._hear(await asyncio.to_thread(self.client.get_children, self.directory))

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self.refresh.total_seconds())
            await self._look()

    async def close(self) -> None:
        self._looking.cancel()
        await super().close()
