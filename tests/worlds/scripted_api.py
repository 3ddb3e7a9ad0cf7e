"""A tiny API server as a Transport: versions, conflicts, watches, bookmarks, 410, and faults on order."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from cafe.kernel import Unavailable
from cafe.kube.transport import Request, Response, Stream

Json = dict[str, Any]
Fault = Callable[[Request], Response | Unavailable | None]

END = b""
"""In a watch's queue: the server ends the stream."""

CUT = b"\x00cut"
"""In a watch's queue: the connection breaks."""


def status(code: int, reason: str, message: str = "", **details: Any) -> Response:  # noqa: ANN401
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message or reason,
        "reason": reason,
        "code": code,
    }
    if details:
        body["details"] = details
    return Response(code, json.dumps(body).encode(), {"content-type": "application/json"})


def pod(name: str, namespace: str = "default", **metadata: Any) -> Json:  # noqa: ANN401
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "spec": {}, "status": {}}


@dataclass
class OpenWatch:
    collection: str
    query: dict[str, str]
    begun: int
    lines: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)


def merged(target: Any, patch: Any) -> Any:  # noqa: ANN401
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class ScriptedApi:
    """Holds objects by path. `faults` are asked first, in order; each may answer instead of the server."""

    def __init__(self) -> None:
        self.version = 100
        self.objects: dict[str, Json] = {}
        self.history: list[tuple[int, str, str, Json]] = []
        self.oldest = 0
        self.watches: list[OpenWatch] = []
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.knows_watch_list = True
        self.ends_initial_events = True
        self.is_silent = False
        self.most_open = 0

    # The world's side.

    def put(self, path: str, body: Json) -> Json:
        """Write an object, as another client would."""
        self.version += 1
        old = self.objects.get(path)
        meta = {"uid": f"uid-{self.version}", **(old or {}).get("metadata", {}), **body.get("metadata", {})}
        meta["resourceVersion"] = str(self.version)
        stored = {**body, "metadata": meta}
        self.objects[path] = stored
        self._tell("MODIFIED" if old else "ADDED", path, stored)
        return stored

    def remove(self, path: str) -> None:
        self.version += 1
        last = self.objects.pop(path)
        gone = {**last, "metadata": {**last["metadata"], "resourceVersion": str(self.version)}}
        self._tell("DELETED", path, gone)

    def tell_late(self) -> None:
        """Deliver what was kept silent."""
        self.is_silent = False
        for version, kind, collection, body in self.history:
            for watch in self.watches:
                if watch.collection == collection and version > watch.begun:
                    watch.lines.put_nowait(event_line(kind, body))

    def bookmark(self) -> None:
        line = bookmark_line(str(self.version))
        for watch in self.watches:
            watch.lines.put_nowait(line)

    def say(self, line: bytes) -> None:
        """Send any line on all watches."""
        for watch in list(self.watches):
            watch.lines.put_nowait(line)

    def compact(self) -> None:
        """Forget history: older watches are expired."""
        self.oldest = self.version

    def _tell(self, kind: str, path: str, body: Json) -> None:
        collection = path.rsplit("/", 1)[0]
        self.history.append((self.version, kind, collection, body))
        if self.is_silent:
            return
        for watch in self.watches:
            if watch.collection == collection:
                watch.lines.put_nowait(event_line(kind, body))

    # The transport's side.

    async def close(self) -> None:
        self.watches.clear()

    async def send(self, request: Request) -> Response:
        await asyncio.sleep(0)
        self.requests.append(request)
        for fault in list(self.faults):
            answer = fault(request)
            if isinstance(answer, Unavailable):
                raise answer
            if answer is not None:
                return answer
        return self._answer(request)

    def _answer(self, request: Request) -> Response:  # noqa: PLR0911 -- a table of answers
        path = unquote(request.path)
        body = json.loads(request.body or b"{}")
        if request.method == "GET":
            if path in self.objects:
                return ok(self.objects[path])
            return self._list(path, dict(request.query)) if _is_collection(path) else status(404, "NotFound")
        if request.method == "POST":
            target = f"{path}/{body['metadata']['name']}"
            if target in self.objects:
                return status(409, "AlreadyExists")
            return ok(self.put(target, body), 201)
        if path not in self.objects:
            return status(404, "NotFound")
        if request.method == "DELETE":
            wanted = body.get("preconditions", {}).get("uid")
            if wanted and wanted != self.objects[path]["metadata"]["uid"]:
                return status(409, "Conflict")
            self.remove(path)
            return Response(200, b'{"kind":"Status","status":"Success"}')
        return self._change(path, body, is_whole=request.method == "PUT")

    def _change(self, path: str, body: Json, *, is_whole: bool) -> Response:
        old = self.objects[path]
        version = body.get("metadata", {}).get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            return status(409, "Conflict")
        new = body if is_whole else merged(old, body)
        return ok(old if new == old else self.put(path, new))

    def _list(self, path: str, query: dict[str, str]) -> Response:
        items = self._items(path)
        for selector in filter(None, query.get("fieldSelector", "").split(",")):
            name = selector.removeprefix("metadata.name=")
            items = [item for item in items if item["metadata"]["name"] == name]
        token = query.get("continue", "")
        if token and int(token.split(":")[0]) < self.oldest:
            return status(410, "Expired")
        start = int(token.split(":")[1]) if token else 0
        limit = int(query.get("limit", "0")) or len(items)
        metadata = {"resourceVersion": str(self.version)}
        if start + limit < len(items):
            metadata["continue"] = f"{self.version}:{start + limit}"
        return ok({"kind": "List", "metadata": metadata, "items": items[start : start + limit]})

    def _items(self, collection: str) -> list[Json]:
        """All of a collection; those of one namespace may be kept in that of all."""
        parts = collection.split("/")
        if "namespaces" not in parts[:-1]:
            return [
                body for path, body in sorted(self.objects.items()) if path.rsplit("/", 1)[0] == collection
            ]
        at = parts.index("namespaces")
        of_all = "/".join(parts[:at] + parts[at + 2 :])
        own = {path: body for path, body in self.objects.items() if path.rsplit("/", 1)[0] == collection}
        own |= {
            path: body
            for path, body in self.objects.items()
            if path.rsplit("/", 1)[0] == of_all and body["metadata"].get("namespace") == parts[at + 1]
        }
        return [body for _, body in sorted(own.items())]

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        await asyncio.sleep(0)
        self.requests.append(request)
        for fault in list(self.faults):
            answer = fault(request)
            if isinstance(answer, Unavailable):
                raise answer
            if answer is not None:
                yield refused(answer)
                return
        query = dict(request.query)
        if "sendInitialEvents" in query and not self.knows_watch_list:
            yield refused(status(422, "Invalid", "sendInitialEvents: Forbidden: not enabled"))
            return
        watch = OpenWatch(unquote(request.path), query, self.version)
        self._begin(watch)
        self.watches.append(watch)
        self.most_open = max(self.most_open, len(self.watches))
        try:
            yield Stream(200, {}, _lines_of(watch))
        finally:
            if watch in self.watches:
                self.watches.remove(watch)

    def _begin(self, watch: OpenWatch) -> None:
        if "sendInitialEvents" in watch.query:
            for body in self._items(watch.collection):
                watch.lines.put_nowait(event_line("ADDED", body))
            if self.ends_initial_events:
                watch.lines.put_nowait(bookmark_line(str(self.version), ends_initial=True))
            return
        since = int(watch.query.get("resourceVersion") or self.version)
        if since < self.oldest:
            expired = json.loads(status(410, "Expired", "too old resource version").body)
            watch.lines.put_nowait(event_line("ERROR", expired))
            return
        for version, kind, collection, body in self.history:
            if version > since and collection == watch.collection:
                watch.lines.put_nowait(event_line(kind, body))


def _is_collection(path: str) -> bool:
    return path.rsplit("/", 1)[-1] in {"pods", "leases", "events", "nodes"}


def ok(body: Json, code: int = 200) -> Response:
    return Response(code, json.dumps(body).encode())


def refused(answer: Response) -> Stream:
    async def whole() -> AsyncIterator[bytes]:
        yield answer.body

    return Stream(answer.status, answer.headers, whole())


async def _lines_of(watch: OpenWatch) -> AsyncIterator[bytes]:
    while True:
        line = await watch.lines.get()
        if line == END:
            return
        if line == CUT:
            raise Unavailable("The connection broke")
        yield line


def event_line(kind: str, body: Json) -> bytes:
    return json.dumps({"type": kind, "object": body}, separators=(",", ":")).encode()


def bookmark_line(version: str, *, ends_initial: bool = False) -> bytes:
    """As a real server writes it for pods: a husk with `containers: null`."""
    metadata: Json = {"resourceVersion": version, "creationTimestamp": None}
    if ends_initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    husk = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {"containers": None},
        "status": {},
    }
    return event_line("BOOKMARK", husk)
