"""HorizontalPodAutoscalers: as many pods as their metrics ask for, within bounds and not too fast.

    scale of the target ── pods, metrics ──▶ proposals ── history, behavior ──▶ wanted ──▶ scale

Each autoscaler is looked at every sync period and at no other time, as by the real controller: a change of
the autoscaler, of its target or of a load is seen in the next look.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from cafe.kernel import ObjectKey
from cafe_sim.apiserver.selectors import Labels, parse_labels
from cafe_sim.contract import ApiError, Json, StoreEvent
from cafe_sim.controllers.autoscaler_limits import (
    History,
    Past,
    Sizes,
    Verdict,
    behavior_of,
    settle,
    settle_by,
)
from cafe_sim.controllers.autoscaler_metrics import Autoscaling, Failure, Found, MetricReader, Target
from cafe_sim.controllers.base import Controller, Plane, by_namespace
from cafe_sim.machinery.conditions import with_condition
from cafe_sim.machinery.objects import key_of, labels_of, status_of, text_of
from cafe_sim.machinery.recorder import Note

RESOURCE = "horizontalpodautoscalers.autoscaling"
AUTOSCALING = "autoscaling/v2"


class _Decision(NamedTuple):
    """What comes of a pass: how many, why, and what the status tells of the metrics."""

    replicas: int
    why: str = ""
    metrics: list[Json] | None = None


class _Stopped(Exception):
    """A pass can't go on; *metrics* is what the status tells of them."""

    def __init__(self, metrics: list[Json] | None = None) -> None:
        super().__init__()
        self.metrics = metrics


class _Pass:
    """One look at one autoscaler: collects conditions."""

    def __init__(self, scaler: Json, now: datetime) -> None:
        self.scaler = scaler
        self.spec: Json = scaler["spec"]
        self.key = key_of(scaler)
        self.now = now
        self.conditions: list[Json] = list(status_of(scaler).get("conditions") or ())

    def tell(self, kind: str, reason: str, message: str, *, is_true: bool) -> None:
        """Set a condition."""
        new = {"type": kind, "status": "True" if is_true else "False", "reason": reason, "message": message}
        self.conditions = with_condition(self.conditions, new, self.now)

    @property
    def least(self) -> int:
        """The fewest pods."""
        return int(self.spec.get("minReplicas", 1))

    @property
    def most(self) -> int:
        """The most pods."""
        return int(self.spec["maxReplicas"])

    @property
    def behavior(self) -> Mapping[str, Any]:
        """What the user says of the behavior."""
        return self.spec.get("behavior") or {}


class HorizontalController(Controller):
    """Scales what HorizontalPodAutoscalers point to."""

    name = "horizontal-pod-autoscaler"

    def __init__(self, plane: Plane, options: Autoscaling | None = None) -> None:
        super().__init__(plane)
        self._options = options or Autoscaling()
        self._scalers = self.client.informer(RESOURCE)
        self._pods = self.client.informer("pods")
        self._histories: dict[ObjectKey, History] = {}
        self._selectors: dict[ObjectKey, Callable[[Labels], bool]] = {}

    def start(self) -> None:
        """Follow autoscalers: a new one is looked at after a period."""
        self._pods.index("namespace", by_namespace)
        self._scalers.follow(self._on_scaler)

    def _on_scaler(self, event: StoreEvent) -> None:
        key = key_of(event.new)
        if event.type != "DELETED":
            self.queue.add_after(key, self._options.sync_period)
            return
        self._histories.pop(key, None)
        self._selectors.pop(key, None)

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Look at one autoscaler; come back after a period, whatever goes wrong."""
        scaler = self._scalers.get(key)
        if scaler is None:
            return None
        step = _Pass(scaler, self.now())
        try:
            resource, scale = self._scale(step)
        except LookupError as error:
            self._warn(step, "FailedGetScale", str(error))
            text = f"the HPA controller was unable to get the target's current scale: {error}"
            step.tell("AbleToScale", "FailedGetScale", text, is_true=False)
            self._write(step, {})
            return self._options.sync_period
        text = "the HPA controller was able to get the target's current scale"
        step.tell("AbleToScale", "SucceededGetScale", text, is_true=True)
        current = int(scale["spec"].get("replicas", 0))
        self._histories.setdefault(step.key, History((Past(current, step.now),)))
        try:
            decision = self._decide(step, scale, current)
        except _Stopped as stop:
            self._report(step, current, None, stop.metrics)
        else:
            self._act(step, resource, current, decision)
        return self._options.sync_period

    def _scale(self, step: _Pass) -> tuple[str, Json]:
        """Return the target's resource and scale.

        Raises:
            LookupError: There is none.
        """
        ref = step.spec["scaleTargetRef"]
        version = ref.get("apiVersion", "")
        kind = self.plane.catalogue.kind_of(version, ref["kind"])
        if kind is None:
            group = version.rpartition("/")[0]
            raise LookupError(f'no matches for kind "{ref["kind"]}" in group "{group}"')
        try:
            return kind.resource, self.client.api.scale(kind.resource, step.key.namespace, ref["name"])
        except ApiError as error:
            raise LookupError(error.message) from error

    def _decide(self, step: _Pass, scale: Json, current: int) -> _Decision:
        """Return how many pods are wanted.

        Raises:
            _Stopped: That can't be told.
        """
        if current == 0:
            text = "scaling is disabled since the replica count of the target is zero"
            step.tell("ScalingActive", "ScalingDisabled", text, is_true=False)
            return _Decision(0)
        if current > step.most:
            return _Decision(step.most, "Current number of replicas above Spec.MaxReplicas")
        if current < step.least:
            return _Decision(step.least, "Current number of replicas below Spec.MinReplicas")
        found, metrics = self._measure(step, scale, current)
        why = ""
        if found.replicas > current:
            why = f"{found.name} above target"
        elif found.replicas < current:
            why = "All metrics below target"
        verdict = self._settle(step, found.replicas, current)
        step.tell("AbleToScale", *verdict.able, is_true=True)
        step.tell("ScalingLimited", *verdict.limited, is_true=verdict.is_limited)
        return _Decision(verdict.replicas, why, metrics)

    def _settle(self, step: _Pass, proposed: int, current: int) -> Verdict:
        history, now = self._histories[step.key], step.now
        sizes = Sizes(current, step.least, step.most)
        window = self._options.downscale_stabilization
        behavior = behavior_of(step.spec, window)
        if behavior is None:
            verdict = settle(proposed, sizes, history, now, window)
        else:
            verdict = settle_by(proposed, sizes, history, now, behavior)
            window = max(behavior.up.window, behavior.down.window)
        self._histories[step.key] = history.proposed(proposed, now, window)
        return verdict

    def _measure(self, step: _Pass, scale: Json, current: int) -> tuple[Found, list[Json]]:
        """Return the largest proposal, and what the status tells of each metric.

        Raises:
            _Stopped: No metric can be had, or one can't and the rest would take pods away.
        """
        target = Target(step.key.namespace, self._selected(step, scale), current)
        reader = MetricReader(self.client.api, self._options, step.now)
        best: Found | None = None
        first: Failure | None = None
        failures, metrics = 0, []
        for metric in step.spec["metrics"]:
            try:
                found = reader.read(metric, target, step.behavior)
            except Failure as failure:
                self._warn(step, failure.reason, failure.detail)
                first, failures = first or failure, failures + 1
                metrics.append({"type": ""})
                continue
            metrics.append(found.status)
            if best is None or best.replicas == 0 or found.replicas > best.replicas:
                best = found
        if first is not None and (best is None or best.replicas < current):
            text = f"the HPA was unable to compute the replica count: {first.detail}"
            step.tell("ScalingActive", first.reason, text, is_true=False)
            count = f"({failures} invalid out of {len(metrics)})"
            told = f"invalid metrics {count}, first error is: {first}"
            self._warn(step, "FailedComputeMetricsReplicas", told)
            raise _Stopped(metrics)
        assert best is not None  # noqa: S101 -- the server fills in a metric if there is none
        text = f"the HPA was able to successfully calculate a replica count from {best.name}"
        step.tell("ScalingActive", "ValidMetricFound", text, is_true=True)
        return best, metrics

    def _selected(self, step: _Pass, scale: Json) -> list[Json]:
        """Return the target's pods.

        Raises:
            _Stopped: It says not which those are, or another autoscaler scales them too.
        """
        text = (scale.get("status") or {}).get("selector") or ""
        try:
            test = self._selectors[step.key] = _read_selector(text)
        except _BadSelector as bad:
            self._refuse(step, bad)
            raise _Stopped from bad
        pods = self._pods.by_index("namespace", step.key.namespace)
        mine = [pod for pod in pods if test(labels_of(pod))]
        rivals = self._selecting(step.key, mine)
        if len(rivals) > 1:
            shown = " ".join(str(key) for key in rivals)
            told = f"pods by selector {text} are controlled by multiple HPAs: [{shown}]"
            self._refuse(step, _BadSelector("AmbiguousSelector", "AmbiguousSelector", told))
            raise _Stopped
        return mine

    def _selecting(self, key: ObjectKey, pods: list[Json]) -> list[ObjectKey]:
        """Return the autoscalers of the namespace whose targets select any of *pods*."""
        return sorted(
            other
            for other, test in self._selectors.items()
            if other.namespace == key.namespace and any(test(labels_of(pod)) for pod in pods)
        )

    def _refuse(self, step: _Pass, bad: "_BadSelector") -> None:
        self._warn(step, bad.event, str(bad))
        step.tell("ScalingActive", bad.reason, bad.told or str(bad), is_true=False)
        self._warn(step, "FailedComputeMetricsReplicas", str(bad))

    def _act(self, step: _Pass, resource: str, current: int, decision: _Decision) -> None:
        wanted = decision.replicas
        if wanted == current:
            self._report(step, current, wanted, decision.metrics)
            return
        target = ObjectKey(step.key.namespace, step.spec["scaleTargetRef"]["name"])
        try:
            self.client.rescale(resource, target, wanted)
        except ApiError as error:
            told = f"New size: {wanted}; reason: {decision.why}; error: {error.message}"
            self._warn(step, "FailedRescale", told)
            text = f"the HPA controller was unable to update the target scale: {error.message}"
            step.tell("AbleToScale", "FailedUpdateScale", text, is_true=False)
            self._report(step, current, None, decision.metrics)
            return
        text = f"the HPA controller was able to update the target scale to {wanted}"
        step.tell("AbleToScale", "SucceededRescale", text, is_true=True)
        told = f"New size: {wanted}; reason: {decision.why}"
        self.event(step.scaler, AUTOSCALING, Note("Normal", "SuccessfulRescale", told))
        behavior = behavior_of(step.spec, self._options.downscale_stabilization)
        if behavior is not None:
            history = self._histories[step.key]
            self._histories[step.key] = history.scaled(current, wanted, step.now, behavior)
        self._report(step, current, wanted, decision.metrics)

    def _report(self, step: _Pass, current: int, wanted: int | None, metrics: list[Json] | None) -> None:
        """Write the status; *wanted* is None if it can't be told, and then stays as it was."""
        old = status_of(step.scaler)
        kept = int(old.get("desiredReplicas", 0))
        status: Json = {"desiredReplicas": kept if wanted is None else wanted, "currentMetrics": metrics}
        if current:
            status["currentReplicas"] = current
        if "lastScaleTime" in old:
            status["lastScaleTime"] = old["lastScaleTime"]
        if wanted is not None and wanted != current:
            status["lastScaleTime"] = text_of(step.now)
        self._write(step, status)

    def _write(self, step: _Pass, status: Json) -> None:
        """Write conditions, and *status* unless it is empty. A conflict waits for the next pass."""
        fresh = self._scalers.get(step.key)
        if fresh is None:
            return
        body = {**(status or status_of(step.scaler)), "conditions": step.conditions}
        try:
            self.patch_status(RESOURCE, fresh, body)
        except ApiError as error:
            self._warn(step, "FailedUpdateStatus", error.message)

    def _warn(self, step: _Pass, reason: str, message: str) -> None:
        self.event(step.scaler, AUTOSCALING, Note("Warning", reason, message))


class _BadSelector(Exception):
    """A target's selector can't be used; *told* is the condition's message if that is another."""

    def __init__(self, event: str, reason: str, problem: str, told: str = "") -> None:
        super().__init__(problem)
        self.event = event
        self.reason = reason
        self.told = told


def _read_selector(text: str) -> Callable[[Labels], bool]:
    if not text:
        told = "the HPA target's scale is missing a selector"
        raise _BadSelector("SelectorRequired", "InvalidSelector", "selector is required", told)
    try:
        return parse_labels(text)
    except ApiError as error:
        problem = "couldn't convert selector into a corresponding internal selector object: "
        raise _BadSelector("InvalidSelector", "InvalidSelector", problem + error.message) from error
