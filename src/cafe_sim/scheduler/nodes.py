"""What the scheduler knows of each node: what it offers, what is taken, who is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cafe_sim.contract import Json
from cafe_sim.machinery.objects import labels_of, status_of, uid_of
from cafe_sim.machinery.requests import Request, add_to, amount, request_of


@dataclass(slots=True)
class NodeInfo:
    """One node, kept up to date pod by pod."""

    node: Json
    allocatable: dict[str, int] = field(default_factory=dict)
    requested: dict[str, int] = field(default_factory=dict)
    pods: dict[str, Json] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.node["metadata"]["name"])

    @property
    def labels(self) -> Mapping[str, str]:
        """The node's labels."""
        return labels_of(self.node)

    @property
    def taints(self) -> list[Json]:
        """The node's taints."""
        return list(self.node["spec"].get("taints") or ())

    def set_node(self, node: Json) -> None:
        """Take the node as it is now."""
        self.node = node
        offered = status_of(node).get("allocatable") or {}
        self.allocatable = {name: amount(name, value) for name, value in offered.items()}

    def add(self, pod: Json) -> None:
        """Count a pod, or take it as it is now."""
        uid = uid_of(pod)
        request = request_of(pod)
        known = self.requests.get(uid)
        self.pods[uid] = pod
        if known == request:
            return
        if known is not None:
            add_to(self.requested, {k: -v for k, v in known.resources.items()})
        self.requests[uid] = request
        add_to(self.requested, request.resources)

    def remove(self, uid: str) -> None:
        """Count a pod no more."""
        self.pods.pop(uid, None)
        request = self.requests.pop(uid, None)
        if request is not None:
            add_to(self.requested, {k: -v for k, v in request.resources.items()})

    def used_ports(self) -> frozenset[tuple[str, str, int]]:
        """Return the host ports that are taken."""
        return frozenset(port for request in self.requests.values() for port in request.ports)
