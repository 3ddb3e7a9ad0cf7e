"""What pods use, and `metrics.k8s.io/v1beta1`, which tells of it.

Nothing is measured. A pod's use is written in its annotation `cafe.test/usage`, such as
`cpu=250m,memory=64Mi`, and shared evenly by its containers. The testbed's metrics server reads it by the
same rule, so a test sets a load in the same way on both backends.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from cafe_sim.apiserver.kinds.shapes import BuiltinShape
from cafe_sim.apiserver.metadata import stamp
from cafe_sim.apiserver.resource import Resource, Rules
from cafe_sim.apiserver.schema.quantities import BadQuantityError, amount, canonical
from cafe_sim.apiserver.values import dig
from cafe_sim.contract import Json

USAGE = "cafe.test/usage"
GROUP, VERSION = "metrics.k8s.io", "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"
WINDOW = "15s"
"""Over how long each sample is said to be taken; an autoscaler trusts none that began before readiness."""


def usage_of(pod: Json) -> list[Json] | None:
    """Return `name` and `usage` of each container, None if the pod has no metrics.

    It has none if it does not run, if nobody wrote what it uses, or if what was written is no list of
    quantities.
    """
    text = dig(pod, "metadata", "annotations", USAGE)
    names = [container["name"] for container in pod["spec"]["containers"]]
    if not text or dig(pod, "status", "phase") != "Running":
        return None
    shares: list[dict[str, str]] = [{} for _ in names]
    try:
        for entry in text.split(","):
            resource, _, quantity = entry.strip().partition("=")
            for share, part in zip(shares, _split(resource, quantity, len(names)), strict=True):
                share[resource] = part
    except BadQuantityError:
        return None
    return [{"name": name, "usage": share} for name, share in zip(names, shares, strict=True)]


def _split(resource: str, quantity: str, count: int) -> Iterator[str]:
    """Share a quantity out so that the parts add up: memory in bytes, all else in thousandths."""
    unit = 1 if resource == "memory" else 1000
    each, rest = divmod(int(amount(quantity) * unit), count)
    for index in range(count):
        part = each + (index < rest)
        text = f"{part}m" if unit == 1000 else f"{part // 1024}Ki" if part % 1024 == 0 else str(part)
        yield canonical(text)


def pod_metrics(pod: Json, now: datetime) -> Json | None:
    """Return the `PodMetrics` of a pod at *now*, None if it has none."""
    containers = usage_of(pod)
    if containers is None:
        return None
    meta = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
    if pod["metadata"].get("labels"):
        meta["labels"] = pod["metadata"]["labels"]
    return {
        "kind": "PodMetrics",
        "apiVersion": API_VERSION,
        "metadata": {**meta, "creationTimestamp": stamp(now)},
        "timestamp": stamp(now),
        "window": WINDOW,
        "containers": containers,
    }


def metrics_resource(now: Callable[[], datetime]) -> Resource:
    """Return the resource `pods.metrics.k8s.io`: pods, seen by what they use at *now*."""
    return Resource(
        group=GROUP,
        version=VERSION,
        plural="pods",
        kind="PodMetrics",
        is_namespaced=True,
        shape=BuiltinShape("metrics/v1beta1.PodMetrics"),
        rules=Rules(),
        key="pods",
        list_kind="PodMetricsList",
        verbs=("get", "list"),
        from_store=lambda pod: pod_metrics(pod, now()) or {},
        is_shown=lambda pod: usage_of(pod) is not None,
    )
