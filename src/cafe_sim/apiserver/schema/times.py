"""`metav1.Time` and `metav1.MicroTime`: instants, as Go reads and writes them."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MICROS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
_LAYOUTS = {"time": "2006-01-02T15:04:05Z07:00", "microtime": "2006-01-02T15:04:05.000000Z07:00"}


class BadTimeError(ValueError):
    """The text is no instant in the form that its field wants."""


@lru_cache(maxsize=4096)
def canonical_time(text: str, kind: str) -> str:
    """Return an instant in UTC: in seconds for `time`, in microseconds for `microtime`, which needs them.

    Raises:
        BadTimeError: It can't be read.
    """
    pattern = _SECONDS if kind == "time" else _MICROS
    found = pattern.fullmatch(text)
    try:
        when = datetime.fromisoformat(_six_digits(text)).astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        when = None
    if when is None:
        raise BadTimeError(f'parsing time "{text}" as "{_LAYOUTS[kind]}": cannot parse')
    whole = when.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return f"{whole}Z" if kind == "time" else f"{whole}.{when.microsecond:06d}Z"


def _six_digits(text: str) -> str:
    """Cut fractions to what Python knows."""
    return re.sub(r"\.(\d+)", lambda found: f".{found[1][:6]:0<6}", text)
