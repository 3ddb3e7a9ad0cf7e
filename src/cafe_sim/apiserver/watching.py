"""Watches: what happened to a selection of objects, as lines, for whoever reads them.

A watch listens to a table and queues lines; its reader takes them when it likes. Nothing here waits.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from cafe_sim.apiserver.errors import expired, status_of
from cafe_sim.apiserver.resource import Resource
from cafe_sim.apiserver.store import Commit, Store, encode_event
from cafe_sim.apiserver.values import with_meta
from cafe_sim.contract import Json, Timeline, Timer

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
BOOKMARK_EVERY = timedelta(seconds=60)
LAST_BOOKMARK = timedelta(seconds=2)
"""So long before a short watch ends, a bookmark lets its client go on from there."""
DEFAULT_TIMEOUT = timedelta(minutes=45)
MOST_QUEUED = 100_000
"""A reader that lags further behind is cut off, as the real server does with slow watchers."""

Render = Callable[[Json], Json]


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a resource is watched.

    Attributes:
        matches: Tells whether an object is selected; None selects all.
        render: Turns an object into what the client sees (a Table, a PartialObjectMetadata).
    """

    resource: Resource
    namespace: str | None = None
    matches: Callable[[Json], bool] | None = None
    render: Render | None = None

    def has(self, obj: Json | None) -> bool:
        """Tell whether an object is selected."""
        if obj is None:
            return False
        if self.namespace is not None and obj["metadata"].get("namespace", "") != self.namespace:
            return False
        return self.matches is None or self.matches(obj)

    def shown(self, obj: Json) -> Json:
        """Return an object as the client sees it."""
        obj = self.resource.present(obj)
        return obj if self.render is None else self.render(obj)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a watch begins.

    Attributes:
        version: Only later commits; None begins with the present state.
        is_list: `sendInitialEvents`: the present state, then a bookmark that says it is complete.
        has_bookmarks: The client understands bookmarks.
        timeout: When the server ends the stream.
    """

    version: int | None = None
    is_list: bool = False
    has_bookmarks: bool = False
    timeout: timedelta = DEFAULT_TIMEOUT


class Watch:
    """One open watch.

    Attributes:
        is_over: No line will come any more, once those queued are taken.
        wake: Called when there is something to take, or the end.
    """

    def __init__(self, store: Store, selection: Selection, start: Start, timeline: Timeline) -> None:
        self.is_over = False
        self.wake: Callable[[], None] | None = None
        self._lines: deque[bytes] = deque()
        self._selection = selection
        self._start = start
        self._timeline = timeline
        self._store = store
        self._stop: Callable[[], None] | None = None
        self._timers: list[Timer] = []
        self._table = store.table(selection.resource.key)

    def begin(self) -> "Watch":
        """Queue what there is, and listen from now on."""
        start = self._start
        if start.version is not None and start.version < self._table.horizon:
            text = f"too old resource version: {start.version} ({self._table.horizon + 1})"
            self._put(encode_event("ERROR", status_of(expired(text))))
            self.is_over = True
            return self
        if start.version is None or start.is_list:
            for row in self._table.rows(self._selection.namespace):
                if self._selection.has(row):
                    self._put(encode_event("ADDED", self._selection.shown(row)))
        else:
            for commit in self._table.since(start.version):
                self._take_in(commit)
        if start.is_list and start.has_bookmarks:
            self._put(self._bookmark({INITIAL_EVENTS_END: "true"}))
        self._stop = self._table.listen(self._take_in)
        self._timers.append(self._timeline.after(start.timeout, self.close))
        if start.has_bookmarks:
            self._plan_bookmark(min(BOOKMARK_EVERY, start.timeout - LAST_BOOKMARK))
        return self

    def take(self) -> list[bytes]:
        """Return the lines that are queued."""
        lines = list(self._lines)
        self._lines.clear()
        return lines

    def close(self) -> None:
        """Listen no more. What is queued can still be taken."""
        self.is_over = True
        if self._stop is not None:
            self._stop()
            self._stop = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self.wake is not None:
            self.wake()

    def _take_in(self, commit: Commit) -> None:
        start = self._start.version
        if start is not None and commit.version <= start:
            return
        had, has = self._selection.has(commit.old), self._selection.has(commit.new)
        if commit.type == "DELETED":
            if had:
                self._put(self._line("DELETED", commit))
        elif had and has:
            self._put(self._line("MODIFIED", commit))
        elif has:
            self._put(self._line("ADDED", commit))
        elif had and commit.old is not None:
            # It left the selection: the client sees it go as it last saw it, at the new version.
            left = with_meta(commit.old, resourceVersion=str(commit.version))
            self._put(encode_event("DELETED", self._selection.shown(left)))

    def _line(self, kind: str, commit: Commit) -> bytes:
        resource = self._selection.resource
        is_plain = self._selection.render is None and resource.from_store is None
        is_plain = is_plain and commit.new.get("apiVersion") == resource.api_version
        return commit.line(kind, resource.api_version, None if is_plain else self._selection.shown)

    def _put(self, line: bytes) -> None:
        self._lines.append(line)
        if len(self._lines) > MOST_QUEUED:
            self.close()
        elif self.wake is not None:
            self.wake()

    def _bookmark(self, annotations: dict[str, str]) -> bytes:
        resource = self._selection.resource
        meta: Json = {"resourceVersion": str(self._store.version), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        head = {"kind": resource.kind, "apiVersion": resource.api_version}
        return encode_event("BOOKMARK", {**head, "metadata": meta})

    def _plan_bookmark(self, delay: timedelta) -> None:
        def send() -> None:
            self._put(self._bookmark({}))
            self._plan_bookmark(BOOKMARK_EVERY)

        del self._timers[1:]
        if delay > timedelta():
            self._timers.append(self._timeline.after(delay, send))
