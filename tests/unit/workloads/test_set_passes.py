"""One pass over a set: what it writes, in which order, and when it comes back."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec

from cafe.api.inplaceset import InPlaceSet, InPlaceSetSpec, InPlaceSetStatus, InPlaceSetStrategy
from cafe.api.shapes import LabelSelector, Metadata, PodTemplate
from cafe.kernel import Conflict, ObjectKey
from cafe.workloads.domain.budget import Elsewhere, Use
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.facts import ContainerFact, PodFact, RevisionFact, UpdateState
from cafe.workloads.domain.revisions import hash_of
from cafe.workloads.domain.steps import LowerGate, RaiseGate, Step, WriteChange
from cafe.workloads.ports import SetView
from cafe.workloads.reconcilers.inplacesets import RECHECK, REST, RETRY, STEPS, InPlaceSetReconciler
from tests.unit.workloads.facts import LONG_AGO, template
from tests.worlds.clock import LoopClock, in_virtual_time

KEY = ObjectKey("shop", "web")


def parsed(image: str) -> PodTemplate:
    return msgspec.convert(template(image), PodTemplate)


def revision(image: str, number: int) -> RevisionFact:
    stored = msgspec.to_builtins(parsed(image))
    return RevisionFact(f"web-{number}", hash_of(stored, 0), number, stored)


OLD, NEW = revision("app:v1", 1), revision("app:v2", 2)


@dataclass
class Shelf:
    """A store of one set; a pod on *moved* conflicts."""

    pods: list[PodFact]
    budget: int = 2
    grace: int = 0
    moved: frozenset[str] = frozenset()
    holds: timedelta | None = None
    given: frozenset[str] = frozenset()
    others: Elsewhere | None = None
    taken: list[tuple[Use, frozenset[str], bool]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    statuses: list[InPlaceSetStatus] = field(default_factory=list)

    async def view(self, key: ObjectKey) -> SetView:
        strategy = InPlaceSetStrategy(
            partition=len(self.pods), max_unavailable=self.budget, grace_period_seconds=self.grace
        )
        spec = InPlaceSetSpec(
            selector=LabelSelector(match_labels={"app": "web"}),
            template=parsed("app:v2"),
            replicas=len(self.pods),
            strategy=strategy,
        )
        owner = InPlaceSet(
            metadata=Metadata(name=key.name, namespace=key.namespace, uid="set"),
            spec=spec,
            status=InPlaceSetStatus(current_revision=OLD.hash),
        )
        return SetView(owner, self.pods, [OLD, NEW])

    def promised(self, _: InPlaceSet) -> Collection[str]:
        return self.given

    def elsewhere(self, _: InPlaceSet) -> Elsewhere | None:
        return self.others

    def take(self, _: InPlaceSet, use: Use, pods: Collection[str], *, is_held_back: bool) -> None:
        self.taken.append((use, frozenset(pods), is_held_back))

    async def take_step(self, _: SetView, step: Step) -> PodFact:
        assert self.taken, "what is taken is on record before anything is written"
        if step.pod.name in self.moved:
            raise Conflict(step.pod.name)
        self.steps.append(step)
        stored = replace(step.pod, resource_version=f"{int(step.pod.resource_version) + 1}")
        if isinstance(step, LowerGate):
            state = UpdateState(step.revision, LoopClock().now())
            return replace(stored, is_gated=True, ready_since=None, state=state)
        return stored

    async def write_status(self, _: InPlaceSet, status: InPlaceSetStatus) -> timedelta | None:
        self.statuses.append(status)
        return self.holds

    async def write_roster(self, _: InPlaceSet, __: Crowd, ___: int) -> timedelta | None:
        return None


def shelf(count: int = 4, **changes: Any) -> Shelf:  # noqa: ANN401 -- any field
    app = {"app": ContainerFact("app:v1", "sha256:1", "c://1", is_running=True)}
    return Shelf(
        [
            PodFact(f"web-{i}", f"uid-{i}", "7", OLD.hash, ready_since=LONG_AGO, containers=app)
            for i in range(count)
        ],
        **changes,
    )


def reconciler(store: Any) -> InPlaceSetReconciler:  # noqa: ANN401 -- the part of a SetStore that is asked
    return InPlaceSetReconciler(store, LoopClock())


@in_virtual_time
async def test_without_grace_the_image_follows_the_gate_in_the_same_pass() -> None:
    store = shelf()
    await reconciler(store).reconcile(KEY)
    told = [(type(step), step.pod.name, step.pod.resource_version) for step in store.steps]
    for name in ("web-0", "web-1"):
        assert told.index((LowerGate, name, "7")) < told.index((WriteChange, name, "8"))
    assert len(told) == 4


@in_virtual_time
async def test_with_grace_the_image_waits() -> None:
    store = shelf(grace=30)
    await reconciler(store).reconcile(KEY)
    assert [type(step) for step in store.steps] == [LowerGate, LowerGate]


@in_virtual_time
async def test_a_pod_that_moved_does_not_hold_up_the_others() -> None:
    store = shelf(moved=frozenset({"web-0"}))
    await reconciler(store).reconcile(KEY)
    assert [(type(s), s.pod.name) for s in store.steps] == [(LowerGate, "web-1"), (WriteChange, "web-1")]


@in_virtual_time
async def test_a_status_that_is_held_back_is_decided_anew_when_it_is_due() -> None:
    store = shelf(holds=timedelta(milliseconds=300))
    assert (await reconciler(store).reconcile(KEY)).recheck == timedelta(milliseconds=300)
    store.holds = None
    assert (await reconciler(store).reconcile(KEY)).recheck == RECHECK


@in_virtual_time
async def test_a_pass_stays_short_and_first_gives_back_what_serves_again() -> None:
    store = shelf(3 * STEPS, budget=3 * STEPS, grace=30)
    store.pods[-1] = replace(store.pods[-1], revision=NEW.hash, is_gated=True)
    outcome = await reconciler(store).reconcile(KEY)
    assert len(store.steps) == STEPS
    assert isinstance(store.steps[0], RaiseGate)
    assert {type(step) for step in store.steps[1:]} == {LowerGate}
    assert outcome.recheck == REST


@in_virtual_time
async def test_a_set_takes_only_what_its_siblings_leave_of_the_budget_they_share() -> None:
    # Two of its own four may be away, but of the eight of the application one is away already.
    store = shelf(grace=30, others=Elsewhere(8, missing=1, pending=1))
    outcome = await reconciler(store).reconcile(KEY)
    assert [step.pod.name for step in store.steps] == ["web-0"]
    assert store.taken == [(Use(0, 0), frozenset({"uid-0"}), True)]
    assert outcome.recheck == RECHECK


@in_virtual_time
async def test_a_set_that_may_take_nothing_says_who_has_taken_it_and_comes_back() -> None:
    store = shelf(grace=30, others=Elsewhere(8, missing=2, pending=1))
    outcome = await reconciler(store).reconcile(KEY)
    assert not store.steps
    assert store.taken == [(Use(0, 0), frozenset(), True)]
    assert "2 of its other units" in store.statuses[-1].conditions[0].message
    assert outcome.recheck == RETRY


@in_virtual_time
async def test_a_pod_that_was_promised_to_an_eviction_is_missing_already() -> None:
    store = shelf(grace=30, given=frozenset({"uid-3"}))
    await reconciler(store).reconcile(KEY)
    assert [step.pod.name for step in store.steps] == ["web-0"]
    assert store.taken == [(Use(1, 1), frozenset({"uid-0"}), False)]
