"""Waiting for the world, at most so long, and never for a fixed time."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from cafe.kernel.clock import SystemClock

T = TypeVar("T")

POLL = timedelta(milliseconds=50)


class TooLate(Exception):
    """What was waited for did not come in time."""


def wait_for(what: str, look: Callable[[], T | None], within: timedelta, every: timedelta = POLL) -> T:
    """Look again and again until there is something to see, and return it.

    Args:
        what: What is waited for, for the error.
        look: Returns None or False while it is not there. Errors it raises end the wait.
        within: How long to look.
        every: How long to rest between two looks.

    Raises:
        TooLate: It did not come within the time.
    """
    clock, rest = SystemClock(), threading.Event()
    until = clock.monotonic() + within
    while True:
        seen = look()
        if seen is not None and seen is not False:
            return seen
        if clock.monotonic() >= until:
            raise TooLate(f"{what}: not within {within.total_seconds():g} s")
        rest.wait(every.total_seconds())
