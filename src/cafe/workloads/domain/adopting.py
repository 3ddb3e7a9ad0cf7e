"""How the running pods of a Deployment become an application's own, without a restart.

Each pass takes the first step that is still to be taken, from what is there alone, so whoever dies in between
is followed by whoever comes next::

    Deployment ──given up, its sets stay──▶ ReplicaSets ──given up, their pods stay──▶ pods of nobody
    pods of nobody ──labels──▶ pods that the units' sets, made as large as there are pods, take for their own

Nothing is given up before it is certain that no pod would have to be replaced or moved.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cafe.api.cafedeployment import CafeDeployment, PodSetType
from cafe.api.names import ADOPT_ANNOTATION, REVISION_LABEL
from cafe.kernel import Refusal
from cafe.workloads.domain.children import own_labels
from cafe.workloads.domain.sizes import sized_paths
from cafe.workloads.domain.templates import InPlace, Recreate, change_between

DEPLOYMENT = "Deployment"
REPLICA_SET = "ReplicaSet"
ADOPTING = "Adopting"
"""What a release waits for meanwhile."""
HASH_LABEL = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class Thing:
    """An object by which a write to it is guarded."""

    name: str
    uid: str
    resource_version: str
    is_leaving: bool = False


@dataclass(frozen=True, slots=True)
class OldDeployment:
    """The Deployment to be given up.

    Attributes:
        labels: Of its selector, which must be the application's.
        template: Of its pods.
    """

    thing: Thing
    labels: Mapping[str, str]
    template: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OldSet:
    """One of its ReplicaSets; *template_hash* is on its pods, too."""

    thing: Thing
    template_hash: str
    template: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OldPod:
    """One of its pods.

    Attributes:
        unit: That its node belongs to; None if to none.
        app: Whose it is by our label; empty if it has none.
        is_owned: Whether something controls it.
    """

    thing: Thing
    template_hash: str
    unit: str | None
    app: str = ""
    is_owned: bool = False


@dataclass(frozen=True, slots=True)
class AdoptionView:
    """What is there to be adopted; all of it read afresh.

    Attributes:
        template: The application's template as the API server completes it.
    """

    deployment: OldDeployment | None
    sets: Sequence[OldSet]
    pods: Sequence[OldPod]
    template: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Delete an object and leave what it owns alone."""

    kind: str
    thing: Thing


@dataclass(frozen=True, slots=True)
class LabelPod:
    """Write labels onto a pod."""

    thing: Thing
    labels: Mapping[str, str]


AdoptionAction = GiveUp | LabelPod


@dataclass(frozen=True, slots=True)
class Adoption:
    """What to do now. Without actions: wait, or, if *is_done*, go on with the release."""

    actions: tuple[AdoptionAction, ...] = ()
    is_done: bool = False


def source_of(app: CafeDeployment) -> str:
    """Return the name of the Deployment whose pods are to be adopted; empty if none is asked for.

    Raises:
        Refusal: `BadAdoption`.
    """
    said = app.metadata.annotations.get(ADOPT_ANNOTATION, "")
    kind, _, name = said.partition("/")
    if not said:
        return ""
    if kind != DEPLOYMENT or not name:
        raise Refusal(
            "BadAdoption",
            f"The annotation {ADOPT_ANNOTATION} is {said!r}.",
            "Only the pods of a Deployment can be adopted.",
            f"Write {DEPLOYMENT}/<name>, or remove the annotation.",
        )
    if app.spec.pod_set_type is not PodSetType.IN_PLACE_SET:
        raise Refusal(
            "BadAdoption",
            f"{app.spec.pod_set_type.value}s can't adopt running pods.",
            "Only InPlaceSets tell pods apart that were made from different templates.",
            "Set podSetType to InPlaceSet, or remove the annotation.",
        )
    if app.spec.topology.overrides:
        raise Refusal(
            "BadAdoption",
            "Running pods can't be adopted while topology.overrides has units with something otherwise.",
            "The pods of a Deployment are all alike.",
            "Adopt them first, without overrides; release those afterwards, in groups.",
        )
    return name


def has_begun(app: CafeDeployment) -> bool:
    """Whether the status says, before anything is given up, that this is going on."""
    return app.status.waiting is not None and app.status.waiting.reason == ADOPTING


def decide_adoption(
    app: CafeDeployment,
    view: AdoptionView,
    quotas: Mapping[str, int],
    revision_of: Callable[[str], str],
) -> Adoption:
    """Take the next step.

    Args:
        app: Which has no sets yet.
        view: What is there.
        quotas: Pods per unit.
        revision_of: Returns the hash of the revision that a unit's pods will have.

    Raises:
        Refusal: Pods would have to be replaced or moved, or nothing is there; nothing was given up.
    """
    old = view.deployment
    if old is not None:
        if not old.thing.is_leaving:
            _demand_alike(app, old, view)
            _demand_in_place(app, view.pods, quotas)
            return Adoption((GiveUp(DEPLOYMENT, old.thing),) if has_begun(app) else ())
        return Adoption()
    if view.sets:
        return Adoption(tuple(GiveUp(REPLICA_SET, s.thing) for s in view.sets if not s.thing.is_leaving))
    if any(pod.is_owned for pod in view.pods):
        return Adoption()
    if not view.pods and not has_begun(app):
        raise Refusal(
            "NothingToAdopt",
            f"There is no Deployment {source_of(app)}, and no pod that it left behind.",
            "So nothing was made.",
            f"Correct the annotation {ADOPT_ANNOTATION}; remove it to have new pods made.",
        )
    # Nothing is refused any more: these pods are nobody's, and whatever befell them, a release puts it right.
    name = app.metadata.name
    unlabelled = [
        LabelPod(pod.thing, _labels(name, pod.unit or "", revision_of(pod.unit or "")))
        for pod in view.pods
        if pod.app != name and pod.unit is not None
    ]
    return Adoption(tuple(unlabelled), is_done=not unlabelled)


def _labels(app: str, unit: str, revision: str) -> dict[str, str]:
    return own_labels(app, unit) | {REVISION_LABEL: revision}


def _demand_alike(app: CafeDeployment, old: OldDeployment, view: AdoptionView) -> None:
    if dict(old.labels) != app.spec.selector.match_labels or app.spec.selector.match_expressions:
        raise Refusal(
            "AdoptionDiffers",
            f"The selector is not that of Deployment {old.thing.name}; nothing was given up.",
            f"The Deployment selects {dict(old.labels)}.",
            "Write the same selector.",
        )
    paths = _differences(old.template, view.template)
    if paths:
        raise Refusal(
            "AdoptionDiffers",
            f"The template is not that of Deployment {old.thing.name}; nothing was given up.",
            f"These differ, so the pods would have to be replaced: {', '.join(paths)}.",
            "Adopt the pods with the template that they have; release the change afterwards, in groups.",
        )
    newest = {s.template_hash for s in view.sets if not _differences(_bare(s.template), old.template)}
    strange = sorted(pod.thing.name for pod in view.pods if pod.template_hash not in newest)
    if strange:
        raise Refusal(
            "AdoptionInMidRollout",
            f"Deployment {old.thing.name} is being rolled out; nothing was given up.",
            f"These pods are of an older template: {', '.join(strange)}.",
            "Wait until its rollout is complete.",
        )


def _bare(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a ReplicaSet's template without the label that its Deployment added."""
    meta = template.get("metadata") or {}
    labels = {k: v for k, v in (meta.get("labels") or {}).items() if k != HASH_LABEL}
    return {**template, "metadata": {**meta, "labels": labels}}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    change = change_between(old, new)
    if isinstance(change, Recreate):
        return list(change.paths)
    return _moved(change)


def _moved(change: InPlace) -> list[str]:
    return [
        *(f"spec.containers[{name}].image" for name in sorted(change.images)),
        *sized_paths(change.sizes),
        *(f"metadata.labels[{key}]" for key in sorted(change.labels)),
        *(f"metadata.annotations[{key}]" for key in sorted(change.annotations)),
    ]


def _demand_in_place(app: CafeDeployment, pods: Sequence[OldPod], quotas: Mapping[str, int]) -> None:
    """Refuse what would move pods: those outside the units, and units that shall have other numbers."""
    outside = sorted(p.thing.name for p in pods if p.unit is None or p.unit not in quotas)
    if outside:
        raise Refusal(
            "AdoptionWouldMove",
            f"These pods run outside the units of {app.metadata.name}: {', '.join(outside)}.",
            f"The units are: {', '.join(quotas) or 'none'}.",
            "Add the units that they run in to topology.values.",
        )
    there = Counter(p.unit or "" for p in pods)
    if any(there[unit] != count for unit, count in quotas.items()):
        found = {unit: there[unit] for unit in quotas}
        raise Refusal(
            "AdoptionWouldMove",
            f"The units have {_told(found)} pods, but would get {_told(quotas)}.",
            "Pods would have to be made or deleted.",
            "Set replicas to the number of pods, and pin the units by topology.unitReplicas as they are.",
        )


def _told(counts: Mapping[str, int]) -> str:
    return "+".join(str(count) for count in counts.values())
