"""What a conformance case may use: requests on one API server, in namespaces and names of its own."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypeAlias

from cafe.kernel import SystemClock
from cafe.kube.transport import Request, Stream, Transport

Value: TypeAlias = Any
"""Any JSON value."""
Json: TypeAlias = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def _compact(body: Value) -> bytes:
    """Encode as our own client does: the server keeps some parts byte for byte."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Answer:
    """A status with its object."""

    status: int
    body: Value
    headers: Any = field(default_factory=dict)

    @property
    def reason(self) -> str:
        return str(self.body.get("reason", ""))

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Reasons and fields. Kubernetes tells some twice, because it checks twice; that tells nothing."""
        listed = (self.body.get("details") or {}).get("causes") or []
        return list(dict.fromkeys((cause.get("reason", ""), cause.get("field", "")) for cause in listed))

    @property
    def meta(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["metadata"]
        return found

    @property
    def version(self) -> str:
        return str(self.meta["resourceVersion"])


class Watched:
    """An open watch."""

    def __init__(self, stream: Stream) -> None:
        self.status = stream.status
        self.lines = stream.lines

    async def next(self) -> tuple[str, Any]:
        """Return the next event that is no bookmark of routine."""
        while True:
            event = json.loads(await anext(self.lines))
            if event["type"] != "BOOKMARK" or event["object"]["metadata"].get("annotations"):
                return event["type"], event["object"]

    async def take(self, count: int) -> list[tuple[str, Any]]:
        return [await self.next() for _ in range(count)]

    async def rest(self) -> list[tuple[str, Any]]:
        """Return what comes until the server ends the watch."""
        return [(event["type"], event["object"]) async for event in self._events()]

    async def _events(self) -> AsyncIterator[Any]:
        async for line in self.lines:
            yield json.loads(line)


Hook = Callable[[Json], Json]
"""Gets the request of an AdmissionReview and returns the response, without its uid."""


class Hooks(Protocol):
    """Where admission webhooks are served."""

    def add(self, answer: Hook) -> Json:
        """Begin to serve *answer*; return its `clientConfig`."""


class World:
    """One case's view of an API server."""

    def __init__(self, transport: Transport, namespace: str, hooks: Hooks) -> None:
        self.transport = transport
        self.namespace = namespace
        self._hooks = hooks
        self._clock = SystemClock()
        self._finish: list[Callable[[], Awaitable[object]]] = []

    def path(self, plural: str, name: str = "", *, api: str = "v1", sub: str = "") -> str:
        base = f"/apis/{api}" if "/" in api else f"/api/{api}"
        parts = [base, "namespaces", self.namespace, plural, name, sub]
        return "/".join(part for part in parts if part)

    async def send(
        self,
        method: str,
        path: str,
        body: Value = None,
        media: str = "",
        accept: str = "application/json",
        **query: str,
    ) -> Answer:
        raw = body if body is None or isinstance(body, bytes) else _compact(body)
        names = {name.rstrip("_"): value for name, value in query.items()}
        reply = await self.transport.send(
            Request(method, path, tuple(names.items()), raw, media or "application/json", accept)
        )
        is_json = "json" in reply.headers.get("content-type", "")
        return Answer(reply.status, json.loads(reply.body) if is_json else reply.body, reply.headers)

    async def raw(self, method: str, path: str) -> Answer:
        """Ask for what need not be JSON; the body is bytes."""
        reply = await self.transport.send(Request(method, path))
        return Answer(reply.status, reply.body, reply.headers)

    async def get(self, path: str, **query: str) -> Answer:
        return await self.send("GET", path, **query)

    async def post(self, path: str, body: Value, **query: str) -> Answer:
        return await self.send("POST", path, body, **query)

    async def put(self, path: str, body: Value, **query: str) -> Answer:
        return await self.send("PUT", path, body, **query)

    async def patch(self, path: str, body: Value, media: str = MERGE, **query: str) -> Answer:
        return await self.send("PATCH", path, body, media, **query)

    async def delete(self, path: str, body: Value = None, **query: str) -> Answer:
        return await self.send("DELETE", path, body, **query)

    @asynccontextmanager
    async def watch(
        self, path: str, accept: str = "application/json", **query: str
    ) -> AsyncIterator[Watched]:
        asked = (("watch", "true"), *query.items())
        async with self.transport.stream(Request("GET", path, asked, accept=accept)) as stream:
            yield Watched(stream)

    async def pause(self) -> None:
        """Let the server's own parts go on."""
        await self._clock.sleep(timedelta(milliseconds=20))

    async def until(self, path: str, wanted: Callable[[Answer], bool]) -> Answer:
        """Read *path* until the answer is as wanted: what controllers do takes a moment."""
        pause = timedelta()
        for _ in range(300):
            answer = await self.get(path)
            if wanted(answer):
                return answer
            await self._clock.sleep(pause)
            pause = min(timedelta(milliseconds=100), pause + timedelta(milliseconds=2))
        raise AssertionError(f"{path} never becomes what is wanted; it is {answer.status} {answer.body}")

    async def until_other(self, ask: Callable[[], Awaitable[Answer]], status: int) -> Answer:
        """Ask until the status is another: a new kind's schema is known to apply a moment later."""
        for _ in range(200):
            answer = await ask()
            if answer.status != status:
                return answer
            await self.pause()
        raise AssertionError(f"it is always {status}: {answer.body}")

    def hook(self, answer: Hook) -> Json:
        """Serve an admission webhook for the time of the case; return its `clientConfig`."""
        return self._hooks.add(answer)

    async def made(self, plural: str, body: dict[str, Any], api: str = "v1") -> Answer:
        """Create an object that must come to be."""
        answer = await self.post(self.path(plural, api=api), body)
        assert answer.status == 201, answer.body
        return answer

    def later(self, step: Callable[[], Awaitable[object]]) -> None:
        """Do *step* after the case, come what may."""
        self._finish.append(step)

    async def finish(self) -> None:
        for step in reversed(self._finish):
            await step()


Case = Callable[[World], Awaitable[None]]
CASES: dict[str, Case] = {}
SLOW: set[str] = set()
"""Names of the cases that take longer than 0.25 s on the simulator."""


def case(function: Case) -> Case:
    """Add a case to the list; its name is a sentence about the API."""
    assert function.__name__ not in CASES, function.__name__
    CASES[function.__name__] = function
    return function


def slow_case(function: Case) -> Case:
    """Add a case in which real time must pass."""
    SLOW.add(function.__name__)
    return case(function)
