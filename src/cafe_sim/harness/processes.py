"""A simulated process: it can lose power, freeze, and have a clock of its own.

            start ──▶ alive ──pause──▶ paused ──resume──▶ alive ──crash──▶ dead
what it sent before stays on its way in each of these states
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from cafe_sim.harness.chance import Chance, SeededEntropy
from cafe_sim.harness.loop import OWNER, SeededLoop

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
"""When every simulated world begins."""


class SimProcess:
    """One life of a program. A restarted program is another process.

    Implements `loop.Fiber`, and hands out the product's `Clock` and `Entropy`.

    Attributes:
        name: Unique among all lives of a run.
        is_over: It ended by itself, or was killed.
    """

    def __init__(self, loop: SeededLoop, name: str, chance: Chance) -> None:
        self.name = name
        self.is_dead = False
        self.is_paused = False
        self.entropy = SeededEntropy(chance)
        self.clock = ProcessClock(self)
        self.failure: BaseException | None = None
        self._loop = loop
        self._held: list[asyncio.Handle] = []
        self._rate = 1.0
        self._local_base = loop.now
        self._world_base = loop.now
        self._task: asyncio.Task[None] | None = None
        self._ended: list[Callable[[SimProcess], None]] = []
        self.skew = timedelta()

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin to run *work* as this process."""
        context = contextvars.copy_context()
        context.run(OWNER.set, self)
        self._task = context.run(self._make, work)

    def _make(self, work: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
        return self._loop.create_task(self._live(work), name=self.name)

    async def _live(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 -- how a process ends is looked at by whoever runs it
            self.failure = error
        if self.is_dead:  # Its remains are being cleared away.
            return
        self.is_dead = True
        # A task that it cancelled but didn't wait for must not be collected as a forgotten one.
        self._loop.entomb(self)
        for tell in self._ended:
            tell(self)

    def when_over(self, tell: Callable[["SimProcess"], None]) -> None:
        """Call *tell* when the process ends by itself."""
        self._ended.append(tell)

    def crash(self) -> None:
        """Cut the power: no callback of it runs any more, no `finally`. What it sent is still on its way."""
        self.is_dead = True
        self._held.clear()
        self._loop.entomb(self)

    def pause(self) -> None:
        """Freeze it, as a suspended machine or a full disk does."""
        self.is_paused = True

    def resume(self) -> None:
        """Let it go on where it was, with all that has become due meanwhile."""
        if not self.is_paused:
            return
        self.is_paused = False
        held, self._held = self._held, []
        if not self.is_dead:
            self._loop.resume(held)

    def hold(self, handle: asyncio.Handle) -> None:
        """Keep what is due for the time after the pause."""
        self._held.append(handle)

    # Its clock

    def run_at(self, rate: float) -> None:
        """Let its clock run faster or slower than the world's from now on."""
        now = self._loop.now
        self._local_base, self._world_base = self.local(now), now
        self._rate = rate

    def local(self, now: float) -> float:
        """Return what its monotonic clock shows at the world's time *now*, in seconds."""
        return self._local_base + (now - self._world_base) * self._rate

    def world(self, local: float) -> float:
        """Return at which time of the world its clock shows *local*."""
        return self._world_base + (local - self._local_base) / self._rate


class ProcessClock:
    """The product's `Clock`, as one process sees it."""

    def __init__(self, process: SimProcess) -> None:
        self._process = process

    def now(self) -> datetime:
        """Return its wall clock: the monotonic one, set wrongly by the process's skew."""
        return EPOCH + self.monotonic() + self._process.skew

    def monotonic(self) -> timedelta:
        """Return its monotonic clock."""
        loop = self._process._loop  # noqa: SLF001 -- the clock is the process's own part
        return timedelta(seconds=self._process.local(loop.now))

    async def sleep(self, delay: timedelta) -> None:
        """Wait on the loop, by its own clock."""
        await asyncio.sleep(max(0.0, delay.total_seconds()))


class WorldClock:
    """The world's own time, which nothing bends."""

    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """Return the world's time."""
        return EPOCH + self.monotonic()

    def monotonic(self) -> timedelta:
        """Return the time since the world began."""
        return timedelta(seconds=self._loop.now)

    async def sleep(self, delay: timedelta) -> None:
        """Wait on the loop."""
        await asyncio.sleep(max(0.0, delay.total_seconds()))
