"""How what a revision asks for is written.

An object is created, never taken over. A later change of a ConfigMap or CafeDeployment is one merge patch,
which makes it exactly what is wanted: their controllers must never see half of it. A Service keeps what the
cluster gave it (addresses, ports of nodes) and what others noted on it, so it is applied (KEP-555): what we
no longer ask for goes. Apply pairs ports by their number and can't remove one that somebody else added; lists
that are otherwise than wanted are therefore replaced whole first.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import msgspec

from cafe.api.cafeappservice import CafeAppService
from cafe.api.names import API_VERSION
from cafe.appservices.adapters.watched import WatchedServices, owners_of, service_scope
from cafe.appservices.domain.deciding import WriteChild
from cafe.appservices.domain.drifting import drift
from cafe.appservices.domain.facts import ChildKind
from cafe.kernel import Conflict, ObjectKey, Refusal, Unavailable
from cafe.kube.client import Client
from cafe.kube.errors import AlreadyExists
from cafe.kube.kinds import CAFE_APP_SERVICES, CAFE_DEPLOYMENTS, PLAIN_TRAFFIC_BINDINGS
from cafe.kube.merging import difference
from cafe.kube.objects import AUTOSCALERS, CONFIG_MAPS, DISRUPTION_BUDGETS, SERVICES
from cafe.kube.patches import ApplyPatch, MergePatch
from cafe.kube.resources import Kind

MANAGER = "cafe-appservice"
"""Who owns the fields of a Service that a revision asks for."""

KINDS: Mapping[ChildKind, Kind[Any]] = {
    ChildKind.CONFIG_MAP: CONFIG_MAPS,
    ChildKind.SERVICE: SERVICES,
    ChildKind.BUDGET: DISRUPTION_BUDGETS,
    ChildKind.AUTOSCALER: AUTOSCALERS,
    ChildKind.TRAFFIC_BINDING: PLAIN_TRAFFIC_BINDINGS,
    ChildKind.CAFE_DEPLOYMENT: CAFE_DEPLOYMENTS,
}


class Children:
    """Writes the objects that are rendered from application services."""

    def __init__(self, client: Client, watched: WatchedServices) -> None:
        self._client = client
        self._watched = watched

    async def attempt(self, service: CafeAppService, write: WriteChild) -> None:
        """Ask the API server whether it would take an object, without any effect.

        Raises:
            Refusal: It would not, or the name belongs to somebody else.
        """
        if write.current is None:
            await self._create(service, write, dry_run=True)
            return
        key = ObjectKey(service.metadata.namespace, write.wanted.name)
        body = {**_change(write), "metadata": {"uid": write.current.uid}}
        await self._client.patch(KINDS[write.wanted.kind], key, MergePatch(body), dry_run=True)

    async def write(self, service: CafeAppService, write: WriteChild) -> None:
        """Create an object, or bring it to what is wanted.

        Raises:
            Refusal: The API server refuses, or the name belongs to somebody else.
            Conflict: The object is not the one that was judged.
        """
        cache = self._watched.cache(write.wanted.kind)
        key = ObjectKey(service.metadata.namespace, write.wanted.name)
        if write.current is not None:
            stored = await self._change(service, write, key)
        else:
            cache.note_create(key, owner=scope_of(service))
            try:
                stored = await self._create(service, write)
            except Unavailable as error:
                if error.is_outcome_known:
                    cache.retract(key)
                raise
            except BaseException:
                cache.retract(key)
                raise
        cache.note_write(key, _version(stored), owner=scope_of(service))

    async def _create(self, service: CafeAppService, write: WriteChild, *, dry_run: bool = False) -> Any:  # noqa: ANN401 -- dict or Struct
        wanted, kind = write.wanted, KINDS[write.wanted.kind]
        namespace = service.metadata.namespace
        body = _whole(service, write)
        try:
            stored = await self._client.create(kind, namespace, body, dry_run=dry_run)
        except AlreadyExists:
            await self._meet_namesake(service, write, kind, ObjectKey(namespace, wanted.name))
            raise
        if wanted.kind is ChildKind.SERVICE and not dry_run:
            # Applied too, or a later revision could not take away what this one asked for.
            return await self._client.patch(
                kind, ObjectKey(namespace, wanted.name), ApplyPatch(body, force=True, manager=MANAGER)
            )
        return stored

    async def _meet_namesake(
        self, service: CafeAppService, write: WriteChild, kind: Kind[Any], key: ObjectKey
    ) -> None:
        """Say whose an object is that exists already.

        Raises:
            Refusal: `NameTaken`: somebody else's.
            Conflict: The service's own, and our caches lag behind.
        """
        live = await self._client.get(kind, key)
        if service.metadata.uid in dict(owners_of(live)).values():
            raise Conflict(f"{write.wanted.title} exists already")
        raise name_taken(write.wanted.title, _owner_told(live))

    async def _change(self, service: CafeAppService, write: WriteChild, key: ObjectKey) -> Any:  # noqa: ANN401 -- dict or Struct
        wanted, current = write.wanted, write.current
        kind = KINDS[wanted.kind]
        uid = current.uid if current is not None else ""
        if wanted.kind is not ChildKind.SERVICE:
            change = _change(write)
            metadata = {**change.get("metadata", {}), "uid": uid}
            return await self._client.patch(kind, key, MergePatch({**change, "metadata": metadata}))
        if lists := _otherwise_lists(write):
            body = {"metadata": {"uid": uid}, "spec": lists}
            await self._client.patch(kind, key, MergePatch(body))
        applied = _whole(service, write)
        applied["metadata"]["uid"] = uid
        return await self._client.patch(kind, key, ApplyPatch(applied, force=True, manager=MANAGER))


def _change(write: WriteChild) -> dict[str, Any]:
    """Return the merge patch that makes of the stored object what is wanted; of its metadata, only ours."""
    if write.current is None:
        return dict(write.wanted.body)
    stored, wanted = write.current.body, write.wanted.body
    metadata = {
        part: {k: v for k, v in asked.items() if (stored["metadata"].get(part) or {}).get(k) != v}
        for part, asked in wanted["metadata"].items()
    }
    change: dict[str, Any] = {"metadata": {part: news for part, news in metadata.items() if news}}
    for part, asked in wanted.items():
        if part == "metadata":
            continue
        held = stored.get(part)
        if not isinstance(asked, Mapping):
            if held != asked:
                change[part] = asked
            continue
        known = dict(held or {})
        if write.wanted.kind is ChildKind.SERVICE:
            known = {k: v for k, v in known.items() if k in asked}  # The rest is the cluster's.
        if news := difference(known, asked):
            change[part] = news
    return change


def _otherwise_lists(write: WriteChild) -> dict[str, Any]:
    """Return the lists of a Service's spec that are otherwise than wanted, as wanted."""
    if write.current is None:
        return {}
    stored = write.current.body.get("spec") or {}
    return {
        name: asked
        for name, asked in write.wanted.body["spec"].items()
        if isinstance(asked, list) and drift({name: asked}, stored)
    }


def _whole(service: CafeAppService, write: WriteChild) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        **write.wanted.body["metadata"],
        "name": write.wanted.name,
        "namespace": service.metadata.namespace,
        "ownerReferences": [owner_reference(service)],
    }
    return {**write.wanted.body, "metadata": metadata}


def name_taken(what: str, owner: str) -> Refusal:
    """Return the refusal of an object whose name belongs to somebody else."""
    return Refusal(
        "NameTaken",
        f"{what} exists already.",
        f"It belongs to {owner}.",
        "Rename one of them, or delete that object.",
    )


def owner_reference(service: CafeAppService) -> dict[str, Any]:
    """Return the reference by which an object belongs to the service."""
    return {
        "apiVersion": API_VERSION,
        "kind": CAFE_APP_SERVICES.kind,
        "name": service.metadata.name,
        "uid": service.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def scope_of(service: CafeAppService) -> Hashable:
    """Return the scope of own writes made for the service."""
    return service_scope(ObjectKey(service.metadata.namespace, service.metadata.name))


def _owner_told(live: Any) -> str:  # noqa: ANN401 -- dict or Struct
    references = (
        live["metadata"].get("ownerReferences") or []
        if isinstance(live, dict)
        else msgspec.to_builtins(live.metadata.owner_references)
    )
    return next((f"{o['kind']} {o['name']}" for o in references if o.get("controller")), "nobody")


def _version(stored: Any) -> str:  # noqa: ANN401 -- dict or Struct
    if isinstance(stored, dict):
        return str(stored["metadata"]["resourceVersion"])
    return str(stored.metadata.resource_version)
