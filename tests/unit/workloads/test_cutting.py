"""How the pods behind Beta are cut into groups, by each strategy."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.strategy import CafeDeploymentStrategy, ConfirmStrategy, Grouping, GroupStrategy
from cafe.kernel import Refusal
from cafe.workloads.domain.cutting import Rules, cut, demand_known_units
from cafe.workloads.domain.groups import UnitSize, asks_before, is_followed, make_plan, recut

UNITS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 12), min_size=1, max_size=4)
BATCHES = st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5), min_size=1), max_size=4)
GROUPINGS = st.builds(
    Grouping,
    strategy=st.sampled_from(GroupStrategy),
    count=st.integers(1, 8),
    max_capacity=st.integers(0, 8),
    percent=st.integers(1, 100),
    batches=BATCHES,
)


@given(UNITS, GROUPINGS, st.integers(1, 7), st.integers(0, 3))
def test_the_groups_hold_exactly_what_was_left_and_none_is_empty(
    left: dict[str, int], grouping: Grouping, batch_size: int, begun: int
) -> None:
    groups = cut(sorted(left), left, Rules(batch_size, grouping, left, begun))
    assert all(group and all(count > 0 for count in group.values()) for group in groups)
    assert {unit: sum(g.get(unit, 0) for g in groups) for unit in left} == left


@given(UNITS, st.integers(1, 8), st.integers(0, 8))
def test_a_least_number_of_groups_and_a_most_of_pods_are_both_kept(
    left: dict[str, int], count: int, most: int
) -> None:
    grouping = Grouping(strategy=GroupStrategy.COUNT, count=count, max_capacity=most)
    sizes = [sum(g.values()) for g in cut(sorted(left), left, Rules(1, grouping))]
    total = sum(left.values())
    assert len(sizes) >= min(count, total)
    assert not most or max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes)


@given(UNITS, st.integers(1, 100))
def test_a_percentage_takes_no_more_of_any_unit_than_its_share_rounded_up(
    left: dict[str, int], percent: int
) -> None:
    grouping = Grouping(strategy=GroupStrategy.CELL_PERCENTAGE, percent=percent)
    for group in cut(sorted(left), left, Rules(1, grouping, left)):
        assert all(count <= -(-left[unit] * percent // 100) for unit, count in group.items())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"strategy": "EachOne"}, ["a1", "a1", "a1", "b1", "a1", "b1"]),
        ({"strategy": "AllOne"}, ["a4 b2"]),
        ({"strategy": "Cell"}, ["a4", "b2"]),
        ({"strategy": "CellPercentage", "percent": 50}, ["a2 b1", "a2 b1"]),
        ({"strategy": "Count", "count": 4}, ["a1", "a1", "a1 b1", "a1 b1"]),
        ({"strategy": "Count", "count": 1, "max_capacity": 4}, ["a3", "a1 b2"]),
        ({"strategy": "Explicit", "batches": [{"b": 1}, {"a": 9}]}, ["b1", "a4", "b1"]),
        ({}, ["a3 b1", "a1 b1"]),
    ],
)
def test_groups_that_a_person_would_write_down(fields: dict[str, Any], expected: list[str]) -> None:
    strategy = GroupStrategy(fields.pop("strategy", "BatchSize"))
    left = {"a": 4, "b": 2}
    groups = cut(["a", "b"], left, Rules(4, Grouping(strategy=strategy, **fields), left))
    assert [" ".join(f"{n}{c}" for n, c in group.items()) for group in groups] == expected


def test_explicit_batches_go_on_behind_those_that_are_open() -> None:
    grouping = Grouping(strategy=GroupStrategy.EXPLICIT, batches=[{"a": 1}, {"a": 2}, {"a": 3}])
    plan = make_plan("r", [UnitSize("a", 7)], "Beta", 1, grouping)
    assert [g.units for g in plan.groups] == [{"a": 1}, {"a": 1}, {"a": 2}, {"a": 3}]
    again = recut(plan, 1, [UnitSize("a", 9, 2, 7)], "Beta", 1, grouping)
    assert [g.units for g in again.groups] == [{"a": 1}, {"a": 1}, {"a": 2}, {"a": 3}, {"a": 2}]


def test_another_grouping_makes_a_plan_void_and_another_question_does_not() -> None:
    sizes, quotas = [UnitSize("a", 6)], {"a": 6}
    plain = make_plan("r", sizes, "Batch", 2)
    assert is_followed(plain, "r", quotas, "Batch", 2, Grouping())
    assert is_followed(
        plain, "r", quotas, "Batch", 2, Grouping(breakpoints=[2], confirm=ConfirmStrategy.FIRST)
    )
    cells = Grouping(strategy=GroupStrategy.CELL)
    assert not is_followed(plain, "r", quotas, "Batch", 2, cells)
    assert make_plan("r", sizes, "Batch", 2, cells).hash != plain.hash


@pytest.mark.parametrize(
    ("needs", "fields", "asked"),
    [
        (False, {}, []),
        (True, {}, [1, 2, 3]),
        (True, {"confirm": ConfirmStrategy.FIRST}, [1]),
        (False, {"breakpoints": [2]}, [2]),
        (True, {"confirm": ConfirmStrategy.FIRST, "breakpoints": [3]}, [1, 3]),
    ],
)
def test_who_is_asked_before_which_group(needs: bool, fields: dict[str, Any], asked: list[int]) -> None:  # noqa: FBT001 -- a column of the table
    strategy = CafeDeploymentStrategy(need_waiting_for_confirm=needs, grouping=Grouping(**fields))
    plan = make_plan("r", [UnitSize("a", 4)], "Beta", 1)
    assert [g.index for g in plan.groups[1:] if asks_before(strategy, plan, g.index)] == asked


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([{"a": 1}, {"x": 1}], "Batch 2 of strategy.grouping names x."),
        ([{"a": 0}], "Batch 1 of strategy.grouping holds no pods"),
        ([{"a": -1, "b": 2}], "Batch 1 of strategy.grouping holds no pods"),
    ],
)
def test_batches_that_mean_nothing_are_refused(batches: list[dict[str, int]], words: str) -> None:
    grouping = Grouping(strategy=GroupStrategy.EXPLICIT, batches=batches)
    with pytest.raises(Refusal, match=words) as refused:
        demand_known_units(grouping, ["a", "b"])
    assert refused.value.code == "BadBatches"
