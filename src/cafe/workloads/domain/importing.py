"""From manifests to CAFE's kinds: what each object becomes, and what becomes of each of its fields.

All or nothing: one broken document refuses the whole, by its number and line, before anything is applied.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import ADOPT_ANNOTATION, API_VERSION
from cafe.kernel import Refusal

Document = Mapping[str, Any]

AS_IS = {
    (API_VERSION, "CafeDeployment"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
}
"""Kinds that mean the same beside a CafeDeployment as beside a Deployment, and what is one already."""

HPA_VERSIONS = {"autoscaling/v1", "autoscaling/v2"}

WRITTEN_BY_OTHERS = {
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
}
"""Annotations that speak of the object that was, not of the one that will be."""

SERVER_FIELDS = {
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
}
"""Metadata that the server writes: present in what `kubectl get -o yaml` printed."""


@dataclass(frozen=True, slots=True)
class Source:
    """One document of a manifest; *number* counts from 1, *line* is where it begins."""

    source: str
    number: int
    line: int
    body: Document


@dataclass(frozen=True, slots=True)
class Wish:
    """How Deployments are to be taken over.

    Attributes:
        replicas: Pods per Deployment's name, where it differs from the manifest.
        strategy: Fields of the strategy that override what is derived.
        adopted: By the Deployment's name, how many of its running pods are taken over in each unit.
    """

    namespace: str
    unit_type: str = "None"
    units: tuple[str, ...] = ()
    replicas: Mapping[str, int] = field(default_factory=dict)
    strategy: Mapping[str, Any] = field(default_factory=dict)
    adopted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one field: `Mapped`, `Changed` or `NotMapped`."""

    field: str
    verdict: str
    to: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one object: `Converted`, `Applied` as it is, or `LeftOut` (without a document)."""

    source: Source
    outcome: str
    document: Document | None
    verdicts: tuple[Verdict, ...] = ()


def convert(sources: Sequence[Source], wish: Wish) -> list[Outcome]:
    """Convert all documents, in their order.

    Raises:
        Refusal: `BrokenDocument`, or `UnknownDeployment` if *wish* sizes one that isn't there.
    """
    _check_identities(sources, wish)
    deployments = {s.body["metadata"]["name"] for s in sources if _is_deployment(s.body)}
    if unknown := sorted(wish.replicas.keys() - deployments):
        raise Refusal(
            "UnknownDeployment",
            f"The manifest has no Deployment {', '.join(unknown)}.",
            f"It has: {', '.join(sorted(deployments)) or 'none'}.",
            "Correct --replicas.",
        )
    return [_convert_one(source, wish, deployments) for source in sources]


def broken(source: Source, why: str, remedy: str = "Correct it and repeat.") -> Refusal:
    """Return the refusal of one document."""
    kind = source.body.get("kind") or "object"
    name = _meta(source.body).get("name") or "without a name"
    return Refusal(
        "BrokenDocument",
        f"Document {source.number} of {source.source}, line {source.line} ({kind} {name}) is broken; "
        "nothing was applied.",
        why,
        remedy,
    )


def _meta(body: Document) -> Mapping[str, Any]:
    meta = body.get("metadata")
    return meta if isinstance(meta, dict) else {}


def _is_deployment(body: Document) -> bool:
    return (body.get("apiVersion"), body.get("kind")) == ("apps/v1", "Deployment")


def _check_identities(sources: Sequence[Source], wish: Wish) -> None:
    seen: dict[tuple[str, str, str], Source] = {}
    for source in sources:
        for name in ("apiVersion", "kind"):
            if not isinstance(source.body.get(name), str):
                raise broken(source, f"It has no {name}.")
        meta = _meta(source.body)
        if not isinstance(meta.get("name"), str) or not meta["name"]:
            raise broken(source, "It has no metadata.name.")
        namespace = str(meta.get("namespace") or wish.namespace)
        identity = (source.body["kind"], namespace, meta["name"])
        if identity in seen:
            raise broken(source, f"Document {seen[identity].number} describes the same object.")
        seen[identity] = source


def _convert_one(source: Source, wish: Wish, deployments: set[str]) -> Outcome:
    body = source.body
    identity = (body["apiVersion"], body["kind"])
    if _is_deployment(body):
        return _Conversion(source, wish).outcome()
    if identity in AS_IS:
        return Outcome(source, "Applied", _cleaned(body, wish.namespace))
    if body["kind"] == "HorizontalPodAutoscaler" and body["apiVersion"] in HPA_VERSIONS:
        return _retarget(source, wish.namespace, deployments)
    if body["kind"] == "Deployment":
        raise broken(source, f"Deployments of {body['apiVersion']} are long gone.", "Write apps/v1.")
    why = f"{body['kind']} of {body['apiVersion']} is not CAFE's to take over; apply it with kubectl"
    return Outcome(source, "LeftOut", None, (Verdict("kind", "NotMapped", "", why),))


def _cleaned(body: Document, namespace: str) -> dict[str, Any]:
    """Return *body* as its author meant it: without what a server wrote into it."""
    kept = {k: deepcopy(v) for k, v in body.items() if k != "status"}
    kept["metadata"] = {k: v for k, v in kept["metadata"].items() if k not in SERVER_FIELDS}
    kept["metadata"].setdefault("namespace", namespace)
    annotations = kept["metadata"].pop("annotations", None) or {}
    if annotations := {k: v for k, v in annotations.items() if k not in WRITTEN_BY_OTHERS}:
        kept["metadata"]["annotations"] = annotations
    return kept


def _retarget(source: Source, namespace: str, deployments: set[str]) -> Outcome:
    """Have an autoscaler scale the CafeDeployment that a Deployment became."""
    document = _cleaned(source.body, namespace)
    spec = document.get("spec")
    target = spec.get("scaleTargetRef") if isinstance(spec, dict) else None
    if not isinstance(target, dict):
        raise broken(source, "It has no spec.scaleTargetRef.")
    if target.get("kind") != "Deployment" or target.get("name") not in deployments:
        return Outcome(source, "Applied", document)
    target |= {"apiVersion": API_VERSION, "kind": "CafeDeployment"}
    why = "The Deployment becomes a CafeDeployment, which has the scale subresource as well"
    return Outcome(
        source, "Applied", document, (Verdict("spec.scaleTargetRef", "Changed", "CafeDeployment", why),)
    )


class _Conversion:
    """One Deployment on its way; `outcome` walks its spec field by field."""

    def __init__(self, source: Source, wish: Wish) -> None:
        self._source = source
        self._wish = wish
        self._verdicts: list[Verdict] = []
        self._strategy: dict[str, Any] = {}
        self._spec: dict[str, Any] = {}

    def outcome(self) -> Outcome:
        spec = self._source.body.get("spec")
        if not isinstance(spec, dict):
            raise broken(self._source, "It has no spec.")
        for required in ("selector", "template"):
            if not isinstance(spec.get(required), dict):
                raise broken(self._source, f"It has no spec.{required}.")
        walks: Mapping[str, Callable[[Any], None]] = {
            "selector": self._selector,
            "template": self._template,
            "minReadySeconds": self._min_ready,
            "strategy": self._rolling,
            "revisionHistoryLimit": self._history,
            "progressDeadlineSeconds": self._deadline,
            "paused": self._paused,
        }
        for name, value in spec.items():
            if name == "replicas":
                continue
            if name in walks:
                walks[name](value)
            else:
                self._say(f"spec.{name}", "NotMapped", "", "CAFE does not know this field")
        self._replicas(spec.get("replicas"))
        self._check_selector(spec)
        document = self._document()
        return Outcome(self._source, "Converted", document, tuple(self._verdicts))

    def _say(self, name: str, verdict: str, to: str = "", why: str = "") -> None:
        self._verdicts.append(Verdict(name, verdict, to, why))

    def _count(self, value: object, name: str) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise broken(self._source, f"spec.{name} is {value!r}, which is no count.")

    def _replicas(self, value: object) -> None:
        name = self._source.body["metadata"]["name"]
        count = 1 if value is None else self._count(value, "replicas")
        wanted = self._wish.replicas.get(name, count)
        self._spec["replicas"] = wanted
        if wanted != count:
            self._say("spec.replicas", "Changed", "spec.replicas", f"{wanted} was asked for, not {count}")
        else:
            self._say("spec.replicas", "Mapped", "spec.replicas")

    def _selector(self, value: dict[str, Any]) -> None:
        if not value.get("matchLabels"):
            why = "spec.selector has no matchLabels; without them CAFE can't tell the application's pods."
            raise broken(self._source, why, "Select by matchLabels.")
        self._spec["selector"] = deepcopy(value)
        self._say("spec.selector", "Mapped", "spec.selector")

    def _template(self, value: dict[str, Any]) -> None:
        pod = value.get("spec")
        containers = pod.get("containers") if isinstance(pod, dict) else None
        if not isinstance(pod, dict) or not isinstance(containers, list) or not containers:
            raise broken(self._source, "spec.template.spec has no containers.")
        for container in containers:
            if not isinstance(container, dict) or not container.get("name") or not container.get("image"):
                raise broken(self._source, "A container lacks its name or its image.")
        if pod.get("restartPolicy", "Always") != "Always":
            raise broken(self._source, "restartPolicy must be Always for pods that serve.")
        meta = value.get("metadata") or {}
        kept = {k: deepcopy(meta[k]) for k in ("labels", "annotations") if meta.get(k)}
        self._spec["template"] = {"metadata": kept, "spec": deepcopy(pod)}
        self._say("spec.template", "Mapped", "spec.template")
        for name in sorted(meta.keys() - {"labels", "annotations", "creationTimestamp"}):
            why = "Pods get names and namespace from their set"
            self._say(f"spec.template.metadata.{name}", "NotMapped", "", why)

    def _check_selector(self, spec: Mapping[str, Any]) -> None:
        labels = (spec["template"].get("metadata") or {}).get("labels") or {}
        for key, value in spec["selector"]["matchLabels"].items():
            if labels.get(key) != value:
                why = f"spec.selector asks for {key}={value}, which spec.template.metadata.labels lacks."
                raise broken(self._source, why, "Add the label to the template.")

    def _min_ready(self, value: object) -> None:
        self._strategy["minReadySeconds"] = self._count(value, "minReadySeconds")
        self._say("spec.minReadySeconds", "Mapped", "spec.strategy.minReadySeconds")

    def _history(self, value: object) -> None:
        self._spec["historyLimit"] = self._count(value, "revisionHistoryLimit")
        self._say("spec.revisionHistoryLimit", "Mapped", "spec.historyLimit")

    def _deadline(self, value: object) -> None:
        self._strategy["progressDeadlineSeconds"] = self._count(value, "progressDeadlineSeconds")
        self._say("spec.progressDeadlineSeconds", "Mapped", "spec.strategy.progressDeadlineSeconds")

    def _paused(self, value: object) -> None:
        self._strategy["pause"] = bool(value)
        self._say("spec.paused", "Mapped", "spec.strategy.pause")

    def _rolling(self, value: object) -> None:
        strategy = value if isinstance(value, dict) else {}
        if strategy.get("type") == "Recreate":
            why = "CAFE never stops all pods at once: groups are updated in place, one after the other"
            self._say("spec.strategy.type", "Changed", "spec.strategy.upgradeType", why)
        elif "type" in strategy:
            self._say(
                "spec.strategy.type", "Mapped", "spec.strategy.upgradeType", "Groups, not a rolling update"
            )
        rolling = strategy.get("rollingUpdate") or {}
        if "maxSurge" in rolling:
            why = "Pods are updated in place, so there are never more of them than replicas"
            self._say("spec.strategy.rollingUpdate.maxSurge", "NotMapped", "", why)
        if "maxUnavailable" in rolling:
            self._budget(rolling["maxUnavailable"])

    def _budget(self, value: object) -> None:
        name, to = "spec.strategy.rollingUpdate.maxUnavailable", "spec.strategy.maxUnavailable"
        if value in (0, "0", "0%"):
            why = "0 leans on maxSurge; a pod being updated in place is away, so 25% of a unit is allowed"
            self._say(name, "Changed", to, why)
            return
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise broken(self._source, f"{name} is {value!r}, which is no count and no percentage.")
        self._strategy["maxUnavailable"] = value
        why = "Counts for each unit by itself" if self._wish.units else ""
        self._say(name, "Changed" if why else "Mapped", to, why)

    def _adopt(self, meta: dict[str, Any], spec: dict[str, Any]) -> None:
        """Have the running pods taken over where they are."""
        there = self._wish.adopted.get(meta["name"])
        if there is None:
            return
        meta["annotations"] = {**meta.get("annotations", {}), ADOPT_ANNOTATION: f"Deployment/{meta['name']}"}
        spec["replicas"] = sum(there.values())
        why = "The running pods are taken over without a restart; the first new image replaces them"
        if self._wish.units:
            spec["topology"]["unitReplicas"] = {u: there.get(u, 0) for u in self._wish.units}
            why += ". Units are pinned as they are; take the pins away to have pods spread"
        self._say("spec.replicas", "Changed", "spec.topology", why)

    def _document(self) -> Document:
        cleaned = _cleaned(self._source.body, self._wish.namespace)
        spec = self._spec
        if strategy := {**self._strategy, **self._wish.strategy}:
            spec["strategy"] = strategy
        spec["topology"] = {"unitType": self._wish.unit_type}
        if self._wish.units:
            spec["topology"]["values"] = list(self._wish.units)
        self._adopt(cleaned["metadata"], spec)
        document = {
            "apiVersion": API_VERSION,
            "kind": "CafeDeployment",
            "metadata": cleaned["metadata"],
            "spec": {"podSetType": "InPlaceSet", **spec},
        }
        try:
            msgspec.convert(document, CafeDeployment)
        except msgspec.ValidationError as error:
            raise broken(self._source, f"{error}.") from error
        return document
