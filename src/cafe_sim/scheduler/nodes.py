"""What the scheduler knows of each node: what it offers, what is taken, who is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cafe_sim.contract import Json
from cafe_sim.machinery.objects import labels_of, status_of, uid_of
from cafe_sim.machinery.quantities import milli, whole


@dataclass(frozen=True, slots=True)
class Request:
    """What a pod asks for: CPU in millicores, everything else in units (memory in bytes), and host ports."""

    resources: Mapping[str, int]
    ports: frozenset[tuple[str, str, int]] = frozenset()


def amount(resource: str, value: str | float) -> int:
    """Return a quantity in the unit in which *resource* is counted."""
    return milli(value) if resource == "cpu" else whole(value)


def request_of(pod: Json) -> Request:
    """Return what the scheduler counts for a pod (KEP-753 for init containers that keep running).

    The sum of its containers and sidecars, or more if an init container together with the sidecars
    started before it needs more; plus overhead.
    """
    spec = pod["spec"]
    total: dict[str, int] = {}
    for container in spec["containers"]:
        _add(total, _requests(container))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        asked = _requests(container)
        if container.get("restartPolicy") == "Always":
            _add(total, asked)
            _add(sidecars, asked)
            asked = sidecars
        else:
            asked = {k: asked.get(k, 0) + sidecars.get(k, 0) for k in {**asked, **sidecars}}
        for name, value in asked.items():
            peak[name] = max(peak.get(name, 0), value)
    for name, value in peak.items():
        total[name] = max(total.get(name, 0), value)
    _add(total, {k: amount(k, v) for k, v in (spec.get("overhead") or {}).items()})
    return Request(total, _host_ports(spec))


def _requests(container: Mapping[str, Any]) -> dict[str, int]:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: amount(name, value) for name, value in asked.items()}


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _host_ports(spec: Mapping[str, Any]) -> frozenset[tuple[str, str, int]]:
    return frozenset(
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(port["hostPort"]))  # noqa: S104 -- the API's "any address"
        for container in spec["containers"]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


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
            _add(self.requested, {k: -v for k, v in known.resources.items()})
        self.requests[uid] = request
        _add(self.requested, request.resources)

    def remove(self, uid: str) -> None:
        """Count a pod no more."""
        self.pods.pop(uid, None)
        request = self.requests.pop(uid, None)
        if request is not None:
            _add(self.requested, {k: -v for k, v in request.resources.items()})

    def used_ports(self) -> frozenset[tuple[str, str, int]]:
        """Return the host ports that are taken."""
        return frozenset(port for request in self.requests.values() for port in request.ports)
