"""The matrix of a release: units down, groups across, one square per unit and group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cafe.api.cafedeployment import CafeDeployment, CafeDeploymentStatus, Plan


class Look(StrEnum):
    """How a square looks: a symbol, a colour and a word each."""

    DONE = "Done"
    UPDATING = "Updating"
    WAITING = "WaitingForConfirm"
    PAUSED = "Paused"
    PENDING = "Pending"
    STUCK = "Stuck"
    EMPTY = "Empty"


TROUBLE = {"BudgetSpent", "InPlaceImpossible", "FailedCreate", "InvalidMaxUnavailable", "SelectorMismatch"}
"""What a unit's set says when it can't go on by itself."""


@dataclass(frozen=True, slots=True)
class Square:
    """One unit in one group: *done* of *total* pods."""

    done: int
    total: int
    look: Look


@dataclass(frozen=True, slots=True)
class Column:
    """One group.

    Attributes:
        index: 0 is Beta.
        is_current: The group that was opened last.
        squares: One per unit, in the matrix's order.
        total: The group over all units.
    """

    index: int
    is_current: bool
    squares: tuple[Square, ...]
    total: Square


@dataclass(frozen=True, slots=True)
class Matrix:
    """A whole release.

    Attributes:
        units: Names; an application without units has one of the empty name.
        totals: Per unit, pods that are updated and available, of those wanted.
    """

    units: tuple[str, ...]
    columns: tuple[Column, ...]
    totals: tuple[Square, ...]
    total: Square

    @property
    def looks(self) -> list[Look]:
        """Every look that appears, in the enum's order: the legend."""
        seen = {s.look for c in self.columns for s in c.squares}
        return [look for look in Look if look in seen and look is not Look.EMPTY]


def matrix_of(app: CafeDeployment, sick: Mapping[str, str] | None = None) -> Matrix | None:
    """Return the matrix of the plan that is followed; None before there is one.

    Args:
        app: With its status.
        sick: Units some of whose updated pods can't start, with the reason.
    """
    plan = app.status.plan
    return None if plan is None else _matrix(plan, app.status, sick or {})


def preview_matrix(plan: Plan) -> Matrix:
    """Return the matrix of a plan that nobody follows yet."""
    return _matrix(plan, CafeDeploymentStatus(), {})


def _matrix(plan: Plan, status: CafeDeploymentStatus, sick: Mapping[str, str]) -> Matrix:
    units = [u.name for u in plan.units]
    ready = {u.name: u.updated_available for u in status.units}
    left = {u.name: max(0, ready.get(u.name, 0) - u.base) for u in plan.units}
    troubled = sick.keys() | {u.name for u in status.units if u.reason in TROUBLE}
    states = {g.index: g.state for g in status.groups}
    columns: list[Column] = []
    for group in plan.groups:
        is_current = group.index == status.current_group and status.phase != "Complete"
        squares: list[Square] = []
        for name in units:
            wanted = group.units.get(name, 0)
            done = min(wanted, left[name])
            left[name] -= done
            state = states.get(group.index, "Pending")
            look = _look(done, wanted, _state(status, state), is_sick=name in troubled)
            squares.append(Square(done, wanted, look))
        columns.append(Column(group.index, is_current, tuple(squares), _sum(squares)))
    totals = [
        Square(
            ready.get(u.name, u.base), u.quota, Look.DONE if ready.get(u.name) == u.quota else Look.UPDATING
        )
        for u in plan.units
    ]
    return Matrix(tuple(units), tuple(columns), tuple(totals), _sum(totals))


def _state(status: CafeDeploymentStatus, state: str) -> str:
    return "Paused" if status.phase == "Paused" and state == "Updating" else state


def _look(done: int, wanted: int, state: str, *, is_sick: bool) -> Look:
    if not wanted:
        return Look.EMPTY
    if state == "WaitingForConfirm" and done == wanted:
        return Look.WAITING
    if state == "Pending":
        return Look.PENDING
    if done == wanted:
        return Look.DONE
    if is_sick:
        return Look.STUCK
    return Look.PAUSED if state == "Paused" else Look.UPDATING


def _sum(squares: Sequence[Square]) -> Square:
    looks = [s.look for s in squares if s.look is not Look.EMPTY]
    worst = next((look for look in _WORST_FIRST if look in looks), Look.EMPTY)
    return Square(sum(s.done for s in squares), sum(s.total for s in squares), worst)


_WORST_FIRST = (Look.STUCK, Look.PAUSED, Look.UPDATING, Look.PENDING, Look.WAITING, Look.DONE)
