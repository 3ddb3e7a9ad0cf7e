"""Which keys are due: each at most once in the queue and at most once in work.

A key that is added while it is worked on is *dirty*: it comes back when its worker is done. So no two workers
ever hold one key, and no change is forgotten.
"""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Generic, TypeVar

from cafe.kernel import Clock, Entropy
from cafe.kube.backoff import Backoff

K = TypeVar("K")

BACKOFF = Backoff(first=timedelta(milliseconds=100), longest=timedelta(minutes=2))


class WorkQueue(Generic[K]):
    """Keys for workers.

    Args:
        clock: Measures how long keys wait.
        entropy: For the jitter of retries.
        backoff: Waits of a key that keeps failing.
    """

    def __init__(self, clock: Clock, entropy: Entropy, backoff: Backoff = BACKOFF) -> None:
        self._clock = clock
        self._entropy = entropy
        self._backoff = backoff
        self._ready: deque[K] = deque()
        self._dirty: dict[K, timedelta] = {}
        self._processing: dict[K, None] = {}
        self._timers: dict[K, tuple[float, asyncio.TimerHandle]] = {}
        self._failures: dict[K, int] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._is_closed = False

    def __len__(self) -> int:
        """How many keys are due, not counting those in work."""
        return len(self._ready)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is due and nothing in work. Timers may still run."""
        return not self._ready and not self._processing

    def add(self, key: K) -> None:
        """Make *key* due now; nothing more if it is due already."""
        if key in self._dirty:
            return
        self._dirty[key] = self._clock.monotonic()
        if key not in self._processing:
            self._put(key)

    def add_after(self, key: K, delay: timedelta) -> None:
        """Make *key* due after *delay*. One timer per key: the earliest wish counts."""
        if self._is_closed:
            return
        if delay <= timedelta():
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + delay.total_seconds()
        if (running := self._timers.get(key)) is not None:
            if running[0] <= when:
                return
            running[1].cancel()
        self._timers[key] = (when, loop.call_at(when, self._ring, key))

    def retry(self, key: K, at_least: timedelta | None = None) -> timedelta:
        """Make *key* due after its back-off, which doubles each time. Returns the wait."""
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = self._backoff.delay(self._failures[key], self._entropy)
        if at_least is not None:
            delay = max(delay, at_least)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Begin the back-off of *key* anew: it went well."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often *key* failed in a row."""
        return self._failures.get(key, 0)

    async def get(self) -> tuple[K, timedelta] | None:
        """Wait for a key that is due and take it; call `done` afterwards.

        Returns:
            The key, and how long it was due before; None once the queue is closed.
        """
        while not self._ready and not self._is_closed:
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except BaseException:
                # Taken back while the wake-up was on its way: hand it on, or it is lost.
                if getter.done() and not getter.cancelled() and self._ready:
                    self._wake()
                raise
        if self._is_closed:
            return None
        key = self._ready.popleft()
        self._processing[key] = None
        return key, self._clock.monotonic() - self._dirty.pop(key)

    def done(self, key: K) -> None:
        """Give *key* back; due again at once if it was added meanwhile."""
        del self._processing[key]
        if key in self._dirty:
            self._put(key)

    def close(self) -> None:
        """Stop all timers and hand out no more keys."""
        self._is_closed = True
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        while self._getters:
            self._wake()

    def _ring(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    def _put(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
