"""What Kubernetes' own pod sets share: what is written for them, and what their pods are found to be.

Their controllers make and delete the pods; a release only moves numbers: how many pods a ReplicaSet has, from
which ordinal up a StatefulSet is new. A goal is remembered in an annotation of the set, so that whoever reads
the set knows what it was asked for.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import POD_REVISION_LABEL
from cafe.kernel import Refusal, digest_of
from cafe.workloads.domain.budget import Budget, count_of
from cafe.workloads.domain.children import own_labels, own_selector, render_template
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.podsets.facts import Release, Spec, UnitReport
from cafe.workloads.domain.scaling import Deletion
from cafe.workloads.domain.setstatus import is_skipped
from cafe.workloads.domain.telling import few

REPLICA_SET = "ReplicaSet"
STATEFUL_SET = "StatefulSet"


@dataclass(frozen=True, slots=True)
class MakeNative:
    """Create a native set of a unit."""

    kind: str
    unit: str
    name: str
    release: Release
    goal: UnitGoal
    rendered: str
    spec: Spec


@dataclass(frozen=True, slots=True)
class ChangeNative:
    """Change a native set.

    Attributes:
        spec: The fields to have another value; none of the others is touched.
        release: With *goal* and *rendered*: what the set is from now on asked for; None leaves it.
    """

    kind: str
    name: str
    spec: Spec
    release: Release | None = None
    goal: UnitGoal | None = None
    rendered: str = ""


@dataclass(frozen=True, slots=True)
class DropNative:
    """Delete a native set that has no pods."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class PricePod:
    """Give a pod a deletion cost; None takes it away."""

    pod: PodFact
    cost: int | None


NativeAction = MakeNative | ChangeNative | DropNative | PricePod | Deletion
"""A pod that is deleted is one whose set makes another in its stead."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be missing or too many while pods are exchanged.

    Attributes:
        unavailable: Pods of the unit that may be missing, or new and sick.
        serving: The most of them that may be taken while they serve; what other units miss tells in it.
        surge: Pods above their number.
    """

    unavailable: int
    serving: int
    surge: int = 0

    def floor(self, replicas: int) -> int:
        """Return how many of *replicas* pods must be available."""
        return max(0, replicas - self.serving)

    def within(self, shared: Budget) -> "Limits":
        """Return the limits that are left by the application's other units."""
        return Limits(min(self.unavailable, shared.target), min(self.serving, shared.healthy), self.surge)


def limits_of(app: CafeDeployment, replicas: int) -> Limits:
    """Return the limits of a unit of *replicas* pods; none is made beside the others while paused.

    Raises:
        cafe.kernel.Refusal: They can't be read, or together let nothing happen.
    """
    strategy = app.spec.strategy
    surge = count_of(strategy.max_surge, replicas, name="maxSurge", least=0)
    unavailable = count_of(strategy.max_unavailable, replicas, least=0 if surge else 1)
    return Limits(unavailable, unavailable, 0 if strategy.pause else surge)


def floor_of(app: CafeDeployment, replicas: int) -> int:
    """Return how many of *replicas* pods must be available; limits that can't be read demand nothing."""
    try:
        return limits_of(app, replicas).floor(replicas)
    except Refusal:
        return 0


def template_of(app: CafeDeployment, unit: str, revision: str) -> dict[str, Any]:
    """Return the unit's pod template; its pods carry *revision*, as none of these sets tells it alike."""
    template = render_template(
        app, unit, own_labels(app.metadata.name, unit) | {POD_REVISION_LABEL: revision}
    )
    rendered: dict[str, Any] = msgspec.to_builtins(template)
    return rendered


def selector_of(app: CafeDeployment, unit: str, more: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the selector of a unit's set, with *more* labels."""
    own = own_labels(app.metadata.name, unit) | dict(more or {})
    selector: dict[str, Any] = msgspec.to_builtins(own_selector(app, own))
    return selector


def digest_of_template(template: Mapping[str, Any]) -> str:
    """Return the digest that tells whether a set has this template, whatever the API server adds to it."""
    return str(digest_of(template))


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be told of a unit beside the counts of its pods.

    Attributes:
        floor: Pods that must be available.
        failure: Why the API server refuses pods; empty if it doesn't.
    """

    revision: str
    floor: int
    failure: str = ""


def report_of(crowds: Collection[Crowd], found: Found, dwell: Dwell) -> UnitReport:
    """Return what a unit's pods are found to be."""
    unsettled = [pod for crowd in crowds for pod in crowd.unsettled()]
    calm = sum(crowd.calm_count() for crowd in crowds)
    calm_new = sum(crowd.calm_at(found.revision) for crowd in crowds)
    serving = [p for p in unsettled if dwell.is_available(p)]
    reason, message = _why(unsettled, found, dwell)
    waits = [dwell.next_change(unsettled), dwell.next_loss(unsettled)]
    starved = [p.starved_since for p in unsettled if p.starved_since is not None]
    return UnitReport(
        replicas=len(unsettled) + calm,
        ready=sum(p.is_ready for p in unsettled) + calm,
        available=len(serving) + calm,
        updated=sum(p.revision == found.revision for p in unsettled) + calm_new,
        updated_available=sum(p.revision == found.revision for p in serving) + calm_new,
        is_serving=len(serving) + calm >= found.floor,
        reason=reason,
        message=message,
        recheck=min((wait for wait in waits if wait is not None), default=None),
        skipped=sum(is_skipped(p, found.revision, dwell) for p in unsettled),
        starved=len(starved),
        starved_since=max(starved, default=None),
    )


def _why(pods: list[PodFact], found: Found, dwell: Dwell) -> tuple[str, str]:
    """Say what a unit waits for: pods of the new revision first."""
    if found.failure:
        return "FailedCreate", f"No pod can be created: {found.failure}"
    sick = [p for p in pods if not dwell.is_available(p)]
    new = [p for p in sick if p.revision == found.revision]
    if new or sick:
        return "WaitingForPods", f"{few(new or sick)} not available yet"
    return "Updating", "Pods are on their way"
