"""A simulated cluster: nodes, controllers and a scheduler on top of an API server.

    cluster = SimCluster(api, timeline, entropy)
    cluster.build_cells({"cell-a": "zone-1", "cell-b": "zone-2"}, nodes_per_cell=2)
    cluster.start()

Everything happens in steps of the timeline; nothing polls, so hours in which nothing changes cost nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cafe.kernel import Entropy, ObjectKey
from cafe_sim.contract import Api, ApiError, Json, StoreEvent, Timeline
from cafe_sim.controllers.autoscaler import HorizontalController
from cafe_sim.controllers.autoscaler_metrics import Autoscaling
from cafe_sim.controllers.base import Plane
from cafe_sim.controllers.deployment import DeploymentController
from cafe_sim.controllers.disruption import DisruptionController
from cafe_sim.controllers.endpoint_slices import EndpointSliceController
from cafe_sim.controllers.garbage_collector import GarbageCollector
from cafe_sim.controllers.namespaces import NamespaceContents, NamespaceController
from cafe_sim.controllers.node_lifecycle import NodeLifecycleController
from cafe_sim.controllers.pod_collector import PodCollector
from cafe_sim.controllers.replicaset import ReplicaSetController
from cafe_sim.controllers.statefulset import StatefulSetController
from cafe_sim.controllers.taint_eviction import TaintEvictionController
from cafe_sim.controllers.volume_claims import VolumeClaimController
from cafe_sim.kubelet.host import Timing
from cafe_sim.kubelet.kubelet import Kubelet, World
from cafe_sim.kubelet.logs import ContainerLogs
from cafe_sim.kubelet.node import LEASE_NAMESPACE, NodeSpec
from cafe_sim.kubelet.registry import Registry
from cafe_sim.machinery.client import Client
from cafe_sim.machinery.kinds import Catalogue
from cafe_sim.machinery.pods import node_of
from cafe_sim.machinery.recorder import Recorder
from cafe_sim.scheduler.scheduler import Scheduler

CELL_LABEL = "cafe.sofastack.io/cell"
ZONE_LABEL = "topology.kubernetes.io/zone"
NAMESPACES = ("default", "kube-system", "kube-public", LEASE_NAMESPACE)


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How the cluster behaves.

    Attributes:
        registry: Where its nodes pull from.
        timing: How fast its nodes work.
        renews_leases: Whether heartbeats are real writes, as a person who looks at Leases expects.
        certificate: The CA in PEM, for the ConfigMap `kube-root-ca.crt`.
        has_events: Whether Events are written: half of all writes, which long simulations can do without.
        autoscaling: How HorizontalPodAutoscalers are treated; the flags of kube-controller-manager.
    """

    registry: Registry = field(default_factory=Registry)
    timing: Timing = field(default_factory=Timing)
    renews_leases: bool = False
    certificate: str = ""
    has_events: bool = True
    autoscaling: Autoscaling = field(default_factory=Autoscaling)


class Part(Protocol):
    """What runs in the control plane."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""


class SimCluster:
    """Nodes and control plane. Nodes may be added before and after `start`.

    Attributes:
        client: The API with the cluster's shared caches; `client.writes` counts what the cluster wrote.
        timing: How fast the nodes work; may be changed at any time.
        kubelets: By node name; their methods are the handles for faults.
        logs: What containers wrote; give it to `ApiServer.dispatcher.log_source`.
    """

    def __init__(
        self, api: Api, timeline: Timeline, entropy: Entropy, options: ClusterOptions | None = None
    ) -> None:
        options = options or ClusterOptions()
        self.client = Client(api)
        self.timing = options.timing
        self.kubelets: dict[str, Kubelet] = {}
        self.logs = ContainerLogs(self.kubelets, timeline)
        self._recorder = Recorder(self.client, timeline, is_silent=not options.has_events)
        self._catalogue = Catalogue(self.client, timeline)
        self._is_started = False
        self._next_index = 0
        self._world = World(
            client=self.client,
            timeline=timeline,
            entropy=entropy,
            recorder=self._recorder,
            registry=options.registry,
            timing=self.timing,
            renews_leases=options.renews_leases,
            on_silence=self._on_silence,
        )
        plane = Plane(self.client, timeline, self._recorder, self._catalogue)
        self._node_lifecycle = NodeLifecycleController(plane, self._is_beating)
        self._parts: tuple[Part, ...] = (
            GarbageCollector(plane),
            NamespaceController(plane),
            NamespaceContents(plane, options.certificate),
            DeploymentController(plane),
            ReplicaSetController(plane),
            StatefulSetController(plane),
            VolumeClaimController(plane),
            EndpointSliceController(plane),
            DisruptionController(plane),
            HorizontalController(plane, options.autoscaling),
            PodCollector(plane),
            self._node_lifecycle,
            TaintEvictionController(plane),
            Scheduler(self.client, timeline, self._recorder),
        )

    def add_node(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        capacity: Mapping[str, str] | None = None,
        taints: Iterable[Json] = (),
    ) -> Kubelet:
        """Add a node.

        Args:
            name: Its name.
            labels: Besides hostname, os and arch.
            capacity: Quantities of `cpu` (default 4), `memory` (16Gi), `pods` (110), and any other resource.
            taints: As in `spec.taints`.

        Raises:
            ValueError: There is a node of that name.
        """
        if name in self.kubelets:
            raise ValueError(f"there is a node {name} already")
        spec = NodeSpec(name, dict(labels or {}), dict(capacity or {}), self._next_index, tuple(taints))
        self._next_index += 1
        kubelet = self.kubelets[name] = Kubelet(self._world, spec)
        if self._is_started:
            kubelet.start()
        return kubelet

    def build_cells(self, cells: Mapping[str, str], nodes_per_cell: int) -> list[Kubelet]:
        """Add *nodes_per_cell* nodes to each of *cells*, given with their zones; named `<cell>-node-<n>`."""
        return [
            self.add_node(f"{cell}-node-{number}", {CELL_LABEL: cell, ZONE_LABEL: zone})
            for cell, zone in cells.items()
            for number in range(1, nodes_per_cell + 1)
        ]

    def remove_node(self, name: str) -> None:
        """Take a machine away for good; its Node object stays until someone deletes it."""
        self.kubelets[name].power_off()
        del self.kubelets[name]

    def start(self) -> None:
        """Make the system's namespaces, and start the control plane and all nodes."""
        self._is_started = True
        for name in NAMESPACES:
            self._ensure_namespace(name)
        for part in self._parts:
            part.start()
        for kubelet in self.kubelets.values():
            kubelet.start()
        self.client.informer("pods").follow(self._on_pod)

    def stop(self) -> None:
        """End everything; the API's objects stay as they are."""
        for kubelet in self.kubelets.values():
            kubelet.stop()
        for part in self._parts:
            part.stop()
        self._catalogue.stop()
        self._recorder.stop()
        self.client.stop()

    def _on_pod(self, event: StoreEvent) -> None:
        kubelet = self.kubelets.get(node_of(event.new))
        if kubelet is not None:
            kubelet.on_pod(event)

    def _on_silence(self, name: str) -> None:
        self._node_lifecycle.queue.add(ObjectKey("", name))

    def _is_beating(self, name: str) -> bool:
        kubelet = self.kubelets.get(name)
        return kubelet is not None and kubelet.is_beating and not self._world.renews_leases

    def _ensure_namespace(self, name: str) -> None:
        if self.client.api.get("namespaces", "", name) is not None:
            return
        body: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            self.client.create("namespaces", "", body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
