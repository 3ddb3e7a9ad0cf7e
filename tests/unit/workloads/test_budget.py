"""How many pods may be unavailable: the arithmetic, line by line."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.kernel import Refusal
from cafe.workloads.domain.budget import Budget, Elsewhere, Use, aims_at, budget_now, budget_within, count_of
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import HOPE, PodFact
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


def test_pods_that_somebody_is_taking_are_missing_before_it_shows() -> None:
    pods = [*fleet(old=4), pod("going", is_deleting=True)]
    taken = [pods[0].uid, pods[-1].uid]
    assert Use.of(5, pods, NEW, DWELL) == Use(1, 1)
    assert Use.of(5, pods, NEW, DWELL, taken) == Use(2, 2)


def test_a_set_may_take_what_is_left_by_the_others_and_never_more_than_its_own_share() -> None:
    use = Use(missing=1, pending=0)
    assert budget_within(use, 2) == Budget(1, 2)
    assert budget_within(use, 2, Elsewhere(20, missing=0, pending=0).left(5)) == Budget(1, 2)
    assert budget_within(use, 2, Elsewhere(20, missing=4, pending=4).left(5)) == Budget(0, 1)
    assert budget_within(use, 2, Elsewhere(20, missing=9, pending=9).left(5)) == Budget(0, 0)


def test_pods_that_one_set_has_too_many_make_up_for_no_other_sets_want() -> None:
    assert Elsewhere.of(9, [Use(-5, -5), Use(2, 1), Use(0, 1)]) == Elsewhere(9, missing=2, pending=2)


def test_a_release_goes_on_pod_by_pod_if_only_old_pods_that_wont_serve_hold_it_up() -> None:
    assert Elsewhere(9, missing=2, pending=0, hopeless=2).left_to_release(1) == Budget(1, 1)
    assert Elsewhere(9, missing=2, pending=0, hopeless=1).left_to_release(1) == Budget(0, 1)
    assert Elsewhere(9, missing=2, pending=1, hopeless=2).left_to_release(1) == Budget(0, 0)
    assert Elsewhere(9, missing=2, pending=0, hopeless=2).left(1) == Budget(0, 1)


def test_nothing_is_begun_for_a_revision_that_the_application_has_left() -> None:
    assert Elsewhere(9, hopeless=2, missing=2, halt="It has left.").left_to_release(1) == Budget(0, 0)
    assert Elsewhere(9, halt="It has left.").left_to_release(5) == Budget(0, 0)


@pytest.mark.parametrize(
    ("one", "is_lost"),
    [
        pytest.param(pod(ready_since=None, unready_since=NOW), False, id="it may be back in a moment"),
        pytest.param(pod(ready_since=None, unready_since=NOW - HOPE), True, id="it was given long enough"),
        pytest.param(pod(ready_since=None, starved_since=NOW), True, id="no node has room"),
        pytest.param(sick("s"), True, id="a container fails"),
        pytest.param(pod(unready_since=NOW - HOPE), False, id="it serves"),
    ],
)
def test_a_pod_is_given_up_when_it_won_t_serve_soon(one: PodFact, *, is_lost: bool) -> None:
    assert Use.of(1, [one], NEW, DWELL).hopeless == is_lost


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=5),
    st.integers(1, 6),
    st.data(),
)
def test_sets_that_ask_in_any_order_take_together_no_more_than_the_budget(
    sets: list[tuple[int, int]], most: int, data: st.DataObject
) -> None:
    # Each set: how many pods it wants, and how many of them serve nobody already.
    missing = [min(wanted, sick) for wanted, sick in sets]
    already = sum(missing)
    for _ in range(3 * len(sets)):
        one = data.draw(st.integers(0, len(sets) - 1))
        wanted = sets[one][0]
        others = [Use(away, away) for n, away in enumerate(missing) if n != one]
        left = budget_within(Use(missing[one], 0), most, Elsewhere.of(99, others).left(most))
        missing[one] += min(left.healthy, wanted - missing[one])
        assert sum(missing) <= max(most, already)


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
