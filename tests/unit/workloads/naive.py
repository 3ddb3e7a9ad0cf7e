"""Decisions about a set's pods, by a look at each of them: plain, slow, and what a `Crowd` must match."""

from collections.abc import Sequence

from cafe.workloads.domain.budget import Budget, aims_at
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.roster import Slot, revisions_for
from cafe.workloads.domain.scaling import Creation, Deletion, Scale, SetGoal, deletion_order, fresh_names
from cafe.workloads.domain.steps import LowerGate, MarkForDeletion, RaiseGate, Step, WriteChange
from cafe.workloads.domain.templates import InPlace, Recreate
from cafe.workloads.domain.updating import Progress, UpdateRules, has_begun, next_step


def alive(pods: Sequence[PodFact]) -> list[PodFact]:
    return sorted((p for p in pods if not p.is_deleting and not p.is_over), key=lambda p: p.name)


def budget_of(goal: SetGoal, pods: Sequence[PodFact], dwell: Dwell) -> Budget:
    live = alive(pods)
    available = sum(dwell.is_available(p) for p in live)
    sick_new = sum(aims_at(p, goal.update_revision) and not dwell.is_done(p) for p in live)
    return Budget(
        max(0, available - (goal.replicas - goal.max_unavailable)),
        max(0, goal.max_unavailable + len(live) - goal.replicas - sick_new),
    )


def scale_of(goal: SetGoal, pods: Sequence[PodFact], budget: Budget, dwell: Dwell) -> Scale:
    by_name = sorted(pods, key=lambda p: p.name)
    gone = [Deletion(p, f"it has {p.phase.lower()}") for p in by_name if p.is_over and not p.is_deleting]
    asked = [p for p in alive(pods) if p.is_delete_wanted]
    idle, serving = ([p for p in asked if dwell.is_available(p) is fit] for fit in (False, True))
    gone += [Deletion(p, "its replacement was asked for") for p in (*idle, *serving[: budget.healthy])]
    staying = [p for p in alive(pods) if p not in [d.pod for d in gone]]
    missing = goal.replicas - len(staying)
    if missing < 0:
        ranked = sorted(deletion_order(staying), key=dwell.is_available)
        gone += [Deletion(p, "replicas was lowered") for p in ranked[:-missing]]
        return Scale((), tuple(gone))
    updated = sum(aims_at(p, goal.update_revision) for p in staying)
    fresh = max(0, min(missing, goal.partition - updated))
    # No pod here carries a number: they are counted by name, and who goes makes room for who comes.
    numbers = {p.name: n for n, p in enumerate(alive(pods))}
    left = [Slot(numbers[d.pod.name], d.pod.revision) for d in gone if d.pod.name in numbers]
    places = sorted(left, key=lambda one: one.number)[:missing]
    places += [Slot(len(numbers) + n) for n in range(missing - len(places))]
    revisions = revisions_for(places, fresh, goal.update_revision, goal.current_revision)
    names = fresh_names(goal, pods)
    made = zip(places, revisions, strict=True)
    return Scale(tuple(Creation(next(names), rev, place.number) for place, rev in made), tuple(gone))


def update_of(
    goal: SetGoal, pods: Sequence[PodFact], budget: Budget, dwell: Dwell, rules: UpdateRules
) -> Progress:
    live = alive(pods)
    begun = begin(goal, live, budget, dwell, rules)
    steps: dict[str, Step] = {}
    waits = [dwell.next_change(live)]
    new = [p for p in live if aims_at(p, goal.update_revision)]
    held = [p for p in new if p.state and p.state.is_withheld and p.revision != goal.update_revision]
    excess = max(0, len(new) - goal.partition)
    unwanted = held[len(held) - min(excess, len(held)) :]
    for pod in live:
        step, wait = (RaiseGate(pod), None) if pod in unwanted else next_step(pod, goal, dwell, rules)
        steps |= {pod.uid: step} if step else {}
        waits.append(wait)
    steps |= {step.pod.uid: step for step in begun.steps}
    told = [wait for wait in waits if wait is not None]
    return Progress(tuple(steps.values()), begun.reason, begun.message, min(told, default=None))


def begin(
    goal: SetGoal, live: Sequence[PodFact], budget: Budget, dwell: Dwell, rules: UpdateRules
) -> Progress:
    old = [p for p in live if not aims_at(p, goal.update_revision)]
    new = len(live) - len(old)
    due = min(goal.partition - new, len(old))
    sick = [p for p in live if not dwell.is_done(p)]
    if due <= 0:
        return at_rest(goal, [p for p in sick if p not in old], dwell)
    if rules.is_paused:
        return Progress((), "Paused", f"The set is paused; {due} pods are to be updated")
    old.sort(
        key=lambda p: (dwell.is_available(p), p.state is None, not p.is_delete_wanted, p.is_ready, p.name)
    )
    chosen: list[Step] = []
    healthy, target = budget.healthy, budget.target
    for pod in old[:due]:
        way, serves = rules.way(pod.revision), dwell.is_available(pod)
        if isinstance(way, Recreate) and rules.is_in_place_only:
            said = (
                f"The change of {', '.join(way.paths)} needs new pods, but podUpgradePolicy is InPlaceOnly; "
                "take the change back or set podUpgradePolicy to InPlaceIfPossible"
            )
            return Progress((), "InPlaceImpossible", said)
        if isinstance(way, Recreate) or way.images or pod.state is not None:
            costs = serves and (isinstance(way, Recreate) or way.restarts)
            if target <= 0 or (costs and healthy <= 0) or not has_begun(pod):
                continue
            target, healthy = target - 1, healthy - costs
        chosen += first_step(pod, goal.update_revision, way)
    if chosen:
        return Progress(tuple(chosen), "Updating", f"{new} of {goal.partition} pods are updated")
    said = "No further pod may become unavailable"
    if not sick:
        return Progress((), "BudgetSpent", f"{said}: {goal.replicas - len(live)} are missing")
    told = f"{said} (maxUnavailable {goal.max_unavailable}): {named(sick)} not available"
    return Progress((), "BudgetSpent", told)


def first_step(pod: PodFact, revision: str, way: InPlace | Recreate) -> list[Step]:
    if isinstance(way, Recreate):
        return [] if pod.is_delete_wanted else [MarkForDeletion(pod, way.paths)]
    if way.images or (pod.state and pod.state.is_withheld):
        return [LowerGate(pod, revision)]
    return [WriteChange(pod, revision, way, pod.state.before if pod.state else None)]


def at_rest(goal: SetGoal, sick: Sequence[PodFact], dwell: Dwell) -> Progress:
    if sick:
        what = "resized" if all(dwell.is_available(p) for p in sick) else "available"
        return Progress((), "WaitingForPods", f"{named(sick)} not {what} yet")
    if goal.partition < goal.replicas:
        said = f"{min(goal.partition, goal.replicas)} of {goal.replicas} pods are updated, as asked"
        return Progress((), "PartitionReached", said)
    return Progress((), "Complete", f"All {goal.replicas} pods are updated and available")


def named(sick: Sequence[PodFact]) -> str:
    told = [f"{p.name} ({p.problem()})" if p.problem() else p.name for p in sick[:2]]
    more = f" and {len(sick) - 2} more" if len(sick) > 2 else ""
    return f"{', '.join(told)}{more} {'is' if len(sick) == 1 else 'are'}"


def counts_of(goal: SetGoal, pods: Sequence[PodFact], dwell: Dwell) -> tuple[int, int, int, int, int, str]:
    """Return replicas, ready, available, updated, updated and available, current revision."""
    live = alive(pods)
    available = [p for p in live if dwell.is_available(p)]
    held = [p for p in live if p.state is not None and p.state.is_withheld]
    new = sum(p.revision == goal.update_revision and p not in held for p in live)
    new_available = sum(aims_at(p, goal.update_revision) and p.state is None for p in available)
    is_done = new_available >= goal.replicas == len(live)
    current = goal.update_revision if is_done else goal.current_revision
    return len(live), sum(p.is_ready for p in live), len(available), new, new_available, current
