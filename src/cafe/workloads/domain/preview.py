"""What a release would do, worked out before anybody writes anything; by the rules of the controller."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment, Plan, PodSetType
from cafe.api.inplaceset import PodUpgradePolicy
from cafe.api.strategy import ScaleOut
from cafe.placement.contract import Spread
from cafe.workloads.domain.children import render_child, turn_of
from cafe.workloads.domain.groups import UnitGoal, UnitSize, grown_whole, make_plan, on_way_back
from cafe.workloads.domain.overriding import (
    UnitChange,
    demand_overrides,
    overridden,
    unit_changes,
    units_of,
)
from cafe.workloads.domain.revisions import hash_of, is_older
from cafe.workloads.domain.templates import GATE_MISSING, InPlace, Recreate, change_between


@dataclass(frozen=True, slots=True)
class UnitNow:
    """One unit's pods at present.

    Attributes:
        replicas: Pods its set is asked for.
        ready: Pods that are ready.
        by_revision: Pods per revision hash of the unit's set.
        ungated: Pods without our readiness gate: they were adopted, and can't be taken out of traffic alive.
    """

    replicas: int = 0
    ready: int = 0
    by_revision: Mapping[str, int] | None = None
    ungated: int = 0


@dataclass(frozen=True, slots=True)
class Outlook:
    """The plan, and the paths for which pods would be replaced; empty if they stay.

    Attributes:
        unit_changes: What changes in single units only.
    """

    plan: Plan
    recreated_because: tuple[str, ...]
    is_refused: bool
    unit_changes: tuple[UnitChange, ...] = ()


def look_ahead(
    now: CafeDeployment,
    wanted: CafeDeployment,
    units: Mapping[str, UnitNow],
    spread: Spread,
    ages: Mapping[str, int] | None = None,
) -> Outlook:
    """Return what happens if *now* is replaced by *wanted*.

    Args:
        now: As stored.
        wanted: As it would be stored.
        units: Present pods; units without a set may be missing.
        spread: The rule of placement.
        ages: Of each stored revision, by hash, the number that it was made with.

    Raises:
        cafe.kernel.Refusal: The controller would refuse it.
    """
    demand_overrides(wanted)
    topology, names = wanted.spec.topology, units_of(wanted)
    ties, turn = _ties(now, units), turn_of(wanted.metadata.name)
    quotas = spread(wanted.spec.replicas, names, topology.unit_replicas, ties, turn)
    template, collisions = msgspec.to_builtins(wanted.spec.template), wanted.status.collision_count
    revision = hash_of(template, collisions, topology.overrides)
    plan = now.status.plan
    is_rollback = plan is not None and is_older(revision, plan.revision, ages or {})
    strategy = on_way_back(wanted.spec.strategy, is_rollback=is_rollback)
    sizes = [_size(wanted, revision, name, quotas[name], units.get(name, UnitNow())) for name in names]
    if (
        plan is not None
        and plan.revision == revision == now.status.current_revision
        and _is_whole(wanted, units)
    ):
        sizes = grown_whole(plan, sizes)
    paths = _paths(now, wanted, is_ungated=any(unit.ungated for unit in units.values()))
    if wanted.spec.pod_set_type is not PodSetType.IN_PLACE_SET:
        paths = () if _is_same(now, wanted) else ("spec.podSetType",)
    elif not paths and strategy.pod_upgrade_policy is PodUpgradePolicy.RECREATE and not _is_same(now, wanted):
        paths = ("strategy.podUpgradePolicy",)
    made = make_plan(revision, sizes, strategy.upgrade_type, strategy.batch_size, strategy.grouping)
    return Outlook(
        plan=msgspec.structs.replace(made, rollback=is_rollback),
        recreated_because=paths,
        is_refused=bool(paths) and strategy.pod_upgrade_policy is PodUpgradePolicy.IN_PLACE_ONLY,
        unit_changes=tuple(unit_changes(now, wanted)),
    )


def _paths(now: CafeDeployment, wanted: CafeDeployment, *, is_ungated: bool) -> tuple[str, ...]:
    """Return for what pods can't be changed in place, in any of the units that stay."""
    stay = [unit for unit in units_of(wanted) if unit in units_of(now)]
    ways = [change_between(_template(now, unit), _template(wanted, unit)) for unit in stay or [""]]
    paths = {path for way in ways if isinstance(way, Recreate) for path in way.paths}
    restarts = any(isinstance(way, InPlace) and way.restarts for way in ways)
    return GATE_MISSING if not paths and restarts and is_ungated else tuple(sorted(paths))


def _template(app: CafeDeployment, unit: str) -> dict[str, Any]:
    template = overridden(app.spec.template, app.spec.topology.overrides, unit)
    told: dict[str, Any] = msgspec.to_builtins(template)
    return told


def _is_whole(wanted: CafeDeployment, units: Mapping[str, UnitNow]) -> bool:
    """Whether pods are added at once: all that there are run one revision, unit by unit."""
    is_uniform = all(len([n for n in (u.by_revision or {}).values() if n]) <= 1 for u in units.values())
    return is_uniform and wanted.spec.strategy.scale_out is ScaleOut.AT_ONCE


def _is_same(now: CafeDeployment, wanted: CafeDeployment) -> bool:
    """Whether the pods of each unit that stays have the same template as before."""
    stay = [unit for unit in units_of(wanted) if unit in units_of(now)]
    return all(_template(now, unit) == _template(wanted, unit) for unit in stay or [""])


def _ties(now: CafeDeployment, units: Mapping[str, UnitNow]) -> dict[str, int]:
    """Say who gets a remainder: as in the controller, whoever had it in the plan that is followed."""
    has = {name: unit.ready for name, unit in units.items()}
    if now.status.plan is not None:
        has |= {unit.name: unit.quota for unit in now.status.plan.units}
    return has


def _size(wanted: CafeDeployment, revision: str, name: str, quota: int, unit: UnitNow) -> UnitSize:
    """Count the pods that run the wanted template already: on the way back to an old revision most do.

    Pods of native sets carry the application's *revision*, or the hash of their unit's own template if any
    has one; those of an InPlaceSet their set's own.
    """
    if wanted.spec.topology.overrides:
        revision = hash_of(_template(wanted, name), wanted.status.collision_count)
    if wanted.spec.pod_set_type is PodSetType.IN_PLACE_SET:
        child = render_child(wanted, name, UnitGoal(replicas=0, partition=0))
        revision = hash_of(msgspec.to_builtins(child.template), 0)
    return UnitSize(name, quota, (unit.by_revision or {}).get(revision, 0), unit.replicas)
