"""Which module drives which kind of pod set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cafe.api.cafedeployment import CafeDeployment, PodSetType
from cafe.kernel import Refusal
from cafe.workloads.domain.budget import Budget, Elsewhere, Use, budget_within, count_of
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.podsets import inplace, replicasets, statefulsets
from cafe.workloads.domain.podsets.facts import Release, UnitFact
from cafe.workloads.domain.podsets.inplace import InPlaceAction
from cafe.workloads.domain.podsets.natives import NativeAction, limits_of

SetAction = InPlaceAction | NativeAction


@dataclass(frozen=True, slots=True)
class PodSetKind:
    """How a release drives one kind of pod set.

    Attributes:
        follow: Returns what brings a unit's set to a goal, at the release's revision, and takes no more pods
            away than the application's other units leave it.
        use_of: Returns what a unit takes of the application's budget, with a goal, at its pods' revision.
        taken: Returns how many pods actions take away at most.
        retire: Returns what empties the set of a unit that is no longer wanted, and then deletes it.
    """

    follow: Callable[[CafeDeployment, UnitFact, UnitGoal, Release, Budget], Sequence[SetAction]]
    use_of: Callable[[CafeDeployment, UnitFact, UnitGoal, str], Use]
    taken: Callable[[UnitFact, Sequence[Any]], int]
    retire: Callable[[CafeDeployment, UnitFact], Sequence[SetAction]]


KINDS: Mapping[PodSetType, PodSetKind] = {
    PodSetType.IN_PLACE_SET: PodSetKind(inplace.follow, inplace.use_of, inplace.taken, inplace.retire),
    PodSetType.REPLICA_SET: PodSetKind(
        replicasets.follow, replicasets.use_of, replicasets.taken, replicasets.retire
    ),
    PodSetType.STATEFUL_SET: PodSetKind(
        statefulsets.follow, statefulsets.use_of, statefulsets.taken, statefulsets.retire
    ),
}


def demand_limits(app: CafeDeployment) -> None:
    """Refuse limits of native sets that can't be read, or let nothing happen: nobody else would tell.

    Raises:
        cafe.kernel.Refusal: `InvalidMaxUnavailable` or `InvalidMaxSurge`.
    """
    if app.spec.pod_set_type is not PodSetType.IN_PLACE_SET:
        limits_of(app, app.spec.replicas)


def follow_all(
    app: CafeDeployment, facts: Sequence[UnitFact], wanted: Mapping[str, UnitGoal], release: Release
) -> list[SetAction]:
    """Return what brings each unit's set to its goal; all of them share the application's budget.

    What one unit takes in this pass is counted before the next is asked. A guess on the high side costs it a
    pass, then the pods themselves tell.
    """
    kind, most = KINDS[app.spec.pod_set_type], _most(app)
    uses = {fact.unit: _uses(app, fact, wanted[fact.unit], release.of_pods(fact.unit)) for fact in facts}
    actions: list[SetAction] = []
    for fact in facts:
        left = _elsewhere(app, uses, fact.unit).left_to_release(most)
        found = kind.follow(app, fact, wanted[fact.unit], release, left)
        gone = kind.taken(fact, found)
        uses[fact.unit].append(Use(gone, gone))
        actions += found
    return actions


def left_of(app: CafeDeployment, facts: Sequence[UnitFact], unit: str) -> Budget:
    """Return what may be taken of the native set of a unit by somebody else than its release.

    Raises:
        cafe.kernel.Refusal: The limits can't be read.
    """
    goals = {fact.unit: fact.goal or UnitGoal(0, 0) for fact in facts}
    uses = {fact.unit: _uses(app, fact, goals[fact.unit], fact.pod_revision) for fact in facts}
    own, _ = uses[unit]
    shared = _elsewhere(app, uses, unit).left(_most(app))
    return budget_within(own, limits_of(app, goals[unit].replicas).unavailable, shared)


def _uses(app: CafeDeployment, fact: UnitFact, goal: UnitGoal, revision: str) -> list[Use]:
    """Return what a unit takes of the budget: what its pods show, and what evictions were promised."""
    return [
        KINDS[app.spec.pod_set_type].use_of(app, fact, goal, revision),
        Use(fact.promised, fact.promised),
    ]


def _elsewhere(app: CafeDeployment, uses: Mapping[str, Sequence[Use]], unit: str) -> Elsewhere:
    """Add up what other units take; what an eviction was promised of the unit itself is as good as theirs."""
    others = [use for name, found in uses.items() if name != unit for use in found]
    return Elsewhere.of(app.spec.replicas, [*others, uses[unit][1]])


def _most(app: CafeDeployment) -> int:
    """Return how many pods of the application may be missing; what can't be read is refused before."""
    try:
        return count_of(app.spec.strategy.max_unavailable, app.spec.replicas, least=0)
    except Refusal:
        return 0
