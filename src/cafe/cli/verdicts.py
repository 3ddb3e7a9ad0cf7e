"""What a release's state means to somebody who waits for it."""

from collections.abc import Mapping

from cafe.api.cafedeployment import CafeDeployment
from cafe.cli.errors import Exit

GOALS: Mapping[str, frozenset[str]] = {
    "complete": frozenset({"Complete"}),
    "confirm": frozenset({"WaitingForConfirm"}),
    "paused": frozenset({"Paused"}),
}
"""What `--for` may name, and the phases that meet it."""

HUMAN = {"WaitingForConfirm", "Paused"}
"""Phases in which nothing goes on until a person acts."""

STANDSTILL = {"InPlaceImpossible", "InvalidMaxUnavailable", "SelectorMismatch"}
"""Reasons of a unit that pass only when a person changes the spec."""


def verdict(app: CafeDeployment, goal: str) -> Exit | None:
    """Return how waiting for *goal* ends now; None while it goes on.

    A status that is older than the spec says nothing: the release that was just asked for has not begun.
    """
    status = app.status
    if status.observed_generation < app.metadata.generation or not status.phase:
        return None
    if status.phase in GOALS[goal]:
        return Exit.MET
    if status.phase == "Refused":
        return Exit.ENDED_BADLY
    if status.phase in HUMAN or any(unit.reason in STANDSTILL for unit in status.units):
        return Exit.NEEDS_HUMAN
    if status.phase == "Complete":
        return Exit.ENDED_BADLY  # It is over, and will never wait for a person any more.
    return None
