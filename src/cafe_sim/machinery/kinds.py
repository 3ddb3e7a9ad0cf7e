"""Which kinds there are: the built-in ones, and those that CustomResourceDefinitions add."""

from collections.abc import Callable, Iterator, Mapping
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


_NAMESPACED = {
    "": "pods:Pod services:Service endpoints:Endpoints configmaps:ConfigMap secrets:Secret "
    "serviceaccounts:ServiceAccount persistentvolumeclaims:PersistentVolumeClaim events:Event "
    "limitranges:LimitRange resourcequotas:ResourceQuota podtemplates:PodTemplate "
    "replicationcontrollers:ReplicationController",
    "apps": "deployments:Deployment replicasets:ReplicaSet statefulsets:StatefulSet daemonsets:DaemonSet "
    "controllerrevisions:ControllerRevision",
    "autoscaling": "horizontalpodautoscalers:HorizontalPodAutoscaler",
    "coordination.k8s.io": "leases:Lease",
    "discovery.k8s.io": "endpointslices:EndpointSlice",
    "networking.k8s.io": "ingresses:Ingress networkpolicies:NetworkPolicy",
    "policy": "poddisruptionbudgets:PodDisruptionBudget",
    "rbac.authorization.k8s.io": "roles:Role rolebindings:RoleBinding",
}
_CLUSTER_WIDE = {
    "": "namespaces:Namespace nodes:Node persistentvolumes:PersistentVolume",
    "admissionregistration.k8s.io": "mutatingwebhookconfigurations:MutatingWebhookConfiguration "
    "validatingwebhookconfigurations:ValidatingWebhookConfiguration "
    "validatingadmissionpolicies:ValidatingAdmissionPolicy "
    "validatingadmissionpolicybindings:ValidatingAdmissionPolicyBinding",
    "apiextensions.k8s.io": "customresourcedefinitions:CustomResourceDefinition",
    "networking.k8s.io": "ingressclasses:IngressClass",
    "rbac.authorization.k8s.io": "clusterroles:ClusterRole clusterrolebindings:ClusterRoleBinding",
    "scheduling.k8s.io": "priorityclasses:PriorityClass",
    "storage.k8s.io": "csidrivers:CSIDriver csinodes:CSINode storageclasses:StorageClass "
    "volumeattachments:VolumeAttachment",
}


def _kinds(table: Mapping[str, str], *, is_namespaced: bool) -> Iterator[Kind]:
    for group, entries in table.items():
        for entry in entries.split():
            plural, _, kind = entry.partition(":")
            yield Kind(f"{plural}.{group}" if group else plural, group, kind, is_namespaced)


BUILT_IN = (*_kinds(_CLUSTER_WIDE, is_namespaced=False), *_kinds(_NAMESPACED, is_namespaced=True))
"""Every built-in kind that can be deleted."""


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
