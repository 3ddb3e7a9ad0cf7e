"""How two revisions differ, for people."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.text import Text

from cafe.cli.ports import Difference
from cafe.cli.terminal import Terminal

LONGEST_VALUE = 60


def draw_differences(changes: Sequence[Difference], terminal: Terminal) -> list[Text]:
    """Return a line for each field, risky ones first, each with the reason for its risk."""
    words = terminal.words
    if not changes:
        return [Text(words("diff.none"))]
    risky = [c for c in changes if c.is_risky]
    lines = []
    for change in (*risky, *(c for c in changes if not c.is_risky)):
        mark = "!" if change.is_risky else "+" if change.old is None else "-" if change.new is None else "~"
        style = "bold red" if change.is_risky else ""
        lines.append(Text(f"{mark} {change.path}: {shown(change.old)} -> {shown(change.new)}", style))
        if change.is_risky:
            lines.append(Text(f"    {change.why}", "red"))
    summary = words("diff.risky", count=len(risky)) if risky else words("diff.ordinary", count=len(changes))
    return [*lines, Text(summary, "bold red" if risky else "")]


def shown(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    """Return a value in one line; a variable by what it is, whoever gives it its name."""
    if value is None:
        return "-"
    if isinstance(value, dict) and value.keys() == {"value"}:
        value = value["value"] or '""'
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
