"""How many replicas each ReplicaSet of a Deployment gets: pure functions over counts.

All rules are kube-controller-manager's; `SetCount` is one ReplicaSet, oldest first where there are several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

from cafe_sim.machinery.quantities import scaled


@dataclass(frozen=True, slots=True)
class SetCount:
    """One ReplicaSet: what it wants and has. *limit* is replicas plus surge when it was last scaled."""

    name: str
    wanted: int
    available: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """How far a rolling update may go above and below *replicas*."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        """The most pods there may be."""
        return self.replicas + self.surge

    @property
    def least(self) -> int:
        """The fewest pods that must be available."""
        return self.replicas - self.unavailable


def room_of(spec: Mapping[str, Any]) -> Room:
    """Resolve maxSurge (rounded up) and maxUnavailable (rounded down); both zero would stand still, so 1."""
    replicas = int(spec.get("replicas", 1))
    strategy = spec.get("strategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return Room(replicas, 0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", "25%"), replicas, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Room(replicas, surge, min(unavailable, replicas))


def new_set_size(room: Room, new: SetCount, total: int) -> int:
    """Return what the new set may want: up as far as the surge lets it, or down to what the user wants."""
    if new.wanted >= room.replicas:
        return room.replicas
    space = max(0, room.most - total)
    return new.wanted + min(space, room.replicas - new.wanted)


def shrink_old_sets(room: Room, new: SetCount, old: Sequence[SetCount]) -> dict[str, int]:
    """Return the old sets' sizes that change: sick pods first, as they cost nothing, then healthy ones."""
    total = new.wanted + sum(one.wanted for one in old)
    most = total - room.least - (new.wanted - new.available)
    if most <= 0:
        return {}
    sizes = {one.name: one.wanted for one in old}
    cut = 0
    for one in old:
        drop = min(most - cut, one.wanted - one.available)
        if drop > 0:
            sizes[one.name] -= drop
            cut += drop
    healthy = new.available + sum(one.available for one in old) - room.least
    for one in old:
        drop = min(healthy, sizes[one.name])
        if drop > 0:
            sizes[one.name] -= drop
            healthy -= drop
    return {one.name: sizes[one.name] for one in old if sizes[one.name] != one.wanted}


def scale_in_proportion(room: Room, sets: Sequence[SetCount]) -> dict[str, int]:
    """Spread a change of `replicas` over the active sets of a rollout under way, larger sets first.

    So that a rollout which is scaled keeps its risk: the old and the new grow alike.
    """
    total = sum(one.wanted for one in sets)
    allowed = room.most if room.replicas > 0 else 0
    to_add = allowed - total
    added = 0
    sizes: dict[str, int] = {}
    for one in _by_size(sets, is_growing=to_add > 0):
        share = _share(one, room, to_add - added) if to_add else 0
        sizes[one.name] = one.wanted + share
        added += share
    order = _by_size(sets, is_growing=to_add > 0)
    if order and to_add != added:
        first = order[0].name
        sizes[first] = max(0, sizes[first] + to_add - added)
    return {one.name: sizes[one.name] for one in sets if sizes[one.name] != one.wanted}


def _by_size(sets: Sequence[SetCount], *, is_growing: bool) -> list[SetCount]:
    """Largest first; ties: the newest when growing, the oldest when shrinking (*sets* is oldest first)."""
    ordered = list(reversed(sets)) if is_growing else list(sets)
    return sorted(ordered, key=lambda one: -one.wanted)


def _share(one: SetCount, room: Room, left: int) -> int:
    if room.replicas == 0:
        return -one.wanted
    before = one.limit or room.replicas
    fraction = floor(one.wanted * room.most / before + 0.5) - one.wanted
    return min(fraction, left) if left > 0 else max(fraction, left)
