"""Which module drives which kind of pod set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cafe.api.cafedeployment import CafeDeployment, PodSetType
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
        follow: Returns what brings a unit's set to a goal, at the release's revision.
        retire: Returns what empties the set of a unit that is no longer wanted, and then deletes it.
    """

    follow: Callable[[CafeDeployment, UnitFact, UnitGoal, Release], Sequence[SetAction]]
    retire: Callable[[CafeDeployment, UnitFact], Sequence[SetAction]]


KINDS: Mapping[PodSetType, PodSetKind] = {
    PodSetType.IN_PLACE_SET: PodSetKind(inplace.follow, inplace.retire),
    PodSetType.REPLICA_SET: PodSetKind(replicasets.follow, replicasets.retire),
    PodSetType.STATEFUL_SET: PodSetKind(statefulsets.follow, statefulsets.retire),
}


def demand_limits(app: CafeDeployment) -> None:
    """Refuse limits of native sets that can't be read, or let nothing happen: nobody else would tell.

    Raises:
        cafe.kernel.Refusal: `InvalidMaxUnavailable` or `InvalidMaxSurge`.
    """
    if app.spec.pod_set_type is not PodSetType.IN_PLACE_SET:
        limits_of(app, app.spec.replicas)
