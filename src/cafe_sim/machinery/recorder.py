"""Events, as client-go's recorders write them: repeats count up instead of piling up."""

from collections import OrderedDict, deque
from datetime import datetime, timedelta
from typing import NamedTuple

from cafe.kernel import ObjectKey
from cafe_sim.contract import ApiError, Json, Timeline, Timer
from cafe_sim.machinery.client import Client
from cafe_sim.machinery.objects import micro_text_of, text_of

REMEMBERED = 4096
"""As many distinct events as client-go's correlator remembers."""
TIME_TO_LIVE = timedelta(hours=1)
"""The API server's default `--event-ttl`."""


class Note(NamedTuple):
    """What happened: *kind* is Normal or Warning."""

    kind: str
    reason: str
    message: str


class _Identity(NamedTuple):
    source: str
    uid: str
    field: str
    note: Note


class Source(NamedTuple):
    """Who reports: the component, and the node it runs on if it does."""

    component: str
    host: str = ""
    is_new_style: bool = False
    """Whether it writes `events.k8s.io/v1` (the scheduler does): eventTime and series, no counts."""


def reference(obj: Json, api_version: str, kind: str, field: str = "") -> Json:
    """Return an object reference for an event."""
    meta = obj["metadata"]
    involved: Json = {"kind": kind, "apiVersion": api_version, "name": meta["name"], "uid": meta["uid"]}
    if meta.get("namespace"):
        involved["namespace"] = meta["namespace"]
    if meta.get("resourceVersion"):
        involved["resourceVersion"] = meta["resourceVersion"]
    if field:
        involved["fieldPath"] = field
    return involved


class Recorder:
    """Writes events, counts repeats, and removes them after an hour. Never fails its caller.

    Args:
        client: Where to.
        timeline: Whose time.
        is_silent: Write none: half of all writes are events, and few simulations read them.
    """

    def __init__(self, client: Client, timeline: Timeline, *, is_silent: bool = False) -> None:
        self._is_silent = is_silent
        self._client = client
        self._timeline = timeline
        self._known: OrderedDict[_Identity, tuple[ObjectKey, int]] = OrderedDict()
        self._last: dict[ObjectKey, datetime] = {}
        self._aging: deque[tuple[datetime, ObjectKey]] = deque()
        self._sweep: Timer | None = None
        self._serial = 0

    def record(self, source: Source, involved: Json, note: Note) -> None:
        """Record *note* about *involved* (see `reference`)."""
        if self._is_silent:
            return
        identity = _Identity(source.component, involved["uid"], involved.get("fieldPath") or "", note)
        known = self._known.get(identity)
        try:
            if known is not None and self._count_up(source, known):
                self._known[identity] = (known[0], known[1] + 1)
                self._known.move_to_end(identity)
                return
            self._known[identity] = (self._create(source, involved, note), 1)
        except ApiError:
            return  # As in client-go: an event that can't be written is dropped.
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def stop(self) -> None:
        """Leave the events that are there to whoever comes next."""
        if self._sweep is not None:
            self._sweep.cancel()

    def _count_up(self, source: Source, known: tuple[ObjectKey, int]) -> bool:
        key, count = known
        if key not in self._last:
            return False
        now = self._timeline.now()
        if source.is_new_style:
            patch: Json = {"series": {"count": count + 1, "lastObservedTime": micro_text_of(now)}}
        else:
            patch = {"count": count + 1, "lastTimestamp": text_of(now)}
        try:
            self._client.patch("events", key, patch)
        except ApiError as error:
            if error.status == 404:
                self._last.pop(key, None)
                return False
            raise
        self._last[key] = now
        return True

    def _create(self, source: Source, involved: Json, note: Note) -> ObjectKey:
        now = self._timeline.now()
        self._serial += 1
        stamp = (int(now.timestamp()) << 20) + self._serial
        namespace = involved.get("namespace") or "default"
        key = ObjectKey(namespace, f"{involved['name']}.{stamp:016x}")
        body: Json = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": key.name, "namespace": namespace},
            "involvedObject": involved,
            "type": note.kind,
            "reason": note.reason,
            "message": note.message,
            "reportingComponent": source.component,
            "reportingInstance": source.host,
        }
        if source.is_new_style:
            instance = f"{source.component}-simulated"
            action = "Binding" if note.reason == "Scheduled" else "Scheduling"
            body |= {"eventTime": micro_text_of(now), "reportingInstance": instance, "action": action}
            body |= {"source": {}, "firstTimestamp": None, "lastTimestamp": None}
        else:
            stamp_text = text_of(now)
            body |= {"firstTimestamp": stamp_text, "lastTimestamp": stamp_text, "count": 1}
            body["source"] = {"component": source.component} | ({"host": source.host} if source.host else {})
        self._client.create("events", namespace, body)
        self._last[key] = now
        self._plan_end(now + TIME_TO_LIVE, key)
        return key

    def _plan_end(self, end: datetime, key: ObjectKey) -> None:
        self._aging.append((end, key))
        if self._sweep is None:
            self._sweep = self._timeline.after(end - self._timeline.now(), self._expire)

    def _expire(self) -> None:
        now = self._timeline.now()
        self._sweep = None
        again: list[ObjectKey] = []
        while self._aging and self._aging[0][0] <= now:
            key = self._aging.popleft()[1]
            last = self._last.get(key)
            if last is not None and last + TIME_TO_LIVE > now:
                again.append(key)
                continue
            self._last.pop(key, None)
            self._client.delete("events", key)
        for key in again:
            self._aging.append((now + TIME_TO_LIVE, key))
        if self._aging:
            self._sweep = self._timeline.after(self._aging[0][0] - now, self._expire)
