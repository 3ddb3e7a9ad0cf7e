"""Events of `events.k8s.io/v1`: what a person sees at the end of `kubectl describe`.

Recording never waits and never fails: events are written by a task of their own, and when the API server is
away the oldest are dropped. The same news again within the series' time raises a count instead of making a
new object.
"""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import structlog

from cafe.kernel import CafeError, ObjectKey, digest_of
from cafe.kube.client import Client
from cafe.kube.codec import excerpt
from cafe.kube.errors import NotFound
from cafe.kube.objects import EVENTS, ObjectReference, format_micro_time
from cafe.kube.patches import MergePatch

log = structlog.get_logger(__name__)

SERIES = timedelta(minutes=6)
"""The same news within this time is one series; client-go's figure."""

REMEMBERED = 2048
WAITING = 512


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened to an object.

    Attributes:
        regarding: The object.
        reason: CamelCase, for programs: `GroupDone`.
        note: For people.
        type: `Warning` for what a person should look at.
        action: What was being done, CamelCase.
    """

    regarding: ObjectReference
    reason: str
    note: str
    type: Literal["Normal", "Warning"] = "Normal"
    action: str = "Reconcile"


@dataclass(slots=True)
class _Series:
    key: ObjectKey
    count: int
    last: timedelta
    is_written: bool = field(default=False)


class EventRecorder:
    """Writes events for one controller.

    Args:
        client: To the API server.
        controller: `reportingController`: a qualified name, such as `cafe.sofastack.io/inplaceset`.
        instance: `reportingInstance`: this process.
    """

    def __init__(self, client: Client, controller: str, instance: str) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._waiting: deque[tuple[News, _Series]] = deque(maxlen=WAITING)
        self._something = asyncio.Event()

    def record(self, news: News) -> None:
        """Tell that something happened. Call it only when it did, not on each pass."""
        now = self._client.clock.monotonic()
        told = news.regarding
        identity = digest_of(
            [told.kind, told.namespace, told.name, told.uid, news.type, news.reason, news.action, news.note]
        )
        series = self._series.get(identity)
        if series is None or now - series.last > SERIES:
            name = f"{told.name[:200]}.{self._client.entropy.suffix(16)}"
            series = self._series[identity] = _Series(ObjectKey(told.namespace or "default", name), 0, now)
        series.count += 1
        series.last = now
        self._series.move_to_end(identity)
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)
        if not any(waiting is series for _, waiting in self._waiting):
            self._waiting.append((news, series))
        self._something.set()

    @property
    def is_idle(self) -> bool:
        """Whether everything has been written or dropped."""
        return not self._something.is_set()

    async def run(self) -> None:
        """Write what was recorded, until cancelled."""
        while True:
            await self._something.wait()
            while self._waiting:
                news, series = self._waiting.popleft()
                try:
                    await self._write(news, series)
                except CafeError as error:  # Of an event, losing it is the lesser evil.
                    log.info("event.dropped", reason=news.reason, why=str(error))
            self._something.clear()

    async def _write(self, news: News, series: _Series) -> None:
        now = format_micro_time(self._client.clock.now())
        repeated = {"count": series.count, "lastObservedTime": now}
        if series.is_written:
            try:
                await self._client.patch(EVENTS, series.key, MergePatch({"series": repeated}))
            except NotFound:  # Events live an hour only.
                series.is_written = False
            else:
                return
        body: dict[str, Any] = {
            "metadata": {"name": series.key.name, "namespace": series.key.namespace},
            "eventTime": now,
            "type": news.type,
            "reason": news.reason[:128],
            "action": news.action[:128],
            "note": excerpt(news.note),
            "regarding": news.regarding,
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
        }
        if series.count > 1:
            body["series"] = repeated
        await self._client.create(EVENTS, series.key.namespace, body)
        series.is_written = True
