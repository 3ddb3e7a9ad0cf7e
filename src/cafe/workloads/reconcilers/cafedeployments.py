"""The CafeDeployment controller: observe, decide, act, report.

It remembers nothing between passes, so that a new leader just goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.selectors import demand_match
from cafe.kernel import ObjectKey, Outcome, Refusal
from cafe.placement.contract import Moved, Placement
from cafe.workloads.domain.children import turn_of
from cafe.workloads.domain.cutting import demand_known_units
from cafe.workloads.domain.facts import RevisionFact
from cafe.workloads.domain.groups import settled_sizes
from cafe.workloads.domain.launching import demand_priorities
from cafe.workloads.domain.moving import crowding_of, limits_of, moving_notes
from cafe.workloads.domain.overriding import demand_overrides, pod_revisions, units_of
from cafe.workloads.domain.podsets.facts import Release, UnitFact
from cafe.workloads.domain.podsets.kinds import demand_limits
from cafe.workloads.domain.release import Decision, ReleaseView, adopting_status, decide_release
from cafe.workloads.domain.revisions import UseRevision, find_revision, outdated
from cafe.workloads.ports import AdoptionStore, AppStore, AppView, RevisionTaken
from cafe.workloads.reconcilers.adopting import Adopter

RECHECK = timedelta(minutes=5)
"""In case a watch event is lost."""

GLANCE = timedelta(seconds=1)
"""While running pods are taken over: what is left behind by whom isn't watched."""


class CafeDeploymentReconciler:
    """Takes one step for one CafeDeployment. Errors propagate: the runtime alone retries and logs."""

    def __init__(self, apps: AppStore, placement: Placement, adoptions: AdoptionStore) -> None:
        self._apps = apps
        self._adopter = Adopter(adoptions)
        self._placement = placement

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Bring the application one step closer to its spec."""
        with self._apps.busy(key):
            return await self._step(key)

    async def _step(self, key: ObjectKey) -> Outcome:
        view = await self._apps.view(key)
        if view is None or view.app.metadata.deletion_timestamp is not None:
            return Outcome()
        revision = await self._update_revision(view)
        if revision is None:
            return Outcome()
        release = self._release_view(view, revision)
        release, moved = self._moved(release)
        if not view.sets and isinstance(release.quotas, Mapping):
            try:
                is_adopted = await self._adopter.take_step(view.app, release.quotas)
            except Refusal as refusal:
                release = replace(release, quotas=refusal)
            else:
                if not is_adopted:
                    await self._apps.write_status(view.app, adopting_status(release))
                    return Outcome(recheck=GLANCE)
        decision = _with_moves(release, moved, decide_release(release))
        await self._act(release, decision)
        await self._forget(view, release.release)
        left = decision.recheck
        return Outcome(recheck=min(RECHECK, left) if left is not None and left > timedelta() else RECHECK)

    async def _act(self, view: ReleaseView, decision: Decision) -> None:
        """Write in the order that lets a dead controller's successor go on (see domain.release)."""
        app = view.app
        if decision.announce:
            app = await self._apps.set_confirm(app, "false")
        app = await self._apps.write_status(app, decision.status)
        if decision.clear:
            app = await self._apps.set_confirm(app, None)
        for action in decision.sets:
            await self._apps.change_set(view, action)
        for note in decision.notes:
            await self._apps.tell(app, note)

    async def _update_revision(self, view: AppView) -> RevisionFact | None:
        """Return the template's revision, stored; None if a collision must be counted first."""
        app = view.app
        template = msgspec.to_builtins(app.spec.template)
        overrides, collisions = app.spec.topology.overrides, app.status.collision_count
        found = find_revision(app.metadata.name, template, view.revisions, collisions, overrides)
        if isinstance(found, UseRevision):
            if found.number is None:
                return found.revision
            return await self._apps.renumber_revision(app, found.revision, found.number)
        try:
            return await self._apps.make_revision(app, found)
        except RevisionTaken:
            counted = msgspec.structs.replace(app.status, collision_count=app.status.collision_count + 1)
            await self._apps.write_status(app, counted)
            return None

    def _release_view(self, view: AppView, revision: RevisionFact) -> ReleaseView:
        wanted = units_of(view.app)
        by_unit = {fact.unit: fact for fact in view.sets}
        return ReleaseView(
            app=view.app,
            release=release_of(view, revision),
            quotas=self._quotas(view, wanted, by_unit),
            units=[by_unit.get(unit, UnitFact(unit=unit)) for unit in wanted],
            retired=[fact for fact in view.sets if fact.unit not in wanted],
            now=view.now,
            adopted=view.adopted,
            ages={r.hash: r.age for r in (*view.revisions, revision)},
        )

    def _quotas(
        self, view: AppView, wanted: Sequence[str], by_unit: Mapping[str, UnitFact]
    ) -> Mapping[str, int] | Refusal:
        """Share the pods out, or say why that can't be done.

        Ties go to the plan that is followed, so that quotas stay while nothing is asked for, and without one
        (the first, or after the status was lost) to the units that are asked for the most pods.
        """
        app = view.app
        unknown = [unit for unit in wanted if unit and unit not in view.known_units and unit not in by_unit]
        if unknown:
            return unknown_unit(app, unknown, view.known_units)
        asked = {unit: fact.goal.replicas for unit, fact in by_unit.items() if fact.goal is not None}
        ties = settled_sizes(app.status.plan, asked)
        try:
            demand_match(app.spec.selector, app.spec.template.metadata.labels)
            demand_overrides(app)
            demand_priorities(app.spec.template.metadata.annotations, app.spec.template.spec)
            demand_limits(app)
            demand_known_units(app.spec.strategy.grouping, wanted)
            pins, turn = app.spec.topology.unit_replicas, turn_of(app.metadata.name)
            return self._placement.spread(app.spec.replicas, wanted, pins, ties, turn)
        except Refusal as refusal:
            return refusal

    def _moved(self, release: ReleaseView) -> tuple[ReleaseView, Moved | None]:
        """Move the quota of pods for which their unit has no room."""
        if isinstance(release.quotas, Refusal):
            return release, None
        crowding = crowding_of(release.app, release.quotas, release.units, release.now)
        moved = Moved(release.quotas) if crowding is None else self._placement.move(crowding)
        is_moved = bool(moved.caps or release.app.status.rescheduled)
        return replace(release, quotas=moved.quotas, is_moved=is_moved), moved

    async def _forget(self, view: AppView, release: Release) -> None:
        """Delete the oldest revisions beyond the history limit; those in use stay."""
        status = view.app.status
        live = {release.revision, status.current_revision, *(fact.revision for fact in view.sets)}
        # What a unit's pods carry stays stored as well: the next release must find the same hash for them.
        live |= {*release.pods.values(), *(h for fact in view.sets for h in (fact.pod_revision, fact.whole))}
        if status.plan is not None:
            live.add(status.plan.revision)
        for old in outdated(view.revisions, live, view.app.spec.history_limit):
            await self._apps.delete_revision(view.app, old)


def release_of(view: AppView, revision: RevisionFact) -> Release:
    """Return what is released, and the hashes that pods carry where single units have something otherwise."""
    app, known = view.app, [*view.revisions, revision]
    pods = pod_revisions(revision, units_of(app), known, app.status.collision_count)
    return Release(revision.hash, revision.number, pods)


def _with_moves(release: ReleaseView, moved: Moved | None, decision: Decision) -> Decision:
    """Return the decision with what is known of room; it is stored with the plan that was made of it."""
    stored = release.app.status.rescheduled
    limits = stored if moved is None else limits_of(moved)
    waits = [wait for wait in (decision.recheck, moved.recheck if moved else None) if wait is not None]
    return replace(
        decision,
        status=msgspec.structs.replace(decision.status, rescheduled=limits),
        notes=(*decision.notes, *moving_notes(release.app, limits)),
        recheck=min(waits, default=None),
    )


def unknown_unit(app: CafeDeployment, unknown: Sequence[str], known: frozenset[str]) -> Refusal:
    """Return the refusal of units that no node belongs to: their pods could never run."""
    kind = app.spec.topology.unit_type.value.lower()
    there = ", ".join(sorted(known)) or "none"
    return Refusal(
        "UnknownUnit",
        f"No node belongs to {kind} {', '.join(unknown)}.",
        f"Nodes belong to: {there}.",
        "Correct topology.values, or label the nodes first.",
    )
