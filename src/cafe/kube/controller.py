"""Runs a reconciler: takes keys, judges how each pass ended, decides when the key comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from cafe.kernel import Clock, Conflict, ObjectKey, Outcome, Refusal, Unavailable
from cafe.kube.errors import NotFound
from cafe.kube.queue import WorkQueue
from cafe.observe.metrics import BoundControllerMetrics

log = structlog.get_logger(__name__)

Reconcile = Callable[[ObjectKey], Awaitable[Outcome]]


class Controller:
    """One reconciler and its workers.

    How a pass ends decides what follows:

    - an `Outcome`: the key comes back at its time, or when something changes;
    - `Conflict` or `NotFound`: somebody was first; again soon, silently;
    - `Unavailable`: again after the back-off, or when the server asked;
    - `Refusal`: logged when it first appears or changes; again after the back-off, for the world may change;
    - anything else is a bug: logged with its traceback, and again after the back-off.

    Args:
        name: For logs and metrics.
        reconcile: One pass. It remembers nothing from one to the next.
        queue: Where handlers put keys.
        clock: Measures passes.
        workers: How many passes at once; never two of one key.
        metrics: Counted there.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        queue: WorkQueue[ObjectKey],
        clock: Clock,
        workers: int = 8,
        metrics: BoundControllerMetrics | None = None,
    ) -> None:
        self.name = name
        self.queue = queue
        self._reconcile = reconcile
        self._clock = clock
        self._workers = workers
        self._metrics = metrics
        self._refused: dict[ObjectKey, str] = {}

    async def run(self) -> None:
        """Work until drained or cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._workers):
                tasks.create_task(self._work(), name=f"{self.name} {number}")

    def drain(self) -> None:
        """Take no more keys; passes in work end by themselves, and then `run` returns."""
        self.queue.close()

    async def _work(self) -> None:
        while (taken := await self.queue.get()) is not None:
            key, waited = taken
            try:
                await self._pass(key, waited)
            finally:
                self.queue.done(key)

    async def _pass(self, key: ObjectKey, waited: timedelta) -> None:
        start = self._clock.monotonic()
        result = "done"
        try:
            outcome = await self._reconcile(key)
        except Exception as error:  # noqa: BLE001 -- judged by kind; a bug is logged with its traceback
            result = self._failed(key, error)
        else:
            self.queue.forget(key)
            self._refused.pop(key, None)
            if outcome.recheck is not None:
                self.queue.add_after(key, outcome.recheck)
        if self._metrics is not None:
            self._metrics.count(result)
            self._metrics.seconds.observe((self._clock.monotonic() - start).total_seconds())
            self._metrics.waiting.observe(waited.total_seconds())
            self._metrics.depth.set(len(self.queue))

    def _failed(self, key: ObjectKey, error: Exception) -> str:
        told = log.bind(controller=self.name, object=str(key))
        if isinstance(error, Conflict | NotFound):
            wait = self.queue.retry(key)
            told.debug("reconcile.conflict", why=str(error), wait=str(wait))
            return "conflict"
        if isinstance(error, Unavailable):
            wait = self.queue.retry(key, at_least=error.retry_after)
            told.info("reconcile.unavailable", why=str(error), wait=str(wait))
            return "unavailable"
        self.queue.retry(key)
        if isinstance(error, Refusal):
            if self._refused.get(key) != str(error):
                self._refused[key] = str(error)
                told.warning("reconcile.refused", code=error.code, why=str(error))
            return "refused"
        told.error("reconcile.bug", exc_info=error)
        return "bug"
