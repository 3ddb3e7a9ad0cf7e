"""The sets of an application's units, of whatever kind: made as its own, and given up."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import API_VERSION, REVISION_LABEL
from cafe.api.shapes import Metadata
from cafe.kernel import Note, ObjectKey, Refusal
from cafe.kube.cache import Cache
from cafe.kube.client import Client
from cafe.kube.errors import AlreadyExists
from cafe.kube.kinds import CAFE_DEPLOYMENTS
from cafe.kube.noting import Target, create_noted, delete_noted
from cafe.kube.objects import ObjectMeta
from cafe.kube.resources import Kind
from cafe.workloads.adapters.watched import app_scope, controller_of
from cafe.workloads.domain.children import own_labels


class Teller(Protocol):
    """Where events go."""

    def tell(self, kind: str, regarding: Metadata, note: Note) -> None:
        """Record an Event; never waits, never fails."""


def owner_reference_of(app: CafeDeployment) -> dict[str, Any]:
    """Return the reference by which a set belongs to *app*."""
    return {
        "apiVersion": API_VERSION,
        "kind": CAFE_DEPLOYMENTS.kind,
        "name": app.metadata.name,
        "uid": app.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


@dataclass(frozen=True, slots=True)
class NewSet:
    """The set of a unit, to be made.

    Attributes:
        kind: With *cache* the place where sets of that kind are seen.
        revision: Hash of the application's revision whose template it carries.
    """

    kind: Kind[Any]
    cache: Cache[Any]
    unit: str
    name: str
    revision: str
    spec: Mapping[str, Any]
    annotations: Mapping[str, str] = field(default_factory=dict)


async def make_set(client: Client, app: CafeDeployment, wanted: NewSet, teller: Teller) -> None:
    """Create the set of a unit as the application's own.

    Raises:
        Refusal: Its name is taken for good.
    """
    key = ObjectKey(app.metadata.namespace, wanted.name)
    metadata: dict[str, Any] = {
        "name": wanted.name,
        "namespace": key.namespace,
        "labels": own_labels(app.metadata.name, wanted.unit) | {REVISION_LABEL: wanted.revision},
        "ownerReferences": [owner_reference_of(app)],
    }
    if wanted.annotations:
        metadata["annotations"] = dict(wanted.annotations)
    body = {"metadata": metadata, "spec": dict(wanted.spec)}
    scope = scope_of(app)
    try:
        stored = await create_noted(client, wanted.cache, wanted.kind, key, body, scope)
    except AlreadyExists:
        live = await client.get(wanted.kind, key)
        _refuse_foreign(app, wanted.kind.kind, live.metadata, teller)
        raise
    wanted.cache.note_write(key, stored.metadata.resource_version, owner=scope)


async def drop_set(
    client: Client, app: CafeDeployment, kind: Kind[Any], cache: Cache[Any], name: str
) -> None:
    """Delete a set that has no pods, as it was when that was seen."""
    key = ObjectKey(app.metadata.namespace, name)
    current = cache.get(key)
    if current is not None:
        target = Target(kind, key, current.metadata.uid, current.metadata.resource_version)
        await delete_noted(client, cache, target, scope_of(app))


def scope_of(app: CafeDeployment) -> Hashable:
    """Return the scope of own writes made for the application."""
    return app_scope(ObjectKey(app.metadata.namespace, app.metadata.name))


def _refuse_foreign(app: CafeDeployment, kind: str, live: Metadata | ObjectMeta, teller: Teller) -> None:
    """Tell if a set's name is taken for good: `a` in cell `b-c` and `a-b` in cell `c` are called alike.

    Raises:
        Refusal: The set there belongs to somebody else and is not on its way out.
    """
    owner = controller_of(live) if isinstance(live, Metadata) else live.controller
    is_ours = owner is not None and owner.uid == app.metadata.uid
    if is_ours or live.deletion_timestamp is not None:
        return
    refusal = Refusal(
        "NameTaken",
        f"{kind} {live.name} exists already.",
        f"It belongs to {owner.kind + ' ' + owner.name if owner else 'nobody'}.",
        "Rename the application or the unit, or delete that set.",
    )
    teller.tell(CAFE_DEPLOYMENTS.kind, app.metadata, Note(refusal.code, str(refusal), is_warning=True))
    raise refusal
