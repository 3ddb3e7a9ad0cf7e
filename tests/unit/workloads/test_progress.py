"""Whether a release gets on, and since when it doesn't."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.cafedeployment import CafeDeployment, CafeDeploymentStatus, Waiting
from cafe.workloads.domain.progress import EXCEEDED, is_overdue, time_left, with_progress
from tests.unit.workloads.releaseworld import application

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WAITING = Waiting(reason="WaitingForPods", message="pods are on their way")


def stored(updated: int = 2, phase: str = "Progressing", seconds: int = 600) -> CafeDeployment:
    """Return an application whose release got on at NOW."""
    status = CafeDeploymentStatus(phase=phase, updated_replicas=updated, waiting=WAITING)
    app = application(progress_deadline_seconds=seconds)
    return msgspec.structs.replace(app, status=with_progress(app, status, NOW))


def later(app: CafeDeployment, after: float, **changes: object) -> CafeDeploymentStatus:
    """Return the status that a pass has so many seconds later."""
    status = msgspec.structs.replace(app.status, waiting=WAITING, **changes)
    return with_progress(app, status, NOW + timedelta(seconds=after))


def test_a_release_is_overdue_once_its_deadline_has_passed_without_news() -> None:
    app = stored()
    assert later(app, 599).waiting == WAITING
    told = later(app, 600).waiting
    assert told is not None
    assert (told.reason, told.message) == (EXCEEDED, "No progress for 600 s: pods are on their way")


def test_any_step_begins_the_time_anew() -> None:
    app = stored()
    for step in (
        {"updated_replicas": 3},
        {"current_group": 1},
        {"replicas": 9},
        {"updated_available_replicas": 1},
    ):
        assert later(app, 900, **step).progress_time == "2026-03-01T12:15:00Z"
        assert later(app, 900, **step).waiting == WAITING


def test_what_a_person_holds_up_is_never_overdue() -> None:
    for phase in ("WaitingForConfirm", "Paused", "Complete", "Refused"):
        app = stored(phase=phase)
        assert time_left(app, app.status, NOW + timedelta(days=9)) is None


def test_nobody_counts_without_a_deadline_or_a_clock() -> None:
    app = stored(seconds=0)
    assert not is_overdue(app, app.status, NOW + timedelta(days=9))
    assert with_progress(stored(), stored().status, None) == stored().status


@given(st.integers(0, 2000))
def test_an_equal_world_has_an_equal_status(after: int) -> None:
    """Else each pass would write a status, and wake itself."""
    app = stored()
    once = later(app, after)
    again = with_progress(
        msgspec.structs.replace(app, status=once),
        msgspec.structs.replace(once, waiting=WAITING),
        NOW + timedelta(seconds=after),
    )
    assert again == once
