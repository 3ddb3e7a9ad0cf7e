"""EndpointSlices of Services that have a selector."""

from datetime import timedelta
from typing import NamedTuple

from cafe.kernel import ObjectKey
from cafe_sim.contract import Json, StoreEvent
from cafe_sim.controllers.base import GATHER, Controller, Plane, by_namespace
from cafe_sim.controllers.endpoint_facts import (
    MOST_PER_SLICE,
    Ports,
    endpoint_of,
    facts_changed,
    is_endpoint,
    ports_of,
    slice_ports,
)
from cafe_sim.machinery.objects import (
    controller_reference,
    is_deleting,
    key_of,
    labels_of,
    merge_diff,
    uid_of,
)
from cafe_sim.machinery.pods import node_of
from cafe_sim.machinery.selectors import selector_from_map

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS_LABEL = "service.kubernetes.io/headless"


class _Made(NamedTuple):
    """An endpoint, and the very objects that it was made from."""

    service: Json
    pod: Json
    node: Json | None
    ports: Ports
    endpoint: Json


class EndpointSliceController(Controller):
    """Keeps the slices of every Service; a slice is rewritten only if an endpoint in it changed."""

    name = "endpoint-slice-controller"
    latency = GATHER

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane)
        self._services = self.client.informer("services")
        self._pods = self.client.informer("pods")
        self._nodes = self.client.informer("nodes")
        self._slices = self.client.informer(SLICES)
        self._made: dict[tuple[str, str], _Made] = {}

    def start(self) -> None:
        """Follow Services, pods and slices."""
        self._services.index("namespace", by_namespace)
        self._pods.index("namespace", by_namespace)
        self._slices.index("service", _by_service)
        self.follow("services")
        self._pods.follow(self._on_pod)
        self._slices.follow(self._on_slice)

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Bring the Service's slices to what its pods are."""
        service = self._services.get(key)
        if service is None or is_deleting(service):
            return None  # The slices have an owner: the garbage collector sees to them.
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return None
        wanted = self._wanted(service)
        there: dict[Ports, list[Json]] = {}
        for one in self._slices.by_index("service", str(key)):
            there.setdefault(_ports_in(one), []).append(one)
        for ports in [ports for ports in there if ports not in wanted]:
            for one in there[ports]:
                self.client.delete(SLICES, key_of(one))
        for ports, endpoints in wanted.items():
            self._fit(service, ports, endpoints, there.get(ports, []))
        return None

    def _on_pod(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            for service in self._services.all():
                self._made.pop((uid_of(service), uid_of(event.new)), None)
        if event.type == "MODIFIED" and not facts_changed(event.old, event.new):
            return
        versions = [obj for obj in (event.old, event.new) if obj is not None]
        for service in self._services.by_index("namespace", event.new["metadata"]["namespace"]):
            selector = selector_from_map(service["spec"].get("selector"))
            if any(selector.matches(labels_of(obj)) for obj in versions):
                self.queue.add(key_of(service))

    def _on_slice(self, event: StoreEvent) -> None:
        for name in _by_service(event.new):
            if event.type != "ADDED":
                namespace, _, service = name.partition("/")
                self.queue.add(ObjectKey(namespace, service))

    def _wanted(self, service: Json) -> dict[Ports, dict[str, Json]]:
        """Return the endpoints by the set of ports they have, each under its pod's UID."""
        selector = selector_from_map(service["spec"].get("selector"))
        wanted: dict[Ports, dict[str, Json]] = {}
        for pod in self._pods.by_index("namespace", service["metadata"]["namespace"]):
            if selector.matches(labels_of(pod)) and is_endpoint(pod):
                made = self._make(service, pod)
                wanted.setdefault(made.ports, {})[uid_of(pod)] = made.endpoint
        if not wanted:
            wanted[()] = {}  # A Service without pods has one slice, empty.
        return wanted

    def _make(self, service: Json, pod: Json) -> "_Made":
        """Make a pod's endpoint, or return the one made before: objects never change, so neither does it."""
        node = self._nodes.get(ObjectKey("", node_of(pod)))
        key = (uid_of(service), uid_of(pod))
        made = self._made.get(key)
        if made is None or made.pod is not pod or made.service is not service or made.node is not node:
            endpoint = endpoint_of(service, pod, node)
            made = self._made[key] = _Made(service, pod, node, ports_of(service, pod), endpoint)
        return made

    def _fit(self, service: Json, ports: Ports, endpoints: dict[str, Json], slices: list[Json]) -> None:
        """Change as few slices as will do: keep who is there, drop who isn't, fill up, then add."""
        left = dict(endpoints)
        kept: list[tuple[Json, list[Json]]] = []
        for one in slices:
            members = [e["targetRef"]["uid"] for e in one.get("endpoints") or ()]
            kept.append((one, [left.pop(uid) for uid in members if uid in left]))
        for _, members_kept in kept:
            while left and len(members_kept) < MOST_PER_SLICE:
                members_kept.append(left.pop(next(iter(left))))
        for one, content in kept:
            if not content and len(kept) > 1:
                self.client.delete(SLICES, key_of(one))
                kept = [pair for pair in kept if pair[0] is not one]
            else:
                self._rewrite(service, one, content)
        while left or not kept:
            batch = [left.pop(uid) for uid in list(left)[:MOST_PER_SLICE]]
            self.client.create(SLICES, service["metadata"]["namespace"], _body(service, ports, batch))
            kept.append(({}, batch))

    def _rewrite(self, service: Json, one: Json, content: list[Json]) -> None:
        diff = merge_diff(labels_of(one), _labels(service))
        patch: Json = {"metadata": {"labels": diff}} if diff else {}
        if (one.get("endpoints") or []) != content:
            patch["endpoints"] = content
        if patch:
            self.client.patch(SLICES, key_of(one), patch)


def _labels(service: Json) -> Json:
    labels = {
        **labels_of(service),
        SERVICE_LABEL: service["metadata"]["name"],
        MANAGER_LABEL: MANAGER,
    }
    if service["spec"].get("clusterIP") in {None, "", "None"}:
        labels[HEADLESS_LABEL] = ""
    return labels


def _body(service: Json, ports: Ports, endpoints: list[Json]) -> Json:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{service['metadata']['name']}-",
            "labels": _labels(service),
            "ownerReferences": [controller_reference(service, "v1", "Service")],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": slice_ports(ports),
    }


def _ports_in(one: Json) -> Ports:
    return tuple(
        (p.get("name") or "", p.get("protocol") or "TCP", int(p["port"]), p.get("appProtocol") or "")
        for p in one.get("ports") or ()
    )


def _by_service(one: Json) -> tuple[str, ...]:
    labels = labels_of(one)
    if labels.get(MANAGER_LABEL) != MANAGER or SERVICE_LABEL not in labels:
        return ()
    return (f"{one['metadata']['namespace']}/{labels[SERVICE_LABEL]}",)
