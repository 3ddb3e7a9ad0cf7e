"""How many pods each ReplicaSet of a unit has next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.cafedeployment import CafeDeployment, CafeDeploymentStatus, PodSetType
from cafe.workloads.domain.budget import Budget, Use
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import DOOMED, PodFact
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.podsets.facts import Release, ReplicaSetFact, UnitFact
from cafe.workloads.domain.podsets.kinds import follow_all
from cafe.workloads.domain.podsets.natives import (
    ChangeNative,
    DropNative,
    Limits,
    PricePod,
    digest_of_template,
    template_of,
)
from cafe.workloads.domain.podsets.replicasets import Count, count, decide_replicas, follow, lent, use_of
from tests.unit.workloads.releaseworld import application

NEW, OLD, OLDER = "new", "old", "older"
PLENTY = Budget(99, 99)


def decide(
    goal: tuple[int, int], new: tuple[int, int], *olds: tuple[int, int], limits: tuple[int, int] = (1, 0)
) -> list[int]:
    """Decide for sets given as (asked, available), the last one whole; return the numbers in their order."""
    counts = [Count(str(n), *one, is_whole=n == len(olds)) for n, one in enumerate((new, *olds))]
    wanted = decide_replicas(UnitGoal(*goal), counts[0], counts[1:], Limits(limits[0], *limits))
    return [wanted[one.name] for one in counts]


@pytest.mark.parametrize(
    ("goal", "new", "olds", "limits", "wanted"),
    [
        pytest.param((10, 0), (0, 0), [(10, 10)], (1, 0), [0, 10], id="nothing is open"),
        pytest.param((10, 1), (0, 0), [(10, 10)], (1, 0), [0, 9], id="an old pod makes room"),
        pytest.param((10, 1), (0, 0), [(9, 9)], (1, 0), [1, 9], id="a new one takes it"),
        pytest.param((10, 1), (1, 1), [(9, 9)], (1, 0), [1, 9], id="the group is full"),
        pytest.param((10, 4), (1, 0), [(9, 9)], (1, 0), [1, 9], id="a sick new pod uses the budget up"),
        pytest.param((10, 4), (1, 1), [(9, 9)], (2, 0), [1, 7], id="as many as may be missing"),
        pytest.param((10, 4), (1, 1), [(9, 6)], (2, 0), [1, 7], id="sick old pods go first, and free"),
        pytest.param(
            (10, 10), (1, 0), [(9, 5)], (2, 0), [1, 8], id="sick old pods make little room for sick new"
        ),
        pytest.param((10, 10), (0, 0), [(10, 10)], (0, 2), [2, 10], id="surge comes first"),
        pytest.param((10, 10), (2, 2), [(10, 10)], (0, 2), [2, 8], id="then old pods go"),
        pytest.param((10, 10), (2, 1), [(10, 10)], (0, 2), [2, 9], id="one for each that serves"),
        pytest.param((5, 5), (10, 10), [], (1, 0), [5], id="scale-in"),
        pytest.param((5, 2), (2, 2), [(8, 8)], (1, 0), [2, 3], id="scale-in takes old pods"),
        pytest.param((10, 0), (8, 8), [(2, 0)], (1, 0), [8, 2], id="pods of a revision that came back stay"),
        pytest.param((10, 9), (8, 8), [(2, 0)], (1, 0), [8, 1], id="on the way back sick ones go first"),
        pytest.param((10, 2), (2, 2), [(6, 6)], (1, 0), [2, 8], id="old pods taken by hand come back"),
        pytest.param(
            (10, 4), (2, 2), [(3, 0), (5, 5)], (1, 0), [2, 2, 5], id="the failed revision goes first"
        ),
        pytest.param((0, 0), (0, 0), [(4, 4)], (1, 0), [0, 0], id="none is wanted"),
        pytest.param((3, 3), (0, 0), [], (1, 0), [3], id="the first deployment"),
    ],
)
def test_the_next_numbers(
    goal: tuple[int, int],
    new: tuple[int, int],
    olds: list[tuple[int, int]],
    limits: tuple[int, int],
    wanted: list[int],
) -> None:
    assert decide(goal, new, *olds, limits=limits) == wanted


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        pytest.param(Limits(2, 2), [0, 4], id="the sick one and one that serves"),
        pytest.param(Limits(2, 1), [0, 5], id="others miss one: only the sick one, which costs nothing"),
        pytest.param(Limits(1, 1), [0, 5], id="as many as may be new and sick"),
        pytest.param(Limits(0, 0), [0, 6], id="others have taken it all"),
    ],
)
def test_what_other_units_miss_is_not_taken_again(limits: Limits, wanted: list[int]) -> None:
    counts = [Count("new", 0, 0), Count("old", 6, 5)]
    found = decide_replicas(UnitGoal(6, 6), counts[0], counts[1:], limits)
    assert list(found.values()) == wanted


def test_what_was_left_half_way_is_brought_to_no_further_pod() -> None:
    half = Count("1", 2, 0)
    assert decide_replicas(UnitGoal(10, 0), Count("0", 4, 4), [half], Limits(1, 1)) == {"0": 4, "1": 2}


@pytest.mark.parametrize(
    ("asked", "available", "marked", "limits", "expected"),
    [
        pytest.param(3, 3, 1, (0, 1), 1, id="one is made beside it"),
        pytest.param(4, 3, 1, (0, 1), 1, id="until that one serves"),
        pytest.param(4, 4, 1, (0, 1), 0, id="then the marked one may go"),
        pytest.param(3, 3, 3, (0, 2), 2, id="as many as the surge allows"),
        pytest.param(5, 4, 3, (0, 2), 2, id="all of them must serve"),
        pytest.param(3, 3, 0, (0, 1), 0, id="nobody is marked"),
        pytest.param(3, 3, 1, (1, 1), 0, id="one may be missing anyway"),
        pytest.param(3, 3, 1, (0, 0), 0, id="paused"),
    ],
)
def test_pods_are_lent_for_marked_ones_where_none_may_be_missing(
    asked: int, available: int, marked: int, limits: tuple[int, int], expected: int
) -> None:
    one = Count("0", asked, available, marked)
    assert lent(UnitGoal(3, 3), [one], Limits(limits[0], *limits)) == expected


@st.composite
def units(draw: st.DrawFn) -> tuple[UnitGoal, Limits, list[int]]:
    replicas = draw(st.integers(0, 12))
    partition = draw(st.integers(0, replicas))
    unavailable = draw(st.integers(0, 4))
    surge = draw(st.integers(0 if unavailable else 1, 4))
    asked = [draw(st.integers(0, replicas))]
    asked.append(replicas - asked[0])
    return UnitGoal(replicas, partition), Limits(unavailable, unavailable, surge), [0, *asked]


@given(units(), st.data())
def test_any_exchange_reaches_its_goal_within_its_limits(
    unit: tuple[UnitGoal, Limits, list[int]], data: st.DataObject
) -> None:
    goal, limits, asked = unit
    serving = list(asked)
    for _ in range(200):
        counts = [Count(str(n), a, s) for n, (a, s) in enumerate(zip(asked, serving, strict=True))]
        wanted = decide_replicas(goal, counts[0], counts[1:], limits)
        decided = [wanted[one.name] for one in counts]
        assert sum(decided) <= goal.replicas + limits.surge, "too many pods"
        assert decided[0] <= max(goal.partition, asked[0]), "a pod was made before its group was open"
        assert sum(decided[1:]) >= min(sum(asked[1:]), goal.replicas - goal.partition), (
            "an unreleased pod went"
        )
        serving = [min(s, d) for s, d in zip(serving, decided, strict=True)]
        assert sum(serving) >= goal.replicas - limits.unavailable, "too many are missing"
        asked = decided
        due = [n for n, (a, s) in enumerate(zip(asked, serving, strict=True)) if s < a]
        if due:
            serving[data.draw(st.sampled_from(due))] += 1
        elif asked[0] == goal.partition and sum(asked) == goal.replicas:
            return
    raise AssertionError(f"never there: {asked} of {goal} within {limits}")


@given(units(), st.integers(0, 12))
def test_a_bad_image_takes_no_more_than_the_budget(
    unit: tuple[UnitGoal, Limits, list[int]], passes: int
) -> None:
    goal, limits, asked = unit
    serving = list(asked)
    for _ in range(passes + 20):
        counts = [Count(str(n), a, s) for n, (a, s) in enumerate(zip(asked, serving, strict=True))]
        wanted = decide_replicas(goal, counts[0], counts[1:], limits)
        asked = [wanted[one.name] for one in counts]
        serving = [0, *(min(s, a) for s, a in zip(serving[1:], asked[1:], strict=True))]
    assert sum(serving) >= goal.replicas - limits.unavailable
    assert asked[0] <= limits.unavailable + limits.surge


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_pod(name: str, cost: int = 0, *, is_ready: bool = True) -> PodFact:
    since = NOW - timedelta(hours=1) if is_ready else None
    return PodFact(name, f"uid-{name}", "1", "r1", node=name, ready_since=since, deletion_cost=cost)


def unit_of(app: CafeDeployment, pods: list[PodFact], goal: UnitGoal) -> UnitFact:
    """Return a unit whose one ReplicaSet has these pods, with its goal on record."""
    rendered = digest_of_template(template_of(app, "a", "r1"))
    crowd = Crowd.of(pods, Dwell(NOW, timedelta()))
    held = (ReplicaSetFact("shop-a-r1", "r1", len(pods), crowd, rendered),)
    return UnitFact("a", "r1", goal, held)


def test_pods_are_known_to_go_before_their_set_shrinks() -> None:
    app, goal = application(2, units="a"), UnitGoal(2, 2)
    pods = [a_pod("a"), a_pod("b"), a_pod("c")]
    (first,) = follow(app, unit_of(app, pods, goal), goal, Release("r1"), PLENTY)
    assert isinstance(first, PricePod)
    assert first.cost == DOOMED
    priced = [a_pod(p.name, DOOMED if p.name == first.pod.name else 0) for p in pods]
    (second,) = follow(app, unit_of(app, priced, goal), goal, Release("r1"), PLENTY)
    assert second == ChangeNative("ReplicaSet", "shop-a-r1", {"replicas": 2})
    left = [p for p in priced if p.deletion_cost != DOOMED]
    assert follow(app, unit_of(app, left, goal), goal, Release("r1"), PLENTY) == []


def test_the_set_of_what_was_whole_stays_to_the_end_of_a_release() -> None:
    app, goal = application(1, units="a"), UnitGoal(1, 1)
    rendered = digest_of_template(template_of(app, "a", "r2"))
    dwell = Dwell(NOW, timedelta())
    empty = ReplicaSetFact("shop-a-r1", "r1", 0, Crowd.of([], dwell))
    fresh = ReplicaSetFact("shop-a-r2", "r2", 1, Crowd.of([a_pod("x")], dwell), rendered)
    fact = UnitFact("a", "r2", goal, (empty, fresh))
    for whole, expected in (("r1", []), ("r2", [DropNative("ReplicaSet", "shop-a-r1")])):
        status = msgspec.structs.replace(app.status, current_revision=whole)
        standing = msgspec.structs.replace(app, status=status)
        assert follow(standing, fact, goal, Release("r2"), PLENTY) == expected


def test_a_price_is_taken_back_when_nobody_is_to_go_any_more() -> None:
    app, goal = application(3, units="a"), UnitGoal(3, 3)
    pods = [a_pod("a", DOOMED), a_pod("b"), a_pod("c")]
    (action,) = follow(app, unit_of(app, pods, goal), goal, Release("r1"), PLENTY)
    assert action == PricePod(pods[0], None)


def test_what_is_not_ready_goes_first_by_itself() -> None:
    app, goal = application(2, units="a"), UnitGoal(2, 2)
    pods = [a_pod("a"), a_pod("b"), a_pod("c", is_ready=False)]
    (action,) = follow(app, unit_of(app, pods, goal), goal, Release("r1"), PLENTY)
    assert action == ChangeNative("ReplicaSet", "shop-a-r1", {"replicas": 2})


@pytest.mark.parametrize(
    ("ready", "asked", "available"),
    [
        ("++", 2, 2),
        ("++-", 3, 2),
        ("+++", 2, 2),
        ("++-", 2, 1),
        ("+-", 1, 0),
        ("++", 3, 2),
    ],
)
def test_pods_that_a_set_has_too_many_are_taken_for_gone_and_for_ones_that_served(
    ready: str, asked: int, available: int
) -> None:
    pods = [a_pod(str(n), is_ready=mark == "+") for n, mark in enumerate(ready)]
    one = ReplicaSetFact("shop-a-r1", "r1", asked, Crowd.of(pods, Dwell(NOW, timedelta())))
    assert count(one, one.pods.dwell) == Count("shop-a-r1", asked, available)


def two_units(app: CafeDeployment, *, sick: int = 0, promised: int = 0) -> list[UnitFact]:
    """Return units of four old pods, each of which may go, and an empty ReplicaSet of the newest revision."""
    facts: list[UnitFact] = []
    for unit in "ab":
        pods = [a_pod(f"{unit}{n}", DOOMED, is_ready=unit == "a" or n >= sick) for n in range(4)]
        rendered = digest_of_template(template_of(app, unit, "r2"))
        dwell = Dwell(NOW, timedelta())
        held = (
            ReplicaSetFact(f"shop-{unit}-r2", "r2", 0, Crowd(dwell), rendered),
            ReplicaSetFact(f"shop-{unit}-r1", "r1", 4, Crowd.of(pods, dwell)),
        )
        facts.append(UnitFact(unit, "r2", UnitGoal(4, 4), held, promised=promised if unit == "b" else 0))
    return facts


@pytest.mark.parametrize(
    ("sick", "promised", "shrunk"),
    [
        pytest.param(0, 0, {"shop-a-r1": 2}, id="the first takes what both may have"),
        pytest.param(1, 0, {"shop-a-r1": 3, "shop-b-r1": 3}, id="what the other misses is left alone"),
        pytest.param(2, 0, {"shop-b-r1": 2}, id="it has used everything up, and mends itself first"),
        pytest.param(0, 1, {"shop-a-r1": 3}, id="a pod that an eviction was promised is missing"),
    ],
)
def test_units_share_one_budget(sick: int, promised: int, shrunk: dict[str, int]) -> None:
    app = application(8, units="ab", max_unavailable=2)
    app = msgspec.structs.replace(
        app, spec=msgspec.structs.replace(app.spec, pod_set_type=PodSetType.REPLICA_SET)
    )
    wanted = dict.fromkeys("ab", UnitGoal(4, 4))
    actions = follow_all(app, two_units(app, sick=sick, promised=promised), wanted, Release("r2"))
    assert {a.name: a.spec["replicas"] for a in actions if isinstance(a, ChangeNative)} == shrunk


def test_old_pods_that_nothing_can_make_hold_no_other_unit_up() -> None:
    app = application(8, units="ab", max_unavailable=2)
    app = msgspec.structs.replace(
        app, spec=msgspec.structs.replace(app.spec, pod_set_type=PodSetType.REPLICA_SET)
    )
    full, robbed = two_units(app)
    # Three of the four were taken by a hand, and what ran was never whole.
    assert isinstance(robbed.held, tuple)
    newest, old = robbed.held
    left = Crowd.of(list(old.pods)[:1], old.pods.dwell)
    robbed = replace(robbed, held=(newest, replace(old, asked=1, pods=left)))
    wanted = {"a": UnitGoal(4, 1), "b": UnitGoal(4, 0)}
    assert use_of(app, robbed, wanted["b"], "r2") == Use(missing=3, pending=0, hopeless=3)
    actions = follow_all(app, [full, robbed], wanted, Release("r2"))
    shrunk = {
        a.name: a.spec["replicas"] for a in actions if isinstance(a, ChangeNative) and "replicas" in a.spec
    }
    assert shrunk == {"shop-a-r1": 3}
    whole = msgspec.structs.replace(app, status=CafeDeploymentStatus(current_revision="r1"))
    assert use_of(whole, robbed, wanted["b"], "r2") == Use(missing=3, pending=3, hopeless=0)
