"""What one pass over an application service does: keep the edit, render what is live, tell where it stands.

What is written, in this order, each write safe to repeat:

    finalizer → revision → children (configs, services, application) → status → what is no longer needed
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cafe.api.cafeappservice import CafeAppServiceStatus, DriftPolicy
from cafe.api.names import CHANGE_CAUSE_ANNOTATION, DRAIN_FINALIZER
from cafe.appservices.domain.content import content_of, demand_sound
from cafe.appservices.domain.drifting import drift
from cafe.appservices.domain.facts import ChildFact, ChildKind, RevisionFact, ServiceView, Wanted
from cafe.appservices.domain.numbering import MakeRevision, find_revision, outdated
from cafe.appservices.domain.publishing import Live, choose_live
from cafe.appservices.domain.rendering import render
from cafe.appservices.domain.servicestatus import Findings, is_released, service_status
from cafe.kernel import Note, Refusal

ORPHAN_FINALIZER = "orphan"
"""What the API server puts on an object whose dependants are to stay (metav1.FinalizerOrphanDependents)."""


@dataclass(frozen=True, slots=True)
class WriteChild:
    """Bring an object to what is wanted.

    Attributes:
        current: As it is stored; None if it must be created.
        repairs: Paths of what somebody changed by hand; empty if the wish is new.
    """

    wanted: Wanted
    current: ChildFact | None = None
    repairs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DropChild:
    """Delete an object that the live revision doesn't have."""

    child: ChildFact


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write.

    Attributes:
        finalizer: True adds the drain finalizer, False removes it, None leaves it.
        make: The revision to store.
        children: Objects to write, in this order.
        empties: Whether the application must be scaled to nothing, since the service is being deleted.
        drops: Objects to delete after the status was written.
        forgets: Revisions to delete last.
    """

    status: CafeAppServiceStatus
    finalizer: bool | None = None
    make: MakeRevision | None = None
    children: tuple[WriteChild, ...] = ()
    empties: bool = False
    drops: tuple[DropChild, ...] = ()
    forgets: tuple[RevisionFact, ...] = ()
    notes: tuple[Note, ...] = ()


def decide(view: ServiceView) -> Decision:
    """Take one step for an application service."""
    service = view.service
    if service.metadata.deletion_timestamp is not None:
        return _drain(view)
    if DRAIN_FINALIZER not in service.metadata.finalizers:
        # Before anything runs: a service that is deleted in between must drain what it began.
        return Decision(service.status, finalizer=True)
    edited, refusal = _edited(view)
    spec, stored = service.spec, service.status
    made = edited if isinstance(edited, MakeRevision) else None
    if made is not None and spec.publish.revision == made.number:
        # Published in the same breath: the next pass, which sees it stored, makes it live.
        return Decision(stored, make=made)
    live = choose_live(service.metadata.name, spec.publish.revision, stored.live_revision, view.revisions)
    findings = Findings(
        edited=edited.number if edited else 0, refusal=refusal or live.refusal, live=live.revision
    )
    children = _children(view, live)
    drifted = tuple(f"{c.wanted.title}: {path}" for c in children for path in c.repairs)
    writes = tuple(c for c in children if not c.repairs or spec.drift_policy is DriftPolicy.REPAIR)
    findings = findings.with_children(writes=len(writes), drifted=() if writes else drifted)
    return Decision(
        status=service_status(view, findings),
        make=made,
        children=writes,
        drops=_drops(view, live, findings),
        forgets=_forgets(view, findings),
        notes=_notes(view, findings, made),
    )


def _edited(view: ServiceView) -> tuple[RevisionFact | MakeRevision | None, Refusal | None]:
    """Return the revision that the spec is, and what is wrong with the spec."""
    spec = view.service.spec
    content = content_of(spec)
    try:
        demand_sound(content)
    except Refusal as refusal:
        return None, refusal
    if spec.is_draft:
        return None, None
    meta, latest = view.service.metadata, view.service.status.latest_revision
    cause = meta.annotations.get(CHANGE_CAUSE_ANNOTATION, "")
    return find_revision(meta.name, content, view.revisions, latest, cause), None


def _children(view: ServiceView, live: Live) -> list[WriteChild]:
    """Return what must be written: what is missing, what is newly wanted, and what drifted."""
    if live.revision is None:
        return []
    found: list[WriteChild] = []
    for wanted in render(view.service, live.revision, _present(view)):
        current = view.child(wanted.kind, wanted.name)
        if current is None:
            is_lost = live.revision.number == view.service.status.live_revision and not live.refusal
            gone = ("it was deleted",) if is_lost and _was_written(view, live.revision) else ()
            found.append(WriteChild(wanted, None, gone))
        elif current.digest != wanted.digest:
            found.append(WriteChild(wanted, current))
        elif paths := drift(wanted.body, current.body):
            found.append(WriteChild(wanted, current, tuple(paths)))
    return found


def _was_written(view: ServiceView, live: RevisionFact) -> bool:
    """Whether all of *live* was on the cluster once: the application, which comes last, is at it."""
    app = view.app
    return app is not None and is_released(view.service, live, app)


def _drops(view: ServiceView, live: Live, findings: Findings) -> tuple[DropChild, ...]:
    """Return what may go: nothing before every pod runs the live revision, for old ones use it still.

    But for an autoscaler, which no pod uses: it would go on to scale.
    """
    if live.revision is None:
        return ()
    wanted = {(w.kind, w.name) for w in render(view.service, live.revision, _present(view))}
    idle = [c for c in view.children if (c.kind, c.name) not in wanted]
    may_go = set(ChildKind) - {ChildKind.CAFE_DEPLOYMENT}
    if not findings.is_settled(view):
        may_go = {ChildKind.AUTOSCALER}
    return tuple(DropChild(c) for c in idle if c.kind in may_go)


def _present(view: ServiceView) -> int | None:
    return None if view.app is None else view.app.spec.replicas


def _forgets(view: ServiceView, findings: Findings) -> tuple[RevisionFact, ...]:
    spec, stored = view.service.spec, view.service.status
    in_use = {stored.live_revision, stored.last_good_revision, findings.edited, spec.publish.revision or 0}
    if findings.live is not None:
        in_use.add(findings.live.number)
    return tuple(outdated(view.revisions, in_use, spec.history_limit))


def _notes(view: ServiceView, findings: Findings, made: MakeRevision | None) -> tuple[Note, ...]:
    """Return what is news since the stored status."""
    stored, notes = view.service.status, []
    if made is not None:
        notes.append(Note("RevisionMade", f"Revision {made.number} keeps the edit; it is not live"))
    live = findings.live
    if live is not None and findings.refusal is None and live.number != stored.live_revision:
        before = f"; before, it was revision {stored.live_revision}" if stored.live_revision else ""
        notes.append(Note("Published", f"Revision {live.number} goes live{before}"))
    if findings.refusal is not None and str(findings.refusal) != stored.message:
        notes.append(Note(findings.refusal.code, str(findings.refusal), is_warning=True))
    if findings.drifted and tuple(stored.drifted) != findings.drifted:
        notes.append(Note("Drifted", "; ".join(findings.drifted), is_warning=True))
    return tuple(notes)


def _drain(view: ServiceView) -> Decision:
    """Empty the application before the service goes, and with it everything that it owns."""
    service, app = view.service, view.app
    if DRAIN_FINALIZER not in service.metadata.finalizers:
        return Decision(service.status)
    if ORPHAN_FINALIZER in service.metadata.finalizers:
        # `kubectl delete --cascade=orphan`: what it made is to stay, and to serve on.
        return Decision(service.status, finalizer=False)
    findings = Findings(live=view.revision(service.status.live_revision), is_deleting=True)
    status = service_status(view, findings)
    if app is None or (app.spec.replicas == 0 and view.pods == 0):
        return Decision(status, finalizer=False)
    return Decision(status, empties=app.spec.replicas > 0 or app.spec.strategy.pause)


def refused(view: ServiceView, refusal: Refusal) -> Decision:
    """Return what is told when the API server refuses what was decided. What runs stays as it was written."""
    stored = view.service.status
    findings = Findings(
        edited=stored.spec_revision, refusal=refusal, live=view.revision(stored.live_revision)
    )
    is_news = stored.message != str(refusal)
    notes = (Note(refusal.code, str(refusal), is_warning=True),) if is_news else ()
    return Decision(service_status(view, findings), notes=notes)
