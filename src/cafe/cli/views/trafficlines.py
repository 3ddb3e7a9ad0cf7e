"""Pods that are out of traffic, or on their way, as lines under an application's units."""

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from cafe.cli.ports import Document
from cafe.cli.views.drawing import Pen
from cafe.cli.views.tables import narrowed, span, table
from cafe.cli.views.trafficview import TrafficLine, line_of

SHOWN = 5
"""Pods that are named; more are counted."""

QUIET = {"Unguarded", "Serving"}
URGENT = ("DrainStuck", "Forced", "Held")
"""What needs a person comes first, then what has taken the longest."""

HEADS = ("pod", "phase", "since", "why", "employers")
LOOSE = (0, 3, 4)
"""Columns that may be cut at a narrow terminal: the name keeps both ends, the rest its beginning."""


def phase_cell(pod: Document, now: datetime, pen: Pen) -> str:
    """Return where a pod stands, in a word, and for how long; `-` if nobody guards it."""
    line = line_of(pod)
    if line.phase == "Unguarded":
        return "-"
    told = pen.words.word(line.phase)
    return f"{told} {span(now - line.since)}" if line.since is not None else told


def traffic_lines(pods: Sequence[Document], now: datetime, pen: Pen) -> list[Text]:
    """Return a table of the pods that are not simply serving; nothing if all are."""
    found = [line for line in map(line_of, pods) if line.phase not in QUIET]
    if not found:
        return []
    found.sort(key=lambda line: _turn(line, now))
    rows = [_row(line, now, pen) for line in found[:SHOWN]]
    heads = [pen.words(f"away.{head}") for head in HEADS]
    lines = [Text(pen.cut(line)) for line in table(heads, narrowed(heads, rows, LOOSE, pen))]
    for line, text in zip(found, lines[1:], strict=False):
        if line.phase in URGENT:
            text.stylize("bold yellow" if line.phase == "Held" else "bold red")
    if left := len(found) - len(rows):
        lines.append(Text(pen.words("away.more", count=left), "bright_black"))
    return lines


def _turn(line: TrafficLine, now: datetime) -> tuple[int, float, str]:
    urgency = URGENT.index(line.phase) if line.phase in URGENT else len(URGENT)
    return (urgency, (line.since or now).timestamp(), line.pod)


def _row(line: TrafficLine, now: datetime, pen: Pen) -> list[str]:
    since = span(now - line.since) if line.since is not None else "-"
    return [line.pod, pen.words.word(line.phase), since, line.why or "-", ", ".join(line.employers) or "-"]
