"""What an application service says of itself.

The conditions follow kstatus (sigs.k8s.io/cli-utils), so that Argo CD, Flux and `kubectl wait` can tell:
`Ready` is True when the live revision runs whole; `Reconciling` and `Stalled` are there only while True.
"""

from dataclasses import dataclass, replace

from cafe.api.cafeappservice import CafeAppService, CafeAppServiceStatus
from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import APP_REVISION_ANNOTATION
from cafe.api.selectors import selector_text
from cafe.api.shapes import Condition
from cafe.appservices.domain.facts import RevisionFact, ServiceView
from cafe.kernel import Refusal


@dataclass(frozen=True, slots=True)
class Findings:
    """What a pass found out.

    Attributes:
        edited: Number of the revision that the spec is; 0 if it is none.
        refusal: Why what was asked for isn't done.
        live: The revision that runs, or is being released.
        writes: How many objects have yet to be written.
        drifted: What was changed by hand and stays so.
    """

    edited: int = 0
    refusal: Refusal | None = None
    live: RevisionFact | None = None
    writes: int = 0
    drifted: tuple[str, ...] = ()
    is_deleting: bool = False

    def with_children(self, writes: int, drifted: tuple[str, ...]) -> "Findings":
        """Return the same with what was found of the objects."""
        return replace(self, writes=writes, drifted=drifted)

    def is_settled(self, view: ServiceView) -> bool:
        """Whether every pod runs the live revision, and nothing of it has yet to be written."""
        return (
            not self.is_deleting
            and not self.writes
            and self.live is not None
            and view.app is not None
            and is_released(view.service, self.live, view.app)
            and view.app.status.phase == "Complete"
        )


def is_released(service: CafeAppService, live: RevisionFact, app: CafeDeployment) -> bool:
    """Whether the application was given that revision, and its status speaks of it."""
    given = app.metadata.annotations.get(APP_REVISION_ANNOTATION) == str(live.number)
    wanted = service.spec.publish.replicas
    is_sized = wanted is None or app.spec.replicas == wanted
    return given and is_sized and app.status.observed_generation >= app.metadata.generation


def service_status(view: ServiceView, findings: Findings) -> CafeAppServiceStatus:
    """Return the status; equal worlds give equal statuses, so nothing flaps."""
    service, stored = view.service, view.service.status
    app = view.app.status if view.app is not None else None
    live = findings.live.number if findings.live is not None else stored.live_revision
    phase, message = _phase(view, findings)
    return CafeAppServiceStatus(
        observed_generation=service.metadata.generation,
        phase=phase,
        latest_revision=max([stored.latest_revision, findings.edited, *(r.number for r in view.revisions)]),
        spec_revision=findings.edited,
        live_revision=live,
        last_good_revision=live if findings.is_settled(view) else stored.last_good_revision,
        replicas=app.replicas if app else 0,
        updated_replicas=app.updated_replicas if app else 0,
        available_replicas=app.available_replicas if app else 0,
        label_selector=selector_text(service.spec.selector),
        message=message,
        drifted=list(findings.drifted),
        conditions=_conditions(view, findings, phase, message),
    )


def _phase(view: ServiceView, findings: Findings) -> tuple[str, str]:
    """Return the state in one word, and what is waited for."""
    if findings.is_deleting:
        return "Deleting", f"Draining: {view.pods} pods are left"
    if findings.refusal is not None:
        return "Refused", str(findings.refusal)
    if findings.live is None:
        return _idle_phase(view, findings)
    if findings.is_settled(view):
        return "Complete", ""
    app = view.app
    if findings.writes or app is None or not is_released(view.service, findings.live, app):
        return "Progressing", f"Revision {findings.live.number} is being written"
    waiting = app.status.waiting
    return app.status.phase or "Progressing", waiting.message if waiting else ""


def _idle_phase(view: ServiceView, findings: Findings) -> tuple[str, str]:
    """Return the state of a service of which nothing runs."""
    if view.service.spec.is_draft:
        return "Draft", "A draft: nothing runs, and no revision is made before draft is false"
    name, number = view.service.metadata.name, findings.edited or "N"
    return "Unpublished", f"Nothing runs; to make it live: cafe app publish {name} {number}"


def _conditions(view: ServiceView, findings: Findings, phase: str, message: str) -> list[Condition]:
    generation = view.service.metadata.generation

    def say(kind: str, verdict: bool, reason: str, text: str) -> Condition:  # noqa: FBT001 -- local, one glance away
        return Condition(
            type=kind,
            status="True" if verdict else "False",
            reason=reason,
            message=text,
            observed_generation=generation,
        )

    refusal = findings.refusal
    app = view.app.status if view.app is not None else None
    wanted = view.app.spec.replicas if view.app is not None else 0
    is_serving = app is not None and 0 < wanted <= app.available_replicas
    told = [
        say("Ready", phase == "Complete", refusal.code if refusal else phase, message),
        say(
            "Accepted", refusal is None, refusal.code if refusal else "Valid", str(refusal) if refusal else ""
        ),
        say(
            "Available",
            is_serving,
            "AllServing" if is_serving else "PodsMissing",
            f"{app.available_replicas if app else 0} of {wanted} pods are available",
        ),
    ]
    if findings.drifted:
        told.append(say("Drifted", True, "ChangedByHand", "; ".join(findings.drifted)))  # noqa: FBT003 -- a verdict
    if refusal is not None:
        told.append(say("Stalled", True, refusal.code, str(refusal)))  # noqa: FBT003 -- as above
    elif phase not in {"Complete", "Unpublished", "Draft"}:
        told.append(say("Reconciling", True, phase, message))  # noqa: FBT003 -- as above
    return told
