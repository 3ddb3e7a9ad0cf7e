from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from bench.contest import LIMITS, comes, in_turn, is_done
from bench.contestants import CLONE_SET, DEPLOYMENT, EVERYBODY, IMAGES, OURS, Contestant
from testbed import Lacking, NotStarted
from testbed.openkruise import UNASKED


def test_over_six_rounds_each_of_three_is_twice_in_each_place_and_follows_each_other_as_often() -> None:
    orders = [in_turn(EVERYBODY, number) for number in range(6)]
    for place in range(3):
        assert Counter(order[place].name for order in orders) == {one.name: 2 for one in EVERYBODY}
    neighbours = Counter((a.name, b.name) for order in orders for a, b in pairwise(order))
    assert set(neighbours.values()) == {2}
    assert len(neighbours) == 6


def test_two_take_turns() -> None:
    pair = (OURS, DEPLOYMENT)
    assert [in_turn(pair, number)[0] for number in range(4)] == [OURS, DEPLOYMENT, DEPLOYMENT, OURS]


@pytest.mark.parametrize("one", EVERYBODY, ids=lambda one: one.name)
def test_all_have_the_same_pods_and_may_miss_the_same_share(one: Contestant) -> None:
    workload = one.workload(3, most=5)
    template = workload["spec"]["template"]["spec"]
    assert template == OURS.workload(3, 5)["spec"]["template"]["spec"]
    assert template["containers"][0]["image"] == IMAGES[0]
    assert workload["spec"]["replicas"] == 3
    assert "'maxUnavailable': '20%'" in str(workload)


def test_only_pods_of_clone_sets_are_admitted_by_openkruise() -> None:
    assert [one for one in EVERYBODY if UNASKED not in dict(one.labels)] == [CLONE_SET]


def workload(**status: object) -> dict[str, Any]:
    return {"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status}


def test_a_workload_is_done_when_its_status_is_of_this_generation_and_counts_all_pods() -> None:
    counts = {"updatedReplicas": 3, "availableReplicas": 3}
    assert is_done(workload(observedGeneration=2, **counts))
    assert not is_done(workload(observedGeneration=1, **counts))
    assert not is_done(workload(observedGeneration=2, updatedReplicas=2, availableReplicas=3))
    assert not is_done(workload(observedGeneration=2, phase="Progressing", **counts))


def test_a_workload_scaled_to_none_is_done_without_any_counts() -> None:
    empty = {"metadata": {"generation": 1}, "spec": {"replicas": 0}, "status": {"observedGeneration": 1}}
    assert is_done(empty)


@pytest.mark.parametrize("problem", [Lacking(["Go 1.26"]), NotStarted("the module can't be had")])
def test_without_openkruise_the_others_are_compared_and_the_reason_is_told(
    problem: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def step() -> None:
        raise problem

    assert not comes(step)
    assert capsys.readouterr().out == f"CloneSet IS NOT COMPARED: {problem}\n"


def test_the_limits_of_each_contestant_are_told() -> None:
    assert str(LIMITS["own"]) == "InPlaceSet none, CloneSet 30/50, Deployment 20/30"
