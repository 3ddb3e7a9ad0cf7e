"""A set's pods, parted into restless and calm: the same decisions, without a look at each pod."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cafe.api.inplaceset import InPlaceSet, InPlaceSetSpec
from cafe.api.shapes import LabelSelector, Metadata, PodTemplate
from cafe.workloads.domain.budget import budget_now
from cafe.workloads.domain.crowd import SHELF, Crowd, Roll
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import ContainerBefore, PodFact, UpdateState
from cafe.workloads.domain.scaling import SetGoal, decide_scale
from cafe.workloads.domain.setstatus import set_status
from cafe.workloads.domain.templates import InPlace, Recreate
from cafe.workloads.domain.updating import Progress, UpdateRules, decide_update
from cafe.workloads.reconcilers.inplacesets import in_order
from tests.unit.workloads import naive
from tests.unit.workloads.facts import (
    DWELL,
    NEW,
    NEWER,
    NOW,
    OLD,
    budget,
    container,
    goal,
    new_environment,
    new_image,
    new_label,
    pod,
    rules,
)

FREE = 2
OWNER = InPlaceSet(
    metadata=Metadata(name="web"),
    spec=InPlaceSetSpec(selector=LabelSelector(match_labels={"app": "web"}), template=PodTemplate()),
)
NAMES = st.integers(0, 11).map("web-{}".format)
REVISIONS = st.sampled_from([OLD, NEW, NEWER])
AGES = st.sampled_from([-5, 0, 5, 30, 600]).map(lambda seconds: timedelta(seconds=seconds))
BEFORE = {"app": ContainerBefore("sha256:app:v1", "containerd://1")}
STATES = st.builds(
    UpdateState, REVISIONS, AGES.map(lambda age: NOW - age), st.sampled_from([None, BEFORE, {}])
)
YES, NO = st.sampled_from([True]), st.sampled_from([False])
ODD: dict[str, st.SearchStrategy[Any]] = {
    "phase": st.sampled_from(["Pending", "Unknown", "Failed", "Succeeded"]),
    "ready_since": st.none(),
    "is_deleting": YES,
    "is_gated": YES,
    "is_observed": NO,
    "is_delete_wanted": YES,
    "state": STATES,
    "containers": st.builds(
        lambda n, runs: {"app": container("app:v1", n, running=runs, problem="" if runs else "Error")},
        st.integers(1, 2),
        st.booleans(),
    ),
}


@st.composite
def facts(draw: st.DrawFn, name: str) -> PodFact:
    """Draw a pod that serves but for up to three oddities."""
    fit = pod(name, draw(REVISIONS), ready_since=NOW - draw(AGES), uid=f"{name}-{draw(st.integers(0, 2))}")
    chosen = draw(st.lists(st.sampled_from(sorted(ODD)), max_size=3, unique=True))
    return replace(fit, **{key: draw(ODD[key]) for key in chosen})


CHANGES = st.lists(NAMES, max_size=8, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: st.none() | facts(name) for name in names})
)
DWELLS = st.builds(
    lambda passed, least: Dwell(NOW + timedelta(seconds=passed), timedelta(seconds=least)),
    st.sampled_from([-40, 0, 0, 3, 10, 40]),
    st.sampled_from([0, 10, 10, 10, 60]),
)
WAYS = st.sampled_from([new_image, new_label, new_environment])


@dataclass(frozen=True)
class Case:
    """A goal and rules; *ways* is by revision."""

    goal: SetGoal
    ways: dict[str, Any]
    flags: dict[str, bool] = field(default_factory=dict)

    def rules(self) -> UpdateRules:
        def change_from(revision: str) -> InPlace | Recreate:
            way: InPlace | Recreate = self.ways[revision](revision)
            return way

        return rules(change_from, grace=7, **self.flags)


GOALS = st.builds(
    goal,
    replicas=st.integers(0, 10),
    partition=st.integers(0, 10),
    max_unavailable=st.integers(1, 6),
    current=st.sampled_from([OLD, NEW]),
)
FLAGS = st.sampled_from(["is_paused", "is_in_place_only", "is_always_recreated"])
CASES = st.builds(
    Case,
    GOALS,
    st.fixed_dictionaries(dict.fromkeys((OLD, NEW, NEWER), WAYS)),
    st.dictionaries(FLAGS, YES, max_size=1),
)


@pytest.mark.slow
@settings(max_examples=400)
@given(st.lists(st.tuples(CHANGES, DWELLS), min_size=1, max_size=5), DWELLS, CASES)
def test_a_crowd_kept_from_changes_decides_as_a_look_at_each_pod_does(
    history: list[tuple[dict[str, PodFact | None], Dwell]], moment: Dwell, case: Case
) -> None:
    crowd, pods = Crowd(DWELL), dict[str, PodFact]()
    for changes, dwell in history:
        crowd = crowd.after(changes, dwell)
        pods |= {name: found for name, found in changes.items() if found is not None}
        pods = {name: found for name, found in pods.items() if changes.get(name, found) is not None}
        listed = list(pods.values())
        assert parts(crowd) == parts(Crowd.of(listed, dwell))
        # Decisions may be made later than the crowd was kept, or by another rule.
        for now in (dwell, moment):
            for seen in (crowd, listed, tuple(reversed(listed))):
                same_decisions(case, seen, listed, now)
    assert crowd.revisions() == {
        r: n for r in (OLD, NEW, NEWER) if (n := sum(p.revision == r for p in pods.values()))
    }


def parts(crowd: Crowd) -> tuple[tuple[PodFact, ...], dict[str, list[PodFact]]]:
    """Return what a crowd says, however its rolls are shelved."""
    return crowd.restless, {revision: list(roll) for revision, roll in crowd.calm.items()}


def same_decisions(case: Case, seen: Any, listed: list[PodFact], now: Dwell) -> None:  # noqa: ANN401 -- a Crowd or pods
    wanted = case.goal
    left = naive.budget_of(wanted, listed, now)
    assert budget_now(wanted.replicas, wanted.max_unavailable, seen, NEW, now) == left
    assert decide_scale(wanted, seen, left, now) == naive.scale_of(wanted, listed, left, now)
    progress = decide_update(wanted, seen, left, now, case.rules())
    assert ordered(progress) == ordered(naive.update_of(wanted, listed, left, now, case.rules()))
    some = decide_update(wanted, seen, left, now, case.rules(), FREE + 1)
    whole = in_order(naive.update_of(wanted, listed, left, now, case.rules()).steps)
    assert (in_order(some.steps)[:FREE], len(some.steps) > FREE) == (whole[:FREE], len(whole) > FREE)
    told = set_status(OWNER, wanted, seen, progress, now)
    assert naive.counts_of(wanted, listed, now) == (
        told.replicas, told.ready_replicas, told.available_replicas, told.updated_replicas,
        told.updated_available_replicas, told.current_revision,
    )  # fmt: skip


def ordered(progress: Progress) -> Progress:
    return replace(progress, steps=tuple(sorted(progress.steps, key=lambda step: step.pod.name)))


def test_a_pod_comes_to_rest_when_it_has_dwelt_long_enough() -> None:
    young = pod("web-1", ready_since=NOW - timedelta(seconds=5))
    dwell = Dwell(NOW, timedelta(seconds=10))
    crowd = Crowd.of([pod("web-0"), young], dwell)
    assert crowd.restless == (young,)
    later = crowd.after({}, replace(dwell, now=NOW + timedelta(seconds=5)))
    assert later.restless == ()
    assert [p.name for p in later.calm[OLD]] == ["web-0", "web-1"]


def test_a_clock_set_back_is_believed() -> None:
    dwell = Dwell(NOW, timedelta(seconds=10))
    crowd = Crowd.of([pod("web-1", ready_since=NOW - timedelta(seconds=10))], dwell)
    back = replace(dwell, now=NOW - timedelta(seconds=1))
    assert crowd.calm_count() == 1
    assert crowd.after({}, back).calm_count() == Crowd.of(crowd, back).calm_count() == 0


def test_without_changes_and_dwelling_a_crowd_stays_the_same_object() -> None:
    crowd = Crowd.of([pod("web-1")], DWELL)
    assert crowd.after({}, replace(DWELL, now=NOW + timedelta(days=1))) is crowd
    assert Crowd.of(crowd, replace(DWELL, now=NOW - timedelta(days=1))) is crowd


def test_a_large_set_is_updated_by_a_look_at_a_few_of_its_pods() -> None:
    count = 2000
    wanted = goal(count, count, 3)
    pods = [Watched.of(pod(f"web-{n:04}")) for n in range(count)]
    crowd = Crowd.of(pods, DWELL)
    left = budget(wanted, crowd)  # type: ignore[arg-type]
    Watched.looks = 0
    progress = decide_update(wanted, crowd, left, DWELL, rules())
    assert [step.pod.name for step in progress.steps] == ["web-0000", "web-0001", "web-0002"]
    assert not decide_scale(wanted, crowd, left, DWELL)
    set_status(OWNER, wanted, crowd, progress, DWELL)
    assert 0 < Watched.looks < 50


def test_free_changes_are_looked_for_no_further_than_they_are_written() -> None:
    crowd = Crowd.of([Watched.of(pod(f"web-{n:04}")) for n in range(2000)], DWELL)
    Watched.looks = 0
    left = budget_now(2000, 1, crowd, NEW, DWELL)
    progress = decide_update(goal(2000, 2000), crowd, left, DWELL, rules(new_label), 5)
    assert [step.pod.name for step in progress.steps] == [f"web-{n:04}" for n in range(5)]
    assert 0 < Watched.looks < 50


class Watched(PodFact):
    """A pod that counts how often pods are judged."""

    looks = 0

    @classmethod
    def of(cls, fact: PodFact) -> "Watched":
        return cls(**{key: getattr(fact, key) for key in PodFact.__dataclass_fields__})

    def is_available(self, now: Any, min_ready: Any) -> bool:  # noqa: ANN401 -- as above
        Watched.looks += 1
        return PodFact.is_available(self, now, min_ready)


@pytest.mark.slow
@settings(max_examples=20)
@given(*[st.permutations([f"web-{n}" for n in range(5 * SHELF)])] * 2, st.integers(0, 5 * SHELF))
def test_a_roll_keeps_order_and_short_shelves_through_any_changes(
    names: list[str], leaving: list[str], count: int
) -> None:
    roll = Roll()
    for name in names:
        roll = roll.plus(pod(name))
    assert [p.name for p in roll] == sorted(names)
    assert list(roll) == list(Roll.of(roll))
    assert roll.minus("web-") is roll
    kept = set(names)
    for name in leaving[:count]:
        kept.remove(name)
        roll = roll.minus(name)
        assert roll.minus(name) is roll
    assert ([p.name for p in roll], len(roll)) == (sorted(kept), len(kept))
    assert all(0 < len(shelf) <= 2 * SHELF for shelf in roll.shelves)
