"""What a CafeDeployment says of its release: who waits for what, and why."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct, field

from cafe.api.cafedeployment import (
    CafeDeployment,
    CafeDeploymentStatus,
    GroupStatus,
    Plan,
    UnitStatus,
    Waiting,
)
from cafe.api.selectors import selector_text
from cafe.kernel import Refusal
from cafe.workloads.domain.confirming import WAITING
from cafe.workloads.domain.groups import BETA, goals, group_after, group_name
from cafe.workloads.domain.podsets.facts import UnitReport
from cafe.workloads.domain.progress import conditions, with_progress

Believed = Mapping[str, tuple[UnitReport, bool]]
"""Per unit: its set's report, and whether it speaks of the newest spec and the plan's revision."""


class Course(Struct, frozen=True, kw_only=True):
    """Where a release stands at one pass.

    Attributes:
        current: The last group that is open.
        waiting_group: The group that is done and waits for a confirmation.
        tolerated: Pods of open groups that need not serve before the next one begins.
        is_preparing: Whether *plan* is void and the next one is not made yet.
    """

    plan: Plan | None = None
    units: Believed = field(default_factory=dict)
    current: int | None = None
    confirmed: int | None = None
    waiting_group: int | None = None
    tolerated: int = 0
    is_paused: bool = False
    is_preparing: bool = False
    refusal: Refusal | None = None

    @property
    def plan_hash(self) -> str:
        """Return the plan's hash; empty without a plan."""
        return self.plan.hash if self.plan else ""

    @property
    def is_current_done(self) -> bool:
        """Whether every pod of all open groups is updated and available, but for those tolerated."""
        if self.plan is None:
            return False
        if self.current is None:
            return all(believed for _, believed in self.units.values())
        wanted = goals(self.plan, self.current)
        lacking = 0
        for name, (report, believed) in self.units.items():
            if not (believed and _settled(report) >= wanted[name].partition):
                lacking += wanted[name].partition - _settled(report) if believed else self.tolerated + 1
        return lacking <= self.tolerated

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do: strict, every unit has exactly its pods, all new and available."""
        if self.plan is None or self.refusal or self.is_preparing:
            return False
        if group_after(self.plan, self.current) is not None:
            return False
        quotas = {u.name: u.quota for u in self.plan.units}
        return all(
            believed and _settled(report) == report.replicas == quotas[name]
            for name, (report, believed) in self.units.items()
        )

    @property
    def phase(self) -> str:
        """Return the release's state in one word."""
        if self.refusal:
            return "Refused"
        if self.is_complete:
            return "Complete"
        if self.is_paused:
            return "Paused"
        return "WaitingForConfirm" if self.waiting_group is not None else "Progressing"


def release_status(
    app: CafeDeployment,
    revision: str,
    course: Course,
    sets: Sequence[UnitReport],
    now: datetime | None = None,
) -> CafeDeploymentStatus:
    """Return the status; equal worlds give equal statuses, so nothing flaps.

    Args:
        app: As stored.
        revision: Hash of the template's revision.
        course: Where the release stands.
        sets: What the units' sets say of themselves.
        now: For the progress deadline; None leaves it aside.
    """
    plan = course.plan
    waiting = _waiting(app, course)
    status = CafeDeploymentStatus(
        observed_generation=app.metadata.generation,
        phase=course.phase,
        progress=_progress(course),
        replicas=sum(s.replicas for s in sets),
        ready_replicas=sum(s.ready for s in sets),
        available_replicas=sum(s.available for s in sets),
        updated_replicas=sum(s.updated for s, _ in course.units.values()),
        updated_available_replicas=sum(s.updated_available for s, _ in course.units.values()),
        current_revision=revision if course.is_complete else app.status.current_revision,
        update_revision=revision,
        collision_count=app.status.collision_count,
        label_selector=selector_text(app.spec.selector),
        plan=plan,
        current_group=course.current,
        confirmed_group=course.confirmed,
        waiting=waiting,
        groups=_groups(course),
        units=_units(course),
    )
    status = with_progress(app, status, now)
    refusal = course.refusal
    return msgspec.structs.replace(status, conditions=conditions(app, status, refusal, sets))


def _progress(course: Course) -> str:
    if course.is_complete:
        return "done"
    if course.is_preparing or course.plan is None or course.current is None or not course.plan.groups:
        return "-"
    last = course.plan.groups[-1].index
    return "Beta" if course.current == BETA else f"{course.current}/{last}"


def _waiting(app: CafeDeployment, course: Course) -> Waiting | None:
    if course.refusal:
        return Waiting(reason=course.refusal.code, message=str(course.refusal))
    if course.is_complete:
        return None
    if course.plan is None or course.is_preparing:
        return Waiting(reason="Preparing", message="The sets of the units take over the template")
    if course.is_paused:
        reason, message = "Paused", f"Paused; go on with: cafe app resume {app.metadata.name}"
    elif course.waiting_group is not None:
        group = "beta" if course.waiting_group == BETA else str(course.waiting_group)
        reason, message = (
            WAITING,
            (
                f"{group_name(course.waiting_group)} is done; confirm with: cafe app confirm "
                f"{app.metadata.name} --group {group} --plan {course.plan_hash}"
            ),
        )
    else:
        reason, message = "WaitingForPods", _pods_message(course)
    group_index = course.waiting_group if course.waiting_group is not None else course.current
    return Waiting(
        reason=reason,
        message=message,
        group=group_index,
        revision=course.plan.revision,
        plan_hash=course.plan.hash,
    )


def _pods_message(course: Course) -> str:
    said: dict[str, list[str]] = {}
    for unit in _units(course):
        if unit.message:
            said.setdefault(unit.message, []).append(unit.name)
    # What holds for several units is said once.
    told = [f"{', '.join(names)}: {what}" if any(names) else what for what, names in said.items()]
    return "; ".join(told) or "Pods are on their way"


def _groups(course: Course) -> list[GroupStatus]:
    if course.plan is None:
        return []
    left = {
        u.name: max(0, _settled(course.units[u.name][0]) - u.base)
        for u in course.plan.units
        if u.name in course.units
    }
    told: list[GroupStatus] = []
    for group in course.plan.groups:
        done = 0
        for name, count in group.units.items():
            taken = min(count, left.get(name, 0))
            left[name] = left.get(name, 0) - taken
            done += taken
        total = sum(group.units.values())
        told.append(
            GroupStatus(
                index=group.index,
                state=_group_state(course, group.index, done, total),
                done=done,
                total=total,
            )
        )
    return told


def _settled(report: UnitReport) -> int:
    """Return how many pods of the revision nobody waits for any more."""
    return report.updated_available + report.skipped


def _group_state(course: Course, index: int, done: int, total: int) -> str:
    if course.current is None or index > course.current:
        return "Pending"
    if done < total:
        return "Updating"
    return "WaitingForConfirm" if index == course.waiting_group else "Done"


def _units(course: Course) -> list[UnitStatus]:
    if course.plan is None:
        return []
    wanted = goals(course.plan, course.current)
    told: list[UnitStatus] = []
    for unit in course.plan.units:
        if unit.name not in course.units:
            continue
        report, believed = course.units[unit.name]
        lacks = not believed or _settled(report) < wanted[unit.name].partition
        told.append(
            UnitStatus(
                name=unit.name,
                desired=unit.quota,
                partition=wanted[unit.name].partition,
                replicas=report.replicas,
                updated=report.updated,
                available=report.available,
                updated_available=report.updated_available,
                skipped=report.skipped,
                reason=(report.reason or "Starting") if lacks else "",
                message=report.message if lacks else "",
            )
        )
    return told
