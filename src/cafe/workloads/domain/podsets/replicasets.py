"""Units served by native ReplicaSets: one for each revision, all of them scaled under one budget.

The arithmetic is that of apps/v1 Deployments (`rolling.go`), but bounded by the group that is open: so many
pods may be new, the others stay. Counts come from the pods themselves, because a ReplicaSet's status still
counts those that it has just been told to delete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import POD_REVISION_LABEL
from cafe.workloads.domain.budget import Budget, Use, is_hopeless
from cafe.workloads.domain.children import child_name
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import DOOMED
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.podsets.facts import Release, ReplicaSetFact, UnitFact, UnitReport
from cafe.workloads.domain.podsets.natives import (
    REPLICA_SET,
    ChangeNative,
    DropNative,
    Found,
    Limits,
    MakeNative,
    NativeAction,
    PricePod,
    digest_of_template,
    floor_of,
    limits_of,
    report_of,
    selector_of,
    template_of,
)
from cafe.workloads.domain.scaling import Deletion, deletion_order, due_to_go


def unit_report(
    app: CafeDeployment, revision: str, goal: UnitGoal, sets: Sequence[ReplicaSetFact]
) -> UnitReport:
    """Return what the pods of a unit's ReplicaSets are found to be; *sets* holds at least one."""
    failure = next((s.failure for s in sets if s.failure and s.asked), "")
    return report_of(
        [s.pods for s in sets], Found(revision, floor_of(app, goal.replicas), failure), sets[0].pods.dwell
    )


@dataclass(frozen=True, slots=True)
class Count:
    """One ReplicaSet in numbers.

    Attributes:
        asked: Pods that its spec asks for.
        available: Pods that serve and that it was not told to delete.
        marked: Those of them whose replacement was asked for.
        is_whole: Whether its revision is the one that was last released whole.
    """

    name: str
    asked: int
    available: int
    marked: int = 0
    is_whole: bool = False

    @property
    def sick(self) -> int:
        """Pods that are asked for and serve nobody."""
        return self.asked - self.available


def count(one: ReplicaSetFact, dwell: Dwell) -> Count:
    """Count a set's pods; as many as it has too many are taken for gone, and for ones that served."""
    unsettled = one.pods.unsettled()
    live = len(unsettled) + one.pods.calm_count()
    available = sum(dwell.is_available(p) for p in unsettled) + one.pods.calm_count()
    marked = sum(dwell.is_available(p) and p.is_delete_wanted for p in unsettled)
    surplus = max(0, live - one.asked)
    return Count(one.name, one.asked, max(0, min(one.asked, available - surplus)), max(0, marked - surplus))


def lent(goal: UnitGoal, counts: Sequence[Count], limits: Limits) -> int:
    """Return how many pods are made beside marked ones that serve, where none may be missing.

    As soon as all that were lent serve, so many may go, and the marked ones are the first to.
    """
    beside = sum(one.asked for one in counts) - goal.replicas
    serve = sum(one.available for one in counts) - limits.floor(goal.replicas)
    if limits.unavailable or 0 < beside <= serve:
        return 0
    return min(limits.surge, sum(one.marked for one in counts))


def decide_replicas(goal: UnitGoal, new: Count, olds: Sequence[Count], limits: Limits) -> dict[str, int]:
    """Return how many pods each ReplicaSet shall have next.

    Args:
        goal: Of the unit: pods, and how many of them may be new.
        new: The set of the newest revision.
        olds: The others; those that shall go last stand last.
        limits: What may be missing or too many meanwhile.
    """
    wanted = {one.name: one.asked for one in (new, *olds)}
    # New pods beyond the partition stay: a revision that comes back finds them, and nobody may touch them.
    due_new = min(goal.replicas, max(goal.partition, new.asked))
    due_old = goal.replicas - due_new
    asked_old = sum(old.asked for old in olds)
    room = max(0, goal.replicas + limits.surge - new.asked - asked_old)
    if new.asked < due_new:
        grown = min(room, due_new - new.asked)
        wanted[new.name] += grown
        room -= grown
    else:
        wanted[new.name] = due_new
    if olds and olds[-1].is_whole and asked_old < due_old:
        # Pods were added, or taken away by hand: they are of what was whole, not of what was left half-way.
        wanted[olds[-1].name] += min(room, due_old - asked_old)
    for name, shrunk in _shrunk(goal, new, olds, limits, asked_old - due_old).items():
        wanted[name] -= shrunk
    return wanted


def _shrunk(
    goal: UnitGoal, new: Count, olds: Sequence[Count], limits: Limits, most: int
) -> Mapping[str, int]:
    """Return by how much old sets shrink, at *most*: first by pods that serve nobody, then by the budget.

    Pods of the newest revision that don't serve use it up, so a bad image stops.
    """
    total = new.asked + sum(old.asked for old in olds)
    left = max(0, min(most, total - (goal.replicas - limits.unavailable) - new.sick))
    shrunk = dict.fromkeys((old.name for old in olds), 0)
    for old in olds:
        taken = min(left, old.sick)
        shrunk[old.name] += taken
        left -= taken
    # With all sick ones gone, what is left of it is what the budget allows of those that serve.
    serving = new.available + sum(old.available for old in olds)
    left = max(0, min(left, serving - limits.floor(goal.replicas)))
    for old in olds:
        taken = min(left, old.available)
        shrunk[old.name] += taken
        left -= taken
    return shrunk


def use_of(app: CafeDeployment, fact: UnitFact, goal: UnitGoal, revision: str) -> Use:
    """Return what the unit takes of a budget.

    Old pods that no set can make any more (a hand took them, and their revision was never whole) come with
    their group, as new ones: a release that waited for them first would wait for itself.
    """
    sets = _sets(fact)
    counts = {s.name: count(s, s.pods.dwell) for s in sets}
    olds = [s for s in sets if s.revision != revision]
    asked, asked_old = sum(s.asked for s in sets), sum(s.asked for s in olds)
    due_new = min(goal.replicas, max(goal.partition, asked - asked_old))
    whole = fact.of_whole(app)
    can_make = revision == whole or any(s.revision == whole for s in olds)
    unmade = 0 if can_make else max(0, goal.replicas - due_new - asked_old)
    sick_new = sum(counts[s.name].sick for s in sets if s.revision == revision)
    lost = sum(is_hopeless(p, s.pods.dwell) for s in olds for p in s.pods.unsettled())
    return Use(
        missing=goal.replicas - sum(c.available for c in counts.values()),
        pending=goal.replicas - asked - unmade + sick_new,
        hopeless=lost + unmade,
    )


def taken(fact: UnitFact, actions: Sequence[NativeAction]) -> int:
    """Return how many pods *actions* take away at most."""
    asked = {s.name: s.asked for s in _sets(fact)}
    gone = sum(isinstance(action, Deletion) for action in actions)
    for action in actions:
        if isinstance(action, ChangeNative) and action.name in asked and "replicas" in action.spec:
            gone += max(0, asked[action.name] - int(action.spec["replicas"]))
    return gone


def follow(
    app: CafeDeployment, fact: UnitFact, goal: UnitGoal, release: Release, shared: Budget
) -> list[NativeAction]:
    """Return what brings the unit's ReplicaSets one step closer to its goal."""
    sets = _sets(fact)
    revision = release.of_pods(fact.unit)
    template = template_of(app, fact.unit, revision)
    rendered = digest_of_template(template)
    newest = next((s for s in sets if s.revision == revision), None)
    seconds = app.spec.strategy.min_ready_seconds
    if newest is None:
        name = f"{child_name(app.metadata.name, fact.unit)}-{revision}"
        selector = selector_of(app, fact.unit, {POD_REVISION_LABEL: revision})
        spec = {"replicas": 0, "minReadySeconds": seconds, "selector": selector, "template": template}
        return [MakeNative(REPLICA_SET, fact.unit, name, release, goal, rendered, spec)]
    whole = fact.of_whole(app)
    olds = sorted((s for s in sets if s is not newest), key=lambda s: (s.revision == whole, s.name))
    limits = limits_of(app, goal.replicas)
    counts = {s.name: replace(count(s, s.pods.dwell), is_whole=s.revision == whole) for s in (newest, *olds)}
    goal_now = _goal_now(app, goal, newest, whole, release.revision)
    beside = lent(goal, list(counts.values()), limits)
    scale = _scale(goal_now, newest, olds, counts, limits.within(shared), beside)
    is_news = fact.revision != release.revision or fact.goal != goal or newest.rendered != rendered
    actions: list[NativeAction] = []
    for one in (newest, *olds):
        changed: dict[str, Any] = {}
        if one.min_ready_seconds != seconds:
            changed["minReadySeconds"] = seconds
        if one.name in scale.wanted:
            changed["replicas"] = scale.wanted[one.name]
        if one is newest and is_news:
            # First of all writes: the goal is on record before anybody acts on it.
            if one.rendered != rendered:
                changed["template"] = template
            actions.append(ChangeNative(REPLICA_SET, one.name, changed, release, goal, rendered))
        elif changed:
            actions.append(ChangeNative(REPLICA_SET, one.name, changed))
        elif _is_spent(one, newest, whole):
            actions.append(DropNative(REPLICA_SET, one.name))
    return [*actions, *scale.pods]


def _is_spent(one: ReplicaSetFact, newest: ReplicaSetFact, whole: str) -> bool:
    """Whether an old set has nothing left to do.

    That of the revision that was released *whole* stays to the end, even without a pod: what is added in
    mid-release is made by it. Without it the pods of a revision that was left half-way would be all that is
    old, and a sick one would be brought to more pods than anybody had opened.
    """
    is_kept = one is newest or one.revision == whole
    return not is_kept and not one.asked and not one.pods


def retire(_: CafeDeployment, fact: UnitFact) -> list[NativeAction]:
    """Return what empties the ReplicaSets of a unit that is no longer wanted, and then deletes them."""
    return [
        ChangeNative(REPLICA_SET, s.name, {"replicas": 0}) if s.asked else DropNative(REPLICA_SET, s.name)
        for s in _sets(fact)
        if s.asked or not s.pods
    ]


def _goal_now(
    app: CafeDeployment, goal: UnitGoal, newest: ReplicaSetFact, whole: str, revision: str
) -> UnitGoal:
    """Return the goal that is followed now.

    While paused no more pods become new than are asked for already. A unit that an application's release to
    *revision* has no work in is at what was *whole*, and may be added to without a group.
    """
    if newest.revision == whole and revision != app.status.current_revision:
        return UnitGoal(goal.replicas, goal.replicas)
    if not app.spec.strategy.pause:
        return goal
    return UnitGoal(goal.replicas, min(goal.partition, newest.asked))


@dataclass(frozen=True, slots=True)
class _Scale:
    """Which sets get another number now, by name, and what is written to pods."""

    wanted: Mapping[str, int]
    pods: Sequence[PricePod | Deletion]


def _scale(
    goal: UnitGoal,
    newest: ReplicaSetFact,
    olds: Sequence[ReplicaSetFact],
    counts: Mapping[str, Count],
    limits: Limits,
    beside: int,
) -> _Scale:
    """Decide the numbers; a set shrinks only once the pods that are to go are known to its controller."""
    dwell = newest.pods.dwell
    new, rest = counts[newest.name], [counts[old.name] for old in olds]
    # What is lent for marked pods of the newest set is made by it.
    wish = UnitGoal(goal.replicas + beside, goal.partition + min(beside, new.marked))
    wanted = decide_replicas(wish, new, rest, replace(limits, surge=limits.surge - beside))
    moved = {one.name: wanted[one.name] for one in (newest, *olds) if wanted[one.name] != one.asked}
    pods: list[PricePod | Deletion] = []
    for one in (newest, *olds):
        priced = prices(one, max(0, one.asked - wanted[one.name]), dwell)
        pods += priced
        if wanted[one.name] < one.asked and priced:
            del moved[one.name]
    if not moved and not pods:
        available = sum(c.available for c in counts.values())
        restless = [pod for one in (newest, *olds) for pod in one.pods.restless]
        pods += due_to_go(restless, available - limits.floor(goal.replicas), dwell)
    return _Scale(moved, pods)


def prices(one: ReplicaSetFact, surplus: int, dwell: Dwell) -> list[PricePod]:
    """Return which pods' deletion cost must change before *surplus* pods may go.

    A ReplicaSet deletes what isn't ready first, then the cheapest (KEP-2255). Where ready pods are left to
    choose from, the chosen ones are made the cheapest; the price goes when nobody is to go any more.
    """
    unsettled = one.pods.unsettled()
    if not surplus:
        is_settled = len(unsettled) + one.pods.calm_count() <= one.asked
        return [PricePod(p, None) for p in unsettled if is_settled and p.deletion_cost == DOOMED]
    live = [*unsettled, *one.pods.all_calm()]
    ranked = sorted(deletion_order(live), key=lambda p: (dwell.is_available(p), not p.is_delete_wanted))
    chosen, rest = ranked[:surplus], ranked[surplus:]
    if not any(p.is_ready for p in rest):
        return []
    return [PricePod(p, DOOMED) for p in chosen if p.is_ready and p.deletion_cost != DOOMED]


def _sets(fact: UnitFact) -> tuple[ReplicaSetFact, ...]:
    return fact.held if isinstance(fact.held, tuple) else ()
