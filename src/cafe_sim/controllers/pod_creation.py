"""Pods made from a template, in batches that grow while all goes well."""

from collections.abc import Callable

from cafe_sim.contract import ApiError, Json

BURST = 500
"""At most as many pods are created or deleted in one pass (kube-controller-manager's BurstReplicas)."""


def pod_from_template(template: Json, owner_ref: Json, name: str = "", *, prefix: str = "") -> Json:
    """Return a pod's body: the template's metadata and spec, owned by *owner_ref*."""
    source = template.get("metadata") or {}
    meta: Json = {k: source[k] for k in ("labels", "annotations", "finalizers") if source.get(k)}
    meta |= {"name": name} if name else {"generateName": prefix}
    meta["ownerReferences"] = [owner_ref]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


def slow_start(count: int, create: Callable[[], None]) -> ApiError | None:
    """Call *create* *count* times in batches of 1, 2, 4 …; after a batch with a failure, stop and return it.

    So an exhausted quota costs one refused request, not hundreds.
    """
    done, batch = 0, 1
    while done < count:
        failure: ApiError | None = None
        size = min(batch, count - done)
        for _ in range(size):
            try:
                create()
            except ApiError as error:
                failure = failure or error
        if failure is not None:
            return failure
        done += size
        batch *= 2
    return None
