"""What a HorizontalPodAutoscaler knows of its target's pods, and what each of its metrics proposes.

Resource metrics come from `metrics.k8s.io`. There is no `custom.metrics.k8s.io` and no
`external.metrics.k8s.io`, as in a cluster without an adapter: metrics of those types always fail.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from cafe_sim.contract import Api, ApiError, Json
from cafe_sim.controllers.autoscaler_arithmetic import (
    AverageUse,
    Goal,
    Sample,
    Standing,
    Tolerance,
    Unmeasurable,
    Utilization,
    propose,
)
from cafe_sim.machinery.conditions import find_condition
from cafe_sim.machinery.objects import is_deleting, status_of, time_of
from cafe_sim.machinery.pods import phase_of
from cafe_sim.machinery.quantities import milli

METRICS = "pods.metrics.k8s.io"
_NO_SUCH_API = "the server could not find the requested resource"


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """Options of the controller: defaults and meaning are those of kube-controller-manager's flags.

    Attributes:
        sync_period: How often each autoscaler is looked at.
        tolerance: How far from the target an average may be.
        downscale_stabilization: How long scaling down waits for a higher proposal.
        cpu_initialization_period: How long after its start a pod's CPU counts only while it is ready.
        initial_readiness_delay: After its start, a pod that was never ready before this doesn't count.
    """

    sync_period: timedelta = timedelta(seconds=15)
    tolerance: float = 0.1
    downscale_stabilization: timedelta = timedelta(minutes=5)
    cpu_initialization_period: timedelta = timedelta(minutes=5)
    initial_readiness_delay: timedelta = timedelta(seconds=30)


class Failure(Exception):
    """A metric can't be had.

    Attributes:
        reason: Of the condition and the event, such as `FailedGetResourceMetric`.
        detail: What went wrong, as both tell it.
        context: Before *detail*, in the message about all metrics.
    """

    def __init__(self, reason: str, detail: str, context: str) -> None:
        super().__init__(f"{context}: {detail}")
        self.reason = reason
        self.detail = detail


class Found(NamedTuple):
    """What one metric proposes, its name in messages, and its entry of `status.currentMetrics`."""

    replicas: int
    name: str
    status: Json


@dataclass(frozen=True, slots=True)
class Target:
    """What is scaled, as a pass found it.

    Attributes:
        namespace: Where it is.
        pods: All that its selector selects.
        current: How many pods are wanted now.
    """

    namespace: str
    pods: Sequence[Json]
    current: int


class MetricReader:
    """Reads metrics for one pass."""

    def __init__(self, api: Api, options: Autoscaling, now: datetime) -> None:
        self._api = api
        self._options = options
        self._now = now

    def read(self, metric: Json, target: Target, behavior: Mapping[str, Any]) -> Found:
        """Return what *metric* proposes for *target*.

        Raises:
            Failure: It can't be had.
        """
        kind = metric["type"]
        if kind == "Resource":
            return self._resource(metric["resource"], target, behavior, "")
        if kind == "ContainerResource":
            source = metric["containerResource"]
            return self._resource(source, target, behavior, source["container"])
        raise _adapterless(kind, metric, target.namespace)

    def _resource(self, source: Json, target: Target, behavior: Mapping[str, Any], container: str) -> Found:
        name, goal = source["name"], source["target"]
        field = "containerResource" if container else "resource"
        is_average = goal.get("averageValue") is not None
        wanted: Goal
        if is_average:
            wanted = AverageUse(milli(goal["averageValue"]))
        else:
            wanted = Utilization(goal["averageUtilization"])
        try:
            samples = self._samples(name, target, container, needs_requests=not is_average)
            found = propose(samples, target.current, wanted, self._tolerance(behavior))
        except Unmeasurable as problem:
            reason = "FailedGetContainerResourceMetric" if container else "FailedGetResourceMetric"
            what = f"{container} container" if container else f"{name} resource"
            detail = f"failed to get {name} {'usage' if is_average else 'utilization'}: {problem}"
            raise Failure(reason, detail, f"failed to get {what} metric value") from problem
        current: Json = {"averageValue": amount_text(name, found.measure.average)}
        label = f"{name} resource"
        if found.measure.percent is not None:
            current["averageUtilization"] = found.measure.percent
            label = f"{name} {'container ' if container else ''}resource utilization (percentage of request)"
        status: Json = {"name": name, "current": current}
        status |= {"container": container} if container else {}
        return Found(found.replicas, label, {"type": field[0].upper() + field[1:], field: status})

    def _tolerance(self, behavior: Mapping[str, Any]) -> Tolerance:
        def of(direction: str) -> float:
            own = (behavior.get(direction) or {}).get("tolerance")
            return self._options.tolerance if own is None else milli(own) / 1000

        return Tolerance(of("scaleDown"), of("scaleUp"))

    def _samples(
        self, resource: str, target: Target, container: str, *, needs_requests: bool
    ) -> list[Sample]:
        told = self._told(resource, target)
        samples = []
        for pod in target.pods:
            metric = told.get(pod["metadata"]["name"])
            used = None if metric is None else _used(metric, resource, container)
            standing = self._standing(pod, metric if used is not None else None, resource)
            requested = requested_of(pod, resource, container) if needs_requests else 0
            samples.append(Sample(standing, used or 0, requested))
        return samples

    def _told(self, resource: str, target: Target) -> dict[str, Json]:
        """Return the `PodMetrics` of the target's pods by name."""
        try:
            listed = self._api.list(METRICS, target.namespace)
        except ApiError as error:
            more = f" (get {METRICS})" if error.status == 404 else ""
            raise Unmeasurable(
                f"unable to get metrics for resource {resource}: unable to fetch metrics from resource "
                f"metrics API: {error.message}{more}"
            ) from error
        names = {pod["metadata"]["name"] for pod in target.pods}
        told = {item["metadata"]["name"]: item for item in listed if item["metadata"]["name"] in names}
        if not told:
            none = "no metrics returned from resource metrics API"
            raise Unmeasurable(f"unable to get metrics for resource {resource}: {none}")
        return told

    def _standing(self, pod: Json, metric: Json | None, resource: str) -> Standing:
        if is_deleting(pod) or phase_of(pod) == "Failed":
            return Standing.IGNORED
        if phase_of(pod) == "Pending":
            return Standing.UNREADY
        if metric is None:
            return Standing.MISSING
        is_unready = resource == "cpu" and self._is_starting(pod, metric)
        return Standing.UNREADY if is_unready else Standing.COUNTED

    def _is_starting(self, pod: Json, metric: Json) -> bool:
        """Tell whether a pod's CPU tells of its start and not of its work."""
        ready = find_condition(status_of(pod), "Ready")
        started = status_of(pod).get("startTime")
        if ready is None or started is None:
            return True
        changed = time_of(ready.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"])
        if time_of(started) + self._options.cpu_initialization_period > self._now:
            window = timedelta(seconds=int(metric["window"].removesuffix("s")))
            return ready["status"] == "False" or time_of(metric["timestamp"]) < changed + window
        was_never_ready = time_of(started) + self._options.initial_readiness_delay > changed
        return ready["status"] == "False" and was_never_ready


def _used(metric: Json, resource: str, container: str) -> int | None:
    """Return the thousandths that a pod, or one of its containers, uses; None if that isn't told of all."""
    chosen = [c["usage"].get(resource) for c in metric["containers"] if container in {"", c["name"]}]
    return None if not chosen or None in chosen else sum(milli(amount) for amount in chosen)


def requested_of(pod: Json, resource: str, container: str) -> int:
    """Return the thousandths that a pod, or one of its containers, requests.

    Raises:
        Unmeasurable: A container requests nothing, or there is no such container.
    """
    spec, name = pod["spec"], pod["metadata"]["name"]
    whole = ((spec.get("resources") or {}).get("requests") or {}) if not container else {}
    if whole:
        if resource not in whole:
            raise Unmeasurable(f"missing pod-level request for {resource} in Pod {name}")
        return milli(whole[resource])
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    chosen = [c for c in (*spec["containers"], *sidecars) if container in {"", c["name"]}]
    if not chosen:
        raise Unmeasurable(f"container {container} not found in Pod {name}")
    total = 0
    for one in chosen:
        requests = (one.get("resources") or {}).get("requests") or {}
        if resource not in requests:
            raise Unmeasurable(f"missing request for {resource} in container {one['name']} of Pod {name}")
        total += milli(requests[resource])
    return total


def amount_text(resource: str, thousandths: int) -> str:
    """Write an amount as the server keeps it: memory by powers of two, all else in decimals."""
    if resource != "memory":
        return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)
    number, suffixes = -(-thousandths // 1000), iter(("Ki", "Mi", "Gi", "Ti"))
    suffix = ""
    while number >= 1024 and number % 1024 == 0:
        number, suffix = number // 1024, next(suffixes)
    return f"{number}{suffix}"


def _adapterless(kind: str, metric: Json, namespace: str) -> Failure:
    source = metric[kind.lower()]
    name = source["metric"]["name"]
    is_average = source["target"].get("averageValue") is not None
    if kind == "External":
        detail = (
            f"unable to get external metric {namespace}/{name}/{_go_text(source['metric'].get('selector'))}: "
            f"unable to fetch metrics from external metrics API: {_NO_SUCH_API} "
            f"(get {name}.external.metrics.k8s.io)"
        )
        what = f"{name} external metric" if is_average else f"external metric {name}"
        context = f"failed to get {name} external metric value: failed to get {what}"
        return Failure("FailedGetExternalMetric", detail, context)
    missing = (
        "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) "
    )
    missing += "registered"
    context = f"failed to get {kind.lower()} metric value"
    if kind == "Pods":
        return Failure("FailedGetPodsMetric", f"unable to get metric {name}: {missing}", context)
    about = source["describedObject"]
    # The order of the words is the real controller's.
    detail = f"unable to get metric {name}: {about['kind']} on {namespace} {about['name']}/{missing}"
    if is_average:
        context += f": failed to get {name} object metric"
    return Failure("FailedGetObjectMetric", detail, context)


def _go_text(selector: Json | None) -> str:
    """Write a selector as Go's `%+v` does."""
    if selector is None:
        return "nil"
    labels = " ".join(
        f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items())
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        "MatchExpressions:[]LabelSelectorRequirement{},}"
    )
