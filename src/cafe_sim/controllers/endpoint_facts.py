"""What an EndpointSlice says about the pods of a Service: pure functions."""

from collections.abc import Mapping
from typing import Any

from cafe_sim.contract import Json
from cafe_sim.machinery.objects import is_deleting, labels_of, status_of, uid_of
from cafe_sim.machinery.pods import is_finished, is_ready, node_of

ZONE = "topology.kubernetes.io/zone"
MOST_PER_SLICE = 100
"""kube-controller-manager's `--max-endpoints-per-slice`."""

Ports = tuple[tuple[str, str, int, str], ...]
"""Name, protocol, number and application protocol of each port."""


def is_endpoint(pod: Json) -> bool:
    """Tell whether the pod appears at all: it has an address and hasn't ended."""
    return bool(status_of(pod).get("podIP")) and not is_finished(pod)


def ports_of(service: Json, pod: Json) -> Ports:
    """Resolve the Service's target ports against one pod; a name that the pod lacks is left out."""
    resolved = []
    for port in service["spec"].get("ports") or ():
        protocol = port.get("protocol") or "TCP"
        target = port.get("targetPort", port["port"])
        number = target if isinstance(target, int) else _named_port(pod, target, protocol)
        if number:
            resolved.append((port.get("name") or "", protocol, number, port.get("appProtocol") or ""))
    return tuple(resolved)


def _named_port(pod: Json, name: str, protocol: str) -> int:
    if name.isdigit():
        return int(name)
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == name and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return 0


def slice_ports(ports: Ports) -> list[Json]:
    """Return ports as an EndpointSlice lists them."""
    listed = []
    for name, protocol, number, application in ports:
        entry: Json = {"name": name, "port": number, "protocol": protocol}
        listed.append(entry | ({"appProtocol": application} if application else {}))
    return listed


def endpoint_of(service: Json, pod: Json, node: Json | None) -> Json:
    """Return the pod's endpoint. A terminating pod is never ready, but may still be serving (KEP-1672)."""
    serving = is_ready(pod)
    terminating = is_deleting(pod)
    publishes = bool(service["spec"].get("publishNotReadyAddresses"))
    endpoint: Json = {
        "addresses": [status_of(pod)["podIP"]],
        "conditions": {
            "ready": publishes or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": uid_of(pod),
        },
    }
    if node_of(pod):
        endpoint["nodeName"] = node_of(pod)
    zone = labels_of(node).get(ZONE) if node is not None else None
    if zone:
        endpoint["zone"] = zone
    hostname = pod["spec"].get("hostname")
    if hostname and pod["spec"].get("subdomain") == service["metadata"]["name"]:
        endpoint["hostname"] = hostname
    return endpoint


def facts_changed(old: Json | None, new: Json) -> bool:
    """Tell whether a pod's change can matter to any slice."""
    return old is None or _facts(old) != _facts(new)


def _facts(pod: Json) -> tuple[Mapping[str, Any], ...] | tuple[Any, ...]:
    status = status_of(pod)
    return (
        labels_of(pod),
        status.get("podIP"),
        is_finished(pod),
        is_ready(pod),
        is_deleting(pod),
        node_of(pod),
    )
