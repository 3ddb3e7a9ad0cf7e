"""How many pods may be unavailable, in numbers."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from cafe.kernel import Refusal
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact

PERCENT = re.compile(r"(\d{1,3})%")


def count_of(value: int | str, total: int, *, name: str = "maxUnavailable", least: int = 1) -> int:
    """Return a count or a percentage of *total* as pods, rounded up and at least 1 where *total* is.

    Rounding up without surge follows apps/v1 StatefulSet (KEP-961): else small sets never move.

    Args:
        value: As in the spec.
        total: Pods of the set.
        name: Of the field under `strategy`, for the refusal.
        least: The smallest value that makes sense.

    Raises:
        Refusal: `InvalidMaxUnavailable` or the like; admission refuses such a value, a server without our
            rules may not.
    """
    if isinstance(value, int) and value >= least:
        return value
    if isinstance(value, str) and (match := PERCENT.fullmatch(value)) and least <= int(match[1]) <= 100:
        return -(-total * int(match[1]) // 100)
    raise Refusal(
        f"Invalid{name[0].upper()}{name[1:]}",
        f"strategy.{name} is {value!r}.",
        f"It is a count of at least {least} or a percentage from {least}% to 100%.",
        'Write for instance 2 or "25%".',
    )


@dataclass(frozen=True, slots=True)
class Budget:
    """What availability allows at one moment.

    Attributes:
        healthy: Available pods that may be made unavailable now.
        target: Further pods of the update revision that may be unavailable or under way; a bad image ends
            here, because its own sick pods use this up, and a size for which there is no room.
    """

    healthy: int
    target: int


def budget_now(
    wanted: int, max_unavailable: int, pods: Collection[PodFact], update_revision: str, dwell: Dwell
) -> Budget:
    """Return the budget of a set of *wanted* pods; those that ended or are being deleted count as missing."""
    crowd = Crowd.of(pods, dwell)
    unsettled = crowd.unsettled()
    live = len(unsettled) + crowd.calm_count()
    available = sum(dwell.is_available(p) for p in unsettled) + crowd.calm_count()
    sick_new = sum(not dwell.is_done(p) for p in unsettled if aims_at(p, update_revision))
    return Budget(
        healthy=max(0, available - (wanted - max_unavailable)),
        target=max(0, max_unavailable + live - wanted - sick_new),
    )


def aims_at(pod: PodFact, revision: str) -> bool:
    """Whether the pod runs *revision* or is on its way there.

    A pod whose gate fell for another revision, and whose target then moved back to its own, counts too: it is
    given back untouched, and no other pod may be changed in its stead.
    """
    return pod.revision == revision or (pod.state is not None and pod.state.revision == revision)
