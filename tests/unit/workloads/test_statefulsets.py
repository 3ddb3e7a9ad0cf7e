"""From which ordinal up a unit's StatefulSet is new."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.podsets.natives import Limits
from cafe.workloads.domain.podsets.statefulsets import Place, decide_partition, ordinal_of


def places(text: str, partition: int) -> list[Place]:
    """Read ordinals from 0 up.

    `n` is new, `N` new and sick, `o` old, `O` old and sick for long, `x` the same but a moment ago, `-` away.
    """
    found: list[Place] = []
    for ordinal, mark in enumerate(text):
        pod = None if mark == "-" else PodFact(f"web-{ordinal}", mark, "1", mark.lower())
        is_new = mark in "nN" or ordinal >= partition
        serves = mark == "n" or (mark == "o" and ordinal < partition)
        found.append(Place(ordinal, pod, is_new, serves, is_hopeless=mark == "O" and not is_new))
    return found[::-1]


@pytest.mark.parametrize(
    ("text", "partition", "goal", "most", "wanted"),
    [
        pytest.param("ooooo", 5, 0, 1, 5, id="nothing is open"),
        pytest.param("ooooo", 5, 1, 1, 4, id="the highest first"),
        pytest.param("oooo-", 4, 3, 1, 4, id="one is on its way"),
        pytest.param("ooooN", 4, 3, 1, 4, id="a sick new pod stops the rest"),
        pytest.param("oooon", 4, 3, 1, 3, id="the next one"),
        pytest.param("oooon", 4, 3, 2, 2, id="as many as may be missing"),
        pytest.param("oonnn", 2, 3, 1, 2, id="the group is full"),
        pytest.param("Ooooo", 5, 5, 1, 4, id="a sick low ordinal holds nobody up"),
        pytest.param("xoooo", 5, 5, 1, 5, id="one that may be back in a moment is waited for"),
        pytest.param("OoxoO", 5, 5, 3, 4, id="and so are those behind"),
        pytest.param("OoooN", 4, 5, 2, 4, id="but then only one at a time"),
        pytest.param("oooOO", 5, 1, 1, 4, id="a sick pod costs nothing, but counts"),
        pytest.param("ooOON", 4, 5, 1, 4, id="sick old pods wait behind a sick new one"),
        pytest.param("nnnoo", 5, 4, 1, 4, id="on the way back the touched ones, from the top"),
        pytest.param("nnnon", 4, 5, 1, 3, id="and then the rest"),
        pytest.param("nnnnn", 3, 5, 1, 3, id="all are new"),
    ],
)
def test_the_next_partition(text: str, partition: int, goal: int, most: int, wanted: int) -> None:
    assert (
        decide_partition(UnitGoal(len(text), goal), places(text, partition), partition, Limits(most, most))
        == wanted
    )


@given(st.text("oO", min_size=1, max_size=9), st.integers(1, 4), st.data())
def test_any_update_reaches_its_goal_from_the_top(before: str, most: int, data: st.DataObject) -> None:
    goal = UnitGoal(len(before), data.draw(st.integers(0, len(before))))
    marks, partition = list(before), len(before)
    for _ in range(100):
        found = places("".join(marks), partition)
        following = decide_partition(goal, found, partition, Limits(most, most))
        assert following <= partition
        assert len(marks) - following <= goal.partition, "a pod beyond the group was touched"
        serving = _serving(marks, partition)
        lost = serving - _serving(marks, following)
        assert lost <= max(1, serving - (len(marks) - most)), "the budget was exceeded"
        partition = following
        for ordinal in range(partition, len(marks)):
            marks[ordinal] = "-" if marks[ordinal] in "oO" else marks[ordinal]
        away = [n for n, mark in enumerate(marks) if mark == "-"]
        if away:
            marks[data.draw(st.sampled_from(away))] = "n"
        elif len(marks) - partition == goal.partition:
            return
    raise AssertionError(f"never there: {marks} from {partition}")


def _serving(marks: Sequence[str], partition: int) -> int:
    return sum(mark == "n" or (mark == "o" and n < partition) for n, mark in enumerate(marks))


def test_an_ordinal_is_read_from_a_name() -> None:
    assert ordinal_of(PodFact("web-cell-a-12", "u", "1", "r")) == 12
    assert ordinal_of(PodFact("web", "u", "1", "r")) == -1
