"""The simulated cluster's timeline on a seeded loop.

Its steps keep their order among themselves, as the simulator promises (an informer's events come in the order
of the commits); the seed draws only when the lane gets its turn among the processes, and which timer of one
instant rings first.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from cafe_sim.contract import Timer
from cafe_sim.harness.loop import SeededLoop
from cafe_sim.harness.network import WORLD
from cafe_sim.harness.processes import EPOCH


class Lane:
    """Implements `cafe_sim.contract.Timeline`."""

    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop
        self._steps: deque[Callable[[], None]] = deque()

    def now(self) -> datetime:
        """Return the world's time."""
        return EPOCH + timedelta(seconds=self._loop.now)

    def soon(self, step: Callable[[], None]) -> None:
        """Run *step* behind what is due; never inside the caller."""
        self._steps.append(step)
        if len(self._steps) == 1:
            WORLD.run(self._loop.call_soon, self._run)

    def _run(self) -> None:
        """Take one step; the next one waits for its turn again."""
        self._steps[0]()
        self._steps.popleft()
        if self._steps:
            WORLD.run(self._loop.call_soon, self._run)

    def after(self, delay: timedelta, step: Callable[[], None]) -> Timer:
        """Run *step* once *delay* has passed."""
        return WORLD.run(self._loop.call_later, max(0.0, delay.total_seconds()), step)
