"""The built-in resources: everything that `kubectl api-resources` lists before the first CRD."""

from collections.abc import Callable
from dataclasses import dataclass

from cafe_sim.apiserver.crds.definitions import DefinitionRules
from cafe_sim.apiserver.kinds import autoscaling, cluster, events, pods, workloads
from cafe_sim.apiserver.kinds.cluster import ConfigRules, ImmutableRules, StoredRules
from cafe_sim.apiserver.kinds.shapes import BuiltinShape
from cafe_sim.apiserver.names import path_segment
from cafe_sim.apiserver.resource import Resource, Rules
from cafe_sim.contract import Json

STATUS = frozenset({"status"})
SCALED = frozenset({"status", "scale"})
_POD = frozenset(
    {"status", "binding", "eviction", "log", "resize", "ephemeralcontainers", "exec", "attach", "portforward"}
)
MakeRules = Callable[[BuiltinShape], Rules]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the catalogue; `cluster` kinds have no namespace."""

    type: str
    group: str
    plural: str
    rules: MakeRules
    short: str = ""
    categories: str = ""
    subresources: frozenset[str] = frozenset()
    is_namespaced: bool = True
    singular: str = ""


def _stored(**flags: bool) -> MakeRules:
    return lambda _: StoredRules(**flags)  # type: ignore[arg-type]


def _with_status(**flags: bool) -> MakeRules:
    return lambda shape: StoredRules(zero_status=shape.zero("status") or {}, **flags)  # type: ignore[arg-type]


def _template(rules: type[workloads.TemplateRules], *fields: str) -> MakeRules:
    paths = {name: tuple(name.split(".")) for name in fields}
    return lambda shape: rules(shape.zero("status") or {}, paths)


def _rbac(*fixed: str) -> MakeRules:
    return lambda _: ImmutableRules(*fixed, name_rule=path_segment)


_HOOKS = "admissionregistration.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_AUTOSCALER: MakeRules = lambda shape: autoscaling.AutoscalerRules(shape.zero("status") or {})  # noqa: E731 -- as below
_BUDGET: MakeRules = lambda shape: workloads.BudgetRules(shape.zero("status") or {})  # noqa: E731 -- a table's cell

CATALOGUE = (
    Entry("core/v1.Binding", "", "bindings", _stored()),
    Entry("core/v1.ConfigMap", "", "configmaps", lambda _: ConfigRules("ConfigMap"), "cm"),
    Entry("core/v1.Endpoints", "", "endpoints", _stored(makes_on_update=True), "ep", singular="endpoints"),
    Entry("core/v1.Event", "", "events", lambda _: events.EventRules(), "ev"),
    Entry("core/v1.LimitRange", "", "limitranges", _stored(returns_deleted=True, makes_on_update=True),
          "limits"),
    Entry("core/v1.Namespace", "", "namespaces", lambda _: cluster.NamespaceRules(), "ns", "",
          frozenset({"status", "finalize"}), is_namespaced=False),
    Entry("core/v1.Node", "", "nodes", lambda _: cluster.NodeRules(), "no", "", STATUS, is_namespaced=False),
    Entry("core/v1.PersistentVolumeClaim", "", "persistentvolumeclaims", lambda _: cluster.ClaimRules(),
          "pvc",
          "", STATUS),
    Entry("core/v1.PersistentVolume", "", "persistentvolumes", _with_status(returns_deleted=True), "pv", "",
          STATUS, is_namespaced=False),
    Entry("core/v1.Pod", "", "pods", lambda _: pods.PodRules(), "po", "all", _POD),
    Entry("core/v1.PodTemplate", "", "podtemplates", _stored(returns_deleted=True, has_generation=True)),
    Entry("core/v1.ReplicationController", "", "replicationcontrollers", _with_status(has_generation=True),
          "rc",
          "all", STATUS),
    Entry("core/v1.ResourceQuota", "", "resourcequotas", _with_status(returns_deleted=True), "quota", "",
          STATUS),
    Entry("core/v1.Secret", "", "secrets", lambda _: ConfigRules("Secret")),
    Entry("core/v1.ServiceAccount", "", "serviceaccounts", _stored(returns_deleted=True), "sa", "",
          frozenset({"token"})),
    Entry("core/v1.Service", "", "services", lambda _: cluster.ServiceRules(), "svc", "all", STATUS),
    Entry("apps/v1.ControllerRevision", "apps", "controllerrevisions", lambda _: workloads.RevisionRules()),
    Entry("apps/v1.DaemonSet", "apps", "daemonsets", _template(workloads.TemplateRules), "ds", "all", STATUS),
    Entry("apps/v1.Deployment", "apps", "deployments", _template(workloads.DeploymentRules), "deploy",
          "all", SCALED),
    Entry("apps/v1.ReplicaSet", "apps", "replicasets", _template(workloads.TemplateRules,
          "status.replicas"), "rs",
          "all", SCALED),
    Entry("apps/v1.StatefulSet", "apps", "statefulsets", _template(workloads.StatefulSetRules), "sts",
          "all", SCALED),
    Entry("autoscaling/v2.HorizontalPodAutoscaler", "autoscaling", "horizontalpodautoscalers", _AUTOSCALER,
          "hpa", "all", STATUS),
    Entry("coordination/v1.Lease", "coordination.k8s.io", "leases", lambda _: cluster.LeaseRules()),
    Entry("discovery/v1.EndpointSlice", "discovery.k8s.io", "endpointslices", _stored(has_generation=True)),
    Entry("events/v1.Event", "events.k8s.io", "events",
          lambda _: events.EventRules(is_new=True), "ev"),
    Entry("networking/v1.Ingress", "networking.k8s.io", "ingresses", _with_status(has_generation=True),
          "ing", "",
          STATUS, singular="ingress"),
    Entry("networking/v1.IngressClass", "networking.k8s.io", "ingressclasses", _stored(has_generation=True),
          is_namespaced=False, singular="ingressclass"),
    Entry("networking/v1.NetworkPolicy", "networking.k8s.io", "networkpolicies", _stored(has_generation=True),
          "netpol", singular="networkpolicy"),
    Entry("policy/v1.PodDisruptionBudget", "policy", "poddisruptionbudgets", _BUDGET, "pdb", "", STATUS),
    Entry("rbac/v1.ClusterRole", _RBAC, "clusterroles", _rbac(), is_namespaced=False),
    Entry("rbac/v1.ClusterRoleBinding", _RBAC, "clusterrolebindings", _rbac("roleRef"), is_namespaced=False),
    Entry("rbac/v1.Role", _RBAC, "roles", _rbac()),
    Entry("rbac/v1.RoleBinding", _RBAC, "rolebindings", _rbac("roleRef")),
    Entry("scheduling/v1.PriorityClass", "scheduling.k8s.io", "priorityclasses",
          lambda _: ImmutableRules("value"),
          "pc", is_namespaced=False, singular="priorityclass"),
    Entry("storage/v1.CSIDriver", "storage.k8s.io", "csidrivers", _stored(returns_deleted=True,
          needs_version=True),
          is_namespaced=False),
    Entry("storage/v1.CSINode", "storage.k8s.io", "csinodes", _stored(returns_deleted=True,
          needs_version=True),
          is_namespaced=False),
    Entry("storage/v1.StorageClass", "storage.k8s.io", "storageclasses",
          lambda _: ImmutableRules("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"), "sc",
          is_namespaced=False, singular="storageclass"),
    Entry("storage/v1.VolumeAttachment", "storage.k8s.io", "volumeattachments",
          _with_status(returns_deleted=True),
          "", "", STATUS, is_namespaced=False),
    Entry("admissionregistration/v1.MutatingWebhookConfiguration", _HOOKS, "mutatingwebhookconfigurations",
          _stored(has_generation=True, needs_version=True), "", "api-extensions", is_namespaced=False),
    Entry("admissionregistration/v1.ValidatingWebhookConfiguration", _HOOKS,
          "validatingwebhookconfigurations",
          _stored(has_generation=True, needs_version=True), "", "api-extensions", is_namespaced=False),
    Entry("admissionregistration/v1.ValidatingAdmissionPolicy", _HOOKS, "validatingadmissionpolicies",
          _stored(has_generation=True, needs_version=True), "", "api-extensions", is_namespaced=False),
    Entry("admissionregistration/v1.ValidatingAdmissionPolicyBinding", _HOOKS,
          "validatingadmissionpolicybindings",
          _stored(has_generation=True, needs_version=True), "", "api-extensions", is_namespaced=False),
    Entry("apiextensions/v1.CustomResourceDefinition", "apiextensions.k8s.io", "customresourcedefinitions",
          lambda _: DefinitionRules(), "crd crds", "api-extensions", STATUS, is_namespaced=False),
)  # fmt: skip

REVIEWS = (
    Entry("authentication/v1.SelfSubjectReview", "authentication.k8s.io", "selfsubjectreviews", _stored(),
          is_namespaced=False),
    Entry("authentication/v1.TokenReview", "authentication.k8s.io", "tokenreviews", _stored(),
          is_namespaced=False),
    Entry("authorization/v1.LocalSubjectAccessReview", "authorization.k8s.io", "localsubjectaccessreviews",
          _stored()),
    Entry("authorization/v1.SelfSubjectAccessReview", "authorization.k8s.io", "selfsubjectaccessreviews",
          _stored(),
          is_namespaced=False),
    Entry("authorization/v1.SelfSubjectRulesReview", "authorization.k8s.io", "selfsubjectrulesreviews",
          _stored(),
          is_namespaced=False),
    Entry("authorization/v1.SubjectAccessReview", "authorization.k8s.io", "subjectaccessreviews", _stored(),
          is_namespaced=False),
)  # fmt: skip
"""Questions that are answered and never stored."""


def _key(entry: Entry) -> str:
    if entry.plural == "events":
        return "events"
    return f"{entry.plural}.{entry.group}" if entry.group else entry.plural


def _resource(entry: Entry, verbs: tuple[str, ...] | None = None) -> Resource:
    shape = BuiltinShape(entry.type)
    is_new_event = entry.type == "events/v1.Event"
    package, _, kind = entry.type.rpartition(".")
    only: dict[str, tuple[str, ...]] = {"verbs": verbs} if verbs else {}
    return Resource(
        group=entry.group,
        version=package.rpartition("/")[2],
        plural=entry.plural,
        kind=kind,
        is_namespaced=entry.is_namespaced,
        shape=shape,
        rules=entry.rules(shape),
        key=_key(entry),
        singular=entry.singular or kind.lower(),
        list_kind=f"{kind}List",
        short_names=tuple(entry.short.split()),
        categories=tuple(entry.categories.split()),
        subresources=entry.subresources,
        to_store=events.to_stored if is_new_event else None,
        from_store=events.from_stored if is_new_event else _identity if entry.plural == "events" else None,
        **only,  # type: ignore[arg-type]
    )


def _identity(obj: Json) -> Json:
    return obj


def builtin_resources() -> list[Resource]:
    """Return all built-in resources; each call makes fresh ones."""
    asked = [_resource(entry, ("create",)) for entry in REVIEWS]
    return [
        _resource(entry, ("create",)) if entry.plural == "bindings" else _resource(entry)
        for entry in CATALOGUE
    ] + asked
