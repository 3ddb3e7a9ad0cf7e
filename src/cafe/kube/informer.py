"""Keeps a cache equal to a collection of the API, whatever happens to the connection.

    begin ──▶ watch-list ──(bookmark: end of initial events)──▶ swap ──▶ follow
      ▲          │ refused, or its end never comes                        │ ends or breaks: resume from
      │          ▼                                                        │ the last version, after a wait
      │       pages of 500 ──▶ swap ──▶ follow                            │
      └──────────────────────── 410, as status or as event ◀─────────────┘

Every failure waits, with jitter: a watch that fails at once must not become a storm (kopf#1011). A stream on
which nothing comes, not even bookmarks, is taken for dead (kopf#1276).
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

import structlog

from cafe.kernel import ObjectKey, Unavailable
from cafe.kube.backoff import Backoff, asked_delay
from cafe.kube.cache import Cache
from cafe.kube.client import PAGE_SIZE, Client
from cafe.kube.codec import Changed, Undecodable, codec_for, key_in, key_of, version_of
from cafe.kube.errors import ApiError, BadRequest, Expired, Invalid
from cafe.kube.expectations import EXPIRY
from cafe.kube.interning import Pool
from cafe.kube.resources import Kind
from cafe.kube.watching import Watch, WatchOptions, read_event
from cafe.observe.metrics import BoundCacheMetrics

T = TypeVar("T")

log = structlog.get_logger(__name__)


BACKOFF = Backoff(first=timedelta(milliseconds=500), longest=timedelta(seconds=30))


@dataclass(frozen=True, slots=True)
class Selection(Generic[T]):
    """Which objects of a kind. Equal selections share one informer."""

    kind: Kind[T]
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""


@dataclass(frozen=True, slots=True)
class InformerSettings:
    """Times of an informer.

    Attributes:
        silence: Servers send a bookmark each minute; a stream silent for so long is dead.
        staging_silence: The same within the initial events, which come in one go or, from a server that does
            not know them, never end (k8s#139716).
        lasting: Asked of the server, plus up to as much again, so that not all streams end together.
        healthy_after: A stream that lived so long resets the back-off.
        backoff: Waits between failures.
        stale_patience: A server that shows an older state than we have seen lags behind, or was restored from
            a backup: after so long, believe the latter.
        write_expiry: Own writes that don't show within this time are read live.
    """

    silence: timedelta = timedelta(seconds=150)
    staging_silence: timedelta = timedelta(seconds=30)
    lasting: timedelta = timedelta(minutes=5)
    healthy_after: timedelta = timedelta(seconds=10)
    backoff: Backoff = BACKOFF
    stale_patience: timedelta = timedelta(minutes=5)
    write_expiry: timedelta = EXPIRY


class _StreamEnded(Unavailable):
    """The server ended a stream before it was of any use."""


class Informer(Generic[T]):
    """Follows one selection.

    Args:
        client: To the API server.
        selection: What to follow.
        settings: Times.
        pool: Shares strings among all informers of a process.
        metrics: Counted there.
    """

    def __init__(
        self,
        client: Client,
        selection: Selection[T],
        settings: InformerSettings | None = None,
        pool: Pool | None = None,
        metrics: BoundCacheMetrics | None = None,
    ) -> None:
        self.selection = selection
        self._client = client
        self._settings = settings or InformerSettings()
        self._pool = pool or Pool()
        self._metrics = metrics
        self._codec = codec_for(selection.kind.type)
        self._version = ""
        self._highest = 0
        self._uses_watch_list = True
        self._stale_since: timedelta | None = None
        self._staged: dict[ObjectKey, T] | None = None
        self._unreadable: list[ObjectKey] = []
        self.cache: Cache[T] = Cache(client.clock, self._settings.write_expiry)

    async def run(self) -> None:
        """Follow until cancelled. No failure ends it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name=f"informer {self.selection.kind}")
            tasks.create_task(self._read_overdue(), name=f"repair {self.selection.kind}")

    async def _follow(self) -> None:
        clock = self._client.clock
        failures = 0
        while True:
            start, version = clock.monotonic(), self._version
            error: Exception | None = None
            try:
                await self._session()
            except Exception as caught:  # noqa: BLE001 -- nothing may end the informer; all of it is logged
                error = caught
            # A busy server ends the streams of readers that don't keep up: what came was of use all the same,
            # and to wait would only add to what is to be caught up with.
            is_healthy = clock.monotonic() - start >= self._settings.healthy_after
            is_healthy |= bool(version) and self._version != version
            failures = 0 if is_healthy else failures
            if error is None and is_healthy:
                continue  # The server ended the stream, as it does every few minutes.
            if error is not None and self._is_watch_list_refused(error):
                continue
            failures += 1
            await clock.sleep(self._wait_after(error or _StreamEnded("The stream ended at once"), failures))

    def _is_watch_list_refused(self, error: Exception) -> bool:
        """Whether to go on with pages: an old server refuses the parameters, or never ends the beginning."""
        was_staging, self._staged = self._staged is not None, None
        if not was_staging or not self._uses_watch_list:
            return False
        if isinstance(error, BadRequest | Invalid | TimeoutError):
            self._uses_watch_list = False
            log.info("informer.no_watch_list", resource=str(self.selection.kind), why=str(error))
            return True
        return False

    def _wait_after(self, error: Exception, failures: int) -> timedelta:
        resource = str(self.selection.kind)
        if self._metrics is not None:
            self._metrics.failures.inc()
        if isinstance(error, Expired):
            self._version = ""
            log.info("informer.expired", resource=resource)
        elif isinstance(error, Unavailable | TimeoutError):
            log.info(
                "informer.interrupted", resource=resource, why=str(error) or "silence", failures=failures
            )
        elif isinstance(error, ApiError):  # Not allowed, or no such kind yet: a person may mend that.
            level = log.warning if failures == 1 else log.debug
            level("informer.refused", resource=resource, why=str(error))
        else:
            self._version = ""  # Whatever we got wrong, begin anew.
            log.error("informer.failed", resource=resource, exc_info=error)
        asked = getattr(error, "retry_after", None)
        if isinstance(asked, timedelta):
            return asked_delay(asked, self._client.entropy)
        return self._settings.backoff.delay(failures, self._client.entropy)

    async def _session(self) -> None:
        """Read the collection if need be, then follow one stream until it ends."""
        if not self._version and not self._uses_watch_list:
            await self._read_pages()
        self._staged = None if self._version else {}
        self._unreadable = []
        selection, settings = self.selection, self._settings
        options = WatchOptions(
            resource_version=self._version,
            initial_events=self._staged is not None,
            label_selector=selection.label_selector,
            field_selector=selection.field_selector,
            lasting=settings.lasting * (1 + self._client.entropy.fraction()),
        )
        async with self._client.watch(selection.kind, selection.namespace, options) as watch:
            await self._read_stream(watch)
        if self._staged is not None:
            raise _StreamEnded("The stream ended within the initial events")

    async def _read_stream(self, watch: Watch[T]) -> None:
        """Take in events until the stream ends.

        Raises:
            TimeoutError: Nothing came for too long.
        """
        loop = asyncio.get_running_loop()
        is_staging = self._staged is not None
        limit = self._settings.staging_silence if is_staging else self._settings.silence
        silence = limit.total_seconds()
        armed = loop.time()
        async with asyncio.timeout(silence) as alarm:
            async for line in watch.raw():
                now = loop.time()
                if now - armed > 1:  # Setting the alarm anew for each event would cost more than decoding.
                    alarm.reschedule(now + silence)
                    armed = now
                self._take(line)
                if is_staging and self._staged is None:
                    is_staging, silence = False, self._settings.silence.total_seconds()
                    alarm.reschedule(now + silence)

    def _take(self, line: bytes) -> None:
        try:
            event = read_event(self._codec, line)
        except Undecodable as error:
            self._skip(line, error)
            return
        if not isinstance(event, Changed):
            if event.ends_initial and self._staged is not None:
                staged, self._staged = self._staged, None
                self._swap(staged, event.resource_version)
            elif self._staged is None:
                self._progress(event.resource_version)
                self.cache.writes.hurry_up_to(int(event.resource_version))
            return
        body = event.object
        key = key_of(body)
        if self._metrics is not None:
            self._metrics.events.inc()
        if self._staged is not None:
            # Initial events come in any order: their versions are no points to resume from.
            if event.type == "DELETED":
                self._staged.pop(key, None)
            else:
                self._staged[key] = self._pool.share(body)
            return
        version = version_of(body)
        if event.type == "DELETED":
            self.cache.remove(key, version)
        else:
            self.cache.apply(key, self._pool.share(body))
        self._progress(str(version))

    def _skip(self, line: bytes, error: Undecodable) -> None:
        """Leave what we know of an object that can't be read; it may be mended, and all others go on."""
        log.error("informer.unreadable", resource=str(self.selection.kind), why=str(error))
        if self._staged is not None and (key := key_in(line)) is not None:
            self._unreadable.append(key)

    def _progress(self, resource_version: str) -> None:
        version = int(resource_version)
        if version > int(self._version or 0):
            self._version = resource_version
        self._highest = max(self._highest, version)
        if self._metrics is not None:
            self._metrics.objects.set(len(self.cache))

    async def _read_pages(self) -> None:
        """Read the collection in pages, all of one version; whole, if the pages expire meanwhile."""
        found: dict[ObjectKey, T] = {}
        self._unreadable = []
        token, limit = "", PAGE_SIZE
        while True:
            selection = self.selection
            try:
                page, broken = await self._client.list_loosely(
                    selection.kind,
                    selection.namespace,
                    label_selector=selection.label_selector,
                    field_selector=selection.field_selector,
                    limit=limit,
                    continue_=token,
                )
            except Expired:
                if not limit:
                    raise
                found, token, limit = {}, "", 0
                continue
            self._unreadable += broken
            for body in page.items:
                found[key_of(body)] = self._pool.share(body)
            token = page.continue_
            if not token:
                self._swap(found, page.resource_version)
                return

    def _swap(self, found: dict[ObjectKey, T], resource_version: str) -> None:
        """Make *found* the cache, in one step.

        Raises:
            Unavailable: The server shows an older world than we have seen already.
        """
        version, now = int(resource_version), self._client.clock.monotonic()
        is_older = version < self._highest
        if is_older:
            self._stale_since = now if self._stale_since is None else self._stale_since
            if now - self._stale_since < self._settings.stale_patience:
                raise Unavailable(f"The server is at version {version}, we have seen {self._highest}")
            log.warning("informer.history_reset", resource=str(self.selection.kind), version=version)
        self._stale_since = None
        self.cache.replace(found, version, keep=self._unreadable, force=is_older)
        self._version, self._highest = resource_version, version
        if self._metrics is not None:
            self._metrics.relists.inc()
            self._metrics.objects.set(len(self.cache))

    async def _read_overdue(self) -> None:
        """Read live what should have shown long ago."""
        while True:
            for key in await self.cache.writes.wait_overdue():
                log.warning("informer.own_write_overdue", resource=str(self.selection.kind), object=str(key))
                try:
                    await self._read_live(key)
                except Exception as error:  # noqa: BLE001 -- tried again later; nothing may end the repair
                    log.warning("informer.repair_failed", object=str(key), why=str(error))
                    self.cache.writes.postpone(key, timedelta(seconds=10))

    async def _read_live(self, key: ObjectKey) -> None:
        """Read one object by a list, which says of which version its absence is and heeds the selection."""
        selection = self.selection
        fields = [part for part in (selection.field_selector, f"metadata.name={key.name}") if part]
        page = await self._client.list(
            selection.kind,
            key.namespace or selection.namespace,
            label_selector=selection.label_selector,
            field_selector=",".join(fields),
        )
        for body in page.items:
            if key_of(body) == key:
                self.cache.apply(key, self._pool.share(body))
                break
        else:
            self.cache.remove(key, int(page.resource_version))
        self.cache.writes.settle(key)  # Seen or not, this is the truth now.
