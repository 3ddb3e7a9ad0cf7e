"""A work queue on the timeline: each key at most once, errors retried with back-off."""

from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from cafe_sim.contract import ApiError, Timeline, Timer

K = TypeVar("K", bound=Hashable)

FIRST_RETRY = timedelta(milliseconds=5)
LAST_RETRY = timedelta(seconds=1000)
"""Both as in client-go's default controller rate limiter."""


class Queue(Generic[K]):
    """Runs *reconcile* for the keys that it is given, each in a step of its own.

    *reconcile* returns when to come back even if nothing changes, or None. An `ApiError` is kept in `errors`
    and retried with exponential back-off; anything else that it raises is a bug and goes through.

    Args:
        timeline: Whose steps it takes.
        reconcile: What is run for each key.
        latency: How long after an `add` a key is run: what happens meanwhile is seen in one pass. None runs
            it in the next step.
    """

    def __init__(
        self,
        timeline: Timeline,
        reconcile: Callable[[K], timedelta | None],
        latency: timedelta | None = None,
    ) -> None:
        self._latency = latency
        self._timeline = timeline
        self._reconcile = reconcile
        self._due: set[K] = set()
        self._timers: dict[K, tuple[datetime, Timer]] = {}
        self._failures: dict[K, int] = {}
        self.errors: dict[K, ApiError] = {}
        self._stopped = False

    def add(self, key: K) -> None:
        """Run *key* soon; once, however often it is added before."""
        if key in self._due or self._stopped:
            return
        self._due.add(key)
        if self._latency is None:
            self._timeline.soon(lambda: self._run(key))
        else:
            self._timeline.after(self._latency, lambda: self._run(key))

    def add_after(self, key: K, delay: timedelta) -> None:
        """Run *key* once *delay* has passed, or earlier if something else asks for it."""
        if self._stopped:
            return
        due = self._timeline.now() + delay
        planned = self._timers.get(key)
        if planned is not None:
            if planned[0] <= due:
                return
            planned[1].cancel()
        self._timers[key] = (due, self._timeline.after(delay, lambda: self._ring(key)))

    def forget(self, key: K) -> None:
        """Take back what is planned for *key*."""
        planned = self._timers.pop(key, None)
        if planned is not None:
            planned[1].cancel()
        self._failures.pop(key, None)
        self.errors.pop(key, None)

    def stop(self) -> None:
        """Run nothing any more."""
        self._stopped = True
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._due.clear()

    def _ring(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _run(self, key: K) -> None:
        if self._stopped or key not in self._due:
            return
        self._due.discard(key)
        planned = self._timers.pop(key, None)
        if planned is not None:
            planned[1].cancel()
        try:
            recheck = self._reconcile(key)
        except ApiError as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            self.errors[key] = error
            self.add_after(key, min(FIRST_RETRY * 2 ** min(failures - 1, 30), LAST_RETRY))
            return
        self._failures.pop(key, None)
        self.errors.pop(key, None)
        if recheck is not None:
            self.add_after(key, max(recheck, timedelta()))
