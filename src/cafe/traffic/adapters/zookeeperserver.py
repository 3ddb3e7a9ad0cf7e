"""One server of a ZooKeeper ensemble, spoken with by kazoo, whose threads stay off the event loop.

kazoo keeps the connection by itself: it reconnects, and makes a new session if the old one expired. So a
server that was lost is waited for once; later calls say at once that it is away, until kazoo has it back.
Nothing that CAFE makes belongs to its sessions, so nothing goes when one ends.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError, ConnectionLoss, NoAuthError, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState
from kazoo.retry import KazooRetry
from kazoo.security import CREATOR_ALL_ACL, OPEN_ACL_UNSAFE

from cafe.kernel import Refusal, Unavailable

CONNECT: Final = timedelta(seconds=2)
CALL: Final = timedelta(seconds=2)
CLOSE: Final = timedelta(seconds=5)
RECONNECT_EVERY: Final = 1.0
"""Seconds; kazoo tries faster at first."""

IN_FLIGHT: Final = 100
"""Requests on one connection. kazoo wakes its thread by a byte each through a socket pair, which is full, and
then blocks the caller, at some 270."""

LOST: Final = (ConnectionLoss, SessionExpiredError, KazooTimeoutError)
"""What kazoo says of a connection that broke; `ConnectionClosedError` is one of them."""

# kazoo warns at each try to reconnect; who can't be reached is told by `observe`.
_QUIET = logging.getLogger("cafe.traffic.kazoo")
_QUIET.setLevel(logging.CRITICAL)


class Server:
    """A connection to one server, made when it is first needed.

    Args:
        name: How people call it.
        address: Host and port.
        credentials: `user:password` of the digest scheme; empty for none.
    """

    def __init__(self, name: str, address: str, credentials: str = "") -> None:
        self.name = name
        self.address = address
        self.own_acl = CREATOR_ALL_ACL if credentials else OPEN_ACL_UNSAFE
        """Of what CAFE keeps for itself: whoever has its credentials may read and delete it."""
        self._auth = [("digest", credentials)] if credentials else []
        self._client: KazooClient | None = None
        self._up = asyncio.Event()
        self._is_given_up = False
        self._room = asyncio.Semaphore(IN_FLIGHT)

    @property
    def is_connected(self) -> bool:
        """Whether a call would be sent at once."""
        return self._client is not None and bool(self._client.connected)

    async def connect(self) -> None:
        """Have a connection.

        Raises:
            Unavailable: There is none in time.
        """
        await self._connected()

    async def call(self, begin: Callable[[KazooClient], Any]) -> Any:  # noqa: ANN401 -- whatever was asked
        """Make one call of kazoo that ends later, such as `get_children_async`, and await its result.

        Raises:
            Unavailable: There is no connection, it broke, or no answer came in time.
            Refusal: The credentials are not accepted (`CredentialsRefused`).
            kazoo.exceptions.ZookeeperError: Anything else that the server says, such as `NoNodeError`.
        """
        client = await self._connected()
        try:
            async with self._room, asyncio.timeout(CALL.total_seconds()):
                return await _result_of(begin(client))
        except TimeoutError as late:
            raise Unavailable(
                f"{self.address} gave no answer within {CALL.total_seconds():g} s", is_outcome_known=False
            ) from late
        except LOST as lost:
            raise Unavailable(f"the connection to {self.address} broke", is_outcome_known=False) from lost
        except (NoAuthError, AuthFailedError) as refused:
            raise self.refusal() from refused

    def refusal(self) -> Refusal:
        """Return what is said when the server doesn't accept the credentials."""
        return Refusal(
            "CredentialsRefused",
            f"ZooKeeper at {self.address} refuses what CAFE asks.",
            "The user or password is wrong, or the directory's access list doesn't name that user.",
            "Mend the secret of the TrafficProvider, or the access list.",
        )

    async def close(self) -> None:
        """End the session and kazoo's threads; give up waiting for a server that doesn't answer."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(_end, client), CLOSE.total_seconds())

    async def _connected(self) -> KazooClient:
        client = self._client
        if client is None:
            client = self._client = self._make()
            await asyncio.to_thread(client.start_async)
        if not client.connected:
            await self._wait_up()
        return client

    async def _wait_up(self) -> None:
        if self._is_given_up:
            raise Unavailable(f"{self.address} can't be reached")
        try:
            async with asyncio.timeout(CONNECT.total_seconds()):
                await self._up.wait()
        except TimeoutError as late:
            self._is_given_up = True
            raise Unavailable(f"{self.address} can't be reached") from late

    def _make(self) -> KazooClient:
        client = KazooClient(
            hosts=self.address,
            timeout=CONNECT.total_seconds(),
            auth_data=self._auth,
            connection_retry=KazooRetry(max_tries=-1, delay=0.1, max_delay=RECONNECT_EVERY),
            logger=_QUIET,
        )
        loop = asyncio.get_running_loop()

        def note(state: str) -> None:
            """Hear from kazoo's thread."""
            with contextlib.suppress(RuntimeError):  # The loop has ended: nobody is left to hear it.
                loop.call_soon_threadsafe(self._note, state == KazooState.CONNECTED)

        client.add_listener(note)
        return client

    def _note(self, is_up: bool) -> None:  # noqa: FBT001 -- the loop calls by position
        if is_up:
            self._is_given_up = False
            self._up.set()
        else:
            self._up.clear()


def _end(client: KazooClient) -> None:
    client.stop()
    client.close()


async def _result_of(asked: Any) -> Any:  # noqa: ANN401 -- kazoo has no types
    """Await what kazoo's thread sets."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle() -> None:
        if not future.done():
            if asked.exception is not None:
                future.set_exception(asked.exception)
            else:
                future.set_result(asked.value)

    def tell(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # As above.
            loop.call_soon_threadsafe(settle)

    asked.rawlink(tell)
    return await future
