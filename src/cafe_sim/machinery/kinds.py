"""Which kinds there are: the built-in ones, and those that CustomResourceDefinitions add."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from cafe.kernel import ObjectKey
from cafe_sim.contract import ApiError, StoreEvent, Timeline
from cafe_sim.machinery.client import Client
from cafe_sim.machinery.objects import key_of
from cafe_sim.machinery.queue import Queue

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class Kind(NamedTuple):
    """A kind, and the resource that serves it."""

    resource: str
    group: str
    kind: str
    is_namespaced: bool


BUILT_IN = (
    Kind("namespaces", "", "Namespace", is_namespaced=False),
    Kind("nodes", "", "Node", is_namespaced=False),
    Kind("persistentvolumes", "", "PersistentVolume", is_namespaced=False),
    Kind("pods", "", "Pod", is_namespaced=True),
    Kind("services", "", "Service", is_namespaced=True),
    Kind("endpoints", "", "Endpoints", is_namespaced=True),
    Kind("configmaps", "", "ConfigMap", is_namespaced=True),
    Kind("secrets", "", "Secret", is_namespaced=True),
    Kind("serviceaccounts", "", "ServiceAccount", is_namespaced=True),
    Kind("persistentvolumeclaims", "", "PersistentVolumeClaim", is_namespaced=True),
    Kind("events", "", "Event", is_namespaced=True),
    Kind("deployments.apps", "apps", "Deployment", is_namespaced=True),
    Kind("replicasets.apps", "apps", "ReplicaSet", is_namespaced=True),
    Kind("statefulsets.apps", "apps", "StatefulSet", is_namespaced=True),
    Kind("controllerrevisions.apps", "apps", "ControllerRevision", is_namespaced=True),
    Kind("leases.coordination.k8s.io", "coordination.k8s.io", "Lease", is_namespaced=True),
    Kind("endpointslices.discovery.k8s.io", "discovery.k8s.io", "EndpointSlice", is_namespaced=True),
    Kind("poddisruptionbudgets.policy", "policy", "PodDisruptionBudget", is_namespaced=True),
    Kind("roles.rbac.authorization.k8s.io", "rbac.authorization.k8s.io", "Role", is_namespaced=True),
    Kind(
        "rolebindings.rbac.authorization.k8s.io",
        "rbac.authorization.k8s.io",
        "RoleBinding",
        is_namespaced=True,
    ),
)


class Catalogue:
    """The kinds the server serves now. Those that it doesn't know are left out."""

    def __init__(self, client: Client, timeline: Timeline) -> None:
        self._client = client
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._handlers: list[Callable[[Kind], None]] = []
        self._queue: Queue[ObjectKey] = Queue(timeline, self._look)
        for kind in BUILT_IN:
            self._try(kind)
        try:
            self._definitions = client.informer(DEFINITIONS)
        except ApiError:
            return  # A server without custom resources.
        self._definitions.follow(self._on_definition)

    def kinds(self) -> list[Kind]:
        """Return all kinds, in the order in which they became known."""
        return list(self._kinds.values())

    def kind_of(self, api_version: str, kind: str) -> Kind | None:
        """Return what an owner reference names, in whichever version, or None."""
        group = api_version.rpartition("/")[0]
        return self._kinds.get((group, kind))

    def follow(self, handler: Callable[[Kind], None]) -> None:
        """Call *handler* for each kind, those to come included."""
        self._handlers.append(handler)
        for kind in self.kinds():
            handler(kind)

    def stop(self) -> None:
        """Look no more."""
        self._queue.stop()

    def _on_definition(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            spec = event.new["spec"]
            self._kinds.pop((spec["group"], spec["names"]["kind"]), None)
        elif event.old is None or event.old.get("status") != event.new.get("status"):
            self._queue.add(key_of(event.new))

    def _look(self, key: ObjectKey) -> timedelta | None:
        definition = self._definitions.get(key)
        if definition is None:
            return None
        spec = definition["spec"]
        group, names = spec["group"], spec["names"]
        if (group, names["kind"]) not in self._kinds:
            kind = Kind(f"{names['plural']}.{group}", group, names["kind"], spec["scope"] == "Namespaced")
            if not self._try(kind):
                return timedelta(seconds=1)
        return None

    def _try(self, kind: Kind) -> bool:
        try:
            self._client.informer(kind.resource)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        self._kinds[kind.group, kind.kind] = kind
        for handler in self._handlers:
            handler(kind)
        return True
