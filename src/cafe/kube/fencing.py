"""Lets only a leader write, and no write take effect when somebody else may lead already.

    leader      renewed ─────────── held ──────────▶│ deadline of the last write ▶│
    candidate   sees the lease unchanged ─────────────────── lease duration ────────▶ leads

An election alone is no fence: a process that was frozen wakes up and sends what it had decided long ago. So
each write asks, in the very step in which it is sent, whether the lease is still held, and carries a deadline
that ends before anybody else can lead: the API server drops a request whose `timeout` has passed, and the
client gives up and closes the connection.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta

from cafe.kernel import Clock, Unavailable
from cafe.kube.transport import Request, Response, Stream, Transport

READ = "GET"


class FencedTransport:
    """Implements `Transport` on another one; reads pass as they are.

    Args:
        transport: Where requests go.
        clock: Measures deadlines.
        is_open: Whether writes may be sent now; asks a clock, not a task.
        deadline: How long a write may take, at the client and at the server.
    """

    def __init__(
        self, transport: Transport, clock: Clock, is_open: Callable[[], bool], deadline: timedelta
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._is_open = is_open
        self._deadline = deadline
        self._under_way = 0
        self._unsettled_until = timedelta()

    @property
    def is_settled(self) -> bool:
        """Whether no write can take effect any more: none is under way, or was left without an answer."""
        return not self._under_way and self._clock.monotonic() >= self._unsettled_until

    async def send(self, request: Request) -> Response:
        """Send *request* and wait for the answer.

        Raises:
            Unavailable: There was none, or it is a write and the fence is closed.
        """
        if request.method == READ:
            return await self._transport.send(request)
        if not self._is_open():
            raise Unavailable(f"{request.method} {request.path} was not sent: somebody else may lead by now")
        bounded = replace(
            request,
            query=(*request.query, ("timeout", f"{self._deadline.total_seconds():g}s")),
            timeout=min(request.timeout, self._deadline),
        )
        ends = self._clock.monotonic() + self._deadline
        self._under_way += 1
        try:
            return await self._transport.send(bounded)
        except BaseException:
            # Cancelled, or without an answer: it may still happen until its deadline.
            self._unsettled_until = max(self._unsettled_until, ends)
            raise
        finally:
            self._under_way -= 1

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Open a watch or a log; leaving the context closes the connection.

        Raises:
            Unavailable: There was no answer.
        """
        return self._transport.stream(request)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()
