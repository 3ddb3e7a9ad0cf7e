"""Tells in a provider's status which of its processes answer, when that changes, and not too often.

look ──▶ problems by process ──changed?──▶ status written ──▶ at least 5 s of silence
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog

from cafe.kernel import CafeError, Clock
from cafe.traffic.domain.draining import Command
from cafe.traffic.domain.facts import ReplicaView
from cafe.traffic.domain.reporting import problems_of
from cafe.traffic.ports import ProviderObserver, ProviderStore

log = structlog.get_logger(__name__)

PACE = timedelta(seconds=5)
"""Between two writes of one provider's status: a process that comes and goes is told of, not chased."""

MEMORY = timedelta(minutes=1)
"""So long it counts how a pool was read back; one that is looked at no more is nobody's."""


class ProviderReporter:
    """A `ProviderObserver` that keeps one provider's status, and passes on all it is told.

    Args:
        name: Of the provider.
        store: Where the status is written.
        clock: Measures.
        following: Is told the same.
    """

    def __init__(self, name: str, store: ProviderStore, clock: Clock, following: ProviderObserver) -> None:
        self._name = name
        self._store = store
        self._clock = clock
        self._following = following
        self._views: dict[str, tuple[timedelta, list[ReplicaView]]] = {}
        self._problems: dict[str, str] = {}
        self._changed = asyncio.Event()

    def seen(self, views: Mapping[str, Sequence[ReplicaView]]) -> None:
        """Take note of how its processes were read back."""
        self._following.seen(views)
        now = self._clock.monotonic()
        for pool, replicas in views.items():
            self._views[pool] = (now, [ReplicaView(r.name, problem=r.problem) for r in replicas])
        self._views = {p: seen for p, seen in self._views.items() if now - seen[0] <= MEMORY}
        problems = problems_of({pool: replicas for pool, (_, replicas) in self._views.items()})
        if problems != self._problems:
            self._problems = problems
            self._changed.set()

    def told(self, command: Command, *, is_done: bool) -> None:
        """Pass it on."""
        self._following.told(command, is_done=is_done)

    def drained(self, took: timedelta) -> None:
        """Pass it on."""
        self._following.drained(took)

    def attached(self, took: timedelta) -> None:
        """Pass it on."""
        self._following.attached(took)

    async def run(self) -> None:
        """Write whenever something changed, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._store.write_status(self._name, self._problems)
            except CafeError as error:
                self._changed.set()
                log.info("traffic.status_later", provider=self._name, why=str(error))
            await self._clock.sleep(PACE)
