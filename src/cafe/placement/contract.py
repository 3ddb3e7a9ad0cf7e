"""What placement offers to the other features."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


class Spread(Protocol):
    """Shares an application's pods out over its units."""

    def __call__(
        self,
        replicas: int,
        units: Sequence[str],
        pins: Mapping[str, int | str],
        ready: Mapping[str, int],
        turn: int = 0,
    ) -> dict[str, int]:
        """Return each unit's quota.

        Args:
            replicas: Pods wanted in all.
            units: Names of the units.
            pins: Units whose size the user fixed: a count, or a percentage of *replicas* like `"30%"`.
            ready: Ready pods per unit; only breaks ties.
            turn: The unit that a remainder goes to first, if ready pods don't tell; counted round and round.

        Raises:
            cafe.kernel.Refusal: The pins cannot be satisfied.
        """


@dataclass(frozen=True, slots=True)
class Cap:
    """What a unit has room for, as far as it is known.

    Attributes:
        since: When that was found, or the try began.
        is_tried: Whether one pod more is being tried.
    """

    unit: str
    limit: int
    since: datetime
    is_tried: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """How a unit's pods fare.

    Attributes:
        pods: That there are.
        available: Of them, those that serve.
        starved: Of them, those for which no node has room.
        since: Since when all of these are starved; None if there is none.
    """

    pods: int = 0
    available: int = 0
    starved: int = 0
    since: datetime | None = None

    @property
    def housed(self) -> int:
        """Pods that have a node, or may still get one."""
        return max(0, self.pods - self.starved)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long pods are waited for, and how long a unit without room is left alone."""

    delay: timedelta
    retry: timedelta


@dataclass(frozen=True, slots=True)
class Crowding:
    """What a decision about room is made from.

    Attributes:
        caps: Those that held.
        quotas: What each unit would get without caps.
        pinned: Units that neither give nor take.
        rooms: How the units' pods fare; those without a set may be missing.
        now: The moment of judging.
    """

    caps: Sequence[Cap]
    quotas: Mapping[str, int]
    pinned: Collection[str]
    rooms: Mapping[str, Room]
    now: datetime
    patience: Patience


@dataclass(frozen=True, slots=True)
class Moved:
    """What each unit gets under the caps that hold from now on.

    Attributes:
        recheck: When time alone will change it; None if nothing is waited for.
    """

    quotas: Mapping[str, int]
    caps: tuple[Cap, ...] = ()
    recheck: timedelta | None = None


class Move(Protocol):
    """Moves the quota of pods for which their unit has no room."""

    def __call__(self, crowding: Crowding) -> Moved:
        """Return who gets how much now."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The rules of placement."""

    spread: Spread
    move: Move = field(default=lambda crowding: Moved(crowding.quotas))
