"""Namespaces: what is in them goes first, then they go; and what every namespace has from the start."""

from datetime import timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import ApiError, DeleteOptions, Json, StoreEvent
from cafe_sim.controllers.base import Controller, Plane
from cafe_sim.machinery.conditions import find_condition, with_condition
from cafe_sim.machinery.kinds import Kind
from cafe_sim.machinery.objects import is_deleting, key_of, status_of, uid_of

RESOURCE = "namespaces"
CALM = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


class NamespaceController(Controller):
    """Empties namespaces that are being deleted, and then takes the finalizer `kubernetes`."""

    name = "namespace-controller"

    def start(self) -> None:
        """Follow namespaces; and whatever may be in them, to see the last of it go."""
        self._namespaces = self.follow(RESOURCE)
        self.plane.catalogue.follow(self._on_kind)

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Delete what the namespace holds; let it go once that is gone."""
        namespace = self._namespaces.get(key)
        if namespace is None or not is_deleting(namespace):
            return None
        left = self._empty(key.name)
        self._report(namespace, left)
        if left:
            return None  # Their events bring us back.
        namespace = self._namespaces.get(key) or namespace
        finalizers = [f for f in namespace["spec"].get("finalizers") or () if f != "kubernetes"]
        if finalizers != list(namespace["spec"].get("finalizers") or ()):
            body = {**namespace, "spec": {**namespace["spec"], "finalizers": finalizers}}
            self.client.update(RESOURCE, "", body, "finalize")
        return None

    def _on_kind(self, kind: Kind) -> None:
        if kind.is_namespaced:
            self.client.informer(kind.resource).follow(self._on_content)

    def _on_content(self, event: StoreEvent) -> None:
        if event.type == "MODIFIED":
            return
        key = ObjectKey("", event.new["metadata"]["namespace"])
        namespace = self._namespaces.get(key)
        if namespace is not None and is_deleting(namespace):
            self.queue.add(key)

    def _empty(self, name: str) -> dict[str, list[Json]]:
        """Delete everything that isn't on its way already; return what is still there, by resource."""
        left: dict[str, list[Json]] = {}
        for kind in self.plane.catalogue.kinds():
            if not kind.is_namespaced:
                continue
            for obj in self.client.api.list(kind.resource, name):
                if not is_deleting(obj):
                    self._delete(kind.resource, obj)
                if self.client.api.get(kind.resource, name, obj["metadata"]["name"]) is not None:
                    left.setdefault(kind.resource, []).append(obj)
        return left

    def _delete(self, resource: str, obj: Json) -> None:
        options = DeleteOptions(propagation="Background", uid=uid_of(obj), by="namespace-controller")
        try:
            self.client.delete(resource, key_of(obj), options)
        except ApiError as error:
            if error.status != 409:
                raise

    def _report(self, namespace: Json, left: dict[str, list[Json]]) -> None:
        verdicts = {kind: ("False", *words) for kind, words in CALM.items()}
        if left:
            counts = ", ".join(f"{name} has {len(objs)} resource instances" for name, objs in left.items())
            told = f"Some resources are remaining: {counts}"
            verdicts["NamespaceContentRemaining"] = ("True", "SomeResourcesRemain", told)
        held: dict[str, int] = {}
        for objs in left.values():
            for obj in objs:
                for finalizer in obj["metadata"].get("finalizers") or ():
                    held[finalizer] = held.get(finalizer, 0) + 1
        if held:
            counts = ", ".join(f"{name} in {count} resource instances" for name, count in held.items())
            told = f"Some content in the namespace has finalizers remaining: {counts}"
            verdicts["NamespaceFinalizersRemaining"] = ("True", "SomeFinalizersRemain", told)
        status = status_of(namespace)
        conditions: list[Json] = list(status.get("conditions") or ())
        for kind, (value, reason, message) in verdicts.items():
            new = {"type": kind, "status": value, "reason": reason, "message": message}
            before = find_condition({"conditions": conditions}, kind)
            if before is None or any(before.get(field) != new[field] for field in new):
                conditions = with_condition(conditions, new, self.now())
        self.patch_status(RESOURCE, namespace, {**status, "phase": "Terminating", "conditions": conditions})


class NamespaceContents(Controller):
    """Gives every namespace its ServiceAccount `default` and the ConfigMap `kube-root-ca.crt`."""

    name = "serviceaccount-controller"

    def __init__(self, plane: Plane, certificate: str) -> None:
        super().__init__(plane)
        self._certificate = certificate

    def start(self) -> None:
        """Follow namespaces, and what belongs into each."""
        self._namespaces = self.follow(RESOURCE)
        for resource, name in (("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")):
            self._follow_named(resource, name)

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Put back what is missing."""
        namespace = self._namespaces.get(key)
        if namespace is None or is_deleting(namespace):
            return None
        if self.client.api.get("serviceaccounts", key.name, "default") is None:
            body: Json = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
            self._create("serviceaccounts", key.name, body)
        data = {"ca.crt": self._certificate}
        there = self.client.api.get("configmaps", key.name, "kube-root-ca.crt")
        if there is None:
            why = "Contains a CA bundle that can be used to verify the kube-apiserver"
            meta = {"name": "kube-root-ca.crt", "annotations": {"kubernetes.io/description": why}}
            self._create(
                "configmaps",
                key.name,
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data},
            )
        elif there.get("data") != data:
            self.client.patch("configmaps", key_of(there), {"data": data})
        return None

    def _create(self, resource: str, namespace: str, body: Json) -> None:
        try:
            self.client.create(resource, namespace, body)
        except ApiError as error:
            if error.reason not in {"AlreadyExists", "Forbidden", "NotFound"}:
                raise

    def _follow_named(self, resource: str, name: str) -> None:
        def on_event(event: StoreEvent) -> None:
            key = key_of(event.new)
            if key.name == name and event.type != "ADDED":
                self.queue.add(ObjectKey("", key.namespace))

        self.client.informer(resource).follow(on_event)
