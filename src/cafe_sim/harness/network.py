"""The way from simulated processes to the API servers: slow, lossy, and the place of all faults of requests.

    process ── travels ──▶ one of k API servers ── applies ──▶ store
            ◀─ travels ──                    ◀──── its watch cache, as far as its horizon

Requests go to the store at once, as quorum reads and writes do. Watches show only what their API server has
seen so far. What a process has sent goes its way also after the process died.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Protocol

import msgspec

from cafe.kernel import Unavailable
from cafe.kube.transport import Request, Response, Stream
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.dispatch import Answer, Caller
from cafe_sim.apiserver.logs import LogStream
from cafe_sim.apiserver.watching import Watch
from cafe_sim.harness.chance import Chance
from cafe_sim.harness.loop import SeededLoop
from cafe_sim.harness.processes import EPOCH, SimProcess
from cafe_sim.harness.streams import ApiReplica, OpenStream

WORLD = contextvars.Context()
"""The context of what belongs to no process."""

_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Travel:
    """How long a request is under way, one way."""

    least: timedelta = timedelta(milliseconds=1)
    most: timedelta = timedelta(milliseconds=8)


@dataclass(slots=True)
class Sent:
    """A request that a process sent.

    Attributes:
        target: What it goes for, as in RBAC: `pods`, `pods/status`; empty for what is no resource.
        number: Which of its process's requests it is, from 0.
        is_write: Whether it may change something.
    """

    request: Request
    process: SimProcess
    target: str
    number: int
    is_write: bool


@dataclass(frozen=True, slots=True)
class Mishap:
    """What befalls a request.

    Attributes:
        name: Of the fault that did it.
        is_applied: Whether the server sees it.
        answer: What the client gets in place of the server's answer.
        is_lost: No answer comes at all: the client waits until it gives up.
        is_known: With neither answer nor loss: whether the client knows that nothing was sent.
        delay: The request is under way so much longer.
        late: The answer is under way so much longer.
        then: Called once the request was applied, or would have been.
    """

    name: str
    is_applied: bool = False
    answer: Response | None = None
    is_lost: bool = False
    is_known: bool = False
    delay: timedelta = timedelta()
    late: timedelta = timedelta()
    then: Callable[[], None] | None = None


class Nuisance(Protocol):
    """What a fault does to requests while it lasts."""

    def befalls(self, sent: Sent) -> Mishap | None:
        """Return what happens to a request, or None."""


class Observer(Protocol):
    """Who is told what is sent and answered."""

    def sent(self, sent: Sent, mishap: Mishap | None) -> None:
        """A request goes out."""

    def answered(self, sent: Sent, status: int) -> None:
        """The server answered a write, whether or not the answer arrives."""


class Network:
    """All ways to the API servers.

    Attributes:
        replicas: The API servers before the one store.
        nuisances: What may befall requests now, the newest last.
        author: Whose request is being applied; empty for the cluster's own parts.
    """

    def __init__(
        self, loop: SeededLoop, server: ApiServer, chance: Chance, replicas: int, travel: Travel = Travel()
    ) -> None:
        self.loop = loop
        self.server = server
        self.replicas = [ApiReplica(loop, server, number) for number in range(replicas)]
        self.nuisances: list[Nuisance] = []
        self.author = ""
        self.observer: Observer | None = None
        self.streams: dict[int, OpenStream] = {}
        self._chance = chance
        self._travel = travel
        self._serial = 0
        self._dated = (-1, "")

    def transport(self, process: SimProcess) -> "ProcessTransport":
        """Return the product's `Transport` for one process."""
        return ProcessTransport(self, process)

    def drop(self, process: SimProcess) -> None:
        """Close the streams of a process that is gone; the servers notice sooner or later."""
        for stream in [s for s in self.streams.values() if s.process is process]:
            self.close(stream)

    def close(self, stream: OpenStream) -> None:
        """Close a stream from the client's side."""
        stream.close()
        self.streams.pop(stream.number, None)

    def mishap_of(self, sent: Sent) -> Mishap | None:
        """Ask the faults what befalls a request; the newest that cares decides."""
        for nuisance in reversed(self.nuisances):
            mishap = nuisance.befalls(sent)
            if mishap is not None:
                return mishap
        return None

    def later(self, delay: timedelta, step: Callable[[], None]) -> None:
        """Run *step* of the world after *delay*, whoever asks for it."""
        seconds = delay.total_seconds()
        WORLD.run(self.loop.call_later, seconds, step)

    def trip(self) -> timedelta:
        """Draw how long one way takes."""
        return self._chance.span(self._travel.least, self._travel.most)

    def date(self) -> str:
        """Return the servers' time as their answers tell it: cut to the second."""
        second = int(self.loop.now)
        if second != self._dated[0]:
            self._dated = (second, format_datetime(EPOCH + timedelta(seconds=second), usegmt=True))
        return self._dated[1]

    def apply(self, sent: Sent) -> Answer:
        """Have the server answer, in the name of the process."""
        self.author = sent.process.name
        try:
            return self.server.dispatch(sent.request, Caller(agent="cafe"))
        finally:
            self.author = ""

    def open(self, sent: Sent, answer: Watch | LogStream) -> OpenStream:
        """Put a watch behind one of the API servers."""
        self._serial += 1
        replica = self._chance.one_of(self.replicas)
        stream = OpenStream(self, replica, sent, answer, self._serial)
        self.streams[self._serial] = stream
        return stream


def target_of(path: str) -> str:
    """Return what a path goes for, as RBAC names it: `pods/status`."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    if not parts:
        return ""
    return f"{parts[0]}/{parts[2]}" if len(parts) > 2 else parts[0]


class ProcessTransport:
    """Implements `cafe.kube.transport.Transport` for one process."""

    def __init__(self, network: Network, process: SimProcess) -> None:
        self._network = network
        self._process = process
        self._count = 0

    async def send(self, request: Request) -> Response:
        """Send *request* and wait for the answer.

        Raises:
            Unavailable: There was none in time.
        """
        sent = self._sent(request)
        mishap = self._told(sent)
        if mishap is not None and not mishap.is_applied and mishap.answer is None and not mishap.is_lost:
            await asyncio.sleep(self._network.trip().total_seconds())
            raise Unavailable(f"{mishap.name}: no answer to {request.path}", is_outcome_known=mishap.is_known)
        answer = await self._exchange(sent, mishap)
        if isinstance(answer, Response):
            return answer
        answer.close()
        return Response(200, b"".join(line + b"\n" for line in answer.take()), _JSON)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Open a watch; leaving the context closes it."""
        sent = self._sent(request)
        mishap = self._told(sent)
        if mishap is not None and not mishap.is_applied and mishap.answer is None:
            await asyncio.sleep(self._network.trip().total_seconds())
            raise Unavailable(f"{mishap.name}: no answer to {request.path}", is_outcome_known=mishap.is_known)
        answer = await self._exchange(sent, mishap)
        if isinstance(answer, Response):
            yield Stream(answer.status, answer.headers, _once(answer.body))
            return
        opened = self._network.open(sent, answer)
        try:
            yield Stream(200, {**_JSON, "date": self._network.date()}, opened.lines())
        finally:
            self._network.close(opened)

    async def close(self) -> None:
        """Close all streams."""
        self._network.drop(self._process)

    def _sent(self, request: Request) -> Sent:
        is_write = request.method != "GET"
        sent = Sent(request, self._process, target_of(request.path), self._count, is_write)
        self._count += 1
        return sent

    def _told(self, sent: Sent) -> Mishap | None:
        mishap = self._network.mishap_of(sent)
        if self._network.observer is not None:
            self._network.observer.sent(sent, mishap)
        return mishap

    async def _exchange(self, sent: Sent, mishap: Mishap | None) -> Answer:
        network = self._network
        done: asyncio.Future[Answer] = network.loop.create_future()

        def arrive() -> None:
            answer = self._arrived(sent, befallen)
            if isinstance(answer, Response):
                answer = replace(answer, headers={**answer.headers, "date": network.date()})
            if answer is not None:
                late = timedelta() if befallen is None else befallen.late
                network.later(network.trip() + late, lambda: _settle(done, answer))

        extra = timedelta() if mishap is None else mishap.delay
        if (limit := deadline_of(sent.request)) is not None and extra > limit:
            mishap, extra = Mishap("deadline passes", answer=DEADLINE_PASSED), limit
        befallen = mishap
        network.later(network.trip() + extra, arrive)
        if befallen is None:
            return await done  # It comes soon: a timer would only cost.
        try:
            async with asyncio.timeout(sent.request.timeout.total_seconds()):
                return await done
        except TimeoutError:
            raise Unavailable(
                f"No answer to {sent.request.method} {sent.request.path}", is_outcome_known=False
            ) from None

    def _arrived(self, sent: Sent, mishap: Mishap | None) -> "Answer | Unavailable | None":
        """Have the server answer; return what the client gets, None for nothing at all."""
        network = self._network
        answer: Answer | None = None
        if mishap is None or mishap.is_applied:
            answer = network.apply(sent)
            if network.observer is not None and sent.is_write and isinstance(answer, Response):
                network.observer.answered(sent, answer.status)
        if mishap is None:
            return answer
        if mishap.then is not None:
            mishap.then()
        if mishap.answer is not None or mishap.is_lost:
            return mishap.answer
        if mishap.delay or mishap.late:
            return answer
        return Unavailable(f"{mishap.name}: the connection was reset", is_outcome_known=False)


def _settle(done: "asyncio.Future[Answer]", answer: "Answer | Unavailable") -> None:
    if done.done():
        if not isinstance(answer, Response | Unavailable):
            answer.close()
    elif isinstance(answer, Unavailable):
        done.set_exception(answer)
    else:
        done.set_result(answer)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def deadline_of(request: Request) -> timedelta | None:
    """Return after how long the server drops a request, as its `timeout` says; None if it doesn't say."""
    text = dict(request.query).get("timeout", "")
    return timedelta(seconds=float(text.removesuffix("s"))) if text else None


def refusal(status: int, reason: str, message: str, retry_after: int | None = None) -> Response:
    """Return an API server's refusal, as a fault answers it."""
    body: dict[str, object] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": status,
    }
    headers = dict(_JSON)
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
        body["details"] = {"retryAfterSeconds": retry_after}
    return Response(status, msgspec.json.encode(body), headers)


DEADLINE_PASSED = refusal(504, "Timeout", "request did not complete within the allotted timeout")
