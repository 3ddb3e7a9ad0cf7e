"""Plain aligned tables, as kubectl prints them: easy to read, easy to cut; columns by display width."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from rich.cells import cell_len, set_cell_size

from cafe.cli.views.drawing import Pen

GAP = 3
NARROWEST = 12


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, has_heads: bool = True) -> list[str]:
    """Return the lines of a table; the last column is not padded."""
    lines = [list(heads), *(list(row) for row in rows)] if has_heads else [list(row) for row in rows]
    if not lines:
        return []
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [
        (" " * GAP).join(set_cell_size(c, w) for c, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def narrowed(
    heads: Sequence[str], rows: Sequence[Sequence[str]], loose: Collection[int], pen: Pen
) -> list[list[str]]:
    """Return *rows* with the cells of the *loose* columns cut so far that the table fits the pen's width.

    Names keep both ends, because tags and numbers stand at the end; prose keeps its beginning. What is still
    too wide stays so: a line that wraps loses nothing.
    """
    widths = [max(cell_len(line[i]) for line in (heads, *rows)) for i in range(len(heads))]
    room = pen.width - GAP * (len(heads) - 1)
    while sum(widths) > room:
        at = max(loose, key=lambda i: widths[i])
        if widths[at] <= max(NARROWEST, cell_len(heads[at])):
            return [list(row) for row in rows]
        widths[at] -= 1
    return [
        [_shortened(c, w, pen) if i in loose else c for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        for row in rows
    ]


def _shortened(text: str, width: int, pen: Pen) -> str:
    if cell_len(text) <= width:
        return text
    if " " in text:
        return pen.fit(text, width)
    tail = (width - 1) // 2
    return pen.fit(text, width - tail) + text[len(text) - tail :]


def time_of(text: str | None) -> datetime | None:
    """Read an API timestamp; None if there is none."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def age(then: str | None, now: datetime) -> str:
    """Return how long ago *then* was, as kubectl writes it; `-` if unknown."""
    moment = time_of(then)
    return "-" if moment is None else span(now - moment)


def span(length: timedelta) -> str:
    """Write a duration with one unit, or two where one is too coarse."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"
