"""Watches as a client sees them: lines of one API server's watch cache, which may lag, freeze or be wrong."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from cafe.kernel import Unavailable
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.logs import LogStream
from cafe_sim.apiserver.watching import Watch
from cafe_sim.harness.loop import SeededLoop

if TYPE_CHECKING:
    from cafe_sim.harness.network import Network, Sent

Edit = Callable[[int, bytes], list[bytes]]
"""What a broken watch cache makes of one line of the stream of that number."""


USUAL_LAG = timedelta(milliseconds=2)


class ApiReplica:
    """One of the API servers: a watch cache with a horizon of its own.

    Attributes:
        lag: How long after a commit it sees it.
        is_frozen: It sees nothing new; streams that land on it show nothing later than that.
        edit: What it makes of each line; None leaves all as they are.
    """

    def __init__(self, loop: SeededLoop, server: ApiServer, number: int) -> None:
        self.number = number
        self.lag = USUAL_LAG
        self.is_frozen = False
        self.edit: Edit | None = None
        self._loop = loop
        self._server = server
        self._thawed: list[Callable[[], None]] = []

    def freeze(self) -> None:
        """See nothing new from now on."""
        self.is_frozen = True

    def thaw(self) -> None:
        """Catch up."""
        self.is_frozen = False
        waiting, self._thawed = self._thawed, []
        for go_on in waiting:
            go_on()

    def when_thawed(self, go_on: Callable[[], None]) -> None:
        """Call *go_on* once the replica catches up."""
        self._thawed.append(go_on)


class OpenStream:
    """One watch of one client at one API server."""

    def __init__(
        self, network: "Network", replica: ApiReplica, sent: "Sent", source: Watch | LogStream, number: int
    ) -> None:
        self.number = number
        self.process = sent.process
        self.target = sent.target
        self.replica = replica
        self.is_silent = False
        self._network = network
        self._source = source
        self._held: deque[tuple[float, bytes]] = deque()
        self._arrived: deque[bytes] = deque()
        self._last = 0.0
        self._is_waiting = False
        self._waiter: asyncio.Future[None] | None = None
        self._broken: str | None = None
        self._is_closed = False
        source.wake = self._collect
        self._collect()

    def close(self) -> None:
        """Close it, from whichever side."""
        self._is_closed = True
        self._source.close()

    def cut(self, why: str) -> None:
        """Break the connection, in the middle of a line if one is under way."""
        self._broken = why
        self._source.close()
        self._wake()

    def inject(self, line: bytes) -> None:
        """Have the server say something of its own."""
        self._arrived.append(line)
        self._wake()

    def silence(self) -> None:
        """Let nothing through any more, though the connection stands."""
        self.is_silent = True

    def _collect(self) -> None:
        """Take what the store told, and let it through once the replica has seen it."""
        if self._is_closed:
            return
        loop, lag = self._network.loop, self.replica.lag.total_seconds()
        for line in self._source.take():
            edited = [line] if self.replica.edit is None else self.replica.edit(self.number, line)
            self._held.extend((loop.now + lag, each) for each in edited)
        if self._source.is_over and not self._held:
            self._wake()
        self._plan()

    def _plan(self) -> None:
        if self._is_waiting or not self._held:
            return
        self._is_waiting = True
        if self.replica.is_frozen:
            self.replica.when_thawed(self._release)
            return
        # Rounded up: a bent clock's instants lie between microseconds, and too early is in vain.
        delay = math.ceil(max(0.0, self._held[0][0] - self._network.loop.now) * 1e6)
        self._network.later(timedelta(microseconds=delay), self._release)

    def _release(self) -> None:
        self._is_waiting = False
        now = self._network.loop.now
        if not self.replica.is_frozen:
            while self._held and self._held[0][0] <= now + 1e-9:
                line = self._held.popleft()[1]
                if not self.is_silent:
                    self._arrived.append(line)
            self._wake()
        self._plan()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield lines as they come.

        Raises:
            Unavailable: The connection broke.
        """
        while True:
            while self._arrived:
                yield self._arrived.popleft()
            if self._broken is not None:
                raise Unavailable(f"{self._broken}: the stream broke", is_outcome_known=True)
            if self._source.is_over and not self._held and not self.is_silent:
                return
            self._waiter = self._network.loop.create_future()
            await self._waiter
