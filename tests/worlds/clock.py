"""A world whose time passes only when nobody has anything to do: no test ever really waits."""

import asyncio
import functools
import random  # noqa: TID251 -- seeded, for tests
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec

from cafe.kernel.entropy import NAME_ALPHABET, uuid4_from

P = ParamSpec("P")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Deadlock(AssertionError):
    """Everybody waits, and no timer will wake anybody."""


class _LeapingSelector(selectors.BaseSelector):
    """Instead of waiting for a timer, moves the time to it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._inner = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if ready := self._inner.select(0):
            return ready
        if timeout is None:
            raise Deadlock
        self.now += max(0.0, timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:  # noqa: ANN401
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:  # noqa: ANN401
        return self._inner.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time."""

    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on a virtual loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class LoopClock:
    """The clock of a virtual loop; *skew* and *rate* bend it, as a bad machine's."""

    def __init__(self, skew: timedelta = timedelta(), rate: float = 1.0) -> None:
        self._skew = skew
        self._rate = rate

    def now(self) -> datetime:
        return EPOCH + self._skew + self.monotonic()

    def monotonic(self) -> timedelta:
        return timedelta(seconds=asyncio.get_running_loop().time() * self._rate)

    async def sleep(self, delay: timedelta) -> None:
        await asyncio.sleep(max(0.0, delay.total_seconds() / self._rate))


class HandClock:
    """A clock that moves only when told to; for code that only looks at it."""

    def __init__(self) -> None:
        self.passed = timedelta()
        self.skew = timedelta()

    def now(self) -> datetime:
        return EPOCH + self.passed + self.skew

    def monotonic(self) -> timedelta:
        return self.passed

    async def sleep(self, delay: timedelta) -> None:
        self.passed += delay


class SeededEntropy:
    """Chance that a seed decides."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- tests

    def fraction(self) -> float:
        return self._random.random()

    def suffix(self, length: int) -> str:
        return "".join(self._random.choice(NAME_ALPHABET) for _ in range(length))

    def uid(self) -> str:
        return uuid4_from(self._random.getrandbits(128))


async def eventually(
    holds: Callable[[], object], within: timedelta = timedelta(minutes=30), step: float = 0.01
) -> None:
    """Wait, in virtual time, until *holds* is true."""
    async with asyncio.timeout(within.total_seconds()):
        while not holds():  # noqa: ASYNC110 -- any condition, not only ours to signal
            await asyncio.sleep(step)


async def running(work: Awaitable[Any]) -> None:
    """Await *work*, and take its cancellation for its end."""
    try:
        await work
    except asyncio.CancelledError:
        return
