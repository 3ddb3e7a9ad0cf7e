"""Between a CafeDeployment and placement: pods for which their unit has no room."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cafe.api.cafedeployment import CafeDeployment, UnitLimit
from cafe.kernel import Note
from cafe.placement.contract import Cap, Crowding, Moved, Patience, Room
from cafe.workloads.domain.podsets.facts import UnitFact
from cafe.workloads.domain.times import read_time, write_time


def crowding_of(
    app: CafeDeployment, quotas: Mapping[str, int], units: Sequence[UnitFact], now: datetime | None
) -> Crowding | None:
    """Return what placement decides from; None if nothing is to be moved."""
    wish = app.spec.topology.auto_reschedule
    if not wish.is_enabled or now is None or len(quotas) < 2:
        return None
    caps = [
        Cap(held.name, held.limit, read_time(held.since) or now, held.is_tried)
        for held in app.status.rescheduled
    ]
    patience = Patience(timedelta(seconds=wish.initial_delay_seconds), timedelta(seconds=wish.retry_seconds))
    rooms = {
        unit.unit: Room(
            pods=unit.report.replicas,
            available=unit.report.available,
            starved=unit.report.starved,
            since=unit.report.starved_since if unit.is_observed else None,
        )
        for unit in units
    }
    return Crowding(caps, quotas, frozenset(app.spec.topology.unit_replicas), rooms, now, patience)


def limits_of(moved: Moved) -> list[UnitLimit]:
    """Return the caps as a status holds them."""
    return [
        UnitLimit(name=cap.unit, limit=cap.limit, since=write_time(cap.since), is_tried=cap.is_tried)
        for cap in moved.caps
    ]


def moving_notes(app: CafeDeployment, limits: Sequence[UnitLimit]) -> list[Note]:
    """Return what is news of units without room."""
    old = {held.name: held for held in app.status.rescheduled}
    new = {held.name: held for held in limits}
    notes: list[Note] = []
    for name, held in new.items():
        before = old.get(name)
        if before is None or held.limit < before.limit:
            told = f"{name} has room for {held.limit} pods; other units serve in their stead"
            notes.append(Note("Rescheduled", told, is_warning=True))
    back = sorted(old.keys() - new.keys())
    return [*notes, *(Note("RoomFound", f"{name} has room for its pods again") for name in back)]
