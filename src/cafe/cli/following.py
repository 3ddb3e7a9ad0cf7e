"""An application followed with all that surrounds it, however often the connection breaks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import timedelta

from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Cluster, Document, Sighting
from cafe.cli.resources import APPS
from cafe.cli.views.picture import Picture, app_of, surround
from cafe.kernel import CafeError, Clock, ObjectKey


class Follower:
    """Turns sightings into pictures.

    Args:
        cluster: Where.
        key: Which application.
        clock: For ages.
        leave: Ends the following when it is set.
        tick: A picture is taken anew after this time although nothing changed.
        skips: Only the newest of several states that are waiting is looked at: for repainted views.

    Attributes:
        is_idle: The last picture came by a tick: nothing had changed.
    """

    def __init__(
        self,
        cluster: Cluster,
        key: ObjectKey,
        clock: Clock,
        *,
        leave: asyncio.Event | None = None,
        tick: timedelta,
        skips: bool = False,
    ) -> None:
        self._cluster = cluster
        self._key = key
        self._clock = clock
        self._leave = leave or asyncio.Event()
        self._tick = tick
        self._skips = skips
        self._seen: asyncio.Queue[Sighting | Exception | None] = asyncio.Queue()
        self._last: Picture | None = None
        self.is_idle = False

    async def pictures(self) -> AsyncGenerator[Picture, None]:
        """Yield the application at each change and at each tick; end when told to leave.

        Raises:
            Problem: It was deleted, or never there.
        """
        pump = asyncio.ensure_future(self._pump())
        leave = asyncio.ensure_future(self._leave.wait())
        try:
            while True:
                arrival = asyncio.ensure_future(self._seen.get())
                await asyncio.wait(
                    {arrival, leave}, timeout=self._tick.total_seconds(), return_when=asyncio.FIRST_COMPLETED
                )
                if leave.done():
                    arrival.cancel()
                    return
                self.is_idle = not arrival.done()
                if arrival.done():
                    yield await self._look(self._newest(arrival.result()))
                    continue
                arrival.cancel()
                if self._last is not None:
                    yield await self._look(Sighting(self._last.document, self._last.problem))
        finally:
            for task in (pump, leave):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _pump(self) -> None:
        try:
            async with aclosing(self._cluster.follow(APPS, self._key)) as sightings:
                async for sighting in sightings:
                    self._seen.put_nowait(sighting)
        except (CafeError, Problem) as error:
            self._seen.put_nowait(error)
            return
        self._seen.put_nowait(None)

    def _newest(self, arrived: Sighting | Exception | None) -> Sighting:
        while self._skips and isinstance(arrived, Sighting) and not self._seen.empty():
            arrived = self._seen.get_nowait()
        if isinstance(arrived, Exception):
            raise arrived
        if arrived is None:
            raise Problem(Exit.FAILURE, "Unavailable", f"The watch of {self._key} ended.", "", "cafe doctor")
        return arrived

    async def _look(self, sighting: Sighting) -> Picture:
        if sighting.document is None:
            raise Problem(Exit.NOT_FOUND, "Gone", f"CafeDeployment {self._key} was deleted.")
        now = self._clock.now()
        if sighting.problem:
            self._last = self._stale(sighting.document, sighting.problem)
        else:
            try:
                self._last = await surround(self._cluster, sighting.document, now)
            except CafeError as error:
                self._last = self._stale(sighting.document, str(error))
        return self._last

    def _stale(self, document: Document, problem: str) -> Picture:
        """Keep what was known of the surroundings: rows stay, and are marked."""
        now, app = self._clock.now(), app_of(document)
        if self._last is None:
            return Picture(app=app, document=document, now=now, problem=problem)
        return replace(self._last, app=app, document=document, now=now, problem=problem)
