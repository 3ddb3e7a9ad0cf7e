"""The few fields that we read of Kubernetes' own kinds, as frozen Structs.

They are *partial*: fields that are not named here are lost in decoding. So they must never be written back
whole; `Client.replace` takes dicts only. A JSON `null` counts as an absent field (see `codec`). Timestamps
stay strings, because most are never looked at; `parse_time` reads one.
"""

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field

from cafe.kernel import ObjectKey
from cafe.kube.resources import Kind


def parse_time(text: str) -> datetime:
    """Parse an RFC 3339 timestamp as the API writes it (seconds or microseconds, `Z`) into aware UTC.

    Raises:
        ValueError: *text* is no timestamp.
    """
    return datetime.fromisoformat(text).astimezone(UTC)


def format_time(moment: datetime) -> str:
    """Write *moment* as a metav1.Time: whole seconds, UTC."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:-6] + "Z"


def format_micro_time(moment: datetime) -> str:
    """Write *moment* as a metav1.MicroTime: six digits, UTC. Leases and events insist on them."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


class Part(Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """Base of all partial models. No object cycles are possible, so the collector need not look."""


class OwnerReference(Part, frozen=True):
    """Who an object belongs to."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Part, frozen=True):
    """What every object carries."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None

    @property
    def is_deleting(self) -> bool:
        """Whether deletion has begun."""
        return self.deletion_timestamp is not None

    @property
    def controller(self) -> OwnerReference | None:
        """The one owner that controls the object, or None."""
        return next((owner for owner in self.owner_references if owner.controller), None)


class Resource(Part, frozen=True):
    """An object: metadata, and what a subclass adds."""

    metadata: ObjectMeta = ObjectMeta()

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return ObjectKey(self.metadata.namespace, self.metadata.name)


class Condition(Part, frozen=True):
    """One condition of a status; `status` is `True`, `False` or `Unknown`."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int = 0


class ReadinessGate(Part, frozen=True):
    """A condition that must be True before the pod is Ready."""

    condition_type: str = ""


class Amounts(Part, frozen=True):
    """CPU and memory, as quantities; empty where nothing is said."""

    cpu: str = ""
    memory: str = ""


class Resources(Part, frozen=True):
    """What a container is promised, and what it may not exceed."""

    requests: Amounts = Amounts()
    limits: Amounts = Amounts()


class Container(Part, frozen=True):
    """A container as asked for."""

    name: str = ""
    image: str = ""
    resources: Resources = Resources()


class PodSpec(Part, frozen=True):
    """What a pod should be."""

    node_name: str = ""
    containers: tuple[Container, ...] = ()
    readiness_gates: tuple[ReadinessGate, ...] = ()
    termination_grace_period_seconds: int = 30


class StateWaiting(Part, frozen=True):
    """Why a container does not run yet."""

    reason: str = ""
    message: str = ""


class StateRunning(Part, frozen=True):
    """Since when a container runs."""

    started_at: str | None = None


class StateTerminated(Part, frozen=True):
    """How a container ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None


class ContainerState(Part, frozen=True):
    """Exactly one of three; none of them means waiting."""

    waiting: StateWaiting | None = None
    running: StateRunning | None = None
    terminated: StateTerminated | None = None


class ContainerStatus(Part, frozen=True):
    """What the kubelet last said of a container."""

    name: str = ""
    image: str = ""
    image_id: str = field(default="", name="imageID")
    container_id: str = field(default="", name="containerID")
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    resources: Resources | None = None


class PodStatus(Part, frozen=True):
    """What the kubelet last said of a pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    pod_ip: str = field(default="", name="podIP")
    host_ip: str = field(default="", name="hostIP")
    start_time: str | None = None
    observed_generation: int = 0
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Resource, frozen=True):
    """A pod."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class Taint(Part, frozen=True):
    """What keeps pods off a node."""

    key: str = ""
    value: str = ""
    effect: str = ""


class NodeSpec(Part, frozen=True):
    """What was asked of a node."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class NodeStatus(Part, frozen=True):
    """What a node last said."""

    conditions: tuple[Condition, ...] = ()


class Node(Resource, frozen=True):
    """A node; its place in the world is in its labels."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class ControllerRevision(Resource, frozen=True):
    """A stored state of a workload; `data` is kept whole."""

    data: dict[str, Any] = {}
    revision: int = 0


class ReplicaSetSpec(Part, frozen=True):
    """What a ReplicaSet should be; `template` is kept whole."""

    replicas: int = 1
    min_ready_seconds: int = 0
    template: dict[str, Any] = {}


class ReplicaSetStatus(Part, frozen=True):
    """What a ReplicaSet's controller last said."""

    replicas: int = 0
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()


class ReplicaSet(Resource, frozen=True):
    """A native set of pods that are all alike."""

    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class RollingUpdate(Part, frozen=True):
    """From which ordinal up pods are updated."""

    partition: int = 0


class UpdateStrategy(Part, frozen=True):
    """How a StatefulSet's pods are updated."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate = RollingUpdate()


class StatefulSetSpec(Part, frozen=True):
    """What a StatefulSet should be; `template` is kept whole."""

    replicas: int = 1
    min_ready_seconds: int = 0
    template: dict[str, Any] = {}
    update_strategy: UpdateStrategy = UpdateStrategy()
    persistent_volume_claim_retention_policy: dict[str, str] = {}


class StatefulSetStatus(Part, frozen=True):
    """What a StatefulSet's controller last said."""

    replicas: int = 0
    observed_generation: int = 0


class StatefulSet(Resource, frozen=True):
    """A native set of pods with names and volumes of their own."""

    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class LeaseSpec(Part, frozen=True):
    """Who holds a lease."""

    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int = 0


class Lease(Resource, frozen=True):
    """A lock that expires."""

    spec: LeaseSpec = LeaseSpec()


class Namespace(Resource, frozen=True):
    """A namespace."""


class ObjectReference(Part, frozen=True):
    """What an event is about."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""


class EventSeries(Part, frozen=True):
    """How often an event happened again."""

    count: int = 0
    last_observed_time: str | None = None


class Event(Resource, frozen=True):
    """An event of `events.k8s.io/v1`."""

    type: str = ""
    reason: str = ""
    action: str = ""
    note: str = ""
    event_time: str | None = None
    regarding: ObjectReference = ObjectReference()
    reporting_controller: str = ""
    reporting_instance: str = ""
    series: EventSeries | None = None


PODS = Kind("", "v1", "pods", "Pod", namespaced=True, type=Pod)
NODES = Kind("", "v1", "nodes", "Node", namespaced=False, type=Node)
NAMESPACES = Kind("", "v1", "namespaces", "Namespace", namespaced=False, type=Namespace)
SERVICES: Kind[dict[str, Any]] = Kind("", "v1", "services", "Service", namespaced=True, type=dict)
CONFIG_MAPS: Kind[dict[str, Any]] = Kind("", "v1", "configmaps", "ConfigMap", namespaced=True, type=dict)
DISRUPTION_BUDGETS: Kind[dict[str, Any]] = Kind(
    "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", namespaced=True, type=dict
)
AUTOSCALERS: Kind[dict[str, Any]] = Kind(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", namespaced=True, type=dict
)
DEPLOYMENTS: Kind[dict[str, Any]] = Kind(
    "apps", "v1", "deployments", "Deployment", namespaced=True, type=dict
)
REPLICA_SETS = Kind("apps", "v1", "replicasets", "ReplicaSet", namespaced=True, type=ReplicaSet)
STATEFUL_SETS = Kind("apps", "v1", "statefulsets", "StatefulSet", namespaced=True, type=StatefulSet)
CONTROLLER_REVISIONS = Kind(
    "apps", "v1", "controllerrevisions", "ControllerRevision", namespaced=True, type=ControllerRevision
)
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True, type=Lease)
EVENTS = Kind("events.k8s.io", "v1", "events", "Event", namespaced=True, type=Event)
