"""Which pods of a set are changed, and the next step of each change.

One pod's way, each arrow one write, each state readable from the pod alone, so that a new leader goes on::

    serving ──gate False, state──▶ withheld ──image, label, ids before──▶ changing ──gate True──▶ serving
                                   (grace period)                         (kubelet restarts)
    serving ──label, sizes in the state──▶ announced ──resize──▶ resizing ──state forgotten──▶ serving

The gate falls before the image changes, from the very object that was judged (k#2276). CPU and memory have a
door of their own, so they take a write more: the state names them until the node has given them, whatever
becomes of the target meanwhile. A resize that restarts its container begins on the upper way, one that
doesn't leaves the pod in traffic. What proves completion: `proving`.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from heapq import merge
from itertools import islice

from cafe.traffic.contract import STUCK
from cafe.workloads.domain.budget import Budget, aims_at
from cafe.workloads.domain.crowd import Crowd, Roll, by_name
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import ContainerBefore, PodFact, UpdateState
from cafe.workloads.domain.launching import Images, due_images, in_batches, later_of, may_follow
from cafe.workloads.domain.proving import (
    NOWHERE,
    has_begun,
    is_complete,
    is_misfit,
    is_of_image,
    outstanding,
    unasked,
)
from cafe.workloads.domain.scaling import SetGoal
from cafe.workloads.domain.sizes import sized_paths
from cafe.workloads.domain.steps import (
    LowerGate,
    MarkForDeletion,
    NoteDoubt,
    RaiseGate,
    Resize,
    Step,
    WriteChange,
)
from cafe.workloads.domain.telling import few
from cafe.workloads.domain.templates import GATE_MISSING, InPlace, Recreate
from cafe.workloads.domain.withdrawing import is_asked_for, may_be_changed, own_operations

ROOM = timedelta(seconds=5)
"""What a kubelet takes between its report and the end of a container, beside the pod's farewell."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What to do now, and what the set waits for otherwise.

    Attributes:
        reason: One CamelCase word; the set's Progressing condition carries it.
        message: The same for people.
        recheck: When time alone will change the verdict.
    """

    steps: tuple[Step, ...]
    reason: str
    message: str
    recheck: timedelta | None = None


@dataclass(frozen=True, slots=True)
class UpdateRules:
    """How pods of this set may be changed.

    Attributes:
        change_from: The way from a pod's revision to the update revision.
        grace: Between the gate's fall and the image.
        leaving: UIDs of pods that are on their way out: they are let alone.
    """

    change_from: Callable[[str], InPlace | Recreate]
    grace: timedelta
    is_in_place_only: bool = False
    is_always_recreated: bool = False
    is_paused: bool = False
    leaving: frozenset[str] = frozenset()

    def way_of(self, pod: PodFact) -> InPlace | Recreate:
        """Return how *pod* gets to the update revision; without our gate it can't leave traffic alive."""
        found = self.way(pod.revision)
        if isinstance(found, InPlace) and found.restarts and not pod.has_gate:
            return Recreate(GATE_MISSING)
        return found

    def way(self, revision: str) -> InPlace | Recreate:
        """Return how a pod of *revision* gets to the update revision."""
        found = self.change_from(revision)
        if self.is_always_recreated and isinstance(found, InPlace):
            return Recreate(("strategy.podUpgradePolicy",))
        return found


def decide_update(
    goal: SetGoal,
    pods: Collection[PodFact],
    budget: Budget,
    dwell: Dwell,
    rules: UpdateRules,
    free: int = sys.maxsize,
) -> Progress:
    """Carry on the changes under way and begin as many new ones as partition and budget allow.

    Args:
        goal: What the set should look like.
        pods: All pods of the set.
        budget: What availability allows now.
        dwell: The moment of judging.
        rules: How pods may be changed.
        free: How many changes that cost no capacity (of labels alone) are begun; none are chosen that nobody
            would write in this pass.
    """
    crowd = Crowd.of(pods, dwell)
    unsettled = crowd.unsettled()
    begun = begin(goal, crowd, budget, dwell, rules, free)
    steps: dict[str, Step] = {}
    waits = [dwell.next_change(unsettled)]
    unwanted = beyond_partition(goal, crowd)
    for pod in unsettled:
        if pod.uid in rules.leaving:
            continue
        if pod.uid in unwanted:
            steps[pod.uid] = _give_back(pod)
            continue
        step, recheck = next_step(pod, goal, dwell, rules)
        if step:
            steps[pod.uid] = step
        waits.append(recheck)
    # A pod that is begun anew (its target moved) leaves its old way: one step a pod and pass.
    steps |= {step.pod.uid: step for step in begun.steps}
    soonest = min((w for w in waits if w is not None), default=None)
    return Progress(tuple(steps.values()), begun.reason, begun.message, soonest)


def beyond_partition(goal: SetGoal, crowd: Crowd) -> set[str]:
    """Return UIDs of pods whose image is still withheld although the partition no longer covers them."""
    new = [p for p in crowd.unsettled() if aims_at(p, goal.update_revision)]
    withheld = sorted(
        (p for p in new if p.state and p.state.is_withheld and p.revision != goal.update_revision),
        key=by_name,
    )
    excess = len(new) + crowd.calm_at(goal.update_revision) - goal.partition
    return {p.uid for p in withheld[-excess:]} if excess > 0 else set()


def next_step(
    pod: PodFact, goal: SetGoal, dwell: Dwell, rules: UpdateRules
) -> tuple[Step | None, timedelta | None]:
    """Return the next write of a change under way, or how long to wait for it."""
    state = pod.state
    if state is None:
        # A new pod: the gate's condition is absent until we write it. Or one that is not to go after all.
        return (RaiseGate(pod), None) if pod.is_gated or own_operations(pod) else (None, None)
    if not state.is_withheld:
        return _finish(pod, state, dwell, rules)
    target = goal.update_revision
    if pod.revision == target or state.revision != target or rules.is_paused:
        # The target moved, or nothing may start: the image was never touched, so serve again.
        return _give_back(pod), None
    if not pod.is_gated or not is_asked_for(pod):
        # Somebody raised the gate in between: traffic has come back, and the grace period begins anew.
        return LowerGate(pod, target), None
    left = state.since + rules.grace - dwell.now
    if left > timedelta(0) or not may_be_changed(pod):
        # Of its traffic the pod's own marks will tell.
        return None, left if left > timedelta(0) else None
    return after_grace(pod, target, rules), None


def _finish(
    pod: PodFact, state: UpdateState, dwell: Dwell, rules: UpdateRules
) -> tuple[Step | None, timedelta | None]:
    """Return what ends a change whose image is written, or how long to wait before that can be said."""
    if sizes := unasked(pod):
        return Resize(pod, sizes), None
    if is_misfit(pod) and not rules.is_in_place_only and not pod.is_delete_wanted:
        # A node with more room may be found for a new pod, never for this one.
        return MarkForDeletion(pod, sized_paths(state.sizes)), None
    if not is_complete(pod):
        return None, None
    doubted = {
        name: found.container_id
        for name, was in (state.before or {}).items()
        if not is_of_image(found := pod.containers[name], was)
    }
    if not doubted:
        return _next_batch(pod), None
    if state.doubted is None or dict(state.doubted.containers) != doubted:
        return NoteDoubt(pod, doubted), None
    left = state.doubted.since + pod.farewell + ROOM - dwell.now
    return (_next_batch(pod), None) if left <= timedelta() else (None, left)


def _next_batch(pod: PodFact) -> Step | None:
    """Return what follows containers that run anew: the next ones once these are ready, or the gate."""
    if not later_of(pod):
        return RaiseGate(pod)
    return _give_back(pod) if may_follow(pod) else None


def _give_back(pod: PodFact) -> Step:
    """Return the write that brings the pod back to traffic, or what its own revision lacks before that."""
    images = due_images(pod, {})
    if not images:
        return RaiseGate(pod)
    first, *later = [left for b in later_of(pod) if (left := {n: b[n] for n in b if n in images})]
    change = InPlace(images=first)
    return WriteChange(pod, pod.revision, change, _before(pod, first), outstanding(pod), tuple(later))


def after_grace(pod: PodFact, revision: str, rules: UpdateRules) -> Step | None:
    """Return the write for a pod whose traffic is gone. The rules may have changed since its gate fell."""
    way = rules.way_of(pod)
    if isinstance(way, InPlace):
        return write_change(pod, revision, way)
    if rules.is_in_place_only:
        return RaiseGate(pod)
    return None if pod.is_delete_wanted else MarkForDeletion(pod, way.paths)


def write_change(pod: PodFact, revision: str, change: InPlace) -> WriteChange:
    """Return the write that changes *pod*, with what runs now to judge its completion by."""
    batches = in_batches(due_images(pod, change.images), change.priorities) if change.images else ()
    first, *later = batches or ({}, *later_of(pod))
    before: Mapping[str, ContainerBefore] | None = _before(pod, first)
    sizes = outstanding(pod) | {name: size.amounts for name, size in change.sizes.items()}
    if not first:
        # What must restart for an earlier change is still to be waited for.
        kept = pod.state.before if pod.state else None
        before = kept or ({} if sizes or kept == {} else None)
    return WriteChange(pod, revision, replace(change, images=first), before, sizes, tuple(later))


def _before(pod: PodFact, images: Images) -> dict[str, ContainerBefore]:
    # A container without a report still enters: without it nothing would be left to wait for.
    now = {name: pod.containers.get(name, NOWHERE) for name in images}
    return {name: ContainerBefore(fact.image_id, fact.container_id) for name, fact in now.items()}


def begin(
    goal: SetGoal, crowd: Crowd, budget: Budget, dwell: Dwell, rules: UpdateRules, free: int
) -> Progress:
    """Choose the old pods to change now. Sick ones go first: they cost no capacity.

    A pod that the budget forbids is passed over rather than waited for: behind it may stand one that is free.
    """
    unsettled = crowd.unsettled()
    new = sum(aims_at(p, goal.update_revision) for p in unsettled) + crowd.calm_at(goal.update_revision)
    old = [p for p in unsettled if not aims_at(p, goal.update_revision) and p.uid not in rules.leaving]
    due = min(goal.partition - new, len(unsettled) + crowd.calm_count() - new)
    if due <= 0:
        return _nothing_due(goal, crowd, dwell)
    if held := _held(rules, unsettled, due):
        return held
    calm = {revision: roll for revision, roll in crowd.calm.items() if revision != goal.update_revision}
    # Then a serving pod that may not be changed ends the choice: all that follow serve and cost as much.
    are_alike = len({_cost_of(rules, revision) for revision in {*calm, *(p.revision for p in old)}}) == 1
    chosen: list[Step] = []
    healthy, target = budget.healthy, budget.target
    for pod in islice(_in_turn(old, calm, dwell), due):
        way = rules.way_of(pod)
        if isinstance(way, Recreate) and rules.is_in_place_only:
            return Progress((), "InPlaceImpossible", _impossible(way))
        serves = dwell.is_available(pod)
        costs = serves and not (isinstance(way, InPlace) and not way.restarts)
        is_free = isinstance(way, InPlace) and not way.restarts and not way.sizes and pod.state is None
        if free <= 0 if is_free else target <= 0 or (costs and healthy <= 0) or not has_begun(pod):
            if serves and are_alike and pod.state is None:
                break
            continue
        if is_free:
            free -= 1
        else:
            target, healthy = target - 1, healthy - costs
        if step := _first_step(pod, goal.update_revision, way):
            chosen.append(step)
    if not chosen:
        return _spent(goal, crowd, dwell)
    return Progress(tuple(chosen), "Updating", f"{new} of {goal.partition} pods are updated")


def _held(rules: UpdateRules, unsettled: Sequence[PodFact], due: int) -> Progress | None:
    """Return why no change may begin; None if nothing speaks against it."""
    if rules.is_paused:
        return Progress((), "Paused", f"The set is paused; {due} pods are to be updated")
    if stuck := [p for p in unsettled if p.traffic.stuck]:
        return Progress((), STUCK, f"No further pod is touched: {few(stuck)} not free of traffic")
    return None


def _in_turn(old: list[PodFact], calm: Mapping[str, Roll], dwell: Dwell) -> Iterator[PodFact]:
    """Yield the old pods, restless and calm ones, in the order in which they are to be changed.

    Of those that serve, one with a change under way goes first: its new target takes no further pod away.
    """

    def turn(pod: PodFact) -> tuple[object, ...]:
        serves = dwell.is_available(pod)
        return (serves, pod.state is None, not pod.is_delete_wanted, pod.is_ready, pod.name)

    return merge(sorted(old, key=turn), *calm.values(), key=turn)


def _cost_of(rules: UpdateRules, revision: str) -> str:
    """Say what of the budget a serving pod of *revision* needs."""
    way = rules.way(revision)
    if isinstance(way, Recreate):
        return "impossible" if rules.is_in_place_only else "traffic"
    if way.restarts:
        return "traffic"
    return "patience" if way.sizes else "nothing"


def _first_step(pod: PodFact, revision: str, way: InPlace | Recreate) -> Step | None:
    if isinstance(way, Recreate):
        return None if pod.is_delete_wanted else MarkForDeletion(pod, way.paths)
    if not way.restarts and (pod.state is None or not pod.state.is_withheld):
        return write_change(pod, revision, way)  # The gate needs no fall, or is down already.
    return LowerGate(pod, revision)


def _impossible(way: Recreate) -> str:
    return (
        f"The change of {', '.join(way.paths)} needs new pods, but podUpgradePolicy is InPlaceOnly; "
        "take the change back or set podUpgradePolicy to InPlaceIfPossible"
    )


def _nothing_due(goal: SetGoal, crowd: Crowd, dwell: Dwell) -> Progress:
    sick = [p for p in crowd.unsettled() if aims_at(p, goal.update_revision) and not dwell.is_done(p)]
    wanted = min(goal.partition, goal.replicas)
    if not sick:
        if goal.partition < goal.replicas:
            return Progress((), "PartitionReached", f"{wanted} of {goal.replicas} pods are updated, as asked")
        return Progress((), "Complete", f"All {goal.replicas} pods are updated and available")
    what = "resized" if all(map(dwell.is_available, sick)) else "available"
    return Progress((), "WaitingForPods", f"{few(sick)} not {what} yet")


def _spent(goal: SetGoal, crowd: Crowd, dwell: Dwell) -> Progress:
    unsettled = crowd.unsettled()
    sick = [p for p in unsettled if not dwell.is_done(p)]
    if not sick:
        missing = goal.replicas - len(unsettled) - crowd.calm_count()
        return Progress((), "BudgetSpent", f"No further pod may become unavailable: {missing} are missing")
    return Progress(
        (),
        "BudgetSpent",
        f"No further pod may become unavailable (maxUnavailable {goal.max_unavailable}): "
        f"{few(sick)} not available",
    )
