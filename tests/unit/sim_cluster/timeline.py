"""A virtual timeline for tests: nothing happens but what is planned, and time jumps to it."""

import heapq
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class PlannedStep:
    def __init__(self, step: Callable[[], None]) -> None:
        self.step: Callable[[], None] | None = step

    def cancel(self) -> None:
        self.step = None


class VirtualTimeline:
    """Runs due steps first in, first out; then time jumps to the next timer."""

    def __init__(self) -> None:
        self._now = START
        self._ready: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[datetime, int, PlannedStep]] = []
        self._serial = 0
        self.steps = 0

    def now(self) -> datetime:
        return self._now

    def soon(self, step: Callable[[], None]) -> None:
        self._ready.append(step)

    def after(self, delay: timedelta, step: Callable[[], None]) -> PlannedStep:
        self._serial += 1
        planned = PlannedStep(step)
        heapq.heappush(self._timers, (self._now + max(delay, timedelta()), self._serial, planned))
        return planned

    def run(self, duration: timedelta) -> None:
        """Let *duration* pass."""
        end = self._now + duration
        self.settle()
        while self._timers and self._timers[0][0] <= end:
            self._jump()
        self._now = end

    def run_until(self, is_there: Callable[[], bool], limit: timedelta = timedelta(minutes=10)) -> None:
        """Let time pass until *is_there*; fail if that takes longer than *limit*."""
        end = self._now + limit
        self.settle()
        while not is_there():
            assert self._timers, "nothing is planned any more, and it isn't there"
            assert self._timers[0][0] <= end, f"not there after {limit}"
            self._jump()

    def settle(self) -> None:
        """Run what is due now."""
        budget = 200_000
        while self._ready:
            self.steps += 1
            budget -= 1
            assert budget, "livelock: steps go on at one instant"
            self._ready.popleft()()

    @property
    def planned(self) -> int:
        return sum(planned.step is not None for _, _, planned in self._timers)

    def _jump(self) -> None:
        due, _, planned = heapq.heappop(self._timers)
        if planned.step is None:
            return
        self._now = max(self._now, due)
        planned.step()
        self.settle()
