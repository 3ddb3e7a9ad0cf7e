"""The API server's clock, so that all replicas of a controller agree about the time that they write down.

    sent ──────────▶ Date: 12:00:07 ──────────▶ received
    the server's clock stood between 12:00:07 and 12:00:08 at some instant between the two

What one leader wrote ("out of traffic since 12:00:05") the next one compares with its own clock. If that runs
an hour behind, a grace period of seconds takes an hour; if it runs ahead, the period is skipped. Each answer
bounds the distance between the server's clock and our monotonic one; the bounds are intersected, and begun
anew when they contradict each other, because the server's clock was set or ours runs wrongly
(F. Cristian, "Probabilistic clock synchronization", 1989; K. Marzullo's intersection).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

from cafe.kernel import Clock
from cafe.kube.transport import Request, Response, Stream, Transport

RESOLUTION = timedelta(seconds=1)
"""Of the header `Date`, which is cut and not rounded (RFC 9110 §6.6.1)."""


class ServerClock:
    """Implements `Clock`: the time of day is the server's, carried on by the machine's monotonic clock.

    The machine's time of day counts only until the first answer: it may be set by an hour at any instant, and
    what is dated between that and the next answer would be an hour wrong.

    Args:
        local: The machine's clock.
    """

    def __init__(self, local: Clock) -> None:
        self._local = local
        self._least: datetime | None = None
        self._most = datetime.max.replace(tzinfo=UTC)

    @property
    def origin(self) -> datetime | None:
        """What the server's clock showed when the machine's monotonic one began; None before any answer."""
        return None if self._least is None else self._least + (self._most - self._least) / 2

    def now(self) -> datetime:
        """Return the server's time, in UTC, to about a second."""
        origin = self.origin
        return self._local.now() if origin is None else origin + self._local.monotonic()

    def monotonic(self) -> timedelta:
        """Return the machine's monotonic clock."""
        return self._local.monotonic()

    async def sleep(self, delay: timedelta) -> None:
        """Wait on the running event loop."""
        await self._local.sleep(delay)

    def saw(self, stamp: datetime, sent: timedelta, received: timedelta) -> None:
        """Learn from one answer: its stamp, and when, on the monotonic clock, it was asked for and came."""
        least, most = stamp - received, stamp + RESOLUTION - sent
        if self._least is not None and max(least, self._least) <= min(most, self._most):
            least, most = max(least, self._least), min(most, self._most)
        self._least, self._most = least, most


class ClockReadingTransport:
    """Implements `Transport` on another one, and reads the server's clock from what comes back."""

    def __init__(self, transport: Transport, clock: ServerClock) -> None:
        self._transport = transport
        self._clock = clock

    async def send(self, request: Request) -> Response:
        """Send *request* and wait for the answer.

        Raises:
            Unavailable: There was none.
        """
        sent = self._clock.monotonic()
        response = await self._transport.send(request)
        self._read(response.headers, sent)
        return response

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Open a watch or a log; leaving the context closes the connection.

        Raises:
            Unavailable: There was no answer.
        """
        sent = self._clock.monotonic()
        async with self._transport.stream(request) as stream:
            self._read(stream.headers, sent)
            yield stream

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    def _read(self, headers: Mapping[str, str], sent: timedelta) -> None:
        try:
            stamp = _date(headers["date"])
        except (KeyError, ValueError):  # A proxy may have left it out.
            return
        self._clock.saw(stamp, sent, self._clock.monotonic())


@lru_cache(maxsize=4)
def _date(text: str) -> datetime:
    """Read an HTTP date. All answers of one second say the same."""
    return parsedate_to_datetime(text)
