"""The live view: an alternate screen that is repainted, and left with the last frame in the scrollback.

Chosen by isatty alone: with FORCE_COLOR, rich would write cursor movements into a pipe.
"""

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from cafe.cli.terminal import Terminal

QUIT_KEYS = {"q", "Q", "\x03"}


class Screen:
    """Paints frames while it is entered; `q` and Ctrl-C set *leave* and cancel nothing.

    Rich refreshes by a thread of its own unless told not to; here every frame is painted by `paint`.

    Args:
        terminal: A real one.
        leave: Set when the user wants to go.
    """

    def __init__(self, terminal: Terminal, leave: asyncio.Event) -> None:
        self._terminal = terminal
        self._leave = leave
        self._console = terminal.console()
        # Rich takes the width once it is named; a live view follows the window instead.
        self._console._width = None  # noqa: SLF001 -- rich offers no other way to take a width back
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._last: Sequence[Text] = ()
        self._keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._settings: Any = None

    @property
    def width(self) -> int:
        """Cells in a line, now."""
        return self._console.size.width

    def has_room_for(self, lines: Sequence[Text]) -> bool:
        """Say whether a frame fits as it is."""
        return self._height(lines) <= self._console.size.height - 1  # The footer takes the last line.

    def paint(self, lines: Sequence[Text], footer: str) -> None:
        """Show a frame; what does not fit is counted, never silently lost."""
        self._last = lines
        shown = list(lines)
        if not self.has_room_for(shown):
            room = self._console.size.height - 2
            while shown and self._height(shown) > room:
                shown.pop()
        if len(shown) < len(lines):
            words = self._terminal.words("watch.more", count=len(lines) - len(shown))
            shown.append(Text(words, "bright_black"))
        shown.append(Text(footer, "bright_black"))
        self._live.update(Group(*shown), refresh=True)

    def _height(self, lines: Sequence[Text]) -> int:
        return len(self._console.render_lines(Group(*lines), pad=False))

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._leave.set)
        if self._keyboard is not None:
            self._settings = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard)
            loop.add_reader(self._keyboard, self._read_key, self._keyboard)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        self._live.stop()
        if self._keyboard is not None:
            loop.remove_reader(self._keyboard)
            termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._settings)
        loop.remove_signal_handler(signal.SIGINT)
        for line in self._last:
            self._console.print(line)

    def _read_key(self, keyboard: int) -> None:
        pressed = os.read(keyboard, 1)
        if not pressed or pressed.decode(errors="replace") in QUIT_KEYS:
            self._leave.set()
