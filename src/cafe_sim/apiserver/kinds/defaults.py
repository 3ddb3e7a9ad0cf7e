"""Defaults of the built-in kinds, by type: wherever a container stands, it gets a container's defaults.

Source: `pkg/apis/*/v1/defaults.go` of Kubernetes 1.36. Each function fills a fresh dict in place.
"""

from collections.abc import Callable

from cafe_sim.apiserver.schema.types import struct
from cafe_sim.contract import Json

PLAIN: dict[str, Json] = {
    "core/v1.PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "enableServiceLinks": True,
        "schedulerName": "default-scheduler",
    },
    "core/v1.Probe": {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    "core/v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core/v1.GRPCAction": {"service": ""},
    "core/v1.ContainerPort": {"protocol": "TCP"},
    "core/v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core/v1.SecretVolumeSource": {"defaultMode": 420},
    "core/v1.ConfigMapVolumeSource": {"defaultMode": 420},
    "core/v1.DownwardAPIVolumeSource": {"defaultMode": 420},
    "core/v1.ProjectedVolumeSource": {"defaultMode": 420},
    "core/v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core/v1.HostPathVolumeSource": {"type": ""},
    "core/v1.ServicePort": {"protocol": "TCP"},
    "core/v1.PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "core/v1.PersistentVolumeClaimStatus": {"phase": "Pending"},
    "core/v1.PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
    "core/v1.PersistentVolumeStatus": {"phase": "Pending"},
    "core/v1.NamespaceStatus": {"phase": "Active"},
    "core/v1.Secret": {"type": "Opaque"},
    "core/v1.EndpointPort": {"protocol": "TCP"},
    "discovery/v1.EndpointPort": {"name": "", "protocol": "TCP"},
    "storage/v1.StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    "scheduling/v1.PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    "admissionregistration/v1.ServiceReference": {"port": 443},
    "admissionregistration/v1.RuleWithOperations": {"scope": "*"},
    "apps/v1.RollingUpdateDaemonSet": {"maxUnavailable": 1, "maxSurge": 0},
    "apps/v1.RollingUpdateStatefulSetStrategy": {"partition": 0},
}


def _container(value: Json) -> None:
    value.setdefault("terminationMessagePath", "/dev/termination-log")
    value.setdefault("terminationMessagePolicy", "File")
    if "imagePullPolicy" not in value:
        value["imagePullPolicy"] = pull_policy(value.get("image", ""))


def pull_policy(image: str) -> str:
    """Return how an image is pulled unless the container says: `latest` may change under its name."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].rpartition(":")[2] if ":" in image.rpartition("/")[2] else "latest"
    return "Always" if tag == "latest" else "IfNotPresent"


def _pod_spec(value: Json) -> None:
    value.setdefault("securityContext", {})
    if value.get("serviceAccountName"):
        value.setdefault("serviceAccount", value["serviceAccountName"])
    elif value.get("serviceAccount"):
        value["serviceAccountName"] = value["serviceAccount"]
    if value.get("hostNetwork"):
        for container in value.get("containers") or []:
            for port in container.get("ports") or []:
                port.setdefault("hostPort", port.get("containerPort"))


def _pod(value: Json) -> None:
    spec = value.get("spec") or {}
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        missing = {name: amount for name, amount in limits.items() if name not in requests}
        if missing:
            container["resources"] = {**resources, "requests": {**requests, **missing}}


def _deployment(spec: Json) -> None:
    for name, item in (("replicas", 1), ("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)):
        spec.setdefault(name, item)
    strategy = spec["strategy"] = dict(spec.get("strategy") or {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
        strategy["rollingUpdate"] = {**rolling, **(strategy.get("rollingUpdate") or {})}


def _replica_set(value: Json) -> None:
    value.setdefault("replicas", 1)


def _stateful_set(spec: Json) -> None:
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec["updateStrategy"] = dict(spec.get("updateStrategy") or {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {"partition": 0})
    retain = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    policy = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    spec["persistentVolumeClaimRetentionPolicy"] = {**retain, **policy}


def _daemon_set(spec: Json) -> None:
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec["updateStrategy"] = dict(spec.get("updateStrategy") or {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {"maxUnavailable": 1, "maxSurge": 0})


def _service(spec: Json) -> None:
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("type", "ClusterIP")
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
    for port in spec.get("ports") or []:
        if port.get("targetPort") in {None, 0, ""}:
            port["targetPort"] = port.get("port")


def _pod_disruption_budget(value: Json) -> None:
    if "minAvailable" not in value and "maxUnavailable" not in value:
        value["minAvailable"] = 1


def _autoscaler(spec: Json) -> None:
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _behavior(value: Json) -> None:
    """Fill both directions. How long to wait before scaling down is the controller's flag, and not filled."""
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    pods = {"type": "Pods", "value": 4, "periodSeconds": 15}
    up = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [pods, percent]}
    value["scaleUp"] = {**up, **(value.get("scaleUp") or {})}
    down = {"selectPolicy": "Max", "policies": [percent]}
    value["scaleDown"] = {**down, **(value.get("scaleDown") or {})}


def _webhook(value: Json) -> None:
    value.setdefault("failurePolicy", "Fail")
    value.setdefault("matchPolicy", "Equivalent")
    value.setdefault("namespaceSelector", {})
    value.setdefault("objectSelector", {})
    value.setdefault("timeoutSeconds", 10)


def _mutating_webhook(value: Json) -> None:
    _webhook(value)
    value.setdefault("reinvocationPolicy", "Never")


def _role_ref(value: Json) -> None:
    value["apiGroup"] = value.get("apiGroup") or "rbac.authorization.k8s.io"


def _subject(value: Json) -> None:
    if not value.get("apiGroup") and value.get("kind") in {"User", "Group"}:
        value["apiGroup"] = "rbac.authorization.k8s.io"


def _node(value: Json) -> None:
    status = value.get("status") or {}
    if status.get("capacity") and not status.get("allocatable"):
        value["status"] = {**status, "allocatable": status["capacity"]}


def _secret(value: Json) -> None:
    """Fold what was written as text into the data. Go does so as it reads: `data` is what is owned."""
    texts = value.pop("stringData", None)
    if texts:
        import base64  # noqa: PLC0415 -- secrets alone need it

        told = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
        value["data"] = {**(value.get("data") or {}), **told}


SPECIAL: dict[str, Callable[[Json], None]] = {
    "core/v1.Container": _container,
    "core/v1.EphemeralContainer": _container,
    "core/v1.PodSpec": _pod_spec,
    "core/v1.Pod": _pod,
    "core/v1.Secret": _secret,
    "core/v1.ServiceSpec": _service,
    "core/v1.Node": _node,
    "apps/v1.DeploymentSpec": _deployment,
    "apps/v1.ReplicaSetSpec": _replica_set,
    "apps/v1.StatefulSetSpec": _stateful_set,
    "apps/v1.DaemonSetSpec": _daemon_set,
    "policy/v1.PodDisruptionBudgetSpec": _pod_disruption_budget,
    "autoscaling/v2.HorizontalPodAutoscalerSpec": _autoscaler,
    "autoscaling/v2.HorizontalPodAutoscalerBehavior": _behavior,
    "admissionregistration/v1.ValidatingWebhook": _webhook,
    "admissionregistration/v1.MutatingWebhook": _mutating_webhook,
    "rbac/v1.RoleRef": _role_ref,
    "rbac/v1.Subject": _subject,
}


def _filler(plain: Json, special: Callable[[Json], None] | None) -> Callable[[Json], None]:
    def fill(value: Json) -> None:
        for name, item in plain.items():
            value.setdefault(name, item)
        if special is not None:
            special(value)

    return fill


def install() -> None:
    """Attach the defaults to the declared types. Doing it again changes nothing."""
    for name in {**PLAIN, **SPECIAL}:
        struct(name).defaulter = _filler(PLAIN.get(name, {}), SPECIAL.get(name))
