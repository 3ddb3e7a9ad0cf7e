"""From manifests to CAFE's kinds: what each object becomes, and what becomes of each of its fields.

All or nothing: one broken document refuses the whole, by its number and line, before anything is applied.
"""

from collections.abc import Sequence

from cafe.api.names import API_VERSION
from cafe.kernel import Refusal
from cafe.workloads.domain.takeover.deployments import DeploymentConversion
from cafe.workloads.domain.takeover.manifests import (
    DEPLOYMENT,
    STATEFUL_SET,
    Outcome,
    Source,
    Verdict,
    Wish,
    broken,
    cleaned,
    metadata_of,
    workload_kind,
)
from cafe.workloads.domain.takeover.statefulsets import StatefulSetConversion

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

CONVERSIONS = {DEPLOYMENT: DeploymentConversion, STATEFUL_SET: StatefulSetConversion}


def convert(sources: Sequence[Source], wish: Wish) -> list[Outcome]:
    """Convert all documents, in their order.

    Raises:
        Refusal: `BrokenDocument`, or `UnknownDeployment` if *wish* sizes one that isn't there.
    """
    _check_identities(sources, wish)
    workloads = {(kind, s.body["metadata"]["name"]) for s in sources if (kind := workload_kind(s.body))}
    names = {name for _, name in workloads}
    if unknown := sorted(wish.replicas.keys() - names):
        raise Refusal(
            "UnknownDeployment",
            f"The manifest has no Deployment and no StatefulSet {', '.join(unknown)}.",
            f"It has: {', '.join(sorted(names)) or 'none'}.",
            "Correct --replicas.",
        )
    return [_convert_one(source, wish, workloads) for source in sources]


def _check_identities(sources: Sequence[Source], wish: Wish) -> None:
    """Refuse objects without a name, and two that are or become the same."""
    seen: dict[tuple[str, str, str], Source] = {}
    for source in sources:
        for name in ("apiVersion", "kind"):
            if not isinstance(source.body.get(name), str):
                raise broken(source, f"It has no {name}.")
        meta = metadata_of(source.body)
        if not isinstance(meta.get("name"), str) or not meta["name"]:
            raise broken(source, "It has no metadata.name.")
        namespace = str(meta.get("namespace") or wish.namespace)
        kind = source.body["kind"]
        identity = ("CafeDeployment" if workload_kind(source.body) else kind, namespace, meta["name"])
        other = seen.setdefault(identity, source)
        if other is source:
            continue
        if other.body["kind"] == kind:
            raise broken(source, f"Document {other.number} describes the same object.")
        raise broken(
            source,
            f"It would become the same CafeDeployment as document {other.number} ({other.body['kind']}).",
            "Rename one of them, or import them into different namespaces.",
        )


def _convert_one(source: Source, wish: Wish, workloads: set[tuple[str, str]]) -> Outcome:
    body = source.body
    if kind := workload_kind(body):
        return CONVERSIONS[kind](source, wish).outcome()
    if (body["apiVersion"], body["kind"]) in AS_IS:
        return Outcome(source, "Applied", cleaned(body, wish.namespace))
    if body["kind"] == "HorizontalPodAutoscaler" and body["apiVersion"] in HPA_VERSIONS:
        return _retarget(source, wish.namespace, workloads)
    if body["kind"] in CONVERSIONS:
        raise broken(source, f"{body['kind']}s of {body['apiVersion']} are long gone.", "Write apps/v1.")
    why = f"{body['kind']} of {body['apiVersion']} is not CAFE's to take over; apply it with kubectl"
    return Outcome(source, "LeftOut", None, (Verdict("kind", "NotMapped", "", why),))


def _retarget(source: Source, namespace: str, workloads: set[tuple[str, str]]) -> Outcome:
    """Have an autoscaler scale the CafeDeployment that a workload became."""
    document = cleaned(source.body, namespace)
    spec = document.get("spec")
    target = spec.get("scaleTargetRef") if isinstance(spec, dict) else None
    if not isinstance(target, dict):
        raise broken(source, "It has no spec.scaleTargetRef.")
    kind = target.get("kind")
    if (kind, target.get("name")) not in workloads:
        return Outcome(source, "Applied", document)
    target |= {"apiVersion": API_VERSION, "kind": "CafeDeployment"}
    why = f"The {kind} becomes a CafeDeployment, which has the scale subresource as well"
    return Outcome(
        source, "Applied", document, (Verdict("spec.scaleTargetRef", "Changed", "CafeDeployment", why),)
    )
