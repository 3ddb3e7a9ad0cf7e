"""The least API server that the cluster's parts can be tested on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cafe.kernel import Entropy
from cafe_sim.contract import ApiError, DeleteOptions, EventType, Json, StoreEvent, Timeline
from cafe_sim.machinery.kinds import BUILT_IN, DEFINITIONS
from cafe_sim.machinery.objects import text_of

Key = tuple[str, str]
PLAIN = DeleteOptions()
GENERATION = {"pods", "deployments.apps", "replicasets.apps", "statefulsets.apps"}
GENERATION |= {"poddisruptionbudgets.policy", "services"}


def merged(target: Any, patch: Any) -> Any:  # noqa: ANN401 -- any JSON value
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class MemoryApi:
    """Objects in dictionaries; commits told one step later."""

    def __init__(self, timeline: Timeline, entropy: Entropy) -> None:
        self._timeline = timeline
        self._entropy = entropy
        self._version = 0
        self._store: dict[str, dict[Key, Json]] = {kind.resource: {} for kind in BUILT_IN}
        self._store[DEFINITIONS] = {}
        self._handlers: dict[str, list[Callable[[StoreEvent], None]]] = {}
        self.pod_quota: int | None = None
        self.commits: list[tuple[str, StoreEvent]] = []

    def serve(self, resource: str) -> None:
        self._store.setdefault(resource, {})

    def get(self, resource: str, namespace: str, name: str) -> Json | None:
        return self._objects(resource).get((namespace, name))

    def list(self, resource: str, namespace: str | None = None) -> list[Json]:
        found = self._objects(resource)
        return [found[key] for key in sorted(found) if namespace is None or key[0] == namespace]

    def create(self, resource: str, namespace: str, body: Json) -> Json:
        objects = self._objects(resource)
        meta = dict(body["metadata"])
        if not meta.get("name"):
            meta["name"] = meta["generateName"] + self._entropy.suffix(5)
        if namespace:
            meta["namespace"] = namespace
            home = self.get("namespaces", "", namespace)
            if home is None or home["metadata"].get("deletionTimestamp"):
                raise ApiError(403, "Forbidden", "the namespace is missing or terminating")
        key = (namespace, meta["name"])
        if key in objects:
            raise ApiError(409, "AlreadyExists", f'{resource} "{meta["name"]}" already exists')
        meta |= {"uid": self._entropy.uid(), "creationTimestamp": text_of(self._timeline.now())}
        if resource in GENERATION:
            meta["generation"] = 1
        obj = {**body, "metadata": meta}
        if resource == "pods":
            if self.pod_quota is not None and len(objects) >= self.pod_quota:
                raise ApiError(403, "Forbidden", f'pods "{meta["name"]}" is forbidden: exceeded quota')
            obj["status"] = {"phase": "Pending", "qosClass": "Burstable"}
        if resource == "namespaces":
            obj |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        return self._commit(resource, "ADDED", None, obj)

    def update(self, resource: str, namespace: str, body: Json, subresource: str = "") -> Json:
        old = self._live(resource, namespace, body["metadata"]["name"])
        version = body["metadata"].get("resourceVersion")
        if version is not None and version != old["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "the object has been modified")
        return self._change(resource, old, body, subresource)

    def patch(self, resource: str, namespace: str, name: str, patch: Json, subresource: str = "") -> Json:
        old = self._live(resource, namespace, name)
        wanted = patch.get("metadata") or {}
        if wanted.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise ApiError(422, "Invalid", "metadata.uid: Invalid value: field is immutable")
        if (
            wanted.get("resourceVersion", old["metadata"]["resourceVersion"])
            != (old["metadata"]["resourceVersion"])
        ):
            raise ApiError(409, "Conflict", "the object has been modified")
        return self._change(resource, old, merged(old, patch), subresource)

    def delete(self, resource: str, namespace: str, name: str, options: DeleteOptions = PLAIN) -> Json | None:
        old = self._live(resource, namespace, name)
        if options.uid not in {None, old["metadata"]["uid"]}:
            raise ApiError(409, "Conflict", "the UID in the precondition does not match")
        meta = dict(old["metadata"])
        finalizer = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(options.propagation or "")
        if finalizer and finalizer not in meta.get("finalizers", []):
            meta["finalizers"] = [*meta.get("finalizers", []), finalizer]
        grace = self._grace(resource, old, options)
        if "deletionTimestamp" in meta and grace >= (meta.get("deletionGracePeriodSeconds") or 0) > 0:
            return old
        due = text_of(self._timeline.now() + timedelta(seconds=grace))
        meta |= {"deletionTimestamp": due, "deletionGracePeriodSeconds": grace}
        if resource in GENERATION and "deletionTimestamp" not in old["metadata"]:
            meta["generation"] += 1
        obj = {**old, "metadata": meta}
        if resource == "namespaces":
            obj["status"] = {**obj["status"], "phase": "Terminating"}
        if grace == 0 and not self._is_held(resource, obj):
            self._commit(resource, "DELETED", old, obj)
            return None
        return old if obj == old else self._commit(resource, "MODIFIED", old, obj)

    def create_subresource(
        self, resource: str, namespace: str, name: str, subresource: str, body: Json
    ) -> Json:
        old = self._live(resource, namespace, name)
        assert subresource == "binding"
        if old["spec"].get("nodeName"):
            raise ApiError(409, "Conflict", f"pod {name} is already assigned to a node")
        now = text_of(self._timeline.now())
        bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now, "lastProbeTime": None}
        others = [c for c in old["status"].get("conditions", []) if c["type"] != "PodScheduled"]
        status = {**old["status"], "conditions": [*others, bound]}
        spec = {**old["spec"], "nodeName": body["target"]["name"]}
        self._commit(resource, "MODIFIED", old, {**old, "spec": spec, "status": status})
        return {"kind": "Status", "status": "Success"}

    def subscribe(self, resource: str, handler: Callable[[StoreEvent], None]) -> None:
        self._objects(resource)
        self._handlers.setdefault(resource, []).append(handler)

    def _objects(self, resource: str) -> dict[Key, Json]:
        if resource not in self._store:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return self._store[resource]

    def _live(self, resource: str, namespace: str, name: str) -> Json:
        obj = self.get(resource, namespace, name)
        if obj is None:
            raise ApiError(404, "NotFound", f'{resource} "{name}" not found')
        return obj

    def _grace(self, resource: str, old: Json, options: DeleteOptions) -> int:
        if resource != "pods" or not old["spec"].get("nodeName"):
            return 0
        if options.grace_period is not None:
            return int(options.grace_period.total_seconds())
        return int(old["spec"].get("terminationGracePeriodSeconds", 30))

    def _is_held(self, resource: str, obj: Json) -> bool:
        return bool(
            obj["metadata"].get("finalizers") or (resource == "namespaces" and obj["spec"].get("finalizers"))
        )

    def _change(self, resource: str, old: Json, new: Json, subresource: str) -> Json:
        if subresource == "status":
            new = {**old, "status": new.get("status", {})}
        elif subresource != "finalize" and "status" in old:
            new = {**new, "status": old["status"]}
        meta = {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}
        if resource in GENERATION and new.get("spec") != old.get("spec"):
            meta["generation"] = old["metadata"]["generation"] + 1
        new = {**new, "metadata": meta}
        if new == old:
            return old
        is_over = meta.get("deletionTimestamp") and not meta.get("deletionGracePeriodSeconds")
        if is_over and not self._is_held(resource, new):
            return self._commit(resource, "DELETED", old, new)
        return self._commit(resource, "MODIFIED", old, new)

    def _commit(self, resource: str, type_: EventType, old: Json | None, new: Json) -> Json:
        self._version += 1
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": str(self._version)}}
        key = (new["metadata"].get("namespace", ""), new["metadata"]["name"])
        if type_ == "DELETED":
            del self._store[resource][key]
        else:
            self._store[resource][key] = new
        event = StoreEvent(type_, old, new)
        self.commits.append((resource, event))
        for handler in self._handlers.get(resource, ()):
            self._timeline.soon(lambda handler=handler: handler(event))  # type: ignore[misc]
        return new
