"""What cells are made of: ages, counts, paths."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from cafe_sim.apiserver.values import Value, dig
from cafe_sim.contract import Json

Cell: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Column:
    """A column; one of priority 1 is shown by `-o wide` alone."""

    name: str
    type: str = "string"
    format: str = ""
    priority: int = 0

    def definition(self) -> Json:
        """Return it as a `TableColumnDefinition`."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": f"{self.name} of the object.",
            "priority": self.priority,
        }


def columns(text: str) -> list[Column]:
    """Read columns from a line: `Name Ready:int Node|wide`."""
    found = []
    for word in text.split():
        name, _, mark = word.partition("|")
        label = name.replace("_", " ")
        kind = "integer" if label.startswith("#") else "string"
        label = label.removeprefix("#")
        found.append(Column(label, kind, "name" if label == "Name" else "", 1 if mark == "wide" else 0))
    return found


def parse_time(text: str) -> datetime:
    """Read a time of an object."""
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)


def age(created: str | None, now: datetime | None) -> str:
    """Return how long ago something was, as kubectl prints it."""
    if not created or now is None:
        return "<unknown>"
    return duration(int((now - parse_time(created)).total_seconds()))


def duration(seconds: int) -> str:  # noqa: PLR0911 -- one return for each scale, as apimachinery's HumanDuration
    """Return a duration with two digits of meaning: `45s`, `3m5s`, `4h10m`, `2d3h`, `400d`."""
    if seconds < -1:
        return "<invalid>"
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{hours // 24}d{hours % 24}h" if hours % 24 else f"{hours // 24}d"
    days = hours // 24
    if days < 730:
        return f"{days}d"
    years, rest = days // 365, days % 365
    return f"{years}y{rest}d" if years < 8 and rest else f"{years}y"


def labels_text(labels: Value) -> str:
    """Return labels as `a=b,c=d`, or `<none>`."""
    return ",".join(f"{k}={v}" for k, v in sorted((labels or {}).items())) or "<none>"


def images(spec: Value) -> tuple[str, str]:
    """Return a template's container names and images."""
    containers = dig(spec, "template", "spec", "containers") or []
    return ",".join(c["name"] for c in containers), ",".join(c.get("image", "") for c in containers)


_STEP = re.compile(
    r"\.([A-Za-z0-9_\-\\./]+?)(?=[.\[]|$)|\[(\d+)\]|\['([^']+)'\]|\[\?\(@\.(\w+)\s*==\s*['\"]([^'\"]*)['\"]\)\]|(\[\*\])"
)


def jsonpath(obj: Value, path: str) -> Value:
    """Return the first value at a simple JSONPath: fields, indexes, `[*]` and filters by equality."""
    values: list[Value] = [obj]
    for step in _STEP.finditer(path):
        name, index, quoted, key, wanted, every = step.groups()
        if name or quoted:
            values = [v[name or quoted] for v in values if isinstance(v, dict) and (name or quoted) in v]
        elif index:
            values = [v[int(index)] for v in values if isinstance(v, list) and int(index) < len(v)]
        else:
            items = [item for v in values if isinstance(v, list) for item in v]
            values = items if every else [i for i in items if isinstance(i, dict) and i.get(key) == wanted]
    return values[0] if values else None
