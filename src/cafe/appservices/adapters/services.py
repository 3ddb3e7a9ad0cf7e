"""CafeAppServices on Kubernetes."""

from typing import Any, Protocol

import msgspec

from cafe.api.cafeapprevision import CafeAppRevision
from cafe.api.cafeappservice import CafeAppService, CafeAppServiceStatus
from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import (
    DRAIN_FINALIZER,
    RENDERED_ANNOTATION,
    SERVICE_LABEL,
)
from cafe.api.shapes import Metadata
from cafe.appservices.adapters.children import KINDS, Children, name_taken, owner_reference, scope_of
from cafe.appservices.adapters.watched import OWNER, WatchedServices, owners_of, service_scope
from cafe.appservices.domain.content import digest_of_content
from cafe.appservices.domain.deciding import DropChild, WriteChild
from cafe.appservices.domain.facts import ChildFact, ChildKind, RevisionFact, ServiceView
from cafe.appservices.domain.numbering import MakeRevision
from cafe.appservices.domain.rendering import service_label
from cafe.kernel import Clock, Conflict, Note, ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.client import Client
from cafe.kube.errors import AlreadyExists
from cafe.kube.kinds import CAFE_APP_REVISIONS, CAFE_APP_SERVICES, CAFE_DEPLOYMENTS
from cafe.kube.noting import Target, delete_noted
from cafe.kube.patches import MergePatch
from cafe.kube.statuses import status_patch


class Teller(Protocol):
    """Where events go."""

    def tell(self, kind: str, regarding: Metadata, note: Note) -> None:
        """Record an Event; never waits, never fails."""


class KubeServices:
    """The `ServiceStore` of a cluster."""

    def __init__(self, client: Client, watched: WatchedServices, clock: Clock, teller: Teller) -> None:
        self._client = client
        self._watched = watched
        self._clock = clock
        self._teller = teller
        self._children = Children(client, watched)
        self._known: dict[str, tuple[str, RevisionFact]] = {}
        watched.revisions.on_change(self._forget)

    def _forget(self, old: CafeAppRevision | None, new: CafeAppRevision | None) -> None:
        if old is not None and new is None:
            self._known.pop(old.metadata.uid, None)

    async def view(self, key: ObjectKey) -> ServiceView | None:
        """Return the service; None if it is gone, or while our own writes are not visible."""
        watched = self._watched
        service = watched.services.get(key)
        if service is None or not watched.is_current(service_scope(key)):
            return None
        uid = service.metadata.uid
        children = [
            _raw_fact(kind, body)
            for kind, cache in watched.raw.items()
            for body in cache.by_index(OWNER, uid)
            if "deletionTimestamp" not in body["metadata"]
        ]
        app = next(
            (a for a in watched.apps.by_index(OWNER, uid) if a.metadata.name == service.metadata.name), None
        )
        if app is not None:
            children.append(_app_fact(app))
        revisions = watched.revisions.by_index(OWNER, uid)
        return ServiceView(
            service=service,
            revisions=[self._fact(r) for r in revisions if r.metadata.deletion_timestamp is None],
            children=children,
            app=app,
            pods=watched.count_pods(key),
        )

    def _fact(self, stored: CafeAppRevision) -> RevisionFact:
        uid, version = stored.metadata.uid, stored.metadata.resource_version
        known = self._known.get(uid)
        if known is None or known[0] != version:
            known = self._known[uid] = (version, revision_fact(stored))
        return known[1]

    async def set_finalizer(self, service: CafeAppService, *, is_wanted: bool) -> None:
        """Add or remove the drain finalizer."""
        meta = service.metadata
        others = [f for f in meta.finalizers if f != DRAIN_FINALIZER]
        body = {
            "metadata": {
                "uid": meta.uid,
                "resourceVersion": meta.resource_version,
                "finalizers": [*others, DRAIN_FINALIZER] if is_wanted else others,
            }
        }
        stored = await self._client.patch(CAFE_APP_SERVICES, _key(meta), MergePatch(body))
        self._watched.services.note_write(
            _key(meta), stored.metadata.resource_version, owner=scope_of(service)
        )

    async def make_revision(self, service: CafeAppService, wanted: MakeRevision) -> None:
        """Store a revision; that it is stored already is fine."""
        meta = service.metadata
        key, cache = ObjectKey(meta.namespace, wanted.name), self._watched.revisions
        body = {
            "metadata": {
                "name": wanted.name,
                "namespace": meta.namespace,
                "labels": {SERVICE_LABEL: service_label(meta.name)},
                "ownerReferences": [owner_reference(service)],
            },
            "spec": {
                "service": meta.name,
                "number": wanted.number,
                "digest": wanted.digest,
                "content": msgspec.to_builtins(wanted.content),
                "cause": wanted.cause,
            },
        }
        cache.note_create(key, owner=scope_of(service))
        try:
            stored = await self._client.create(CAFE_APP_REVISIONS, meta.namespace, body)
        except AlreadyExists:
            cache.retract(key)
            await self._meet_namesake(service, key, wanted)
            return
        except BaseException:
            cache.retract(key)
            raise
        cache.note_write(key, stored.metadata.resource_version, owner=scope_of(service))

    async def _meet_namesake(self, service: CafeAppService, key: ObjectKey, wanted: MakeRevision) -> None:
        """Accept an own revision made by a create whose answer was lost; wait out a dead service's.

        Raises:
            Refusal: It belongs to nobody, and nobody will take it away.
            Conflict: It is another one: look again.
        """
        live = await self._client.get(CAFE_APP_REVISIONS, key)
        owners = dict(owners_of(live))
        if service.metadata.uid in owners.values():
            if live.spec.digest == wanted.digest:
                self._watched.revisions.note_write(
                    key, live.metadata.resource_version, owner=scope_of(service)
                )
                return
        elif not owners:
            raise name_taken(f"CafeAppRevision {key.name}", "nobody")
        raise Conflict(f"CafeAppRevision {key} is another one")

    async def delete_revision(self, service: CafeAppService, revision: RevisionFact) -> None:
        """Forget a revision; that it is gone already is fine."""
        key = ObjectKey(service.metadata.namespace, revision.name)
        await self._delete(self._watched.revisions, Target(CAFE_APP_REVISIONS, key, revision.uid), service)

    async def try_child(self, view: ServiceView, write: WriteChild) -> None:
        """Ask the API server whether it would take an object, without any effect."""
        await self._children.attempt(view.service, write)

    async def write_child(self, view: ServiceView, write: WriteChild) -> None:
        """Create an object, or bring it to what is wanted, whoever changed it."""
        await self._children.write(view.service, write)

    async def drop_child(self, view: ServiceView, drop: DropChild) -> None:
        """Delete an object of the service."""
        child = drop.child
        key = ObjectKey(view.service.metadata.namespace, child.name)
        target = Target(KINDS[child.kind], key, child.uid)
        await self._delete(self._watched.cache(child.kind), target, view.service)

    async def _delete(self, cache: Cache[Any], target: Target, service: CafeAppService) -> None:
        await delete_noted(self._client, cache, target, scope_of(service))

    async def empty_application(self, view: ServiceView) -> None:
        """Scale the application to nothing."""
        if view.app is None:
            return
        meta = view.app.metadata
        body = {"metadata": {"uid": meta.uid}, "spec": {"replicas": 0, "strategy": {"pause": False}}}
        stored = await self._client.patch(CAFE_DEPLOYMENTS, _key(meta), MergePatch(body))
        version = stored.metadata.resource_version
        self._watched.apps.note_write(_key(meta), version, owner=scope_of(view.service))

    async def write_status(self, service: CafeAppService, status: CafeAppServiceStatus) -> None:
        """Write the status if it differs from the stored one."""
        body = status_patch(service.metadata, service.status, status, self._clock.now())
        if body is None:
            return
        key = _key(service.metadata)
        stored = await self._client.patch(CAFE_APP_SERVICES, key, MergePatch(body), "status")
        self._watched.services.note_write(key, stored.metadata.resource_version, owner=scope_of(service))

    async def tell(self, service: CafeAppService, note: Note) -> None:
        """Record an Event."""
        self._teller.tell(CAFE_APP_SERVICES.kind, service.metadata, note)


def revision_fact(stored: CafeAppRevision) -> RevisionFact:
    """Return what decisions need of a stored revision."""
    spec = stored.spec
    return RevisionFact(
        number=spec.number,
        digest=spec.digest,
        content=spec.content,
        name=stored.metadata.name,
        uid=stored.metadata.uid,
        hold=spec.hold.reason if spec.hold is not None else "",
        cause=spec.cause,
        is_intact=digest_of_content(spec.content) == spec.digest,
    )


def _raw_fact(kind: ChildKind, body: dict[str, Any]) -> ChildFact:
    meta = body["metadata"]
    digest = (meta.get("annotations") or {}).get(RENDERED_ANNOTATION, "")
    return ChildFact(kind, meta["name"], meta["uid"], digest, body)


def _app_fact(app: CafeDeployment) -> ChildFact:
    meta = app.metadata
    body = {
        "metadata": {"labels": meta.labels, "annotations": meta.annotations},
        "spec": msgspec.to_builtins(app.spec),
    }
    digest = meta.annotations.get(RENDERED_ANNOTATION, "")
    return ChildFact(ChildKind.CAFE_DEPLOYMENT, meta.name, meta.uid, digest, body)


def _key(meta: Metadata) -> ObjectKey:
    return ObjectKey(meta.namespace, meta.name)
