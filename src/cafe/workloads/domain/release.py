"""How a CafeDeployment's release goes on: which sets are asked for what, which group opens, who waits.

Sets follow the *stored* status, never the one being decided: a group is opened by writing `currentGroup`,
and only the next pass, which reads it back, raises the partitions. A controller that dies between any two
writes therefore goes on where it was, with the same plan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from cafe.api.cafedeployment import (
    CafeDeployment,
    CafeDeploymentStatus,
    Plan,
    PodSetType,
    UnitStatus,
    Waiting,
)
from cafe.api.names import CONFIRM_ANNOTATION
from cafe.api.strategy import ScaleOut
from cafe.kernel import Note, Refusal
from cafe.workloads.domain.adopting import ADOPTING
from cafe.workloads.domain.confirming import NOT_CONFIRMED, Accepted, Standing, judge
from cafe.workloads.domain.groups import (
    UnitGoal,
    UnitSize,
    asks_before,
    goals,
    group_after,
    group_name,
    grown_midway,
    grown_whole,
    is_followed,
    make_plan,
    on_way_back,
    recut,
    tolerated,
)
from cafe.workloads.domain.podsets.facts import Release, UnitFact, UnitReport
from cafe.workloads.domain.podsets.kinds import KINDS, SetAction, follow_all
from cafe.workloads.domain.progress import EXCEEDED, time_left
from cafe.workloads.domain.releasenotes import released_note, told, verdict_notes
from cafe.workloads.domain.releasestatus import Course, release_status
from cafe.workloads.domain.revisions import is_older


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """Everything that a pass over one CafeDeployment decides from.

    Attributes:
        release: The template's revision.
        quotas: Pods per unit, or why they cannot be had.
        units: The wanted units, in the user's order, whether their sets exist or not.
        retired: Sets of units that are no longer wanted.
        now: For the progress deadline; None leaves it aside.
        ages: Of each stored revision, by hash, the number that it was made with.
        adopted: Per unit, pods of nobody that wait for their set.
        is_moved: Whether some quotas are not where they would be, or were not: a unit has, or had, no room.
    """

    app: CafeDeployment
    release: Release
    quotas: Mapping[str, int] | Refusal
    units: Sequence[UnitFact]
    retired: Sequence[UnitFact] = ()
    now: datetime | None = None
    ages: Mapping[str, int] = field(default_factory=dict)
    adopted: Mapping[str, int] = field(default_factory=dict)
    is_moved: bool = False

    def is_older(self, left: str) -> bool:
        """Whether the release leads from *left* back to a revision that was made before it."""
        return is_older(self.revision, left, self.ages)

    @property
    def revision(self) -> str:
        """Return the hash of the template's revision."""
        return self.release.revision


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write, in this order: *announce*, status, *clear*, sets; then tell *notes*.

    Attributes:
        announce: Whether the confirm annotation is set to `false` before the status says that a group waits.
        clear: Whether a confirmation that was judged is removed after the status kept its outcome.
        recheck: When time alone will change the verdict.
    """

    status: CafeDeploymentStatus
    sets: tuple[SetAction, ...] = ()
    notes: tuple[Note, ...] = ()
    announce: bool = False
    clear: bool = False
    recheck: timedelta | None = None


def decide_release(view: ReleaseView) -> Decision:
    """Take one step of the release."""
    said = view.app.metadata.annotations.get(CONFIRM_ANNOTATION)
    if isinstance(view.quotas, Refusal):
        return _refuse(view, view.quotas, said)
    spec, stored = view.app.spec, view.app.status
    plan = stored.plan
    strategy = on_way_back(spec.strategy, is_rollback=plan is not None and plan.rollback)
    followed = is_followed(
        plan,
        view.revision,
        view.quotas,
        strategy.upgrade_type,
        strategy.batch_size,
        strategy.grouping,
    )
    if plan is None or not followed:
        return _prepare(view, view.quotas, said)
    course = _course(view, plan)
    standing = Standing(stored.waiting, course.waiting_group, plan.hash, stored.confirmed_group)
    verdict = judge(said, standing)
    if isinstance(verdict, Accepted):
        course = msgspec.structs.replace(course, confirmed=verdict.group, waiting_group=None)
    wanted = _wanted(view, plan, course)
    course, notes = _advance(course, spec.strategy.pause)
    notes += verdict_notes(verdict)
    if course.is_complete and stored.phase not in {"", "Complete"}:
        skipped = sum(u.report.skipped for u in view.units)
        notes.append(released_note(view.revision, spec.replicas, skipped))
    status = release_status(view.app, view.revision, course, [u.report for u in view.units], view.now)
    notes += _deadline_notes(view, status)
    return Decision(
        status=status,
        sets=(*_follow(view, wanted), *_retire(view, course)),
        notes=tuple(notes),
        recheck=_recheck(view, status),
        announce=course.waiting_group is not None and said != NOT_CONFIRMED,
        clear=course.waiting_group is None and said is not None,
    )


def _recheck(view: ReleaseView, status: CafeDeploymentStatus) -> timedelta | None:
    """Return when time alone will change the verdict."""
    waits = [unit.report.recheck for unit in view.units]
    waits.append(time_left(view.app, status, view.now) if view.now else None)
    return min((w for w in waits if w is not None), default=None)


def _deadline_notes(view: ReleaseView, status: CafeDeploymentStatus) -> list[Note]:
    """Return the news that a release does not get on; once, until it does."""
    old, new = view.app.status.waiting, status.waiting
    if new is None or new.reason != EXCEEDED or (old is not None and old.reason == EXCEEDED):
        return []
    return [Note(EXCEEDED, new.message, is_warning=True)]


def _refuse(view: ReleaseView, refusal: Refusal, said: str | None) -> Decision:
    """Change nothing that runs, and say why."""
    stored = view.app.status
    course = _held_course(view, refusal=refusal)
    status = release_status(view.app, view.revision, course, [u.report for u in view.units], view.now)
    old = view.app.status.waiting
    is_news = old is None or old.message != status_message(status)
    notes = [Note(refusal.code, str(refusal), is_warning=True)] if is_news else []
    notes += verdict_notes(judge(said, Standing(stored.waiting, None, course.plan_hash, course.confirmed)))
    return Decision(status, notes=tuple(notes), clear=said is not None)


def adopting_status(view: ReleaseView) -> CafeDeploymentStatus:
    """Return the status of an application that takes over running pods; written before any is touched."""
    course = _held_course(view)
    told = release_status(view.app, view.revision, course, [], view.now)
    waiting = Waiting(reason=ADOPTING, message="Running pods are being taken over, without a restart")
    return msgspec.structs.replace(told, waiting=waiting)


def status_message(status: CafeDeploymentStatus) -> str:
    """Return what a status says is waited for."""
    return status.waiting.message if status.waiting else ""


def _held_course(view: ReleaseView, refusal: Refusal | None = None) -> Course:
    """Return the course while no plan can be followed: what was opened stays open, nothing goes on."""
    stored = view.app.status
    is_same = stored.plan is not None and stored.plan.revision == view.revision
    return Course(
        plan=stored.plan,
        units=_unit_facts(view, stored.plan) if stored.plan and is_same else {},
        current=stored.current_group,
        confirmed=stored.confirmed_group,
        is_paused=view.app.spec.strategy.pause,
        is_preparing=refusal is None,
        refusal=refusal,
    )


def _prepare(view: ReleaseView, quotas: Mapping[str, int], said: str | None) -> Decision:
    """Have every unit's set carry the template, with nothing opened; then make the plan.

    How many pods run the revision already is only known once each set has reported on the new template: on
    the way back to an old revision most do, and the plan must not touch them.
    """
    held = {
        u.unit: UnitGoal(
            # A new set is as large as the pods are many that it is to adopt: else it would delete them.
            replicas=u.goal.replicas if u.goal else view.adopted.get(u.unit, 0),
            partition=u.goal.partition if u.goal and u.revision == view.revision else 0,
        )
        for u in view.units
    }
    sets = _follow(view, held)
    notes: list[Note] = []
    course = _held_course(view)
    if not sets and all(u.is_observed and u.revision == view.revision for u in view.units):
        sizes = [
            UnitSize(u.unit, quotas[u.unit], u.report.updated, held[u.unit].replicas) for u in view.units
        ]
        course = _planned_course(view, sizes)
        if course.plan:
            notes.append(Note("Planned", f"Plan {course.plan_hash}: {told(course.plan)}"))
    if said is not None:
        notes += verdict_notes(judge(said, Standing(view.app.status.waiting, None, "", None)))
    status = release_status(view.app, view.revision, course, [u.report for u in view.units], view.now)
    return Decision(status, tuple(sets), tuple(notes), clear=said is not None)


def _planned_course(view: ReleaseView, sizes: Sequence[UnitSize]) -> Course:
    """Make the plan, and say where it stands.

    A release that was never whole is cut anew behind its open groups: were it planned from the start, an
    edit of batchSize, or an autoscaler, would open the next group unconfirmed or step over a sick one. Going
    back or scaling out a whole release may not wait for pods that are sick for reasons of their own.
    """
    stored = view.app.status
    old = stored.plan
    if (
        old is not None
        and old.revision == view.revision
        and (
            {u.name: u.quota for u in old.units} == {u.name: u.quota for u in sizes}
            or stored.current_revision != view.revision
        )
    ):
        strategy = on_way_back(view.app.spec.strategy, is_rollback=old.rollback)
        may_grow = _grows_at_once(view) and bool(stored.current_revision)
        plan = recut(
            old,
            stored.current_group,
            grown_midway(old, sizes, is_moved=view.is_moved) if may_grow else sizes,
            strategy.upgrade_type,
            strategy.batch_size,
            strategy.grouping,
        )
        plan = msgspec.structs.replace(plan, rollback=old.rollback)
        course = Course(plan=plan, current=stored.current_group, confirmed=stored.confirmed_group)
    else:
        is_rollback = old is not None and view.is_older(old.revision)
        strategy = on_way_back(view.app.spec.strategy, is_rollback=is_rollback)
        if old is not None and old.revision == view.revision and _is_whole(view):
            sizes = grown_whole(old, sizes, is_moved=view.is_moved)
        plan = make_plan(view.revision, sizes, strategy.upgrade_type, strategy.batch_size, strategy.grouping)
        plan = msgspec.structs.replace(plan, rollback=is_rollback)
        course = Course(plan=plan)
    return msgspec.structs.replace(course, units=_unit_facts(view, plan), is_paused=strategy.pause)


def _is_whole(view: ReleaseView) -> bool:
    """Whether every pod there is runs the revision, and pods may be added without asking."""
    all_new = all(unit.report.updated >= unit.report.replicas for unit in view.units)
    return all_new and (view.is_moved or view.app.spec.strategy.scale_out is ScaleOut.AT_ONCE)


def _grows_at_once(view: ReleaseView) -> bool:
    """Whether pods of the revision that is left can be added: the ordinals of a StatefulSet can't."""
    spec = view.app.spec
    may_grow = view.is_moved or spec.strategy.scale_out is ScaleOut.AT_ONCE
    return may_grow and spec.pod_set_type is not PodSetType.STATEFUL_SET


def _unit_facts(view: ReleaseView, plan: Plan) -> dict[str, tuple[UnitReport, bool]]:
    """Return each planned unit's report, and whether it can be believed for the plan's revision.

    Of a set that has not reported on its newest spec yet, the counts last told under this plan stand: they
    are shown, so that no number drops to 0 whenever a partition is raised, but nothing is decided from them.
    """
    stored = view.app.status
    is_same = stored.plan is not None and stored.plan.hash == plan.hash
    told = {u.name: u for u in stored.units} if is_same else {}
    facts: dict[str, tuple[UnitReport, bool]] = {}
    for unit in view.units:
        report, believed = unit.report, unit.is_observed and unit.revision == plan.revision
        if not believed:
            last = told.get(unit.unit, UnitStatus())
            report = replace(
                report,
                updated=last.updated,
                updated_available=last.updated_available,
                skipped=last.skipped,
                reason="",
                message="",
            )
        facts[unit.unit] = (report, believed)
    return {p.name: facts[p.name] for p in plan.units if p.name in facts}


def _course(view: ReleaseView, plan: Plan) -> Course:
    """Work out where the followed plan stands."""
    stored = view.app.status
    course = Course(
        plan=plan,
        units=_unit_facts(view, plan),
        current=stored.current_group,
        confirmed=stored.confirmed_group,
        tolerated=tolerated(view.app.spec.strategy, plan, stored.current_group),
        is_paused=view.app.spec.strategy.pause,
    )
    following = group_after(plan, course.current)
    waits = (
        course.is_current_done
        and course.current is not None
        and following is not None
        and asks_before(on_way_back(view.app.spec.strategy, is_rollback=plan.rollback), plan, following)
        and (course.confirmed is None or course.confirmed < course.current)
    )
    return msgspec.structs.replace(course, waiting_group=course.current if waits else None)


def _wanted(view: ReleaseView, plan: Plan, course: Course) -> dict[str, UnitGoal]:
    """Return each unit's goal. A unit that shrinks does so once those that grow serve in its stead.

    Once it has shrunk it stays so, whichever pod falls sick later.
    """
    stored = view.app.status.current_group
    asked = {u.unit: u.goal.replicas for u in view.units if u.goal}
    is_grown = (
        group_after(plan, stored) is None
        and course.is_current_done
        and all(
            course.units[u.name][0].updated_available >= u.quota
            for u in plan.units
            if u.name in course.units and asked.get(u.name, 0) <= u.quota
        )
    )
    wanted = goals(plan, stored)
    for unit in plan.units:
        if is_grown or asked.get(unit.name, 0) <= unit.quota:
            goal = wanted[unit.name]
            wanted[unit.name] = UnitGoal(min(goal.replicas, unit.quota), goal.partition)
    return wanted


def _advance(course: Course, is_paused: bool) -> tuple[Course, list[Note]]:  # noqa: FBT001 -- one caller, named there
    """Open the next group if nothing speaks against it."""
    if course.plan is None or is_paused or not course.is_current_done or course.waiting_group is not None:
        return course, []
    following = group_after(course.plan, course.current)
    if following is None:
        return course, []
    note = Note("GroupOpened", f"{group_name(following)} of plan {course.plan.hash} may be updated")
    return msgspec.structs.replace(course, current=following), [note]


def _follow(view: ReleaseView, wanted: Mapping[str, UnitGoal]) -> list[SetAction]:
    """Return what brings each unit's set to its goal."""
    return follow_all(view.app, view.units, wanted, view.release)


def _retire(view: ReleaseView, course: Course) -> list[SetAction]:
    """Empty the sets of units that left the topology, but only once the others serve in their stead."""
    if not course.is_complete:
        return []
    kind = KINDS[view.app.spec.pod_set_type]
    return [action for fact in view.retired for action in kind.retire(view.app, fact)]
