"""One unit of an application and the pods that serve it, in words that fit every kind of pod set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.inplaceset import InPlaceSetSpec
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.groups import UnitGoal


@dataclass(frozen=True, slots=True)
class UnitReport:
    """What a unit's pods are found to be.

    Attributes:
        replicas: Pods that exist and are not being deleted.
        updated: Those of the revision that the unit's set carries.
        is_serving: Whether no more pods are unavailable than may be.
        reason: What the unit waits for, in one CamelCase word; empty if it can't be told.
        message: The same for people.
        recheck: When time alone will change the report.
        skipped: Pods of the revision that don't serve and that a person said not to wait for.
        starved: Pods for which no node has room.
        starved_since: Since when there has been none for all of them.
    """

    replicas: int = 0
    ready: int = 0
    available: int = 0
    updated: int = 0
    updated_available: int = 0
    is_serving: bool = False
    reason: str = ""
    message: str = ""
    recheck: timedelta | None = None
    skipped: int = 0
    starved: int = 0
    starved_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReplicaSetFact:
    """One native ReplicaSet of a unit: the pods of one revision.

    Attributes:
        revision: Hash that its pods carry.
        asked: Pods that its spec asks for.
        rendered: Digest of the template that was written into it.
        failure: Why the API server refuses its pods; empty if it doesn't.
    """

    name: str
    revision: str
    asked: int
    pods: Crowd
    rendered: str = ""
    min_ready_seconds: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class StatefulSetFact:
    """The native StatefulSet of a unit.

    Attributes:
        replicas: Pods that its spec asks for.
        partition: The lowest ordinal that is made at the newest revision: StatefulSets count pods kept *old*.
        rendered: Digest of the template that was written into it.
        retention: What becomes of the claims of pods that are gone for good; None if its server can't say.
    """

    name: str
    replicas: int
    partition: int
    pods: Crowd
    rendered: str = ""
    min_ready_seconds: int = 0
    retention: Mapping[str, str] | None = None


PodSet = InPlaceSetSpec | tuple[ReplicaSetFact, ...] | StatefulSetFact
"""What serves a unit, by the kind of pod set."""


@dataclass(frozen=True, slots=True)
class UnitFact:
    """One unit and its set.

    Attributes:
        unit: Name; empty for an application without units.
        revision: Hash of the application revision whose template the set carries.
        pod_revision: Hash that the pods carry which native sets make from that template.
        whole: Hash that they carry of the revision that was released whole; empty if it is that revision's.
        goal: What the set is asked for; None if there is none.
        held: The set itself; None if there is none.
        is_observed: Whether the report speaks of the newest goal.
        name: Of the set.
        promised: Pods that serve, and that an eviction may be taking away.
        owners: UIDs of the native sets.
    """

    unit: str
    revision: str = ""
    goal: UnitGoal | None = None
    held: PodSet | None = None
    report: UnitReport = field(default_factory=UnitReport)
    is_observed: bool = False
    name: str = ""
    promised: int = 0
    owners: frozenset[str] = frozenset()
    pod_revision: str = ""
    whole: str = ""

    def of_whole(self, app: CafeDeployment) -> str:
        """Return the hash that the unit's pods carry of the revision that was released whole."""
        return self.whole or app.status.current_revision


@dataclass(frozen=True, slots=True)
class Release:
    """What is released.

    Attributes:
        revision: Hash of the template's revision.
        number: Its number, which rises with each release, also when an old revision comes back.
        pods: By unit, the hash that its pods carry, where single units have something otherwise.
    """

    revision: str
    number: int = 0
    pods: Mapping[str, str] = field(default_factory=dict)

    def of_pods(self, unit: str) -> str:
        """Return the hash that pods of native sets of a unit carry."""
        return self.pods.get(unit, self.revision)


Spec = Mapping[str, Any]
"""A spec as the API holds it."""
