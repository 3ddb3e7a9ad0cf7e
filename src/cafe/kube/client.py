"""A typed client of one API server: requests, retries, errors. It keeps no state but its rate limit."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal, TypeVar

from msgspec import Struct

from cafe.kernel import Clock, Entropy, ObjectKey, Unavailable
from cafe.kube.backoff import Backoff, RateLimit, asked_delay
from cafe.kube.codec import Page, codec_for, decode_json, encode, key_of
from cafe.kube.errors import error_of_response
from cafe.kube.patches import CONTENT_TYPES, ApplyPatch, Patch
from cafe.kube.resources import Kind
from cafe.kube.transport import Request, Response, Stream, Transport
from cafe.kube.watching import Watch, WatchOptions, selectors
from cafe.observe.metrics import ClientMetrics

T = TypeVar("T")

Body = Mapping[str, Any] | Struct
Propagation = Literal["Background", "Foreground", "Orphan"]
Query = tuple[tuple[str, str], ...]

PAGE_SIZE = 500
"""Objects per page: keeps the event loop's stall at 11-14 ms for 5.8 KiB pods."""

DRY_RUN = ("dryRun", "All")
"""With it in its query, a request has no effect."""

ATTEMPTS = 5
PATIENCE = timedelta(seconds=20)
"""The longest wait that the client takes upon itself; beyond it, the caller's queue waits better."""

BACKOFF = Backoff(first=timedelta(milliseconds=200), longest=timedelta(seconds=5))


class Client:
    """Speaks to one API server.

    Retries what may be retried: reads whenever there was no answer; writes only if they surely did not
    happen (429, 503 with Retry-After, never sent). A Retry-After is honoured. An eviction is never retried
    here: its 429 is the disruption budget's answer, not the server's load.

    Args:
        transport: Where requests go.
        clock: For waits.
        entropy: For jitter.
        field_manager: The name under which writes are recorded in `managedFields`.
        limit: At most so many requests a second; None leaves it to the server's fairness.
        metrics: Where requests are counted.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        entropy: Entropy,
        *,
        field_manager: str = "cafe",
        limit: RateLimit | None = None,
        metrics: ClientMetrics | None = None,
    ) -> None:
        self.transport = transport
        self.clock = clock
        self.entropy = entropy
        self.field_manager = field_manager
        self._limit = limit
        self._metrics = metrics

    async def get(self, kind: Kind[T], key: ObjectKey) -> T:
        """Read one object, live.

        Raises:
            NotFound: There is none.
            ApiRefusal: The server refuses.
            Unavailable: No answer, after retries.
        """
        request = Request("GET", kind.path(key.namespace, key.name))
        return codec_for(kind.type).one.decode((await self.send(request, kind.resource)).body)

    async def read(self, path: str, query: Query = ()) -> Any:  # noqa: ANN401 -- any JSON document
        """Read any JSON document: `/version`, discovery, a subresource. Errors as for `get`."""
        return decode_json((await self.send(Request("GET", path, query), "")).body)

    async def list(
        self,
        kind: Kind[T],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
    ) -> Page[T]:
        """Read a collection, consistently (resourceVersion unset).

        Args:
            kind: What to list.
            namespace: None for all.
            label_selector: As in `kubectl -l`.
            field_selector: For instance `spec.nodeName=n1`.
            limit: Objects per page; 0 asks for everything at once.
            continue_: The token of the page before.

        Raises:
            Expired: The page token is too old.
            Undecodable: An object doesn't fit the kind's type.
            ApiRefusal: The server refuses.
            Unavailable: No answer, after retries.
        """
        query = _list_query(label_selector, field_selector, limit, continue_)
        response = await self.send(Request("GET", kind.path(namespace), query), kind.resource)
        return codec_for(kind.type).page.decode(response.body)

    async def list_loosely(
        self,
        kind: Kind[T],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
    ) -> tuple[Page[T], tuple[ObjectKey, ...]]:
        """List as `list` does, without the objects that don't fit, whose keys come beside the page."""
        query = _list_query(label_selector, field_selector, limit, continue_)
        response = await self.send(Request("GET", kind.path(namespace), query), kind.resource)
        return codec_for(kind.type).read_page(response.body)

    async def list_all(
        self,
        kind: Kind[T],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Sequence[T]:
        """Read a whole collection in pages; one consistent state, since all pages are of one version."""
        items: tuple[T, ...] = ()
        token = ""
        while True:
            page = await self.list(
                kind,
                namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                limit=PAGE_SIZE,
                continue_=token,
            )
            items += page.items
            token = page.continue_
            if not token:
                return items

    async def create(self, kind: Kind[T], namespace: str | None, body: Body, *, dry_run: bool = False) -> T:
        """Create *body* and return it as stored.

        `apiVersion` and `kind` are filled in if *body* is a dict without them.

        Raises:
            AlreadyExists: There is one of that name; after an unknown outcome it may be our own.
            Invalid: The object breaks a rule.
            ApiRefusal: The server refuses.
            Unavailable: No answer; if `is_outcome_known` is False, the object may exist.
        """
        request = Request("POST", kind.path(namespace), self._written(dry_run), encode(_typed(kind, body)))
        return codec_for(kind.type).one.decode((await self.send(request, kind.resource)).body)

    async def replace(
        self, kind: Kind[T], body: Mapping[str, Any], subresource: str = "", *, dry_run: bool = False
    ) -> T:
        """Write a whole object, as it was read into a dict and changed. Guarded by its resourceVersion.

        Raises:
            TypeError: *body* is a Struct: a partial model, which would delete every field that it lacks.
            ApiConflict: The object changed since.
            NotFound: It is gone.
        """
        if not isinstance(body, Mapping):
            raise TypeError("Only a whole object may replace another; patch with a partial model instead")
        key = key_of(body)
        request = Request(
            "PUT",
            kind.path(key.namespace, key.name, subresource),
            self._written(dry_run),
            encode(_typed(kind, body)),
        )
        return codec_for(kind.type).one.decode((await self.send(request, kind.resource)).body)

    async def patch(
        self,
        kind: Kind[T],
        key: ObjectKey,
        patch: Patch,
        subresource: str = "",
        *,
        dry_run: bool = False,
        may_retry: bool = True,
    ) -> T:
        """Change one object, and return it as stored.

        Args:
            kind: Its kind.
            key: Its key.
            patch: What to change.
            subresource: `status`, `scale`, `resize`; empty for the object.
            dry_run: Change nothing, but say what would come of it.
            may_retry: False for a patch that holds the time at which something begins: sent again after the
                server asked for patience, it would tell a time that has passed.

        Raises:
            ApiConflict: A guard in the patch didn't hold, or another manager owns a field (apply).
            NotFound: It is gone (apply creates it instead).
            Invalid: The result breaks a rule; a wrong UID also counts as that.
        """
        body: object = patch.body
        query = self._written(dry_run)
        if isinstance(patch, ApplyPatch):
            body = _typed(kind, patch.body)
            query = self._written(dry_run, patch.manager) + ((("force", "true"),) if patch.force else ())
        request = Request(
            "PATCH",
            kind.path(key.namespace, key.name, subresource),
            query,
            encode(body),
            CONTENT_TYPES[type(patch)],
        )
        answer = await self.send(request, kind.resource, may_retry=may_retry)
        return codec_for(kind.type).one.decode(answer.body)

    async def delete(
        self,
        kind: Kind[Any],
        key: ObjectKey,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period: timedelta | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        """Begin the deletion of one object.

        Args:
            kind: Its kind.
            key: Its key.
            uid: Delete only the object of this UID: a namesake stays.
            resource_version: Delete only if it hasn't changed since.
            grace_period: For pods; None leaves it to the pod.
            propagation: What becomes of dependents; None leaves it to the kind.

        Raises:
            NotFound: It is gone.
            ApiConflict: The UID or version isn't the one given.
        """
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if guards := {name: value for name, value in preconditions.items() if value}:
            options["preconditions"] = guards
        if grace_period is not None:
            options["gracePeriodSeconds"] = round(grace_period.total_seconds())
        if propagation is not None:
            options["propagationPolicy"] = propagation
        request = Request("DELETE", kind.path(key.namespace, key.name), body=encode(options))
        await self.send(request, kind.resource)

    async def post(self, kind: Kind[Any], key: ObjectKey, subresource: str, body: Body) -> Mapping[str, Any]:
        """Post to a subresource (`eviction`, `binding`, `token`) and return the answer.

        Raises:
            TooManyRequests: For an eviction: a disruption budget forbids it now. Not retried here.
            NotFound: The object is gone.
        """
        path = kind.path(key.namespace, key.name, subresource)
        request = Request("POST", path, self._written(dry_run=False), encode(body))
        may_retry = subresource != "eviction"
        answer = decode_json((await self.send(request, kind.resource, may_retry=may_retry)).body)
        return answer if isinstance(answer, dict) else {}

    @asynccontextmanager
    async def watch(
        self, kind: Kind[T], namespace: str | None = None, options: WatchOptions | None = None
    ) -> AsyncIterator[Watch[T]]:
        """Open a watch; leaving the context closes it. One attempt: who watches, resumes.

        Raises:
            Expired: The version asked for is too old; also raised while iterating.
            ApiRefusal: For instance a server that knows no watch-list.
            Unavailable: No answer; also raised while iterating, when the connection breaks.
        """
        wanted = options or WatchOptions()
        request = Request("GET", kind.path(namespace), wanted.query(), timeout=wanted.timeout)
        async with self._open(request, kind.resource) as stream:
            yield Watch(codec_for(kind.type), stream)

    @asynccontextmanager
    async def logs(
        self, kind: Kind[Any], key: ObjectKey, query: Query = ()
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a pod's log, line by line. *query*: `container`, `follow`, `tailLines`, `previous`."""
        request = Request("GET", kind.path(key.namespace, key.name, "log"), query, accept="*/*")
        async with self._open(request, kind.resource) as stream:
            yield stream.lines

    async def send(self, request: Request, resource: str, *, may_retry: bool = True) -> Response:
        """Send one request, retry what may be retried, raise what is no success.

        *resource* names the request in metrics.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._send_once(request, resource)
            except Unavailable as error:
                if DRY_RUN in request.query:
                    error.is_outcome_known = True  # It had none, whatever went wrong.
                wait = self._wait_after(error, attempt)
                is_safe = request.method == "GET" or error.is_outcome_known
                if not (may_retry and is_safe) or attempt >= ATTEMPTS or wait > PATIENCE:
                    raise
            await self.clock.sleep(wait)

    async def _send_once(self, request: Request, resource: str) -> Response:
        if self._limit is not None:
            await self._limit.acquire()
        start = self.clock.monotonic()
        status = 0
        try:
            response = await self.transport.send(request)
            status = response.status
        finally:
            if self._metrics is not None:
                self._metrics.observe(request.method, resource, status, self.clock.monotonic() - start)
        if 200 <= status < 300:
            return response
        raise error_of_response(response, self.clock.now())

    @asynccontextmanager
    async def _open(self, request: Request, resource: str) -> AsyncIterator[Stream]:
        if self._limit is not None:
            await self._limit.acquire()
        async with self.transport.stream(request) as stream:
            if self._metrics is not None:
                self._metrics.observe("WATCH", resource, stream.status, timedelta())
            if stream.status != 200:
                body = b"\n".join([line async for line in stream.lines])
                refused = Response(stream.status, body, stream.headers)
                raise error_of_response(refused, self.clock.now())
            yield stream

    def _wait_after(self, error: Unavailable, attempt: int) -> timedelta:
        if error.retry_after is not None:
            return asked_delay(error.retry_after, self.entropy)
        return BACKOFF.delay(attempt, self.entropy)

    def _written(self, dry_run: bool, manager: str = "") -> Query:  # noqa: FBT001 -- private, always named
        query: Query = (("fieldManager", manager or self.field_manager),)
        return (*query, DRY_RUN) if dry_run else query


def _list_query(label_selector: str, field_selector: str, limit: int, continue_: str) -> Query:
    query = selectors(label_selector, field_selector)
    if limit:
        query.append(("limit", str(limit)))
    if continue_:
        query.append(("continue", continue_))
    return tuple(query)


def _typed(kind: Kind[Any], body: Body) -> Body:
    """Name a dict's type, which people leave out where the path says it already."""
    if not isinstance(body, Mapping) or ("apiVersion" in body and "kind" in body):
        return body
    return {"apiVersion": kind.api_version, "kind": kind.kind, **body}
