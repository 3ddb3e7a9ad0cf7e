"""The caches that workloads read, shared by their controllers, and who is woken by what."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

from cafe.api.cafedeployment import NODE_LABELS, CafeDeployment, UnitType
from cafe.api.inplaceset import InPlaceSet
from cafe.api.names import APP_LABEL
from cafe.api.podroster import PodRoster
from cafe.api.selectors import matches
from cafe.api.shapes import Metadata
from cafe.api.shapes import OwnerReference as ApiOwner
from cafe.kernel import Clock, ObjectKey
from cafe.kube.cache import Cache, Handler
from cafe.kube.caches import Caches
from cafe.kube.indexes import by_controller
from cafe.kube.kinds import CAFE_DEPLOYMENTS, IN_PLACE_SETS, POD_ROSTERS
from cafe.kube.objects import (
    CONTROLLER_REVISIONS,
    NODES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    ControllerRevision,
    Node,
    OwnerReference,
    Pod,
    ReplicaSet,
    StatefulSet,
)
from cafe.workloads.adapters.door import Door

CONTROLLER = "controller"
ORPHANS = "orphans"
OWNER_APP = "owner-app"
NATIVES = frozenset({REPLICA_SETS.kind, STATEFUL_SETS.kind})
"""The kinds of Kubernetes' own sets by which units may be served."""

Wake = Callable[[ObjectKey], None]


def set_scope(key: ObjectKey) -> Hashable:
    """Return the scope of own writes made for one InPlaceSet."""
    return (IN_PLACE_SETS.kind, key)


def app_scope(key: ObjectKey) -> Hashable:
    """Return the scope of own writes made for one CafeDeployment."""
    return (CAFE_DEPLOYMENTS.kind, key)


def controller_of(meta: Metadata) -> ApiOwner | None:
    """Return the one owner that controls an object of ours, or None."""
    return next((owner for owner in meta.owner_references if owner.controller), None)


def _by_owner_app(body: InPlaceSet) -> tuple[str, ...]:
    owner = controller_of(body.metadata)
    return (owner.uid,) if owner is not None and owner.kind == CAFE_DEPLOYMENTS.kind else ()


def _by_owner_native(body: ReplicaSet | StatefulSet) -> tuple[str, ...]:
    owner = body.metadata.controller
    return (owner.uid,) if owner is not None and owner.kind == CAFE_DEPLOYMENTS.kind else ()


def _orphans(pod: Pod) -> tuple[str, ...]:
    return () if pod.metadata.controller is not None else (pod.metadata.namespace,)


class UnitCensus:
    """Which cells and zones have nodes; kept from changes, so that asking costs nothing."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {label: Counter() for label in NODE_LABELS.values()}

    def saw(self, old: Node | None, new: Node | None) -> bool:
        """Take in a node's change; say whether a unit came or went."""
        before = {label: frozenset(+counts) for label, counts in self._counts.items()}
        for label, counts in self._counts.items():
            if old is not None and (value := old.metadata.labels.get(label)):
                counts[value] -= 1
            if new is not None and (value := new.metadata.labels.get(label)):
                counts[value] += 1
        return before != {label: frozenset(+counts) for label, counts in self._counts.items()}

    def units(self, unit_type: UnitType) -> frozenset[str]:
        """Return the units of that type that have nodes."""
        label = NODE_LABELS.get(unit_type)
        return frozenset(+self._counts[label]) if label else frozenset()


class Watched:
    """The caches, with the indexes that workloads need."""

    def __init__(self, caches: Caches, clock: Clock) -> None:
        self.pods: Cache[Pod] = caches.cache(PODS)
        self.door = Door(clock, self.pods)
        self.nodes: Cache[Node] = caches.cache(NODES)
        self.revisions: Cache[ControllerRevision] = caches.cache(CONTROLLER_REVISIONS)
        self.sets: Cache[InPlaceSet] = caches.cache(IN_PLACE_SETS)
        self.rosters: Cache[PodRoster] = caches.cache(POD_ROSTERS)
        self.apps: Cache[CafeDeployment] = caches.cache(CAFE_DEPLOYMENTS)
        self.replica_sets: Cache[ReplicaSet] = caches.cache(REPLICA_SETS, label_selector=APP_LABEL)
        self.stateful_sets: Cache[StatefulSet] = caches.cache(STATEFUL_SETS, label_selector=APP_LABEL)
        self.census = UnitCensus()
        self.pods.add_index(CONTROLLER, by_controller)
        self.pods.add_index(ORPHANS, _orphans)
        self.revisions.add_index(CONTROLLER, by_controller)
        self.sets.add_index(OWNER_APP, _by_owner_app)
        self.replica_sets.add_index(OWNER_APP, _by_owner_native)
        self.stateful_sets.add_index(OWNER_APP, _by_owner_native)

    def is_current(self, scope: Hashable) -> bool:
        """Whether every cache shows all own writes made for *scope*."""
        return all(cache.is_current(scope) for cache in self._written())

    def _written(self) -> tuple[Cache[Any], ...]:
        """Return the caches of what these controllers write."""
        native = (self.replica_sets, self.stateful_sets)
        return (self.pods, self.revisions, self.sets, self.rosters, self.apps, *native)

    def wake_sets(self, wake: Wake) -> None:
        """Call *wake* with the key of each InPlaceSet that something concerns."""

        def pod_changed(old: Pod | None, new: Pod | None) -> None:
            for pod in (old, new):
                owner = pod.metadata.controller if pod is not None else None
                if pod is not None and owner is not None and owner.kind == IN_PLACE_SETS.kind:
                    wake(ObjectKey(pod.metadata.namespace, owner.name))
            if new is not None and new.metadata.controller is None:
                for found in self.sets:
                    same_place = found.metadata.namespace == new.metadata.namespace
                    if same_place and matches(found.spec.selector, new.metadata.labels):
                        wake(ObjectKey(found.metadata.namespace, found.metadata.name))

        def app_changed(old: CafeDeployment | None, new: CafeDeployment | None) -> None:
            # A set that has heard of a new revision before its application's cache did has held back.
            if old and new and old.status.update_revision != new.status.update_revision:
                for found in self.sets.by_index(OWNER_APP, new.metadata.uid):
                    wake(ObjectKey(found.metadata.namespace, found.metadata.name))

        self.pods.on_change(pod_changed)
        self.apps.on_change(app_changed)
        self.door.on_room(wake)
        self.sets.on_change(_own_key(wake))
        self._wake_settled(IN_PLACE_SETS.kind, wake)

    def wake_set_of(self, key: ObjectKey, wake: Wake) -> None:
        """Call *wake* with the key of the InPlaceSet that a pod belongs to, if it does."""
        pod = self.pods.get(key)
        owner = pod.metadata.controller if pod is not None else None
        if owner is not None and owner.kind == IN_PLACE_SETS.kind:
            wake(ObjectKey(key.namespace, owner.name))

    def wake_apps(self, wake: Wake) -> None:
        """Call *wake* with the key of each CafeDeployment that something concerns."""

        def node_changed(old: Node | None, new: Node | None) -> None:
            if self.census.saw(old, new):
                for app in self.apps:
                    wake(ObjectKey(app.metadata.namespace, app.metadata.name))

        self.sets.on_change(_app_above(wake, lambda found: controller_of(found.metadata)))
        self.replica_sets.on_change(_app_above(wake, lambda found: found.metadata.controller))
        self.stateful_sets.on_change(_app_above(wake, lambda found: found.metadata.controller))
        self.pods.on_change(_app_of_pod(wake))
        self.nodes.on_change(node_changed)
        self.apps.on_change(_own_key(wake))
        self._wake_settled(CAFE_DEPLOYMENTS.kind, wake)

    def _wake_settled(self, kind: str, wake: Wake) -> None:
        """Wake whoever held because own writes were not visible, once they are."""

        def settled(scope: Hashable) -> None:
            if isinstance(scope, tuple) and scope[0] == kind:
                wake(scope[1])

        for cache in self._written():
            cache.writes.on_settled(settled)


def _own_key(
    wake: Wake,
) -> Callable[[CafeDeployment | InPlaceSet | None, CafeDeployment | InPlaceSet | None], None]:
    def changed(old: CafeDeployment | InPlaceSet | None, new: CafeDeployment | InPlaceSet | None) -> None:
        body = new or old
        if body is not None:
            wake(ObjectKey(body.metadata.namespace, body.metadata.name))

    return changed


def _app_above(wake: Wake, owner_of: Callable[[Any], ApiOwner | OwnerReference | None]) -> Handler[Any]:
    """Return what wakes the application that owns a set."""

    def changed(old: Any, new: Any) -> None:  # noqa: ANN401 -- any kind of set
        for body in (old, new):
            owner = owner_of(body) if body is not None else None
            if owner is not None and owner.kind == CAFE_DEPLOYMENTS.kind:
                wake(ObjectKey(body.metadata.namespace, owner.name))

    return changed


def _app_of_pod(wake: Wake) -> Handler[Pod]:
    """Return what wakes the application of a native set's pod; an InPlaceSet tells of its pods itself."""

    def changed(old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            owner = pod.metadata.controller if pod is not None else None
            app = pod.metadata.labels.get(APP_LABEL) if pod is not None else None
            if pod is not None and app and owner is not None and owner.kind in NATIVES:
                wake(ObjectKey(pod.metadata.namespace, app))

    return changed
