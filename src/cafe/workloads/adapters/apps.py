"""CafeDeployments on Kubernetes."""

from collections import Counter
from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment, CafeDeploymentStatus, PodSetType
from cafe.api.names import APP_LABEL, CONFIRM_ANNOTATION, REVISION_LABEL, UNIT_LABEL
from cafe.api.shapes import Metadata
from cafe.kernel import Clock, Conflict, Note, ObjectKey
from cafe.kube.client import Client
from cafe.kube.kinds import CAFE_DEPLOYMENTS, IN_PLACE_SETS
from cafe.kube.merging import difference
from cafe.kube.patches import MergePatch
from cafe.kube.statuses import status_patch
from cafe.workloads.adapters.leaving import Leaving
from cafe.workloads.adapters.natives import KubeNatives
from cafe.workloads.adapters.owning import NewSet, Teller, drop_set, make_set, scope_of
from cafe.workloads.adapters.revisions import Revisions
from cafe.workloads.adapters.watched import ORPHANS, OWNER_APP, Watched, app_scope
from cafe.workloads.domain.facts import RevisionFact
from cafe.workloads.domain.overriding import whole_revisions
from cafe.workloads.domain.podsets.facts import UnitFact
from cafe.workloads.domain.podsets.inplace import ChangeSet, MakeSet, unit_fact
from cafe.workloads.domain.podsets.kinds import SetAction
from cafe.workloads.domain.podsets.natives import NativeAction
from cafe.workloads.domain.release import ReleaseView
from cafe.workloads.domain.revisions import MakeRevision
from cafe.workloads.ports import AppView


class KubeApps:
    """The `AppStore` of a cluster."""

    def __init__(
        self, client: Client, watched: Watched, clock: Clock, teller: Teller, leaving: Leaving
    ) -> None:
        self._client = client
        self._watched = watched
        self._clock = clock
        self._teller = teller
        self._revisions = Revisions(client, watched, CAFE_DEPLOYMENTS.kind)
        self._natives = KubeNatives(client, watched, clock, teller, leaving)

    def busy(self, key: ObjectKey) -> AbstractContextManager[None]:
        """While a pass is under way, let no eviction take what the pass may be taking."""
        return self._watched.door.busy(key)

    async def view(self, key: ObjectKey) -> AppView | None:
        """Return the application; None if it is gone, or while our own writes are not visible."""
        app = self._watched.apps.get(key)
        if app is None or not self._watched.is_current(app_scope(key)):
            return None
        revisions = self._revisions.of(app.metadata)
        return AppView(
            app=app,
            revisions=revisions,
            sets=self._units(app, revisions),
            known_units=self._watched.census.units(app.spec.topology.unit_type),
            now=self._clock.now(),
            adopted=self._adopted(app),
        )

    def _adopted(self, app: CafeDeployment) -> Counter[str]:
        """Count, per unit, the pods of nobody that carry the application's label."""
        labels = [p.metadata.labels for p in self._watched.pods.by_index(ORPHANS, app.metadata.namespace)]
        return Counter(m.get(UNIT_LABEL, "") for m in labels if m.get(APP_LABEL) == app.metadata.name)

    def units(self, app: CafeDeployment) -> list[UnitFact]:
        """Return one fact for each unit that has a set."""
        return self._units(app, self._revisions.of(app.metadata))

    def _units(self, app: CafeDeployment, revisions: Sequence[RevisionFact]) -> list[UnitFact]:
        if app.spec.pod_set_type is not PodSetType.IN_PLACE_SET:
            return self._natives.units(app, whole_revisions(app, revisions))
        sets = self._watched.sets.by_index(OWNER_APP, app.metadata.uid)
        return [unit_fact(s) for s in sets if s.metadata.deletion_timestamp is None]

    async def make_revision(self, app: CafeDeployment, wanted: MakeRevision) -> RevisionFact:
        """Store a revision."""
        return await self._revisions.make(app.metadata, wanted, scope_of(app))

    async def renumber_revision(
        self, app: CafeDeployment, revision: RevisionFact, number: int
    ) -> RevisionFact:
        """Give an old revision a new number."""
        return await self._revisions.renumber(app.metadata, revision, number, scope_of(app))

    async def delete_revision(self, app: CafeDeployment, revision: RevisionFact) -> None:
        """Forget a revision."""
        await self._revisions.delete(app.metadata, revision, scope_of(app))

    async def change_set(self, view: ReleaseView, action: SetAction) -> None:
        """Create, change or delete one unit's set."""
        app = view.app
        if isinstance(action, NativeAction):
            await self._natives.act(app, action)
            return
        sets = self._watched.sets
        if isinstance(action, MakeSet):
            spec = msgspec.to_builtins(action.spec)
            new = NewSet(IN_PLACE_SETS, sets, action.unit, action.name, view.revision, spec)
            await make_set(self._client, app, new, self._teller)
        elif isinstance(action, ChangeSet):
            await self._change_set(app, action)
        else:
            await drop_set(self._client, app, IN_PLACE_SETS, sets, action.name)

    async def _change_set(self, app: CafeDeployment, action: ChangeSet) -> None:
        key = ObjectKey(app.metadata.namespace, action.name)
        current = self._watched.sets.get(key)
        if current is None:
            raise Conflict(f"InPlaceSet {key} is gone")
        body: dict[str, Any] = {
            "metadata": {
                "uid": current.metadata.uid,
                "resourceVersion": current.metadata.resource_version,
                "labels": {REVISION_LABEL: action.revision},
            },
            "spec": difference(msgspec.to_builtins(current.spec), msgspec.to_builtins(action.spec)),
        }
        if not body["spec"]:
            del body["spec"]
        stored = await self._client.patch(IN_PLACE_SETS, key, MergePatch(body))
        self._watched.sets.note_write(key, stored.metadata.resource_version, owner=scope_of(app))

    async def write_status(self, app: CafeDeployment, status: CafeDeploymentStatus) -> CafeDeployment:
        """Write the status if it differs from the stored one; return the application as stored then."""
        body = status_patch(app.metadata, app.status, status, self._clock.now())
        return app if body is None else await self._patch(app, body, "status")

    async def set_confirm(self, app: CafeDeployment, value: str | None) -> CafeDeployment:
        """Set the confirm annotation, or remove it; return the application as stored then."""
        meta = app.metadata
        guard = {"uid": meta.uid, "resourceVersion": meta.resource_version}
        body = {"metadata": {**guard, "annotations": {CONFIRM_ANNOTATION: value}}}
        return await self._patch(app, body)

    async def _patch(
        self, app: CafeDeployment, body: dict[str, Any], subresource: str = ""
    ) -> CafeDeployment:
        key = _key(app.metadata)
        stored = await self._client.patch(CAFE_DEPLOYMENTS, key, MergePatch(body), subresource)
        self._watched.apps.note_write(key, stored.metadata.resource_version, owner=scope_of(app))
        return stored

    async def tell(self, app: CafeDeployment, note: Note) -> None:
        """Record an Event."""
        self._teller.tell(CAFE_DEPLOYMENTS.kind, app.metadata, note)


def _key(meta: Metadata) -> ObjectKey:
    return ObjectKey(meta.namespace, meta.name)


def _scope(app: CafeDeployment) -> Hashable:
    return app_scope(_key(app.metadata))
