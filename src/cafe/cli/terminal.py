"""What the terminal can do and what its user wants; decided once, from the environment and isatty."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from cafe.cli.messages import Catalogue, language_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command writes.

    Attributes:
        out: Data, and data only.
        err: Progress, questions, errors.
        is_tty: *out* is a terminal: decides about live views. `FORCE_COLOR` must not.
        may_ask: Somebody is there to answer.
        has_colour: Escape codes may be written; colour is never the only sign of anything.
        is_unicode: *out* can write the symbols; ASCII otherwise.
        is_accessible: Append-only, words instead of drawings.
        words: Prose in the user's language.
    """

    out: TextIO
    err: TextIO
    is_tty: bool
    may_ask: bool
    has_colour: bool
    is_unicode: bool
    is_accessible: bool
    width: int
    words: Catalogue

    def console(self, file: TextIO | None = None, width: int | None = None) -> "Console":
        """Return a rich console that draws as this terminal can."""
        from rich.console import Console  # noqa: PLC0415 -- rich costs 50 ms that `--help` need not pay

        return Console(
            file=file or self.out,
            width=width or self.width,
            force_terminal=self.has_colour,
            no_color=not self.has_colour,
            color_system="standard" if self.has_colour else None,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=not self.is_tty,
            legacy_windows=False,
        )

    def show(self, *renderables: "RenderableType") -> None:
        """Write drawings to *out*."""
        console = self.console()
        for renderable in renderables:
            console.print(renderable)

    def write(self, text: str) -> None:
        """Write a line of data."""
        self.out.write(text + "\n")
        self.out.flush()

    def tell(self, text: str) -> None:
        """Write a line for people."""
        self.err.write(text + "\n")
        self.err.flush()

    def progress(self, text: str) -> None:
        """Tell how far it is, if *err* is a terminal: in a log or a pipe nobody watches."""
        if self.err.isatty():
            self.tell(text)

    def say(self, key: str, **values: object) -> None:
        """Tell a message of the catalogue."""
        self.tell(self.words(key, **values))


def terminal_of(environment: Mapping[str, str], colour: str = "auto") -> Terminal:
    """Return the terminal of this process. *colour* is `auto`, `always` or `never`."""
    out, err = sys.stdout, sys.stderr
    is_tty = out.isatty()
    is_dumb = environment.get("TERM") == "dumb"
    is_accessible = environment.get("CAFE_ACCESSIBLE", "") not in {"", "0"}
    return Terminal(
        out=out,
        err=err,
        is_tty=is_tty and not is_dumb and not is_accessible,
        may_ask=sys.stdin.isatty() and err.isatty(),
        has_colour=wants_colour(environment, colour, is_tty=is_tty),
        is_unicode=(out.encoding or "").lower().replace("-", "") == "utf8",
        is_accessible=is_accessible,
        width=shutil.get_terminal_size().columns if is_tty else _piped_width(environment),
        words=Catalogue(language_of(environment)),
    )


def wants_colour(environment: Mapping[str, str], colour: str, *, is_tty: bool) -> bool:
    """Say whether escape codes for colour may be written: the option, NO_COLOR, FORCE_COLOR, then isatty."""
    if colour != "auto":
        return colour == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "") not in {"", "0"}:
        return True
    return is_tty and environment.get("TERM") != "dumb"


def _piped_width(environment: Mapping[str, str]) -> int:
    columns = environment.get("COLUMNS", "")
    return max(40, int(columns)) if columns.isdigit() else 80


def environment() -> Mapping[str, str]:
    """Return this process's environment: the one place where the command line reads it."""
    return os.environ
