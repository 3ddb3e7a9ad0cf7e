"""One cache per selection, shared by all controllers of a process."""

import asyncio
from typing import Any, TypeVar

from cafe.kube.cache import Cache
from cafe.kube.client import Client
from cafe.kube.informer import Informer, InformerSettings, Selection
from cafe.kube.interning import Pool
from cafe.kube.resources import Kind
from cafe.observe.metrics import CacheMetrics

T = TypeVar("T")


class Caches:
    """Makes informers on demand and runs them.

    Args:
        client: To the API server.
        settings: For all informers.
        metrics: Counted there.
    """

    def __init__(
        self, client: Client, settings: InformerSettings | None = None, metrics: CacheMetrics | None = None
    ) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics
        self._pool = Pool()
        self._informers: dict[Selection[Any], Informer[Any]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def cache(
        self,
        kind: Kind[T],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Cache[T]:
        """Return the cache of a selection; the same one to all who ask for it."""
        selection = Selection(kind, namespace, label_selector, field_selector)
        informer = self._informers.get(selection)
        if informer is None:
            bound = self._metrics.bind(kind.resource) if self._metrics else None
            informer = Informer(self._client, selection, self._settings, self._pool, bound)
            self._informers[selection] = informer
            if self._tasks is not None:
                self._tasks.create_task(informer.run())
        return informer.cache

    async def wait_synced(self) -> None:
        """Wait until every cache asked for so far has been read once."""
        for informer in tuple(self._informers.values()):
            await informer.cache.wait_synced()

    @property
    def is_synced(self) -> bool:
        """Whether every cache asked for so far has been read once."""
        return all(informer.cache.is_synced for informer in self._informers.values())

    async def run(self) -> None:
        """Run all informers, also those asked for later, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for informer in tuple(self._informers.values()):
                tasks.create_task(informer.run())
            await asyncio.Event().wait()
