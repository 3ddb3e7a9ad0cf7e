"""The caches that application services read, and who is woken by what."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from cafe.api.cafeapprevision import CafeAppRevision
from cafe.api.cafeappservice import CafeAppService
from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import APP_LABEL, SERVICE_LABEL
from cafe.appservices.domain.facts import ChildKind
from cafe.kernel import ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.caches import Caches
from cafe.kube.kinds import (
    CAFE_APP_REVISIONS,
    CAFE_APP_SERVICES,
    CAFE_DEPLOYMENTS,
    PLAIN_TRAFFIC_BINDINGS,
)
from cafe.kube.objects import AUTOSCALERS, CONFIG_MAPS, DISRUPTION_BUDGETS, PODS, SERVICES, Pod

OWNER = "owner-service"
APP = "app"

Raw = dict[str, Any]
Owned: TypeAlias = Raw | CafeAppRevision | CafeDeployment
"""What a CafeAppService may own."""
Wake = Callable[[ObjectKey], None]


def service_scope(key: ObjectKey) -> Hashable:
    """Return the scope of own writes made for one CafeAppService."""
    return (CAFE_APP_SERVICES.kind, key)


def owners_of(body: Owned) -> Iterator[tuple[str, str]]:
    """Yield name and UID of the CafeAppService that controls an object, if one does."""
    if isinstance(body, dict):
        for owner in body["metadata"].get("ownerReferences") or ():
            if owner.get("controller") and owner.get("kind") == CAFE_APP_SERVICES.kind:
                yield owner["name"], owner["uid"]
        return
    for reference in body.metadata.owner_references:
        if reference.controller and reference.kind == CAFE_APP_SERVICES.kind:
            yield reference.name, reference.uid


def _by_owner(body: Owned) -> tuple[str, ...]:
    return tuple(uid for _, uid in owners_of(body))


def _by_app(pod: Pod) -> tuple[str, ...]:
    name = pod.metadata.labels.get(APP_LABEL)
    return (f"{pod.metadata.namespace}/{name}",) if name else ()


def _namespace(body: Owned) -> str:
    return str(body["metadata"]["namespace"]) if isinstance(body, dict) else body.metadata.namespace


class WatchedServices:
    """The caches, with the indexes that application services need.

    Of Services, ConfigMaps and the like only those are kept that were rendered from an application service.
    """

    def __init__(self, caches: Caches) -> None:
        self.services: Cache[CafeAppService] = caches.cache(CAFE_APP_SERVICES)
        self.revisions: Cache[CafeAppRevision] = caches.cache(CAFE_APP_REVISIONS)
        self.apps: Cache[CafeDeployment] = caches.cache(CAFE_DEPLOYMENTS)
        self.raw: Mapping[ChildKind, Cache[Raw]] = {
            ChildKind.CONFIG_MAP: caches.cache(CONFIG_MAPS, label_selector=SERVICE_LABEL),
            ChildKind.SERVICE: caches.cache(SERVICES, label_selector=SERVICE_LABEL),
            ChildKind.BUDGET: caches.cache(DISRUPTION_BUDGETS, label_selector=SERVICE_LABEL),
            ChildKind.AUTOSCALER: caches.cache(AUTOSCALERS, label_selector=SERVICE_LABEL),
            ChildKind.TRAFFIC_BINDING: caches.cache(PLAIN_TRAFFIC_BINDINGS, label_selector=SERVICE_LABEL),
        }
        self.pods: Cache[Pod] = caches.cache(PODS)
        self.pods.add_index(APP, _by_app)
        self.revisions.add_index(OWNER, _by_owner)
        self.apps.add_index(OWNER, _by_owner)
        for cache in self.raw.values():
            cache.add_index(OWNER, _by_owner)

    def is_current(self, scope: Hashable) -> bool:
        """Whether every cache shows all own writes made for *scope*."""
        return (
            self.services.is_current(scope)
            and self.revisions.is_current(scope)
            and self.apps.is_current(scope)
            and all(cache.is_current(scope) for cache in self.raw.values())
        )

    def count_pods(self, key: ObjectKey) -> int:
        """Return how many pods the application of that name has, those that are going counted too."""
        return len(self.pods.by_index(APP, f"{key.namespace}/{key.name}"))

    def cache(self, kind: ChildKind) -> Cache[Any]:
        """Return the cache in which objects of that kind are seen."""
        return self.apps if kind is ChildKind.CAFE_DEPLOYMENT else self.raw[kind]

    def wake(self, wake: Wake) -> None:
        """Call *wake* with the key of each CafeAppService that something concerns."""

        def owned_changed(old: Owned | None, new: Owned | None) -> None:
            for body in (old, new):
                if body is not None:
                    for name, _ in owners_of(body):
                        wake(ObjectKey(_namespace(body), name))

        def service_changed(old: CafeAppService | None, new: CafeAppService | None) -> None:
            body = new or old
            if body is not None:
                wake(ObjectKey(body.metadata.namespace, body.metadata.name))

        self.services.on_change(service_changed)
        self.pods.on_change(self._wake_draining(wake))
        owned: tuple[Cache[Any], ...] = (self.revisions, self.apps, *self.raw.values())
        for cache in owned:
            cache.on_change(owned_changed)
        self._wake_settled((self.services, *owned), wake)

    def _wake_draining(self, wake: Wake) -> Callable[[Pod | None, Pod | None], None]:
        """Wake a service that is being drained for each pod that is gone; other news of pods is not ours."""

        def pod_changed(old: Pod | None, new: Pod | None) -> None:
            if old is None or new is not None:
                return
            key = ObjectKey(old.metadata.namespace, old.metadata.labels.get(APP_LABEL, ""))
            service = self.services.get(key)
            if service is not None and service.metadata.deletion_timestamp is not None:
                wake(key)

        return pod_changed

    @staticmethod
    def _wake_settled(caches: Iterable[Cache[Any]], wake: Wake) -> None:
        """Wake whoever held because own writes were not visible, once they are."""

        def settled(scope: Hashable) -> None:
            if isinstance(scope, tuple) and scope[0] == CAFE_APP_SERVICES.kind:
                wake(scope[1])

        for cache in caches:
            cache.writes.on_settled(settled)
