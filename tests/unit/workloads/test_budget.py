"""How many pods may be unavailable: the arithmetic, line by line."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.kernel import Refusal
from cafe.workloads.domain.budget import Budget, aims_at, budget_now, count_of
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact
from tests.unit.workloads.facts import DWELL, LONG_AGO, NEW, NOW, OLD, changing, pod, sick, withheld


@pytest.mark.parametrize(
    ("value", "total", "expected"),
    [(1, 10, 1), (20, 10, 20), ("25%", 4, 1), ("25%", 5, 2), ("1%", 3, 1), ("100%", 7, 7), ("25%", 0, 0)],
)
def test_a_percentage_rounds_up_so_that_small_sets_move(value: int | str, total: int, expected: int) -> None:
    assert count_of(value, total) == expected


@pytest.mark.parametrize("value", [0, -1, "0%", "101%", "-5%", "five", "", "5 %", "1.5%"])
def test_a_budget_that_lets_nothing_happen_is_refused_with_a_way_out(value: int | str) -> None:
    with pytest.raises(Refusal) as refused:
        count_of(value, 10)
    assert refused.value.code == "InvalidMaxUnavailable"
    assert refused.value.remedy


def fleet(old: int = 0, new: int = 0, sick_old: int = 0, sick_new: int = 0) -> list[PodFact]:
    return [
        *(pod(f"old-{i}", OLD) for i in range(old)),
        *(pod(f"new-{i}", NEW) for i in range(new)),
        *(sick(f"sick-old-{i}", OLD) for i in range(sick_old)),
        *(sick(f"sick-new-{i}", NEW) for i in range(sick_new)),
    ]


@pytest.mark.parametrize(
    ("wanted", "max_unavailable", "pods", "healthy", "target"),
    [
        (4, 1, fleet(old=4), 1, 1),
        (4, 2, fleet(old=4), 2, 2),
        (4, 2, fleet(old=3, sick_new=1), 1, 1),
        (4, 2, fleet(old=2, sick_new=2), 0, 0),
        (4, 1, fleet(old=3, sick_old=1), 0, 1),
        (4, 1, fleet(sick_old=4), 0, 1),
        (4, 1, fleet(old=1, sick_old=2, sick_new=1), 0, 0),
        (4, 1, fleet(old=5), 2, 2),
        (4, 2, fleet(old=3), 1, 1),
        (4, 1, fleet(old=2), 0, 0),
        (4, 9, fleet(old=4), 9, 9),
        (4, 9, fleet(old=1, sick_new=3), 6, 6),
        (0, 1, [], 1, 1),
    ],
)
def test_the_allowance_counts_what_serves_and_what_is_sick_already(
    wanted: int, max_unavailable: int, pods: list[PodFact], healthy: int, target: int
) -> None:
    assert budget_now(wanted, max_unavailable, pods, NEW, DWELL) == Budget(healthy, target)


def test_k1469_pods_that_are_not_ready_use_up_the_budget_whatever_made_them_so() -> None:
    assert budget_now(4, 1, [*fleet(old=3), withheld("w")], NEW, DWELL) == Budget(0, 0)
    assert budget_now(4, 1, [*fleet(old=3), changing("c")], NEW, DWELL) == Budget(0, 0)
    assert budget_now(4, 1, [*fleet(old=3), sick("s")], NEW, DWELL).healthy == 0


def test_k2175_pods_that_go_or_have_ended_are_missing_from_the_budget() -> None:
    leaving = [
        pod("going", is_deleting=True),
        pod("evicted", phase="Failed"),
        pod("ended", phase="Succeeded"),
    ]
    assert budget_now(4, 2, [*fleet(old=3), *leaving], NEW, DWELL) == Budget(1, 1)


def test_k2412_no_allowance_is_ever_negative() -> None:
    assert budget_now(9, 1, fleet(sick_new=3), NEW, DWELL) == Budget(0, 0)


def test_a_pod_on_its_way_counts_for_where_it_goes() -> None:
    assert aims_at(withheld("w", target=NEW, revision=OLD), NEW)
    assert aims_at(withheld("w", target=OLD, revision=NEW), NEW)
    assert not aims_at(withheld("w", target=OLD, revision=OLD), NEW)
    assert aims_at(pod(revision=NEW), NEW)


@given(st.integers(0, 9), st.integers(1, 9), *(st.integers(0, 4) for _ in range(4)))
def test_taking_the_whole_allowance_leaves_what_must_be_available(
    wanted: int, max_unavailable: int, old: int, new: int, sick_old: int, sick_new: int
) -> None:
    pods = fleet(old, new, sick_old, sick_new)
    found = budget_now(wanted, max_unavailable, pods, NEW, DWELL)
    assert found.healthy == 0 or old + new - found.healthy >= wanted - max_unavailable
    assert found.target == 0 or sick_new + found.target <= max_unavailable + len(pods) - wanted


def test_a_ready_pod_counts_once_it_has_dwelt() -> None:
    dwell = Dwell(NOW, timedelta(seconds=30))
    fresh = pod("fresh", ready_since=NOW - timedelta(seconds=20))
    assert not dwell.is_available(fresh)
    assert dwell.is_available(pod("settled", ready_since=NOW - timedelta(seconds=30)))
    assert dwell.next_change([pod(), fresh]) == timedelta(seconds=10)
    assert dwell.next_change([pod(), sick("s")]) is None


def test_a_node_whose_clock_runs_ahead_does_not_hide_its_pods() -> None:
    ahead = pod(ready_since=NOW + timedelta(seconds=5))
    assert DWELL.is_available(ahead)
    assert DWELL.next_change([ahead]) is None


@pytest.mark.parametrize(
    "why_not",
    [
        {"phase": "Pending"},
        {"phase": "Failed"},
        {"is_deleting": True},
        {"is_gated": True},
        {"ready_since": None},
        {"state": withheld().state},
    ],
    ids=str,
)
def test_a_pod_serves_only_if_nothing_speaks_against_it(why_not: dict[str, object]) -> None:
    assert DWELL.is_available(pod(ready_since=LONG_AGO))
    assert not DWELL.is_available(pod(**why_not))
