"""How often a status that nobody acts on is written."""

from datetime import timedelta

from cafe.kernel import Clock

PERIOD = timedelta(milliseconds=500)
"""A person's eye follows that; in a rush, a write per pass would cost as much again as every third pod."""


class Pace:
    """Remembers when each object's status was written last. To forget it costs one write too many, no more.

    Args:
        clock: Measures.
        period: Least time from one write that can wait to the next.
    """

    def __init__(self, clock: Clock, period: timedelta = PERIOD) -> None:
        self._clock = clock
        self._period = period
        self._written: dict[str, timedelta] = {}

    def left(self, uid: str) -> timedelta | None:
        """Return how long a write that can wait is still held back; None if it is due."""
        written = self._written.get(uid)
        left = self._period - (self._clock.monotonic() - written) if written is not None else timedelta()
        return left if left > timedelta() else None

    def wrote(self, uid: str) -> None:
        """Take note of a write."""
        self._written[uid] = self._clock.monotonic()

    def forget(self, uid: str) -> None:
        """Drop what is known of an object that is gone."""
        self._written.pop(uid, None)
