"""The caches that workloads read, shared by their controllers, and who is woken by what."""

from collections import Counter
from collections.abc import Callable, Hashable

from cafe.api.cafedeployment import CafeDeployment, UnitType
from cafe.api.inplaceset import InPlaceSet
from cafe.api.names import CELL_LABEL, ZONE_LABEL
from cafe.api.selectors import matches
from cafe.api.shapes import Metadata
from cafe.api.shapes import OwnerReference as ApiOwner
from cafe.kernel import ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.caches import Caches
from cafe.kube.indexes import by_controller
from cafe.kube.kinds import CAFE_DEPLOYMENTS, IN_PLACE_SETS
from cafe.kube.objects import CONTROLLER_REVISIONS, NODES, PODS, ControllerRevision, Node, Pod

CONTROLLER = "controller"
ORPHANS = "orphans"
OWNER_APP = "owner-app"

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


def _orphans(pod: Pod) -> tuple[str, ...]:
    return () if pod.metadata.controller is not None else (pod.metadata.namespace,)


class UnitCensus:
    """Which cells and zones have nodes; kept from changes, so that asking costs nothing."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {CELL_LABEL: Counter(), ZONE_LABEL: Counter()}

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
        label = {UnitType.CELL: CELL_LABEL, UnitType.ZONE: ZONE_LABEL}.get(unit_type)
        return frozenset(+self._counts[label]) if label else frozenset()


class Watched:
    """The caches, with the indexes that workloads need."""

    def __init__(self, caches: Caches) -> None:
        self.pods: Cache[Pod] = caches.cache(PODS)
        self.nodes: Cache[Node] = caches.cache(NODES)
        self.revisions: Cache[ControllerRevision] = caches.cache(CONTROLLER_REVISIONS)
        self.sets: Cache[InPlaceSet] = caches.cache(IN_PLACE_SETS)
        self.apps: Cache[CafeDeployment] = caches.cache(CAFE_DEPLOYMENTS)
        self.census = UnitCensus()
        self.pods.add_index(CONTROLLER, by_controller)
        self.pods.add_index(ORPHANS, _orphans)
        self.revisions.add_index(CONTROLLER, by_controller)
        self.sets.add_index(OWNER_APP, _by_owner_app)

    def is_current(self, scope: Hashable) -> bool:
        """Whether every cache shows all own writes made for *scope*."""
        return (
            self.pods.is_current(scope)
            and self.revisions.is_current(scope)
            and self.sets.is_current(scope)
            and self.apps.is_current(scope)
        )

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

        self.pods.on_change(pod_changed)
        self.sets.on_change(_own_key(wake))
        self._wake_settled(IN_PLACE_SETS.kind, wake)

    def wake_apps(self, wake: Wake) -> None:
        """Call *wake* with the key of each CafeDeployment that something concerns."""

        def set_changed(old: InPlaceSet | None, new: InPlaceSet | None) -> None:
            for body in (old, new):
                owner = controller_of(body.metadata) if body is not None else None
                if body is not None and owner is not None and owner.kind == CAFE_DEPLOYMENTS.kind:
                    wake(ObjectKey(body.metadata.namespace, owner.name))

        def node_changed(old: Node | None, new: Node | None) -> None:
            if self.census.saw(old, new):
                for app in self.apps:
                    wake(ObjectKey(app.metadata.namespace, app.metadata.name))

        self.sets.on_change(set_changed)
        self.nodes.on_change(node_changed)
        self.apps.on_change(_own_key(wake))
        self._wake_settled(CAFE_DEPLOYMENTS.kind, wake)

    def _wake_settled(self, kind: str, wake: Wake) -> None:
        """Wake whoever held because own writes were not visible, once they are."""

        def settled(scope: Hashable) -> None:
            if isinstance(scope, tuple) and scope[0] == kind:
                wake(scope[1])

        for cache in (self.pods, self.revisions, self.sets, self.apps):
            cache.writes.on_settled(settled)


def _own_key(
    wake: Wake,
) -> Callable[[CafeDeployment | InPlaceSet | None, CafeDeployment | InPlaceSet | None], None]:
    def changed(old: CafeDeployment | InPlaceSet | None, new: CafeDeployment | InPlaceSet | None) -> None:
        body = new or old
        if body is not None:
            wake(ObjectKey(body.metadata.namespace, body.metadata.name))

    return changed
