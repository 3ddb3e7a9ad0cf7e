"""Units served by InPlaceSets: a release only says what each should look like, the set's controller acts."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.inplaceset import InPlaceSet, InPlaceSetSpec, InPlaceSetStatus
from cafe.api.names import REVISION_LABEL, UNIT_LABEL
from cafe.workloads.domain.budget import Budget, Use
from cafe.workloads.domain.children import child_name, render_child
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.podsets.facts import Release, UnitFact, UnitReport
from cafe.workloads.domain.times import read_time


@dataclass(frozen=True, slots=True)
class MakeSet:
    """Create the set of a unit."""

    unit: str
    name: str
    spec: InPlaceSetSpec


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Bring an existing set to *spec*, whose template is the application's at *revision*."""

    unit: str
    name: str
    spec: InPlaceSetSpec
    revision: str


@dataclass(frozen=True, slots=True)
class DropSet:
    """Delete the empty set of a retired unit."""

    name: str


InPlaceAction = MakeSet | ChangeSet | DropSet


def unit_fact(found: InPlaceSet) -> UnitFact:
    """Return what a release decides of one unit's set."""
    meta, spec = found.metadata, found.spec
    return UnitFact(
        unit=meta.labels.get(UNIT_LABEL, ""),
        revision=meta.labels.get(REVISION_LABEL, ""),
        goal=UnitGoal(spec.replicas, spec.strategy.partition),
        held=spec,
        report=report_of(found.status),
        is_observed=found.status.observed_generation >= meta.generation,
        name=meta.name,
    )


def report_of(status: InPlaceSetStatus) -> UnitReport:
    """Return what a set says of its pods."""
    said = {c.type: c for c in status.conditions}
    progressing, available = said.get("Progressing"), said.get("Available")
    return UnitReport(
        replicas=status.replicas,
        ready=status.ready_replicas,
        available=status.available_replicas,
        updated=status.updated_replicas,
        updated_available=status.updated_available_replicas,
        is_serving=available is not None and available.status == "True",
        reason=progressing.reason if progressing else "",
        message=progressing.message if progressing else "",
        skipped=status.skipped_replicas,
        starved=status.starved_replicas,
        starved_since=read_time(status.starved_since),
    )


def use_of(_: CafeDeployment, __: UnitFact, ___: UnitGoal, ____: str) -> Use:
    """Return nothing: its controller asks for its share pod by pod."""
    return Use()


def taken(_: UnitFact, __: Sequence[InPlaceAction]) -> int:
    """Return 0: a release takes no pod of an InPlaceSet by itself."""
    return 0


def follow(
    app: CafeDeployment, fact: UnitFact, goal: UnitGoal, release: Release, _: Budget
) -> list[InPlaceAction]:
    """Return what brings the unit's set to its goal."""
    spec = render_child(app, fact.unit, goal)
    if fact.held is None:
        return [MakeSet(fact.unit, child_name(app.metadata.name, fact.unit), spec)]
    if fact.held != spec or fact.revision != release.revision:
        return [ChangeSet(fact.unit, fact.name, spec, release.revision)]
    return []


def retire(_: CafeDeployment, fact: UnitFact) -> list[InPlaceAction]:
    """Return what empties the set of a unit that is no longer wanted, and then deletes it."""
    if not isinstance(fact.held, InPlaceSetSpec):
        return []
    if fact.held.replicas:
        empty = msgspec.structs.replace(fact.held, replicas=0)
        return [ChangeSet(fact.unit, fact.name, empty, fact.revision)]
    return [DropSet(fact.name)] if fact.is_observed and fact.report.replicas == 0 else []
