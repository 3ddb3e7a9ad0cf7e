"""`cafe app watch|wait`: following a release until it ends or needs a person."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

import click
import msgspec
from rich.text import Text

from cafe.cli.commands.reading import caller_of
from cafe.cli.errors import Exit, Problem
from cafe.cli.following import Follower
from cafe.cli.lazy import Command, Option
from cafe.cli.output import output_option
from cafe.cli.ports import Cluster
from cafe.cli.resources import APPS
from cafe.cli.session import Session
from cafe.cli.verdicts import GOALS, verdict
from cafe.cli.views.appview import EVENTS_SHOWN, Caller, draw_app, what_to_do, why
from cafe.cli.views.picture import Picture, app_of
from cafe.cli.views.story import stamp, tell
from cafe.kernel import ObjectKey

if TYPE_CHECKING:
    from cafe.cli.live import Screen

HEARTBEAT = timedelta(minutes=1)
AGES = timedelta(seconds=1)
"""How often pods and events are read anew, and ages drawn anew, while nothing else changes."""

REPAINT = timedelta(milliseconds=200)

Work = Callable[[Cluster], Awaitable[int]]


@click.command("watch", cls=Command, help="help.app.watch")
@click.argument("name")
@click.option("--stay/--no-stay", default=None, cls=Option, help="option.stay")
@click.option("--timeout", cls=Option, help="option.timeout")
@output_option(("json",))
@click.pass_obj
def watch(session: Session, name: str, output: str | None, timeout: str | None, *, stay: bool | None) -> int:
    """Follow a release."""
    is_live = session.terminal.is_tty and output is None
    watcher = Watcher(session, is_staying=is_live if stay is None else stay)

    async def work(cluster: Cluster) -> int:
        key = session.key(cluster, name)
        async with asyncio.timeout(seconds_in(timeout)):
            if output == "json":
                return await watcher.write_json(cluster, key)
            return await (watcher.paint(cluster, key) if is_live else watcher.write_lines(cluster, key))

    return _in_time(session, work, name)


@click.command("wait", cls=Command, help="help.app.wait")
@click.argument("name")
@click.option(
    "--for", "goal", type=click.Choice(list(GOALS)), default="complete", cls=Option, help="option.for"
)
@click.option("--timeout", default="10m", cls=Option, help="option.timeout")
@click.pass_obj
def wait(session: Session, name: str, goal: str, timeout: str) -> int:
    """Wait for a release, and say by the exit code how it ended."""

    async def work(cluster: Cluster) -> int:
        key = session.key(cluster, name)
        async with asyncio.timeout(seconds_in(timeout)), aclosing(cluster.follow(APPS, key)) as sightings:
            async for sighting in sightings:
                if sighting.document is None:
                    raise Problem(Exit.NOT_FOUND, "Gone", f"CafeDeployment {key} was deleted.")
                app = app_of(sighting.document)
                end = verdict(app, goal)
                if end is not None and not sighting.problem:
                    session.terminal.tell(f"{app.metadata.name}: {why(app, session.terminal.words)}")
                    return end
        raise Problem(
            Exit.FAILURE, "Unavailable", f"The watch of {key} ended.", "", f"{session.program} doctor"
        )

    return _in_time(session, work, name)


def _in_time(session: Session, work: Work, name: str) -> int:
    try:
        return session.run(work)
    except TimeoutError:
        raise Problem(
            Exit.TIMEOUT,
            "Timeout",
            f"{name} is not there yet, and the time is over.",
            "The release itself goes on",
            f"{session.program} app get {name}",
        ) from None


def seconds_in(text: str | None) -> float | None:
    """Read `90`, `90s`, `10m` or `1h`; None for no limit.

    Raises:
        Problem: It is no duration.
    """
    if text is None:
        return None
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    if not number.isdigit():
        raise Problem(Exit.USAGE, "Usage", f"--timeout {text} is no duration.", "", "Write 90s, 10m or 1h.")
    return int(number) * unit


class Watcher:
    """Follows one application, in one of three ways of writing. Only looks: nothing here writes to the API.

    Args:
        session: The invocation.
        is_staying: Go on while a person is awaited, who may act elsewhere.
    """

    def __init__(self, session: Session, *, is_staying: bool) -> None:
        self._session = session
        self._terminal = session.terminal
        self._clock = session.wiring.clock
        self._is_staying = is_staying

    def _end(self, end: Exit | None) -> Exit | None:
        return None if end is Exit.NEEDS_HUMAN and self._is_staying else end

    async def write_json(self, cluster: Cluster, key: ObjectKey) -> int:
        """Write one JSON document a line: `{"seq": …, "object": …}`; `seq` rises."""
        async with aclosing(cluster.follow(APPS, key)) as sightings:
            async for sighting in sightings:
                document = sighting.document
                if document is None:
                    raise Problem(Exit.NOT_FOUND, "Gone", f"CafeDeployment {key} was deleted.")
                if sighting.problem:
                    self._terminal.tell(sighting.problem)
                    continue
                line = {"seq": int(document["metadata"]["resourceVersion"]), "object": document}
                self._terminal.write(msgspec.json.encode(line).decode())
                if (end := self._end(verdict(app_of(document), "complete"))) is not None:
                    return end
        return Exit.FAILURE

    async def write_lines(self, cluster: Cluster, key: ObjectKey) -> int:
        """Write a timestamped line per change, and one a minute if there is none."""
        follower = Follower(cluster, key, self._clock, tick=HEARTBEAT)
        last = ""
        async with aclosing(follower.pictures()) as pictures:
            async for picture in pictures:
                line = tell(picture, self._terminal.words, caller_of(self._session, cluster, key.namespace))
                still = f"{self._terminal.words('watch.still')} " if line == last else ""
                if line != last or follower.is_idle:
                    self._terminal.write(f"{stamp(picture.now)} {still}{line}")
                last = line
                end = None if picture.problem else self._end(verdict(picture.app, "complete"))
                if end is not None:
                    return end
        return Exit.FAILURE

    def _frame(self, screen: "Screen", picture: Picture, caller: Caller) -> Sequence[Text]:
        """Draw the application with as many of its newest events as the screen has room for."""
        lines: Sequence[Text] = ()
        for count in range(EVENTS_SHOWN, -1, -1):
            lines = draw_app(picture, self._terminal, caller, screen.width, events_shown=count)
            if screen.has_room_for(lines):
                break
        return lines

    async def paint(self, cluster: Cluster, key: ObjectKey) -> int:
        """Repaint the screen at each change until the release ends or the user leaves."""
        from cafe.cli.live import Screen  # noqa: PLC0415 -- termios and rich.live, for terminals only

        leave = asyncio.Event()
        first = app_of(await cluster.get(APPS, key))  # Before the screen is taken: errors stay readable.
        follower = Follower(cluster, key, self._clock, leave=leave, tick=AGES, skips=True)
        end, app = verdict(first, "complete"), first
        caller = caller_of(self._session, cluster, key.namespace)
        with Screen(self._terminal, leave) as screen:
            async with aclosing(follower.pictures()) as pictures:
                async for picture in pictures:
                    app = picture.app
                    end = None if picture.problem else verdict(app, "complete")
                    hint = "watch.hint_wait" if what_to_do(picture, caller) else "watch.hint"
                    screen.paint(self._frame(screen, picture, caller), footer=self._terminal.words(hint))
                    if self._end(end) is not None:
                        break
                    await self._clock.sleep(REPAINT)
        if end is not None:
            return end
        self._terminal.say("watch.left", name=app.metadata.name)
        return Exit.INTERRUPTED
