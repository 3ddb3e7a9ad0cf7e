"""The matrix as text: fits its width, says everything without colour, and in ASCII if it must.

    CELL      │ Beta  │   1       2     total
    cell-a    │ ▨ 1/1 │ ○ 0/2   ○ 0/2    1/5

The column of the current group is outlined. Columns that don't fit fold into `…`, the farthest from the
current one first; Beta and the last group go last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from cafe.cli.messages import Catalogue
from cafe.cli.terminal import Terminal
from cafe.cli.views.matrix import Column, Look, Matrix, Square

SYMBOLS: Mapping[Look, str] = {
    Look.DONE: "✓",
    Look.UPDATING: "◐",
    Look.WAITING: "▨",
    Look.PAUSED: "‖",
    Look.PENDING: "○",
    Look.STUCK: "✗",
    Look.EMPTY: "·",
}

ASCII: Mapping[Look, str] = {
    Look.DONE: "+",
    Look.UPDATING: ">",
    Look.WAITING: "#",
    Look.PAUSED: "=",
    Look.PENDING: ".",
    Look.STUCK: "!",
    Look.EMPTY: "-",
}

COLOURS: Mapping[Look, str] = {
    Look.DONE: "green",
    Look.UPDATING: "cyan",
    Look.WAITING: "bold yellow",
    Look.PAUSED: "magenta",
    Look.PENDING: "bright_black",
    Look.STUCK: "bold red",
    Look.EMPTY: "bright_black",
}
"""ANSI-16 only, so that the user's own palette decides."""

LONGEST_UNIT = 18
FOLDED = 3
"""Cells of a `…` column, with the blanks around it."""


@dataclass(frozen=True, slots=True)
class Pen:
    """How to draw: the words, the symbols and the width."""

    words: Catalogue
    is_unicode: bool = True
    width: int = 80

    @property
    def symbols(self) -> Mapping[Look, str]:
        """One character per look."""
        return SYMBOLS if self.is_unicode else ASCII

    @property
    def wall(self) -> str:
        """The outline's side."""
        return "│" if self.is_unicode else "|"

    @property
    def ellipsis(self) -> str:
        """What stands for what was left out."""
        return "…" if self.is_unicode else "~"

    def edge(self, width: int, *, is_top: bool) -> str:
        """Return the outline's top or bottom, *width* cells and its corners."""
        if not self.is_unicode:
            return f"+{'-' * width}+"
        return f"╭{'─' * width}╮" if is_top else f"╰{'─' * width}╯"

    def cut(self, text: str) -> str:
        """Cut *text* to the width, if it is longer."""
        return text if cell_len(text) <= self.width else self.fit(text, self.width)

    def fit(self, text: str, width: int) -> str:
        """Cut or fill *text* to *width* cells."""
        if cell_len(text) > width:
            return set_cell_size(text, width - 1) + self.ellipsis
        return set_cell_size(text, width)


def pen_of(terminal: Terminal, width: int | None = None) -> Pen:
    """Return the pen for a terminal."""
    return Pen(terminal.words, terminal.is_unicode, width or terminal.width)


def draw_matrix(matrix: Matrix, pen: Pen, unit_type: str) -> list[Text]:
    """Return the lines of the matrix, with its legend."""
    heads = {c.index: _head(c, pen) for c in matrix.columns}
    title = pen.words(f"matrix.{unit_type}")
    total = pen.words("matrix.total")
    names = [title, *(_unit_name(u, pen) for u in matrix.units), total]
    margin = min(LONGEST_UNIT, max(cell_len(n) for n in names)) + 1
    sums = [f"{s.done}/{s.total}" for s in (*matrix.totals, matrix.total)]
    last = max(cell_len(total), *(len(s) for s in sums))
    inner = {
        c.index: max(cell_len(heads[c.index]), *(cell_len(_square(s, pen)) for s in (*c.squares, c.total)))
        + 2
        for c in matrix.columns
    }
    shown = choose(matrix.columns, inner, pen.width - margin - last - 2)
    layout = _Layout(pen, margin, inner, last, shown)
    lines = [layout.edge(is_top=True)] if layout.has_current else []
    lines.append(layout.row(title, [Text(heads[c.index], "bold") if c else None for c in shown], total))
    for place, unit in enumerate(matrix.units):
        squares = [_styled(c.squares[place], pen) if c else None for c in shown]
        lines.append(layout.row(_unit_name(unit, pen), squares, sums[place]))
    if len(matrix.units) > 1:
        squares = [_styled(c.total, pen) if c else None for c in shown]
        lines.append(layout.row(total, squares, sums[-1]))
    if layout.has_current:
        lines.append(layout.edge(is_top=False))
    return [*lines, *_legend(matrix, pen)]


def choose(columns: Sequence[Column], inner: Mapping[int, int], room: int) -> list[Column | None]:
    """Return the columns that fit into *room* cells, with None where some are left out."""
    widths = [inner[c.index] + 1 for c in columns]
    current = next((i for i, c in enumerate(columns) if c.is_current), 0)
    order = sorted(range(len(columns)), key=lambda i: (abs(i - current), -i))
    keep = [current, *(i for i in (0, len(columns) - 1) if i != current)] if columns else []
    picked: set[int] = set()
    for i in dict.fromkeys([*keep, *order]):
        tried = picked | {i}
        if sum(widths[j] for j in tried) + FOLDED * _gaps(tried, len(columns)) + 1 <= room or not picked:
            picked = tried
        elif i not in keep:
            break  # Those that follow are farther away.
    shown: list[Column | None] = []
    for i, column in enumerate(columns):
        if i in picked:
            shown.append(column)
        elif not shown or shown[-1] is not None:
            shown.append(None)
    return shown


def _gaps(picked: set[int], count: int) -> int:
    ends = {-1, *picked}
    return sum(1 for i in ends if i + 1 < count and i + 1 not in picked)


@dataclass(frozen=True, slots=True)
class _Layout:
    pen: Pen
    margin: int
    inner: Mapping[int, int]
    last: int
    shown: Sequence[Column | None]

    @property
    def has_current(self) -> bool:
        return any(c is not None and c.is_current for c in self.shown)

    def edge(self, *, is_top: bool) -> Text:
        line = " " * self.margin
        for column in self.shown:
            if column is not None and column.is_current:
                line += self.pen.edge(self.inner[column.index], is_top=is_top)
                break
            line += " " * (FOLDED if column is None else self.inner[column.index] + 1)
        return Text(line.rstrip())

    def row(self, name: str, squares: Sequence[Text | None], total: str) -> Text:
        line = Text(self.pen.fit(name, self.margin - 1) + " ")
        after_current = False
        for column, square in zip(self.shown, squares, strict=True):
            is_current = column is not None and column.is_current
            line.append(self.pen.wall if is_current or after_current else " ")
            if column is None or square is None:
                line.append(f"{self.pen.ellipsis} ")
            else:
                room = self.inner[column.index] - 1
                line.append(" ")
                line.append_text(square)
                line.append(" " * (room - cell_len(square.plain)))
            after_current = is_current
        line.append(self.pen.wall if after_current else " ")
        return line.append(" " + " " * (self.last - cell_len(total)) + total)


def _head(column: Column, pen: Pen) -> str:
    return pen.words("matrix.beta") if column.index == 0 else str(column.index)


def _unit_name(unit: str, pen: Pen) -> str:
    return unit or pen.words("matrix.all")


def _square(square: Square, pen: Pen) -> str:
    symbol = pen.symbols[square.look]
    return symbol if square.look is Look.EMPTY else f"{symbol} {square.done}/{square.total}"


def _styled(square: Square, pen: Pen) -> Text:
    return Text(_square(square, pen), COLOURS[square.look])


def _legend(matrix: Matrix, pen: Pen) -> list[Text]:
    line = Text()
    for look in matrix.looks:
        line.append(pen.symbols[look], COLOURS[look]).append(f" {pen.words.word(look)}   ")
    line.rstrip()
    return [line] if line.plain else []


def spell_matrix(matrix: Matrix, pen: Pen) -> list[Text]:
    """Return the matrix in words, for those who listen to it: a line per unit and group."""
    lines: list[Text] = []
    for column in matrix.columns:
        for unit, square in zip(matrix.units, column.squares, strict=True):
            if square.look is Look.EMPTY:
                continue
            lines.append(
                Text(
                    pen.words(
                        "matrix.spelled",
                        unit=_unit_name(unit, pen),
                        group=_head(column, pen),
                        done=square.done,
                        total=square.total,
                        look=pen.words.word(square.look),
                    )
                )
            )
    return lines
