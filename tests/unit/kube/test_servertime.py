"""Replicas on machines whose clocks are wrong agree about the time, because they go by the API server's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from cafe.kube.servertime import RESOLUTION, ClockReadingTransport, ServerClock
from cafe.kube.transport import Request, Response, Stream
from tests.worlds.clock import EPOCH, HandClock

READ = Request("GET", "/version")
SPANS = st.timedeltas(timedelta(), timedelta(seconds=2))
OFFSETS = st.timedeltas(timedelta(days=-1), timedelta(days=1))


class Server:
    """Answers with its own time, which is *ahead* of the machine's."""

    def __init__(
        self, clock: HandClock, ahead: timedelta, way: timedelta = timedelta(milliseconds=20)
    ) -> None:
        self._clock = clock
        self.ahead = ahead
        self.way = way
        self.headers: dict[str, str] | None = None

    def _answer(self) -> dict[str, str]:
        self._clock.passed += self.way
        told = self._clock.now() + self.ahead
        self._clock.passed += self.way
        stamp = format_datetime(told.replace(microsecond=0), usegmt=True)
        return {"date": stamp} if self.headers is None else self.headers

    async def send(self, request: Request) -> Response:
        del request
        return Response(200, b"{}", self._answer())

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        del request
        yield Stream(200, self._answer(), _nothing())

    async def close(self) -> None:
        """Nothing is open."""


async def _nothing() -> AsyncIterator[bytes]:
    for line in ():
        yield line


def off_by(clock: ServerClock, local: HandClock, ahead: timedelta) -> timedelta:
    return abs(clock.now() - (local.now() + ahead))


@given(OFFSETS, st.lists(st.tuples(SPANS, SPANS, SPANS), min_size=1, max_size=20))
def test_the_servers_time_is_known_to_a_second_and_the_way(
    ahead: timedelta, asked: list[tuple[timedelta, timedelta, timedelta]]
) -> None:
    clock, now = ServerClock(HandClock()), timedelta()
    for pause, there, back in asked:
        sent = now + pause
        stamp = (EPOCH + sent + there + ahead).replace(microsecond=0)
        now = sent + there + back
        clock.saw(stamp, sent, now)
        assert clock.origin is not None
        assert abs(clock.origin - (EPOCH + ahead)) <= RESOLUTION + there + back


async def test_more_answers_tell_the_time_more_exactly() -> None:
    local, ahead = HandClock(), timedelta(hours=1, milliseconds=400)
    clock = ServerClock(local)
    transport = ClockReadingTransport(Server(local, ahead), clock)
    for _ in range(40):
        await transport.send(READ)
        local.passed += timedelta(milliseconds=985)
    assert off_by(clock, local, ahead) < timedelta(milliseconds=100)


async def test_a_machine_whose_clock_is_set_between_two_answers_still_knows_the_time() -> None:
    """The harness found it: what was dated before the next answer was an hour old when it was written."""
    local = HandClock()
    clock = ServerClock(local)
    await ClockReadingTransport(Server(local, timedelta()), clock).send(READ)
    before = clock.now()
    local.skew = timedelta(hours=-1)
    assert clock.now() == before


async def test_a_server_whose_clock_was_set_is_noticed_at_the_next_answer() -> None:
    local = HandClock()
    clock = ServerClock(local)
    server = Server(local, timedelta(hours=1))
    transport = ClockReadingTransport(server, clock)
    await transport.send(READ)
    server.ahead = timedelta(hours=-1)
    await transport.send(READ)
    assert off_by(clock, local, server.ahead) <= RESOLUTION


async def test_a_watch_tells_the_time_too() -> None:
    local, ahead = HandClock(), timedelta(minutes=5)
    clock = ServerClock(local)
    async with ClockReadingTransport(Server(local, ahead), clock).stream(READ):
        assert off_by(clock, local, ahead) <= RESOLUTION


async def test_answers_without_a_readable_date_leave_the_clock_as_it_is() -> None:
    local = HandClock()
    clock, server = ServerClock(local), Server(local, timedelta(hours=1))
    for headers in ({}, {"date": "yesterday"}):
        server.headers = headers
        await ClockReadingTransport(server, clock).send(READ)
    assert clock.now() == local.now()


def test_before_the_first_answer_it_is_the_machines_clock() -> None:
    assert ServerClock(HandClock()).now() == datetime(2026, 1, 1, tzinfo=UTC)
