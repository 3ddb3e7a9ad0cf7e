"""How long to wait before the next attempt, and for how many requests a second there is room."""

from dataclasses import dataclass
from datetime import timedelta

from cafe.kernel import Clock, Entropy


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waits with jitter, so that those who failed together don't come back together.

    Attributes:
        first: The first wait's upper bound.
        longest: No wait is longer, however often it failed.
        factor: Growth from one attempt to the next.
    """

    first: timedelta = timedelta(milliseconds=200)
    longest: timedelta = timedelta(seconds=30)
    factor: float = 2.0

    def delay(self, failures: int, entropy: Entropy) -> timedelta:
        """Return the wait after the *failures*-th failure in a row (from 1): half of it fixed, half drawn."""
        exponent = min(max(failures, 1) - 1, 64)
        bound = min(self.longest, self.first * min(self.factor**exponent, 1e6))
        return bound * (0.5 + 0.5 * entropy.fraction())


def asked_delay(retry_after: timedelta, entropy: Entropy) -> timedelta:
    """Return a wait that honours *retry_after* and adds up to a quarter, to break up the herd."""
    return retry_after * (1 + 0.25 * entropy.fraction())


class RateLimit:
    """A token bucket: *burst* requests at once, *per_second* on average. Waiters go in order."""

    def __init__(self, clock: Clock, per_second: float, burst: int) -> None:
        self._clock = clock
        self._interval = timedelta(seconds=1 / per_second)
        self._slack = self._interval * (burst - 1)
        self._next = clock.monotonic() - self._slack

    async def acquire(self) -> None:
        """Wait for room for one request."""
        now = self._clock.monotonic()
        self._next = max(self._next, now - self._slack) + self._interval
        wait = self._next - self._interval - now
        if wait > timedelta():
            await self._clock.sleep(wait)
