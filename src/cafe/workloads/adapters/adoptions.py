"""What a Deployment leaves behind, on Kubernetes. Read live: it happens once in an application's life."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from cafe.api.cafedeployment import NODE_LABELS, CafeDeployment
from cafe.api.names import APP_LABEL
from cafe.api.selectors import selector_text
from cafe.kernel import Conflict, ObjectKey
from cafe.kube.client import Client
from cafe.kube.errors import NotFound
from cafe.kube.objects import DEPLOYMENTS, PODS, REPLICA_SETS, ObjectMeta, Pod, ReplicaSet
from cafe.kube.patches import MergePatch
from cafe.kube.resources import Kind
from cafe.workloads.adapters.watched import Watched, app_scope
from cafe.workloads.domain.adopting import (
    DEPLOYMENT,
    HASH_LABEL,
    REPLICA_SET,
    AdoptionAction,
    AdoptionView,
    GiveUp,
    OldDeployment,
    OldPod,
    OldSet,
    Thing,
)


class KubeAdoptions:
    """The `AdoptionStore` of a cluster."""

    def __init__(self, client: Client, watched: Watched) -> None:
        self._client = client
        self._watched = watched

    async def view(self, app: CafeDeployment, source: str) -> AdoptionView:
        """Return what is there of the Deployment *source*."""
        namespace = app.metadata.namespace
        selector = selector_text(app.spec.selector)
        old = await self._deployment(ObjectKey(namespace, source))
        sets = await self._client.list_all(REPLICA_SETS, namespace, label_selector=selector)
        pods = await self._client.list_all(PODS, namespace, label_selector=selector)
        uid = old.thing.uid if old else ""
        return AdoptionView(
            deployment=old,
            sets=[_old_set(s) for s in sets if _is_left_by(s, uid)],
            pods=[self._pod(app, p) for p in pods if _is_of_replica_set(p)],
            template=await self._completed(app) if old is not None else {},
        )

    async def _deployment(self, key: ObjectKey) -> OldDeployment | None:
        try:
            found = await self._client.get(DEPLOYMENTS, key)
        except NotFound:
            return None
        meta, spec = found["metadata"], found["spec"]
        leaving = meta.get("deletionTimestamp") is not None
        return OldDeployment(
            Thing(meta["name"], meta["uid"], meta["resourceVersion"], leaving),
            dict(spec["selector"].get("matchLabels") or {}),
            spec["template"],
        )

    async def _completed(self, app: CafeDeployment) -> Mapping[str, Any]:
        """Have the API server fill the template's defaults in, without making anything."""
        selector = msgspec.to_builtins(app.spec.selector)
        template = msgspec.to_builtins(app.spec.template)
        body = {
            "metadata": {"name": f"{app.metadata.name}-adoption", "namespace": app.metadata.namespace},
            "spec": {"selector": selector, "template": template},
        }
        made = await self._client.create(DEPLOYMENTS, app.metadata.namespace, body, dry_run=True)
        completed: Mapping[str, Any] = made["spec"]["template"]
        return completed

    def _pod(self, app: CafeDeployment, pod: Pod) -> OldPod:
        label = NODE_LABELS.get(app.spec.topology.unit_type)
        node = self._watched.nodes.get(ObjectKey("", pod.spec.node_name))
        unit = "" if label is None else node.metadata.labels.get(label) if node is not None else None
        labels = pod.metadata.labels
        is_owned = pod.metadata.controller is not None
        return OldPod(
            _thing(pod.metadata), labels.get(HASH_LABEL, ""), unit, labels.get(APP_LABEL, ""), is_owned
        )

    async def act(self, app: CafeDeployment, action: AdoptionAction) -> None:
        """Make the one write of *action*."""
        namespace, thing = app.metadata.namespace, action.thing
        key = ObjectKey(namespace, thing.name)
        if isinstance(action, GiveUp):
            kinds: dict[str, Kind[Any]] = {DEPLOYMENT: DEPLOYMENTS, REPLICA_SET: REPLICA_SETS}
            kind = kinds[action.kind]
            with suppress(NotFound):
                await self._client.delete(
                    kind,
                    key,
                    uid=thing.uid,
                    resource_version=thing.resource_version,
                    propagation="Orphan",
                )
            return
        guard = {"uid": thing.uid, "resourceVersion": thing.resource_version}
        body = {"metadata": {**guard, "labels": dict(action.labels)}}
        try:
            stored = await self._client.patch(PODS, key, MergePatch(body))
        except NotFound as error:
            raise Conflict(f"Pod {key} is gone") from error
        scope = app_scope(ObjectKey(namespace, app.metadata.name))
        self._watched.pods.note_write(key, stored.metadata.resource_version, owner=scope)


def _thing(meta: ObjectMeta) -> Thing:
    return Thing(meta.name, meta.uid, meta.resource_version, meta.is_deleting)


def _old_set(found: ReplicaSet) -> OldSet:
    return OldSet(_thing(found.metadata), found.metadata.labels.get(HASH_LABEL, ""), found.spec.template)


def _is_left_by(found: ReplicaSet, deployment: str) -> bool:
    """Whether a set is the Deployment's, or was: then it belongs to nobody."""
    owner = found.metadata.controller
    is_its_own = owner is None or owner.uid == deployment
    return is_its_own and HASH_LABEL in found.metadata.labels


def _is_of_replica_set(pod: Pod) -> bool:
    """Whether a pod is a ReplicaSet's, or was."""
    owner = pod.metadata.controller
    is_its_own = owner is None or owner.kind == REPLICA_SETS.kind
    return is_its_own and HASH_LABEL in pod.metadata.labels and not pod.metadata.is_deleting
