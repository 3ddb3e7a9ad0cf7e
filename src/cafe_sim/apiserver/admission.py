"""The built-in admission plug-ins: namespaces, service accounts, priorities, tolerations; then webhooks.

They run in the order of the real server's: what changes objects first, what only judges last.
"""

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.context import Context, Target
from cafe_sim.apiserver.resource import Surroundings
from cafe_sim.apiserver.steps import Steps
from cafe_sim.apiserver.values import Value, dig, with_fields, with_path
from cafe_sim.contract import Json
from cafe_sim.machinery.requests import amount, request_of

PROTECTED = frozenset({"default", "kube-public", "kube-system"})
_GRACE_ON_BAD_NODE = 300
_SYSTEM_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}


class BuiltinAdmission:
    """The plug-ins that are on by default and matter here."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def change(self, target: Target, context: Context, new: Json, old: Json | None) -> Steps[Json]:
        """Check the namespace, and give new pods what every pod has."""
        del context
        yield from ()  # Nothing is asked here: webhooks belong to the layer around it.
        if old is None:
            self._check_namespace(target)
            if target.resource.key == "pods":
                new = self._with_pod_defaults(new)
            if target.resource.key == "persistentvolumeclaims":
                new = self._with_storage_class(new)
        elif new and target.resource.key == "pods" and not target.subresource:
            spec: Json = new.get("spec") or {}
            tolerations = _with_tolerations(spec.get("tolerations") or [])
            new = {**new, "spec": with_fields(spec, tolerations=tolerations)}
        return new

    def judge(self, target: Target, context: Context, new: Json, old: Json | None) -> Steps[None]:
        """Keep the namespaces without which nothing works; let no pod outgrow its node."""
        del context
        yield from ()
        if old is not None and target.resource.key == "pods" and target.subresource == "resize":
            self._check_resize(target, new, old)
        if old is not None and not new and target.resource.key == "namespaces" and target.name in PROTECTED:
            raise errors.forbidden("namespaces", "", target.name, "this namespace may not be deleted")

    def _check_resize(self, target: Target, new: Json, old: Json) -> None:
        """Refuse what is more than the node has (plug-in PodResizeAdmission of 1.36)."""
        node_name = new["spec"].get("nodeName")
        if not node_name or new["metadata"]["generation"] == old["metadata"]["generation"]:
            return
        node = self._around.find("nodes", "", node_name)
        if node is None:
            raise errors.forbidden("pods", "", target.name, f'node "{node_name}" not found')
        asked, offered = request_of(new).resources, dig(node, "status", "allocatable") or {}
        lacking = [
            f"{name}, requested: {asked[name]}, allocatable: {has}"
            for name in ("cpu", "memory")
            if asked.get(name, 0) > (has := amount(name, offered.get(name, "0")))
        ]
        if lacking:
            why = f"node didn't have enough allocatable resources: {'; '.join(lacking)}"
            raise errors.forbidden("pods", "", target.name, why, [{"reason": "NodeCapacity"}])

    def _check_namespace(self, target: Target) -> None:
        resource = target.resource
        if not resource.is_namespaced or not target.namespace:
            return
        namespace = self._around.find("namespaces", "", target.namespace)
        if namespace is None:
            raise errors.not_found("namespaces", "", target.namespace)
        if not namespace["metadata"].get("deletionTimestamp"):
            return
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {target.namespace} is being terminated",
            "field": "metadata.namespace",
        }
        why = f"unable to create new content in namespace {target.namespace} because it is being terminated"
        raise errors.forbidden(resource.plural, resource.group, target.name, why, [cause])

    def _with_pod_defaults(self, pod: Json) -> Json:
        spec: Json = pod.get("spec") or {}
        account = spec.get("serviceAccountName") or "default"
        priority, policy = self._priority(spec)
        spec = with_fields(
            spec,
            serviceAccountName=account,
            serviceAccount=account,
            priority=priority,
            preemptionPolicy=policy,
            tolerations=_with_tolerations(spec.get("tolerations") or []),
        )
        return {**pod, "spec": spec}

    def _priority(self, spec: Json) -> tuple[int, str]:
        name = spec.get("priorityClassName")
        if not name:
            return 0, "PreemptLowerPriority"
        found = self._around.find("priorityclasses.scheduling.k8s.io", "", name)
        if found is not None:
            return int(found["value"]), found.get("preemptionPolicy", "PreemptLowerPriority")
        if name in _SYSTEM_PRIORITIES:
            return _SYSTEM_PRIORITIES[name], "PreemptLowerPriority"
        why = f"no PriorityClass with name {name} was found"
        raise errors.forbidden("pods", "", "", why)

    def _with_storage_class(self, claim: Json) -> Json:
        if dig(claim, "spec", "storageClassName") is not None:
            return claim
        for item in self._around.every("storageclasses.storage.k8s.io"):
            marks: Value = item["metadata"].get("annotations") or {}
            if marks.get("storageclass.kubernetes.io/is-default-class") == "true":
                return with_path(claim, ("spec", "storageClassName"), item["metadata"]["name"])
        return claim


def _with_tolerations(present: list[Json]) -> list[Json]:
    how = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _GRACE_ON_BAD_NODE}
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    wanted = [{"key": key, **how} for key in keys if not any(_tolerates(item, key) for item in present)]
    return [*present, *wanted] if wanted else present


def _tolerates(item: Json, key: str) -> bool:
    if item.get("effect") not in {None, "", "NoExecute"}:
        return False
    return item.get("key") == key or (not item.get("key") and item.get("operator") == "Exists")
