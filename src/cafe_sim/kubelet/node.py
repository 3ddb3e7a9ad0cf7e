"""The Node object that a kubelet keeps, and its Lease."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import Json
from cafe_sim.machinery.objects import micro_text_of, text_of

LEASES = "leases.coordination.k8s.io"
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
LEASE_PERIOD = timedelta(seconds=10)
"""A kubelet renews its lease every quarter of its duration."""
VERSION = "v1.36.3"

PRESSURES = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What a node is.

    Attributes:
        name: Its name.
        labels: Besides the well-known ones, which follow from the rest.
        capacity: `cpu`, `memory`, `pods`, as quantities; the rest has defaults.
        index: Which number it has in the cluster; its addresses follow from it.
        taints: As in `spec.taints`.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    capacity: Mapping[str, str] = field(default_factory=dict)
    index: int = 0
    taints: tuple[Json, ...] = ()

    @property
    def address(self) -> str:
        """The node's own address, in 172.18.0.0/16."""
        return f"172.18.{(self.index + 2) // 256}.{(self.index + 2) % 256}"

    @property
    def pod_prefix(self) -> str:
        """The first three parts of its pods' addresses: a /24 of 10.64.0.0/10."""
        return f"10.{64 + self.index // 256}.{self.index % 256}"


def node_object(spec: NodeSpec) -> Json:
    """Return the Node as a kubelet registers it, without status."""
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": spec.name,
        "kubernetes.io/os": "linux",
        **spec.labels,
    }
    cidr = f"{spec.pod_prefix}.0/24"
    node: Json = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": spec.name, "labels": labels},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr], "providerID": f"cafe-sim://{spec.name}"},
    }
    if spec.taints:
        node["spec"]["taints"] = list(spec.taints)
    return node


def node_status(spec: NodeSpec, boot_id: str, since: datetime, now: datetime) -> Json:
    """Return the status of a healthy node."""
    capacity = {"cpu": "4", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi", **spec.capacity}
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [
            {"type": "InternalIP", "address": spec.address},
            {"type": "Hostname", "address": spec.name},
        ],
        "conditions": node_conditions(since, now),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": boot_id,
            "containerRuntimeVersion": "containerd://2.1.0",
            "kernelVersion": "6.12.0-simulated",
            "kubeProxyVersion": "",
            "kubeletVersion": VERSION,
            "machineID": boot_id.replace("-", ""),
            "operatingSystem": "linux",
            "osImage": "CAFE simulated node",
            "systemUUID": boot_id,
        },
    }


def node_conditions(since: datetime, now: datetime) -> list[Json]:
    """Return the conditions of a healthy node that became so at *since*."""
    ready = ("Ready", "KubeletReady", "kubelet is posting ready status")
    return [
        {
            "type": kind,
            "status": "True" if kind == "Ready" else "False",
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": text_of(now),
            "lastTransitionTime": text_of(since),
        }
        for kind, reason, message in (*PRESSURES, ready)
    ]


def lease_object(node: Json, renewed: datetime) -> Json:
    """Return the node's Lease."""
    meta = node["metadata"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": meta["name"], "uid": meta["uid"]}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": meta["name"],
            "namespace": LEASE_NAMESPACE,
            "ownerReferences": [owner],
        },
        "spec": {
            "holderIdentity": meta["name"],
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": micro_text_of(renewed),
        },
    }


def lease_key(node_name: str) -> ObjectKey:
    """Return where the node's Lease is."""
    return ObjectKey(LEASE_NAMESPACE, node_name)


def last_beat(since: datetime, now: datetime) -> datetime:
    """Return when a kubelet that has run since *since* renewed last; nobody needs to have watched it."""
    return since + (now - since) // LEASE_PERIOD * LEASE_PERIOD
