"""What a conformance case may use: requests on one API server, in namespaces and names of its own."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from cafe.kube.transport import Request, Stream, Transport

Value: TypeAlias = Any
"""Any JSON value."""

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


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
        listed = (self.body.get("details") or {}).get("causes") or []
        return [(cause.get("reason", ""), cause.get("field", "")) for cause in listed]

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
        self._lines = stream.lines

    async def next(self) -> tuple[str, Any]:
        event = json.loads(await anext(self._lines))
        return event["type"], event["object"]

    async def until(self, kind: str) -> Value:
        while True:
            found, obj = await self.next()
            if found == kind:
                return obj


class Backend(Protocol):
    """A way to make namespaces."""

    transport: Transport

    async def namespace(self) -> str:
        """Return a fresh namespace."""


class World:
    """One case's view of an API server."""

    def __init__(self, transport: Transport, namespace: str) -> None:
        self.transport = transport
        self.namespace = namespace
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
        # Compact and sorted, as Go writes it: the real server compares the data of a ControllerRevision byte
        # by byte, so that a patch of anything in it fails if the data was once sent in another form.
        raw = None if body is None else json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
        names = {name.rstrip("_"): value for name, value in query.items()}
        reply = await self.transport.send(
            Request(method, path, tuple(names.items()), raw, media or "application/json", accept)
        )
        is_json = "json" in reply.headers.get("content-type", "")
        return Answer(reply.status, json.loads(reply.body) if is_json else reply.body, reply.headers)

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

    def watch(self, path: str, **query: str) -> Value:
        asked = (("watch", "true"), *query.items())
        return self.transport.stream(Request("GET", path, asked))

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


def case(function: Case) -> Case:
    """Add a case to the list; its name is a sentence about the API."""
    assert function.__name__ not in CASES, function.__name__
    CASES[function.__name__] = function
    return function
