"""Pods that find no room in their unit get their quota moved, and come back when there is room.

    no room for longer than the delay ──▶ capped at what serves; the rest goes to units without a cap
    capped for longer than the retry ──▶ one pod more is tried, beside those that serve in its stead
        it serves ──▶ the cap rises by one, a substitute goes; the next is tried at once
        it finds no room ──▶ it goes again, and the time begins anew

Only pods that serve nobody are ever moved: a cap is never less than the pods that have a node. Units whose
size a person pinned neither give nor take. A limit is a number of pods, never negative (kruise#2412).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from cafe.placement.contract import Cap, Crowding, Moved, Patience, Room


def move(crowding: Crowding) -> Moved:
    """Return the caps that hold from now on, and what each unit gets under them."""
    held = {cap.unit: cap for cap in crowding.caps}
    now, patience = crowding.now, crowding.patience
    found: list[Cap] = []
    waits: list[timedelta] = []
    for unit, quota in crowding.quotas.items():
        if unit in crowding.pinned:
            continue
        room = crowding.rooms.get(unit, Room())
        cap = _judged(held.get(unit), unit, quota, room, crowding)
        if cap is not None:
            found.append(cap)
        waits += [due - now for due in _dues(cap, room, patience) if due > now]
    quotas = capped(crowding.quotas, found, crowding.pinned)
    return Moved(quotas, tuple(found), min(waits, default=None))


def _judged(cap: Cap | None, unit: str, quota: int, room: Room, crowding: Crowding) -> Cap | None:
    now = crowding.now
    is_starving = room.since is not None and now - room.since >= crowding.patience.delay
    if cap is None:
        return Cap(unit, room.housed, now) if is_starving and room.housed < quota else None
    if room.available >= quota or cap.limit >= quota:
        return None
    if cap.is_tried:
        return _tried(cap, quota, room, now, is_starving=is_starving)
    if is_starving and room.housed < cap.limit:
        return replace(cap, limit=room.housed, since=now)
    if now - cap.since >= crowding.patience.retry:
        return replace(cap, since=now, is_tried=room.starved == 0)
    return cap


def _tried(cap: Cap, quota: int, room: Room, now: datetime, *, is_starving: bool) -> Cap | None:
    """Return what became of the try."""
    if is_starving:
        return replace(cap, since=now, is_tried=False)
    if room.available <= cap.limit:
        return cap
    risen = replace(cap, limit=cap.limit + 1, since=now)
    return risen if risen.limit < quota else None


def _dues(cap: Cap | None, room: Room, patience: Patience) -> Iterator[datetime]:
    if room.since is not None:
        yield room.since + patience.delay
    if cap is not None and not cap.is_tried:
        yield cap.since + patience.retry


def capped(quotas: Mapping[str, int], caps: Sequence[Cap], pinned: Collection[str]) -> dict[str, int]:
    """Return the quotas under the caps: what is over goes, pod by pod, to whoever has the fewest.

    If there is nobody to take it, all stays where it would be. A pod that is tried comes on top.
    """
    limits = {cap.unit: cap.limit for cap in caps}
    takers = [unit for unit in quotas if unit not in limits and unit not in pinned]
    if not takers:
        return dict(quotas)
    found = {unit: min(quota, limits.get(unit, quota)) for unit, quota in quotas.items()}
    for _ in range(sum(quotas.values()) - sum(found.values())):
        found[min(takers, key=found.__getitem__)] += 1
    for cap in caps:
        found[cap.unit] += cap.is_tried
    return found
