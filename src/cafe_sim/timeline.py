"""Time for the simulated world: lent by an event loop, or moved by hand in tests."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cafe.kernel import Clock
from cafe_sim.contract import Timer

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
"""Where a timeline moved by hand begins, unless told otherwise."""


class LoopTimeline:
    """The time of a clock, and the order of the running asyncio loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    def now(self) -> datetime:
        """Return the clock's time, in UTC."""
        return self._clock.now()

    def soon(self, step: Callable[[], None]) -> None:
        """Run *step* in the loop's next round."""
        self._loop.call_soon(step)

    def after(self, delay: timedelta, step: Callable[[], None]) -> Timer:
        """Run *step* once *delay* has passed on the loop."""
        return self._loop.call_later(max(0.0, delay.total_seconds()), step)


class _Planned:
    """One entry of a timeline moved by hand."""

    __slots__ = ("order", "step", "when")

    def __init__(self, when: datetime, order: int, step: Callable[[], None]) -> None:
        self.when = when
        self.order = order
        self.step: Callable[[], None] | None = step

    def __lt__(self, other: "_Planned") -> bool:
        return (self.when, self.order) < (other.when, other.order)

    def run(self) -> None:
        """Take the step, unless it was taken back meanwhile."""
        step, self.step = self.step, None
        if step is not None:
            step()

    def cancel(self) -> None:
        """Forget the step; harmless once it has run."""
        self.step = None


class ManualTimeline:
    """Time that stands still until it is advanced. Equal calls give equal orders, always.

    Steps run in the order in which they were planned for an instant; `soon` means now, behind what is due.
    """

    def __init__(self, start: datetime = EPOCH) -> None:
        self._now = start
        self._ready: deque[Callable[[], None]] = deque()
        self._planned: list[_Planned] = []
        self._order = 0

    def now(self) -> datetime:
        """Return the instant that was reached last."""
        return self._now

    def soon(self, step: Callable[[], None]) -> None:
        """Plan *step* for now, behind what is due."""
        self._ready.append(step)

    def after(self, delay: timedelta, step: Callable[[], None]) -> Timer:
        """Plan *step* for *delay* from now."""
        self._order += 1
        planned = _Planned(self._now + max(delay, timedelta()), self._order, step)
        heapq.heappush(self._planned, planned)
        return planned

    def run_until_idle(self) -> int:
        """Run all that is due now, and what that makes due; time stands still. Return the number of steps."""
        steps = 0
        while self._collect():
            self._ready.popleft()()
            steps += 1
        return steps

    def _collect(self) -> bool:
        """Line up what has become due, before anything that it makes due; tell whether there is anything."""
        while self._planned and self._planned[0].when <= self._now:
            self._ready.append(heapq.heappop(self._planned).run)
        return bool(self._ready)

    def advance(self, delta: timedelta) -> None:
        """Let *delta* pass, stopping at each instant for which something is planned."""
        end = self._now + delta
        self.run_until_idle()
        while self._planned and self._planned[0].when <= end:
            self._now = max(self._now, self._planned[0].when)
            self.run_until_idle()
        self._now = end
