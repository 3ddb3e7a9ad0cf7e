"""The API server: one synchronous step a call, over one store."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from cafe.kernel import Entropy
from cafe.kube.transport import Request
from cafe_sim.apiserver import errors
from cafe_sim.apiserver.admission import BuiltinAdmission
from cafe_sim.apiserver.changes import Changes
from cafe_sim.apiserver.context import Context, Target, User
from cafe_sim.apiserver.crds.controller import DefinitionController
from cafe_sim.apiserver.dispatch import Answer, Caller, Dispatcher
from cafe_sim.apiserver.kinds.catalogue import builtin_resources
from cafe_sim.apiserver.metadata import stamp
from cafe_sim.apiserver.operations import Operations
from cafe_sim.apiserver.policies import PolicyAdmission
from cafe_sim.apiserver.registry import Registry
from cafe_sim.apiserver.resource import Resource
from cafe_sim.apiserver.steps import Steps, WebhookCall, WebhookCaller, WebhookFailure, WebhookReply, finish
from cafe_sim.apiserver.store import Commit, Store
from cafe_sim.apiserver.tracking import FieldTracker, NoTracker
from cafe_sim.apiserver.usage import metrics_resource
from cafe_sim.apiserver.values import merge
from cafe_sim.apiserver.webhooks import WebhookAdmission
from cafe_sim.apiserver.writing import check_kind
from cafe_sim.contract import DeleteOptions, Json, StoreEvent, Timeline

T = TypeVar("T")
FIRST_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
CLUSTER_MANAGER = "kube-controller-manager"
_ANYBODY = Caller()
_AS_USUAL = DeleteOptions()


class ApiServer:
    """A Kubernetes API server in one object. Implements `cafe_sim.contract.Api`.

    Attributes:
        store: What it holds.
        registry: What it serves.
        operations: What can be done to single objects.

    Args:
        timeline: Where time comes from.
        entropy: Where UIDs and generated names come from.
        history: How many commits of each resource can be watched from; older ones answer 410.
        ask: Asks webhooks where nothing can wait: for `dispatch` and for the cluster's own parts. Without it
            those parts are exempt from webhooks, and for `dispatch` each webhook counts as unreachable. The
            HTTP server asks over the network and doesn't need it.
        tracks_fields: Whether writes keep `managedFields`: a third of a write's cost, which long simulations
            can do without. Server-side apply needs them.
        serves_metrics: Whether `metrics.k8s.io` is there, as in a cluster with a metrics server; without it
            no HorizontalPodAutoscaler scales.
    """

    def __init__(
        self,
        timeline: Timeline,
        entropy: Entropy,
        *,
        history: int = 10_000,
        ask: WebhookCaller | None = None,
        tracks_fields: bool = True,
        serves_metrics: bool = True,
    ) -> None:
        self._ask = ask
        self.timeline = timeline
        self.entropy = entropy
        self.store = Store(history)
        self.registry = Registry(builtin_resources())
        if serves_metrics:
            self.registry.add(metrics_resource(self.now))
        self.tracker = FieldTracker(self)
        admission = WebhookAdmission(PolicyAdmission(BuiltinAdmission(self), self), self)
        tracker = self.tracker if tracks_fields else NoTracker()
        self.operations = Operations(self.store, self, admission, tracker)
        changes = Changes(self.store, self.operations, self.tracker)
        self.dispatcher = Dispatcher(self.store, self.registry, self.operations, changes, timeline)
        DefinitionController(self)
        for name in FIRST_NAMESPACES:
            self.create("namespaces", "", {"metadata": {"name": name}})

    def dispatch(self, request: Request, caller: Caller = _ANYBODY) -> Answer:
        """Answer one HTTP request at once.

        Returns:
            A whole response, or an open watch or log whose lines the caller takes when it likes.
        """
        return self._run(self.dispatcher.serve(request, caller))

    @property
    def may_ask(self) -> bool:
        """The cluster's own parts can ask webhooks without waiting."""
        return self._ask is not None

    def now(self) -> datetime:
        """Return the world's time."""
        return self.timeline.now()

    def find(self, resource: str, namespace: str, name: str) -> Json | None:
        """Return an object of any resource as it is stored, or None."""
        return self.store.table(resource).get(namespace, name)

    def every(self, resource: str, namespace: str | None = None) -> list[Json]:
        """Return all objects of a resource as they are stored."""
        return self.store.table(resource).rows(namespace)

    def get(self, resource: str, namespace: str, name: str) -> Json | None:
        """Return the object, or None."""
        known = self._resource(resource)
        found = self.store.table(known.key).get(namespace, name)
        return None if found is None or not known.shows(found) else known.present(found)

    def list(self, resource: str, namespace: str | None = None) -> list[Json]:
        """Return all objects, of one namespace or of all, in the order of their names."""
        known = self._resource(resource)
        rows = self.store.table(known.key).rows(namespace)
        return [known.present(row) for row in rows if known.shows(row)]

    def scale(self, resource: str, namespace: str, name: str) -> Json:
        """Return the `autoscaling/v1` Scale of an object.

        Raises:
            ApiError: 404, there is no such object, or it has no scale.
        """
        known = self._resource(resource)
        if "scale" not in known.subresources:
            raise errors.no_such_path()
        return self.operations.get(Target(known, namespace, name, "scale"))

    def create(self, resource: str, namespace: str, body: Json) -> Json:
        """Create *body* and return it as stored.

        Raises:
            ApiError: It is refused.
        """
        known = self._resource(resource)
        name = (body.get("metadata") or {}).get("name", "")
        target = Target(known, namespace if known.is_namespaced else "", name)
        return self._run(self.operations.create(target, self._context(), body))

    def update(self, resource: str, namespace: str, body: Json, subresource: str = "") -> Json:
        """Replace the object or its subresource, guarded by `metadata.resourceVersion` if *body* has one.

        Raises:
            ApiError: It is refused.
        """
        known = self._resource(resource)
        if subresource != "scale":
            check_kind(known, body.get("kind", known.kind), body.get("apiVersion", known.api_version))
        target = Target(known, namespace, body["metadata"]["name"], subresource)
        return self._run(self.operations.update(target, self._context(), lambda _: body, is_put=True))

    def patch(self, resource: str, namespace: str, name: str, patch: Json, subresource: str = "") -> Json:
        """Apply a JSON merge patch (RFC 7396).

        Raises:
            ApiError: It is refused.
        """
        target = Target(self._resource(resource), namespace, name, subresource)
        return self._run(self.operations.update(target, self._context(), lambda old: merge(old, patch)))

    def delete(
        self, resource: str, namespace: str, name: str, options: DeleteOptions = _AS_USUAL
    ) -> Json | None:
        """Begin or finish deletion; return the object if it still stands (finalizers, grace period).

        Raises:
            ApiError: It is refused.
        """
        target = Target(self._resource(resource), namespace, name)
        obj, is_gone = self._run(self.operations.delete(target, self._context(options.by), options))
        return None if is_gone else obj

    def create_subresource(
        self, resource: str, namespace: str, name: str, subresource: str, body: Json
    ) -> Json:
        """Post to a subresource: `binding`, `eviction`.

        Raises:
            ApiError: It is refused.
        """
        target = Target(self._resource(resource), namespace, name, subresource)
        return self._run(self.operations.create(target, self._context(), body))

    def subscribe(self, resource: str, handler: Callable[[StoreEvent], None]) -> None:
        """Call *handler* for each later commit, each in a step of its own, in order."""
        key = self._resource(resource).key

        def listen(commit: Commit) -> None:
            event = commit.event()
            self.timeline.soon(lambda: handler(event))

        self.store.table(key).listen(listen)

    def _resource(self, name: str) -> Resource:
        found = self.registry.named(name)
        if found is None:
            raise errors.no_such_path()
        return found

    def _context(self, by: str = "") -> Context:
        user = _part(by) if by else User(f"system:{CLUSTER_MANAGER}", ("system:authenticated",))
        return Context(
            user=user, manager=CLUSTER_MANAGER, validation="Ignore", is_trusted=True, is_named=bool(by)
        )

    def _run(self, steps: Steps[T]) -> T:
        return finish(steps, self._ask or _nobody_to_ask)

    def stamp(self) -> str:
        """Return the world's time as `metav1.Time`."""
        return stamp(self.now())


def _part(by: str) -> User:
    """Return as whom a part of the cluster is authenticated."""
    if by.startswith("node:"):
        return User(f"system:{by}", ("system:nodes", "system:authenticated"))
    name = f"system:serviceaccount:kube-system:{by}"
    return User(
        name, ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
    )


def _nobody_to_ask(call: WebhookCall) -> WebhookReply:
    return WebhookFailure(f"no one can be asked about {call.name} here")
