"""The groups of a release, counted across units: computed once, then followed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from cafe.api.cafedeployment import GroupPlan, Plan, UnitPlan
from cafe.api.strategy import CafeDeploymentStrategy, ConfirmStrategy, Grouping, UpgradeType
from cafe.kernel import digest_of
from cafe.workloads.domain.cutting import Rules, cut

BETA = 0
"""Index of the group in front; the others count from 1, with or without a Beta."""


@dataclass(frozen=True, slots=True)
class UnitSize:
    """One unit when a plan is made.

    Attributes:
        quota: Pods it will have.
        updated: Pods at the revision already.
        replicas: Pods it is asked to have now, of any revision.
        grows_at_once: Whether what it lacks is made without waiting for a group.
    """

    name: str
    quota: int
    updated: int = 0
    replicas: int = 0
    grows_at_once: bool = False


@dataclass(frozen=True, slots=True)
class UnitGoal:
    """What a unit's set is asked for while a plan is followed."""

    replicas: int
    partition: int


def make_plan(
    revision: str,
    units: Sequence[UnitSize],
    upgrade_type: str,
    batch_size: int,
    grouping: Grouping | None = None,
) -> Plan:
    """Cut the work into groups.

    Work is every pod that is missing or not at *revision*; first deployment, scale-out and update are cut
    alike. Beta takes exactly one pod of each unit that has work. Then each group takes *batch_size* pods,
    one after the other from the unit with the most work left, so that units stay level: 10 pods over two
    cells with batches of 4 become 1+1, 2+2, 2+2.

    A unit that shrinks keeps as many pods above its quota as other units still lack, so that moving pods
    from unit to unit costs no capacity; whoever follows the plan takes them away in the end.

    Returns:
        The plan with its hash, which is equal for equal arguments in every process.
    """
    bases = {u.name: u.updated for u in units}
    begun = Plan(revision=revision, units=_planned(units, bases))
    return _cut(begun, None, upgrade_type, Rules(batch_size, grouping or Grouping()))


def grown_whole(old: Plan, units: Sequence[UnitSize], *, is_moved: bool = False) -> list[UnitSize]:
    """Return the sizes by which a release that was whole grows: there is nothing to update.

    Args:
        old: The plan that was followed.
        units: As for `make_plan`.
        is_moved: Whether pods are moved because a unit has no room; nobody is asked then either.
    """
    if not _is_growth(old, units, is_moved=is_moved):
        return list(units)
    return [replace(u, updated=u.quota, grows_at_once=True) if u.replicas < u.quota else u for u in units]


def grown_midway(old: Plan, units: Sequence[UnitSize], *, is_moved: bool = False) -> list[UnitSize]:
    """Return the sizes by which a release grows that is under way: by pods of the revision that is left.

    A unit without pods has nothing that is left; its own come with their groups. For the arguments see
    `grown_whole`.
    """
    if not _is_growth(old, units, is_moved=is_moved):
        return list(units)
    return [replace(u, grows_at_once=True) if 0 < u.replicas < u.quota else u for u in units]


def _is_growth(old: Plan, units: Sequence[UnitSize], *, is_moved: bool) -> bool:
    """Whether there are to be more pods in the same units. Who moves pods, to whatever place, is asked."""
    is_same = {u.name for u in old.units} == {u.name for u in units}
    return is_same and (is_moved or sum(u.quota for u in units) > sum(u.quota for u in old.units))


def recut(
    old: Plan,
    opened: int | None,
    units: Sequence[UnitSize],
    upgrade_type: str,
    batch_size: int,
    grouping: Grouping | None = None,
) -> Plan:
    """Cut what is left of the same release anew, because batchSize, upgradeType or quotas were changed.

    Groups that are open stay as they are, as far as the quotas reach: none of them is stepped over, Beta is
    not served twice, and the last one is still to be confirmed, now under the new plan's hash.

    Args:
        old: The plan that was followed, for the same revision.
        opened: The last group of it that is open.
        units: As for `make_plan`.
        upgrade_type: As for `make_plan`.
        batch_size: As for `make_plan`.
        grouping: As for `make_plan`.
    """
    bases = {u.name: u.updated for u in units} | {u.name: u.base for u in old.units}
    planned = _planned(units, bases)
    room = {u.name: u.quota - u.base for u in planned}
    kept: list[GroupPlan] = []
    for group in old.groups if opened is not None else ():
        taken = {name: min(count, room.get(name, 0)) for name, count in group.units.items()}
        if group.index <= (opened or 0) and any(taken.values()):
            room |= {name: room[name] - count for name, count in taken.items() if count}
            kept.append(GroupPlan(index=group.index, units={n: c for n, c in taken.items() if c}))
    begun = Plan(revision=old.revision, units=planned, groups=kept)
    return _cut(begun, opened, upgrade_type, Rules(batch_size, grouping or Grouping()))


def _planned(units: Sequence[UnitSize], bases: Mapping[str, int]) -> list[UnitPlan]:
    lacking = sum(max(0, u.quota - u.replicas) for u in units)
    planned: list[UnitPlan] = []
    for unit in units:
        spare = min(lacking, max(0, unit.replicas - unit.quota))
        lacking -= spare
        floor = unit.quota if unit.grows_at_once else min(unit.replicas, unit.quota) + spare
        base = min(bases[unit.name], unit.quota)
        planned.append(UnitPlan(name=unit.name, quota=unit.quota, base=base, floor=floor))
    return planned


def _cut(begun: Plan, opened: int | None, upgrade_type: str, rules: Rules) -> Plan:
    """Complete a plan behind its groups up to *opened*."""
    left = {
        u.name: count
        for u in begun.units
        if (count := u.quota - u.base - sum(g.units.get(u.name, 0) for g in begun.groups)) > 0
    }
    groups = list(begun.groups)
    if left and opened is None and upgrade_type == UpgradeType.BETA:
        groups.append(GroupPlan(index=BETA, units=dict.fromkeys(left, 1)))
        left = {name: count - 1 for name, count in left.items() if count > 1}
    first = (opened or 0) + 1
    rules = replace(rules, sizes={u.name: u.quota for u in begun.units}, begun=first - 1)
    for index, taken in enumerate(cut([u.name for u in begun.units], left, rules), start=first):
        groups.append(GroupPlan(index=index, units=taken))
    plan = msgspec.structs.replace(
        begun,
        batch_size=rules.batch_size,
        upgrade_type=upgrade_type,
        grouping=digest_of_grouping(rules.grouping),
        groups=groups,
    )
    return msgspec.structs.replace(plan, hash=_hash(plan))


def _hash(plan: Plan) -> str:
    """Return the hash of a plan; one that is cut by batchSize alone has the hash that it always had."""
    told = msgspec.to_builtins(plan)
    if not plan.grouping:
        del told["grouping"]
    del told["rollback"]
    return digest_of(told)


def digest_of_grouping(grouping: Grouping) -> str:
    """Return the digest of what cuts a plan; empty for batchSize alone. Whom to ask when cuts nothing."""
    cuts = msgspec.structs.replace(grouping, breakpoints=[], confirm=ConfirmStrategy.EACH)
    return "" if cuts == Grouping() else digest_of(msgspec.to_builtins(cuts))


def tolerated(strategy: CafeDeploymentStrategy, plan: Plan, opened: int | None) -> int:
    """Return how many pods of the open groups need not serve before the next group begins.

    A percentage is one of each group, rounded down: what is not a whole pod is not tolerated.
    """
    said = strategy.failure_tolerance
    sizes = [sum(g.units.values()) for g in plan.groups if opened is not None and g.index <= opened]
    if isinstance(said, int):
        return sum(min(said, size) for size in sizes)
    percent = int(said.removesuffix("%")) if said.removesuffix("%").isdecimal() else 0
    return sum(size * percent // 100 for size in sizes)


def on_way_back(strategy: CafeDeploymentStrategy, *, is_rollback: bool) -> CafeDeploymentStrategy:
    """Return the strategy that cuts a plan and asks for confirmations; on the way back it is another."""
    if not is_rollback:
        return strategy
    return msgspec.structs.replace(
        strategy,
        upgrade_type=UpgradeType.BATCH,
        grouping=strategy.rollback.grouping,
        need_waiting_for_confirm=strategy.rollback.need_waiting_for_confirm,
    )


def asks_before(strategy: CafeDeploymentStrategy, plan: Plan, following: int) -> bool:
    """Say whether a person must confirm before the group *following* opens."""
    if following in strategy.grouping.breakpoints:
        return True
    if not strategy.need_waiting_for_confirm:
        return False
    is_second = len(plan.groups) > 1 and following == plan.groups[1].index
    return strategy.grouping.confirm is ConfirmStrategy.EACH or is_second


def is_followed(
    plan: Plan | None,
    revision: str,
    quotas: Mapping[str, int],
    upgrade_type: str,
    batch_size: int,
    grouping: Grouping | None = None,
) -> bool:
    """Say whether *plan* still is the way to go; anything that a person changed makes it void."""
    return (
        plan is not None
        and plan.revision == revision
        and {u.name: u.quota for u in plan.units} == dict(quotas)
        and plan.upgrade_type == upgrade_type
        and plan.batch_size == batch_size
        and plan.grouping == digest_of_grouping(grouping or Grouping())
    )


def settled_sizes(plan: Plan | None, asked: Mapping[str, int]) -> dict[str, int]:
    """Return by what a spread is to break ties: the plan's quotas, or without them what sets are *asked* for.

    Neither readiness nor, in mid-release, what sets are asked for will do: both change while the plan is
    followed, the remainder would move to another unit, and the plan would be void.
    """
    return dict(asked) | ({u.name: u.quota for u in plan.units} if plan else {})


def goals(plan: Plan, opened: int | None) -> dict[str, UnitGoal]:
    """Return what each unit is asked for once group *opened* and all before it are open; None opens none."""
    partitions = {u.name: u.base for u in plan.units}
    for group in plan.groups:
        if opened is not None and group.index <= opened:
            for name, count in group.units.items():
                partitions[name] += count
    return {
        u.name: UnitGoal(replicas=max(u.floor, partitions[u.name]), partition=partitions[u.name])
        for u in plan.units
    }


def group_after(plan: Plan, index: int | None) -> int | None:
    """Return the index of the group after *index*, the first one for None, or None after the last."""
    return next((g.index for g in plan.groups if index is None or g.index > index), None)


def group_name(index: int) -> str:
    """Return how people call a group."""
    return "Beta" if index == BETA else f"group {index}"
