"""What one pass of a reconciler leaves behind."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a pass. With *recheck*, the key comes back after that time even if nothing changes."""

    recheck: timedelta | None = None
