"""The InPlaceSet controller: observe, decide, act, report.

It remembers nothing between passes, so that a new leader just goes on.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec

from cafe.api.inplaceset import InPlaceSet, PodUpgradePolicy
from cafe.api.selectors import demand_match
from cafe.kernel import Clock, Conflict, Note, ObjectKey, Outcome, Refusal
from cafe.workloads.domain.budget import Budget, Elsewhere, Use, aims_at, budget_within, count_of
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact, RevisionFact
from cafe.workloads.domain.launching import demand_priorities
from cafe.workloads.domain.revisions import UseRevision, current_revision, find_revision, outdated
from cafe.workloads.domain.scaling import Creation, Deletion, Scale, SetGoal, decide_scale, slow_start
from cafe.workloads.domain.setstatus import refused_status, set_status
from cafe.workloads.domain.sizes import sized_paths
from cafe.workloads.domain.steps import (
    Beginning,
    LowerGate,
    MarkForDeletion,
    NoteDoubt,
    RaiseGate,
    Resize,
    Step,
    Withdraw,
    WriteChange,
)
from cafe.workloads.domain.templates import InPlace, Recreate, change_between
from cafe.workloads.domain.updating import Progress, UpdateRules, decide_update, next_step
from cafe.workloads.ports import ResizeRefused, RevisionTaken, SetStore, SetView

RECHECK = timedelta(minutes=5)
"""In case a watch event is lost."""

STEPS = 32
"""Pods changed in one pass: as many as there are connections. More would wait for them, and what has become
ready meanwhile would wait for the whole pass to end."""

REST = timedelta(milliseconds=100)
"""When the pods beyond `STEPS` follow, should none of this pass's writes bring the set back sooner: if all of
them conflict, our view lags behind, and to try again at once would only burden the server."""


RETRY = timedelta(seconds=5)
"""For a set that waits for its siblings, in case it isn't woken: room may come from elsewhere."""


class InPlaceSetReconciler:
    """Takes one step for one InPlaceSet. Errors propagate: the runtime alone retries and logs."""

    def __init__(self, sets: SetStore, clock: Clock) -> None:
        self._sets = sets
        self._clock = clock

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Bring the set one step closer to its spec."""
        view = await self._sets.view(key)
        if view is None or view.owner.metadata.deletion_timestamp is not None:
            return Outcome()
        try:
            template = view.owner.spec.template
            demand_match(view.owner.spec.selector, template.metadata.labels)
            demand_priorities(template.metadata.annotations, template.spec)
        except Refusal as refusal:
            return await self._refuse(view.owner, refusal)
        if await self._claim(view):
            return Outcome()
        revision = await self._update_revision(view)
        if revision is None:
            return Outcome()
        revisions = [*(r for r in view.revisions if r.hash != revision.hash), revision]
        dwell = Dwell(self._clock.now(), timedelta(seconds=view.owner.spec.min_ready_seconds))
        crowd = Crowd.of(view.pods, dwell)
        view = replace(view, revisions=revisions, pods=crowd)
        in_use = crowd.revisions()
        try:
            goal = goal_of(view, revision, in_use)
        except Refusal as refusal:
            return await self._refuse(view.owner, refusal)
        progress = await self._act(view, goal, dwell)
        status = set_status(view.owner, goal, crowd, progress, dwell)
        held = await self._sets.write_status(view.owner, status)
        lag = await self._sets.write_roster(view.owner, crowd, goal.replicas)
        live = {goal.update_revision, goal.current_revision, *in_use}
        for old in outdated(revisions, live, view.owner.spec.history_limit):
            await self._sets.delete_revision(view.owner, old)
        waits = [wait for wait in (progress.recheck, held, lag) if wait is not None]
        return Outcome(recheck=min([RECHECK, *waits]))

    async def _refuse(self, owner: InPlaceSet, refusal: Refusal) -> Outcome:
        """Change nothing that runs, and say why: in the status always, as an Event once."""
        status = refused_status(owner, refusal)
        if status.conditions[0].message not in {c.message for c in owner.status.conditions}:
            await self._sets.tell(owner, Note(refusal.code, str(refusal), is_warning=True))
        await self._sets.write_status(owner, status)
        return Outcome(recheck=RECHECK)

    async def _claim(self, view: SetView) -> bool:
        """Adopt and release pods; say whether anything was written, since the view is old then."""
        for pod in view.strays:
            await self._sets.adopt(view, pod)
        for pod in view.misfits:
            await self._sets.release(view, pod)
        return bool(view.strays or view.misfits)

    async def _update_revision(self, view: SetView) -> RevisionFact | None:
        """Return the template's revision, stored; None if a collision must be counted first."""
        owner = view.owner
        template = msgspec.to_builtins(owner.spec.template)
        found = find_revision(owner.metadata.name, template, view.revisions, owner.status.collision_count)
        if isinstance(found, UseRevision):
            if found.number is None:
                return found.revision
            return await self._sets.renumber_revision(owner, found.revision, found.number)
        try:
            return await self._sets.make_revision(owner, found)
        except RevisionTaken:
            counted = msgspec.structs.replace(owner.status, collision_count=owner.status.collision_count + 1)
            await self._sets.write_status(owner, counted)
            return None

    async def _act(self, view: SetView, goal: SetGoal, dwell: Dwell) -> Progress:
        """Scale or update, never both in one pass: each changes what the other was decided from."""
        rules = rules_of(view, goal)
        away = self._sets.promised(view.owner)
        use = Use.of(goal.replicas, view.pods, goal.update_revision, dwell, away)

        def decide(shared: Budget | None = None) -> Scale | Progress:
            budget = budget_within(use, goal.max_unavailable, shared)
            scale = decide_scale(goal, view.pods, budget, dwell, view.is_taken, view.instances)
            bound = replace(rules, leaving=scale.leaving)
            return scale or decide_update(goal, view.pods, budget, dwell, bound, STEPS + 1)

        decided = decide()
        taken = taken_by(decided, goal.update_revision)
        # Only who would take something looks at the others; until it is on record, nothing is awaited.
        elsewhere = self._sets.elsewhere(view.owner) if taken else None
        is_held_back = False
        if elsewhere is not None:
            most = view.owner.spec.strategy.max_unavailable
            decided = decide(elsewhere.left_to_release(count_of(most, elsewhere.replicas)))
            left = taken_by(decided, goal.update_revision)
            is_held_back, taken = left != taken, left
            if is_held_back and isinstance(decided, Progress):
                decided = told_of(decided, elsewhere, most)
        self._sets.take(view.owner, use, taken, is_held_back=is_held_back)
        if isinstance(decided, Scale):
            return await self._scale(view, decided)
        return await self._update(view, goal, decided, rules, dwell)

    async def _scale(self, view: SetView, scale: Scale) -> Progress:
        for start in range(0, len(scale.withdraw), STEPS):
            batch = scale.withdraw[start : start + STEPS]
            await _all_of([self._withdraw(view, deletion) for deletion in batch])
        for start in range(0, len(scale.delete), STEPS):
            batch = scale.delete[start : start + STEPS]
            await _all_of([self._delete(view, deletion) for deletion in batch])
        by_hash = {r.hash: r for r in view.revisions}
        try:
            await self._create(view, scale.create, by_hash)
        except Refusal as refusal:
            await self._sets.tell(view.owner, Note("FailedCreate", str(refusal), is_warning=True))
            return Progress((), "FailedCreate", f"No pod can be created: {refusal}", timedelta(seconds=10))
        told = f"{len(scale.create)} pods are made, {len(scale.delete)} deleted"
        if scale.withdraw:
            told += f", {len(scale.withdraw)} leave traffic first"
        return Progress((), "Scaling", told)

    async def _withdraw(self, view: SetView, deletion: Deletion) -> None:
        await self._sets.take_step(view, Withdraw(deletion.pod, deletion.reason))
        note = Note("PodWithdrawn", f"Pod {deletion.pod.name} leaves traffic: {deletion.reason}")
        await self._sets.tell(view.owner, note)

    async def _delete(self, view: SetView, deletion: Deletion) -> None:
        await self._sets.delete_pod(view, deletion)
        note = Note("PodDeleted", f"Pod {deletion.pod.name} is deleted: {deletion.reason}")
        await self._sets.tell(view.owner, note)

    async def _create(
        self, view: SetView, creations: Sequence[Creation], by_hash: dict[str, RevisionFact]
    ) -> None:
        """Create in growing batches, so that what must fail fails once."""
        done = 0
        for size in slow_start(len(creations)):
            batch = creations[done : done + size]
            await _all_of([self._sets.create_pod(view, one, by_hash[one.revision]) for one in batch])
            done += size

    async def _update(
        self, view: SetView, goal: SetGoal, progress: Progress, rules: UpdateRules, dwell: Dwell
    ) -> Progress:
        async def take(step: Step) -> None:
            pod = await self._take_step(view, step, rules)
            if isinstance(step, LowerGate | WriteChange):
                # Without a grace period the image is due at once, and the size after the image. The answer
                # shows the pod as it is now; before the watch does, the kubelet would have changed it and the
                # write would conflict.
                now = Dwell(self._clock.now(), dwell.min_ready)
                following, _ = next_step(pod, goal, now, rules)
                if following is not None and (isinstance(step, LowerGate) or isinstance(following, Resize)):
                    await take(following)

        steps = in_order(progress.steps)
        if len(steps) > STEPS:
            steps, progress = steps[:STEPS], replace(progress, recheck=REST)
        outcomes = await asyncio.gather(*(take(step) for step in steps), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, ResizeRefused):
                await self._sets.tell(view.owner, Note(outcome.code, str(outcome), is_warning=True))
                progress = replace(
                    progress, reason=outcome.code, message=str(outcome), recheck=timedelta(seconds=10)
                )
                continue
            # A conflict concerns one pod alone: it moved, and its event brings the set back.
            if isinstance(outcome, BaseException) and not isinstance(outcome, Conflict):
                raise outcome
        for step in steps:
            if isinstance(step, MarkForDeletion):
                note = Note(
                    "PodReplaced", f"Pod {step.pod.name} is replaced: {', '.join(step.paths)} changed"
                )
                await self._sets.tell(view.owner, note)
        return progress

    async def _take_step(self, view: SetView, step: Step, rules: UpdateRules) -> PodFact:
        """Make the write of *step*; have a pod replaced that the server won't resize, if a new one may do."""
        try:
            return await self._sets.take_step(view, step)
        except ResizeRefused as refusal:
            if not isinstance(step, Resize) or rules.is_in_place_only or not refusal.is_replaceable:
                raise
            await self._sets.tell(view.owner, Note(refusal.code, str(refusal), is_warning=True))
            return await self._sets.take_step(view, MarkForDeletion(step.pod, sized_paths(step.sizes)))


async def _all_of(writes: Sequence[Awaitable[object]]) -> None:
    """Make writes side by side; once all have ended, raise what the first failed with."""
    for outcome in await asyncio.gather(*writes, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def in_order(steps: Sequence[Step]) -> list[Step]:
    """Put first what gives capacity back, last what takes it."""
    ranks = {RaiseGate: 0, NoteDoubt: 1, WriteChange: 1, Resize: 1, MarkForDeletion: 2}
    return sorted(steps, key=lambda step: ranks.get(type(step), 3))


def taken_by(decided: Scale | Progress, update_revision: str) -> frozenset[str]:
    """Return the UIDs of the pods that a decision takes out of service, or begins to change."""
    if isinstance(decided, Scale):
        return frozenset(deletion.pod.uid for deletion in (*decided.delete, *decided.withdraw))
    return frozenset(
        step.pod.uid
        for step in decided.steps
        if isinstance(step, Beginning) and not aims_at(step.pod, update_revision)
    )


def told_of(progress: Progress, elsewhere: Elsewhere, most: int | str) -> Progress:
    """Say that other units have taken what this one would take."""
    if progress.reason != "BudgetSpent":
        return progress
    if elsewhere.halt:
        return replace(progress, message=elsewhere.halt, recheck=RETRY)
    others = max(elsewhere.missing, elsewhere.pending)
    message = (
        f"No further pod of the application may become unavailable (maxUnavailable {most} of "
        f"{elsewhere.replicas} pods): {others} of its other units are missing"
    )
    return replace(progress, message=message, recheck=RETRY)


def goal_of(view: SetView, revision: RevisionFact, in_use: Mapping[str, int]) -> SetGoal:
    """Return what the set should look like.

    Args:
        view: The set.
        revision: Of its template.
        in_use: How many pods run each revision.

    Raises:
        Refusal: maxUnavailable can't be read.
    """
    owner = view.owner
    return SetGoal(
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        replicas=owner.spec.replicas,
        partition=owner.spec.strategy.partition,
        max_unavailable=count_of(owner.spec.strategy.max_unavailable, owner.spec.replicas),
        update_revision=revision.hash,
        current_revision=current_revision(
            owner.status.current_revision, revision.hash, view.revisions, in_use
        ),
    )


def rules_of(view: SetView, goal: SetGoal) -> UpdateRules:
    """Return how the set's pods may be changed."""
    templates = {r.hash: r.template for r in view.revisions}
    known: dict[str, InPlace | Recreate] = {}

    def change_from(revision: str) -> InPlace | Recreate:
        if revision not in known:
            old = templates.get(revision)
            known[revision] = (
                Recreate(("metadata.labels[controller-revision-hash]",))
                if old is None
                else change_between(old, templates[goal.update_revision])
            )
        return known[revision]

    strategy = view.owner.spec.strategy
    return UpdateRules(
        change_from=change_from,
        grace=timedelta(seconds=strategy.grace_period_seconds),
        is_in_place_only=strategy.pod_upgrade_policy is PodUpgradePolicy.IN_PLACE_ONLY,
        is_always_recreated=strategy.pod_upgrade_policy is PodUpgradePolicy.RECREATE,
        is_paused=strategy.paused,
    )
