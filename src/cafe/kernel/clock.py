"""Time is an argument: product code reads it here and nowhere else."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where a part of CAFE gets the time from, so that a simulated world can lend it another."""

    def now(self) -> datetime:
        """Return the wall clock's time, aware, in UTC. It may jump: never measure with it."""

    def monotonic(self) -> timedelta:
        """Return the time since an arbitrary instant; it never goes back."""

    async def sleep(self, delay: timedelta) -> None:
        """Wait for *delay*; at once if it is not positive."""


class SystemClock:
    """The clock of the machine and of the running event loop."""

    def now(self) -> datetime:
        """Return the machine's wall clock, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 -- the one place that may

    def monotonic(self) -> timedelta:
        """Return the machine's monotonic clock."""
        return timedelta(seconds=time.monotonic())  # noqa: TID251 -- the one place that may

    async def sleep(self, delay: timedelta) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(max(0.0, delay.total_seconds()))
