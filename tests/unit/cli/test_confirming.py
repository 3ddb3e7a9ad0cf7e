"""A confirmation counts for what was shown, or writes nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from cafe.api.names import CONFIRM_ANNOTATION
from cafe.cli.ports import Sighting
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import NAME, SmallCluster, canonical_plan, releasing

PLAN = canonical_plan().hash


def taking(document: dict[str, Any]) -> None:
    """Do the controller's part: keep the confirmation, open the next group, clear the annotation."""
    if document["metadata"].get("annotations", {}).pop(CONFIRM_ANNOTATION, None):
        document["status"] |= {"confirmedGroup": 0, "currentGroup": 1}


def spec_changed() -> dict[str, Any]:
    document = releasing()
    document["metadata"]["generation"] = 3
    return document


def test_a_confirmation_of_what_waits_is_written_and_says_what_opens(cafe: Cafe) -> None:
    cluster = SmallCluster(releasing())
    cluster.rules.append(taking)
    result = cafe(cluster, "app", "confirm", NAME, "--group", "beta", "--plan", PLAN)
    assert result.code == 0, result.err
    assert result.out == "Beta is confirmed; group 1 opens: cell-a: 2, cell-b: 2\n"
    assert cluster.writes[0]["metadata"]["annotations"] == {CONFIRM_ANNOTATION: f"0/{PLAN}"}


@pytest.mark.parametrize(
    ("pose", "group", "plan", "code"),
    [
        (lambda: releasing(phase="Progressing", done=0), "beta", PLAN, "ConfirmEarly"),
        (releasing, "1", PLAN, "ConfirmEarly"),
        (releasing, "beta", "0123456789ab", "ConfirmStale"),
        (lambda: releasing(group=1, done=3, confirmed=0), "beta", PLAN, "ConfirmRepeated"),
        (lambda: releasing(group=2, done=5, phase="Complete"), "2", PLAN, "ConfirmEarly"),
        (lambda: releasing(phase="Paused"), "beta", PLAN, "ConfirmEarly"),
        (spec_changed, "beta", PLAN, "ConfirmEarly"),
    ],
    ids=["while updating", "later group", "other plan", "repeated", "complete", "paused", "not replanned"],
)
def test_a_confirmation_of_anything_else_writes_nothing(
    cafe: Cafe, pose: Callable[[], dict[str, Any]], group: str, plan: str, code: str
) -> None:
    cluster = SmallCluster(pose())
    result = cafe(cluster, "app", "confirm", NAME, "--group", group, "--plan", plan)
    assert result.code == 6
    error, why, do = result.err.splitlines()
    assert error == "error: The confirmation does not count; nothing was written."
    assert why.endswith(f"({code})")
    assert do.startswith("do: cafe app ")
    assert cluster.writes == []


def test_without_a_terminal_group_and_plan_must_be_named(cafe: Cafe) -> None:
    cluster = SmallCluster(releasing())
    result = cafe(cluster, "app", "confirm", NAME, "--group", "beta")
    assert result.code == 2
    assert f"do: cafe app confirm {NAME} --group beta --plan {PLAN}" in result.err
    assert cluster.writes == []


def test_a_group_that_moved_on_between_reading_and_writing_is_not_confirmed(cafe: Cafe) -> None:
    class Racing(SmallCluster):
        async def replace(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 -- as its parent
            if not self.opened:
                self.opened = 1
                self.store(releasing(group=1, done=3, confirmed=0))
            return await super().replace(*args, **kwargs)

    cluster = Racing(releasing())
    result = cafe(cluster, "app", "confirm", NAME, "--group", "beta", "--plan", PLAN)
    assert result.code == 6
    assert "ConfirmRepeated" in result.err
    assert cluster.writes == []


def test_a_status_write_in_between_does_not_stand_in_the_way(cafe: Cafe) -> None:
    class Busy(SmallCluster):
        async def replace(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 -- as its parent
            if not self.opened:
                self.opened = 1
                self.store(releasing())
            return await super().replace(*args, **kwargs)

    cluster = Busy(releasing())
    cluster.rules.append(taking)
    assert cafe(cluster, "app", "confirm", NAME, "--group", "beta", "--plan", PLAN).code == 0
    assert len(cluster.writes) == 1


@pytest.mark.slow
def test_a_controller_that_does_not_answer_is_told_apart_from_a_refusal(cafe: Cafe) -> None:
    cluster = SmallCluster(releasing())
    result = cafe(cluster, "app", "confirm", NAME, "--group", "beta", "--plan", PLAN, "--timeout", "1")
    assert result.code == 124
    assert "do: cafe doctor" in result.err


def test_a_controller_that_throws_the_confirmation_away_is_reported(cafe: Cafe) -> None:
    def throwing(document: dict[str, Any]) -> None:
        document["metadata"]["annotations"] = {CONFIRM_ANNOTATION: "false"}

    cluster = SmallCluster(releasing())
    cluster.rules.append(throwing)
    result = cafe(cluster, "app", "confirm", NAME, "--group", "beta", "--plan", PLAN)
    assert result.code == 6
    assert "did not accept" in result.err


def test_an_application_that_goes_away_while_we_wait_is_said_so(cafe: Cafe) -> None:
    cluster = SmallCluster(releasing())
    cluster.script = [Sighting(None)]
    result = cafe(cluster, "app", "confirm", NAME, "--group", "beta", "--plan", PLAN)
    assert result.code == 3
