"""The groups of a release: cut once, followed, and cut anew behind what is open."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.cafedeployment import Plan
from cafe.workloads.domain.groups import (
    BETA,
    UnitSize,
    goals,
    group_after,
    group_name,
    is_followed,
    make_plan,
    recut,
)


@st.composite
def unit_sizes(draw: st.DrawFn) -> list[UnitSize]:
    names = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5, unique=True))
    sizes = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
    return [UnitSize(n, *draw(sizes)) for n in names]


TYPES = st.sampled_from(["Beta", "Batch"])
BATCHES = st.integers(1, 7)


def counts(plan: Plan) -> list[tuple[int, dict[str, int]]]:
    return [(g.index, g.units) for g in plan.groups]


def opened_at(plan: Plan, draw: st.DataObject) -> int | None:
    return draw.draw(st.sampled_from([None, *(g.index for g in plan.groups)]))


def test_ten_pods_over_two_cells_in_batches_of_four() -> None:
    plan = make_plan("r", [UnitSize("a", 5), UnitSize("b", 5)], "Beta", 4)
    assert counts(plan) == [(0, {"a": 1, "b": 1}), (1, {"a": 2, "b": 2}), (2, {"a": 2, "b": 2})]


@pytest.mark.parametrize(
    ("quotas", "updated", "upgrade_type", "batch_size", "expected"),
    [
        ("a5 b5", "", "Batch", 4, "1: a2 b2, 2: a2 b2, 3: a1 b1"),
        ("a1 b0", "", "Beta", 4, "0: a1"),
        ("a6 b2", "", "Batch", 4, "1: a4, 2: a2 b2"),
        ("a5 b5", "a5 b3", "Beta", 4, "0: b1, 1: b1"),
        ("a3", "a3", "Beta", 1, ""),
        ("a3", "", "Beta", 5, "0: a1, 1: a2"),
    ],
)
def test_plans_that_a_person_would_write_down(
    quotas: str, updated: str, upgrade_type: str, batch_size: int, expected: str
) -> None:
    done = {u[0]: int(u[1:]) for u in updated.split()}
    sizes = [UnitSize(u[0], int(u[1:]), done.get(u[0], 0)) for u in quotas.split()]
    plan = make_plan("r", sizes, upgrade_type, batch_size)
    told = ", ".join(f"{i}: " + " ".join(f"{n}{c}" for n, c in u.items()) for i, u in counts(plan))
    assert told == expected


@given(unit_sizes(), TYPES, BATCHES)
def test_a_plan_covers_exactly_the_work(sizes: list[UnitSize], upgrade_type: str, batch_size: int) -> None:
    plan = make_plan("r", sizes, upgrade_type, batch_size)
    for size in sizes:
        planned = sum(g.units.get(size.name, 0) for g in plan.groups)
        assert planned == max(0, size.quota - size.updated)


@given(unit_sizes(), BATCHES)
def test_beta_takes_one_pod_of_each_unit_that_has_work(sizes: list[UnitSize], batch_size: int) -> None:
    plan = make_plan("r", sizes, "Beta", batch_size)
    work = {s.name: 1 for s in sizes if s.quota > s.updated}
    assert [g.units for g in plan.groups if g.index == BETA] == ([work] if work else [])


@given(unit_sizes(), TYPES, BATCHES)
def test_groups_are_full_but_for_the_last_and_count_from_one(
    sizes: list[UnitSize], upgrade_type: str, batch_size: int
) -> None:
    batches = [g for g in make_plan("r", sizes, upgrade_type, batch_size).groups if g.index != BETA]
    totals = [sum(g.units.values()) for g in batches]
    assert [g.index for g in batches] == list(range(1, len(batches) + 1))
    assert all(t == batch_size for t in totals[:-1])
    assert not totals or 0 < totals[-1] <= batch_size
    assert all(n > 0 for g in batches for n in g.units.values())


@given(unit_sizes(), TYPES, BATCHES)
def test_the_hash_is_stable_and_tells_every_content_apart(
    sizes: list[UnitSize], upgrade_type: str, batch_size: int
) -> None:
    plan = make_plan("r", sizes, upgrade_type, batch_size)
    assert plan == make_plan("r", list(sizes), upgrade_type, batch_size)
    first, *rest = sizes
    others = [
        make_plan("other", sizes, upgrade_type, batch_size),
        make_plan("r", sizes, upgrade_type, batch_size + 1),
        make_plan("r", sizes, "Batch" if upgrade_type == "Beta" else "Beta", batch_size),
        make_plan(
            "r", [UnitSize(first.name, first.quota + 1, first.updated), *rest], upgrade_type, batch_size
        ),
    ]
    assert all(len(other.hash) == 12 and other.hash != plan.hash for other in others)


def test_a_known_plan_has_the_hash_it_had_last_year() -> None:
    assert make_plan("r", [UnitSize("a", 5), UnitSize("b", 5)], "Beta", 4).hash == "51cac7d555ae"


@given(unit_sizes(), TYPES, BATCHES)
def test_goals_rise_with_each_group_up_to_the_quota_and_never_fall_below_the_floor(
    sizes: list[UnitSize], upgrade_type: str, batch_size: int
) -> None:
    plan = make_plan("r", sizes, upgrade_type, batch_size)
    steps = [goals(plan, opened) for opened in [None, *(g.index for g in plan.groups)]]
    for unit in plan.units:
        partitions = [step[unit.name].partition for step in steps]
        replicas = [step[unit.name].replicas for step in steps]
        assert partitions == sorted(partitions)
        assert replicas == sorted(replicas)
        assert partitions[0] == unit.base
        assert partitions[-1] == unit.quota
        assert min(replicas) >= unit.floor
        assert all(p <= r for p, r in zip(partitions, replicas, strict=True))


@given(unit_sizes(), TYPES, BATCHES)
def test_no_group_leaves_fewer_pods_than_there_were_or_shall_be(
    sizes: list[UnitSize], upgrade_type: str, batch_size: int
) -> None:
    plan = make_plan("r", sizes, upgrade_type, batch_size)
    before, after = sum(s.replicas for s in sizes), sum(s.quota for s in sizes)
    for opened in [None, *(g.index for g in plan.groups)]:
        assert sum(g.replicas for g in goals(plan, opened).values()) >= min(before, after)


def test_a_unit_that_shrinks_keeps_what_the_others_still_lack() -> None:
    moved = make_plan("r", [UnitSize("a", 3, 5, 5), UnitSize("b", 7, 5, 5)], "Batch", 4)
    assert [u.floor for u in moved.units] == [5, 5]
    both = make_plan("r", [UnitSize("a", 3, 5, 5), UnitSize("b", 4, 5, 5), UnitSize("c", 1)], "Batch", 4)
    assert [u.floor for u in both.units] == [4, 4, 0]
    lowered = make_plan("r", [UnitSize("a", 2, 5, 5), UnitSize("b", 6, 5, 5)], "Batch", 4)
    assert [u.floor for u in lowered.units] == [3, 5]


# Cut anew


@given(unit_sizes(), TYPES, BATCHES, TYPES, BATCHES, st.data())
def test_a_new_cut_keeps_what_is_open_and_covers_the_rest(
    sizes: list[UnitSize], old_type: str, old_batch: int, new_type: str, new_batch: int, draw: st.DataObject
) -> None:
    old = make_plan("r", sizes, old_type, old_batch)
    opened = opened_at(old, draw)
    new = recut(old, opened, sizes, new_type, new_batch)
    assert {n: g.partition for n, g in goals(new, opened).items()} == {
        n: g.partition for n, g in goals(old, opened).items()
    }
    assert all(g.partition == u.quota for u, g in zip(new.units, goals(new, 10_000).values(), strict=True))
    assert [g.index for g in new.groups] == sorted({g.index for g in new.groups})
    assert opened is None or sum(g.index == BETA for g in new.groups) == sum(
        g.index == BETA for g in old.groups
    )
    assert is_followed(new, "r", {s.name: s.quota for s in sizes}, new_type, new_batch)


@given(unit_sizes(), unit_sizes(), TYPES, BATCHES, st.data())
def test_a_new_cut_after_a_change_of_quotas_opens_nothing_more(
    before: list[UnitSize], after: list[UnitSize], upgrade_type: str, batch_size: int, draw: st.DataObject
) -> None:
    old = make_plan("r", before, upgrade_type, batch_size)
    opened = opened_at(old, draw)
    new = recut(old, opened, after, upgrade_type, batch_size)
    was, will = goals(old, opened), goals(new, opened)
    quotas = {s.name: s.quota for s in after}
    assert {n: g.partition for n, g in will.items() if n in was} == {
        n: min(g.partition, quotas[n]) for n, g in was.items() if n in quotas
    }
    assert all(g.partition == quotas[n] for n, g in goals(new, 10_000).items())


def test_beta_is_not_served_twice() -> None:
    sizes = [UnitSize("a", 5), UnitSize("b", 5)]
    new = recut(make_plan("r", sizes, "Beta", 4), BETA, sizes, "Beta", 2)
    assert [(i, sum(u.values())) for i, u in counts(new)] == [(0, 2), (1, 2), (2, 2), (3, 2), (4, 2)]


def test_a_cut_before_anything_opened_is_a_plan_from_the_start() -> None:
    sizes = [UnitSize("a", 5), UnitSize("b", 5)]
    assert recut(make_plan("r", sizes, "Beta", 4), None, sizes, "Batch", 5) == make_plan(
        "r", sizes, "Batch", 5
    )


# Following


@given(unit_sizes(), TYPES, BATCHES)
def test_a_plan_is_followed_until_something_that_it_was_made_from_changes(
    sizes: list[UnitSize], upgrade_type: str, batch_size: int
) -> None:
    plan = make_plan("r", sizes, upgrade_type, batch_size)
    quotas = {s.name: s.quota for s in sizes}
    assert is_followed(plan, "r", quotas, upgrade_type, batch_size)
    assert not is_followed(None, "r", quotas, upgrade_type, batch_size)
    assert not is_followed(plan, "s", quotas, upgrade_type, batch_size)
    assert not is_followed(plan, "r", quotas | {"z": 0}, upgrade_type, batch_size)
    assert not is_followed(plan, "r", {n: q + 1 for n, q in quotas.items()}, upgrade_type, batch_size)
    assert not is_followed(plan, "r", quotas, "other", batch_size)
    assert not is_followed(plan, "r", quotas, upgrade_type, batch_size + 1)


@given(unit_sizes(), TYPES, BATCHES)
def test_groups_follow_one_another_to_the_end(
    sizes: list[UnitSize], upgrade_type: str, batch_size: int
) -> None:
    plan = make_plan("r", sizes, upgrade_type, batch_size)
    walked: list[int] = []
    at = group_after(plan, None)
    while at is not None:
        walked.append(at)
        at = group_after(plan, at)
    assert walked == [g.index for g in plan.groups]


def test_groups_are_called_as_people_call_them() -> None:
    assert (group_name(0), group_name(3)) == ("Beta", "group 3")


@given(unit_sizes(), TYPES, BATCHES)
def test_a_plan_survives_the_way_through_the_api(
    sizes: list[UnitSize], upgrade_type: str, batch_size: int
) -> None:
    plan = make_plan("r", sizes, upgrade_type, batch_size)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
