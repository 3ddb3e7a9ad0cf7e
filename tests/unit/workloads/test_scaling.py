"""The number of pods is kept, with names that repeat themselves and the least harm."""

from dataclasses import replace
from datetime import timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.scaling import (
    Scale,
    SetGoal,
    decide_scale,
    deletion_order,
    fresh_names,
    slow_start,
)
from tests.unit.workloads.facts import DWELL, LONG_AGO, NEW, NOW, OLD, budget, goal, pod, sick, withheld


def scale(wanted: SetGoal, pods: list[PodFact], dwell: Dwell = DWELL, taken: tuple[str, ...] = ()) -> Scale:
    return decide_scale(wanted, pods, budget(wanted, pods, dwell), dwell, taken.__contains__)


def deleted(found: Scale) -> list[str]:
    return [d.pod.name for d in found.delete]


def made(found: Scale) -> list[str]:
    return [c.revision for c in found.create]


NAMES = st.integers(0, 30).map(lambda n: f"web-{n}")
PODS = st.lists(
    st.builds(
        pod,
        NAMES,
        st.sampled_from([OLD, NEW]),
        phase=st.sampled_from(["Running", "Running", "Running", "Pending", "Failed"]),
        ready_since=st.sampled_from([LONG_AGO, None]),
        is_deleting=st.sampled_from([False, False, False, True]),
        is_delete_wanted=st.sampled_from([False, False, True]),
        is_gated=st.booleans(),
        deletion_cost=st.integers(-2, 2),
    ),
    max_size=8,
    unique_by=lambda p: p.name,
)
GOALS = st.builds(goal, st.integers(0, 8), st.integers(0, 8), st.integers(1, 4))


@given(GOALS, PODS)
def test_after_a_scaling_the_number_is_right(wanted: SetGoal, pods: list[PodFact]) -> None:
    found = scale(wanted, pods)
    leaving = {d.pod.uid for d in found.delete}
    staying = [p for p in pods if not p.is_deleting and p.uid not in leaving]
    assert len(staying) + len(found.create) == wanted.replicas
    assert not any(p.is_over for p in staying)


@given(GOALS, PODS)
def test_a_scaling_never_takes_more_serving_pods_than_the_budget_and_the_surplus(
    wanted: SetGoal, pods: list[PodFact]
) -> None:
    found = scale(wanted, pods)
    before = sum(DWELL.is_available(p) for p in pods)
    taken = sum(DWELL.is_available(d.pod) for d in found.delete)
    assert taken == 0 or before - taken >= wanted.replicas - wanted.max_unavailable


@given(GOALS, PODS)
def test_no_pod_is_made_at_the_new_revision_beyond_the_partition(
    wanted: SetGoal, pods: list[PodFact]
) -> None:
    found = scale(wanted, pods)
    leaving = {d.pod.uid for d in found.delete}
    new = sum(p.revision == NEW for p in pods if not p.is_deleting and p.uid not in leaving)
    fresh = made(found).count(NEW)
    assert fresh == 0 or new + fresh <= wanted.partition


@given(GOALS, PODS)
def test_the_same_view_gives_the_same_names_and_never_one_in_use(
    wanted: SetGoal, pods: list[PodFact]
) -> None:
    first = [c.name for c in scale(wanted, pods).create]
    assert first == [c.name for c in scale(wanted, pods[::-1]).create]
    assert len(set(first)) == len(first)
    assert not set(first) & {p.name for p in pods}


def test_another_set_of_the_same_name_chooses_other_names() -> None:
    mine, other = goal(), replace(goal(), uid="another-uid")
    assert list(islice(fresh_names(mine, []), 4)) != list(islice(fresh_names(other, []), 4))


def test_a_pod_that_left_the_set_keeps_its_name_to_itself() -> None:
    """Its labels were changed; the set sees what it saw before it made that pod."""
    (first,) = scale(goal(1), []).create
    (second,) = scale(goal(1), [], taken=(first.name,)).create
    assert second.name != first.name


def test_a_name_is_not_free_while_its_pod_is_being_deleted() -> None:
    going = pod("web-going", is_deleting=True)
    assert list(islice(fresh_names(goal(), [going]), 3)) != list(islice(fresh_names(goal(), []), 3))
    first = next(fresh_names(goal(), []))
    assert first not in islice(fresh_names(goal(), [], [first].__contains__), 50)
    first = next(fresh_names(goal(), [pod("a", uid="u")]))
    assert first not in islice(fresh_names(goal(), [pod(first, uid="u")]), 50)


def test_a_pod_lost_from_an_open_group_comes_back_as_its_member() -> None:
    assert made(scale(goal(4, 2), [pod("a", NEW), pod("b"), pod("c")])) == [NEW]


def test_a_pod_lost_from_a_waiting_group_comes_back_as_it_was() -> None:
    assert made(scale(goal(4, 2), [pod("a", NEW), pod("b", NEW), pod("c")])) == [OLD]


def test_a_pod_on_its_way_to_the_new_revision_fills_the_partition() -> None:
    assert made(scale(goal(4, 2), [pod("a", NEW), withheld("b"), pod("c")])) == [OLD]


def test_k2473_failed_and_evicted_pods_are_replaced_at_once() -> None:
    found = scale(goal(3, 0), [pod("a"), pod("b", phase="Failed"), pod("c", phase="Succeeded")])
    assert (deleted(found), made(found)) == (["b", "c"], [OLD, OLD])
    assert [d.reason for d in found.delete] == ["it has failed", "it has succeeded"]


def test_a_marked_pod_is_replaced_within_the_budget() -> None:
    marked = [pod(f"m{i}", is_delete_wanted=True) for i in range(4)]
    found = scale(goal(4, 0, 2), marked)
    assert (deleted(found), made(found)) == (["m0", "m1"], [OLD, OLD])


def test_a_marked_pod_that_serves_nobody_goes_freely() -> None:
    pods = [
        pod("a"),
        sick("b", is_delete_wanted=True),
        sick("c", is_delete_wanted=True),
        pod("d", is_delete_wanted=True),
    ]
    assert deleted(scale(goal(4, 0, 1), pods)) == ["b", "c"]


def test_k2109_a_pod_being_deleted_blocks_nobody() -> None:
    pods = [pod("a"), pod("b", is_deleting=True)]
    assert made(scale(goal(2, 0), pods)) == [OLD]


def test_lowering_replicas_takes_the_least_useful_first() -> None:
    pods = [pod("fit"), sick("ill"), pod("waiting", phase="Pending", node="", ready_since=None)]
    assert deleted(scale(goal(2, 0), pods)) == ["waiting"]
    assert deleted(scale(goal(1, 0), pods)) == ["waiting", "ill"]
    assert deleted(scale(goal(0, 0), pods)) == ["waiting", "ill", "fit"]


def test_a_ready_pod_that_has_not_dwelt_goes_before_one_that_serves() -> None:
    dwell = Dwell(NOW, timedelta(minutes=1))
    fresh = pod("fresh", ready_since=NOW, node="lonely", deletion_cost=9)
    assert deleted(scale(goal(2, 0), [pod("a"), pod("b"), fresh], dwell)) == ["fresh"]


@pytest.mark.parametrize(
    "changes",
    [
        {"node": ""},
        {"phase": "Pending"},
        {"phase": "Unknown"},
        {"ready_since": None},
        {"is_gated": True},
        {"deletion_cost": -1},
        {"ready_since": NOW},
        {"restarts": 3},
        {"created_at": NOW},
    ],
    ids=str,
)
def test_one_fault_is_enough_to_be_deleted_first(changes: dict[str, object]) -> None:
    worse = pod("y", **{"node": "node-y", **changes})
    assert deletion_order([pod("a", node="node-a"), worse, pod("z", node="node-z")])[0] == worse


def test_the_most_crowded_node_gives_first() -> None:
    pods = [pod("a", node="roomy"), pod("b", node="crowded"), pod("c", node="crowded")]
    assert [p.name for p in deletion_order(pods)] == ["b", "c", "a"]


def test_faults_are_ranked_as_the_replica_set_controller_ranks_them() -> None:
    ranked = [
        pod("unassigned", node=""),
        pod("pending", phase="Pending"),
        pod("unknown", phase="Unknown"),
        pod("unready", ready_since=None),
        pod("cheap", deletion_cost=-5),
        pod("fit", node="roomy"),
    ]
    assert [p.name for p in deletion_order(ranked[::-1])] == [p.name for p in ranked]


@given(st.integers(0, 500))
def test_a_slow_start_doubles_and_adds_up(count: int) -> None:
    batches = list(slow_start(count))
    assert sum(batches) == count
    assert batches[:-1] == [2**n for n in range(len(batches) - 1)]
    assert not batches or batches[-1] <= 2 ** (len(batches) - 1)
