"""Pods that find no room in their unit get their quota moved, and come back when there is room.

    no room for longer than the delay ──▶ capped at what serves; the rest goes to units without a cap
    capped for longer than the retry ──▶ one pod more is tried, beside those that serve in its stead
        it serves ──▶ the cap rises by one, a substitute goes; the next is tried at once
        it finds no room ──▶ it goes again, and the time begins anew

A unit that takes over may lack room too. So each is judged by the share that it would have without a cap of
its own, beside the caps of the others; and a unit keeps its cap while it has pods without room, whatever its
share. Else two full units would hand the same pod to and fro in each pass.

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
    for unit in crowding.quotas:
        if unit in crowding.pinned:
            continue
        room = crowding.rooms.get(unit, Room())
        share = _share(unit, crowding)
        cap = _judged(held.get(unit), unit, share, room, crowding)
        if cap is not None:
            found.append(cap)
        waits += [due - now for due in _dues(cap, room, patience) if due > now]
    quotas = capped(crowding.quotas, found, crowding.pinned)
    return Moved(quotas, tuple(found), min(waits, default=None))


def _share(unit: str, crowding: Crowding) -> int:
    """Return what a unit would get without a cap of its own."""
    others = [replace(cap, is_tried=False) for cap in crowding.caps if cap.unit != unit]
    return capped(crowding.quotas, others, crowding.pinned)[unit]


def _judged(cap: Cap | None, unit: str, share: int, room: Room, crowding: Crowding) -> Cap | None:
    now = crowding.now
    is_starving = room.since is not None and now - room.since >= crowding.patience.delay
    if cap is None:
        return Cap(unit, room.housed, now) if is_starving and room.housed < share else None
    if max(room.available, cap.limit) >= share:
        kept = replace(cap, limit=max(cap.limit, min(room.available, share)), is_tried=False)
        return kept if room.starved else None
    if cap.is_tried:
        return _tried(cap, share, room, now, is_starving=is_starving)
    if is_starving and room.housed < cap.limit:
        return replace(cap, limit=room.housed, since=now)
    is_due = now - cap.since >= crowding.patience.retry
    return replace(cap, since=now, is_tried=room.starved == 0) if is_due else cap


def _tried(cap: Cap, share: int, room: Room, now: datetime, *, is_starving: bool) -> Cap | None:
    """Return what became of the try."""
    if is_starving:
        return replace(cap, since=now, is_tried=False)
    if room.available <= cap.limit:
        return cap
    risen = replace(cap, limit=cap.limit + 1, since=now)
    return risen if risen.limit < share else None


def _dues(cap: Cap | None, room: Room, patience: Patience) -> Iterator[datetime]:
    if room.since is not None:
        yield room.since + patience.delay
    if cap is not None and not cap.is_tried:
        yield cap.since + patience.retry


def capped(quotas: Mapping[str, int], caps: Sequence[Cap], pinned: Collection[str]) -> dict[str, int]:
    """Return the quotas under the caps: what is over goes, pod by pod, to whoever has the fewest.

    Who has a cap takes over too, as far as it reaches. What nobody can take stays where it would be. A pod
    that is tried comes on top.
    """
    limits = {cap.unit: cap.limit for cap in caps}
    found = {unit: min(quota, limits.get(unit, quota)) for unit, quota in quotas.items()}
    for _ in range(sum(quotas.values()) - sum(found.values())):
        takers = [u for u in quotas if u not in pinned and found[u] < limits.get(u, found[u] + 1)]
        backs = [u for u in quotas if found[u] < quotas[u]]
        found[min(takers, key=found.__getitem__) if takers else backs[0]] += 1
    for cap in caps:
        found[cap.unit] += cap.is_tried and found[cap.unit] <= cap.limit
    return found
