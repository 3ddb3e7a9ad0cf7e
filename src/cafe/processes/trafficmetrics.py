"""What the metrics say of traffic: pods by where they stand, and what each provider does."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from cafe.api.names import APP_LABEL
from cafe.kube.objects import Pod
from cafe.observe.metrics import TrafficMetrics
from cafe.traffic.adapters.watched import WatchedTraffic, marks_of
from cafe.traffic.contract import STUCK, UNGUARDED, Phase, stand_of
from cafe.traffic.domain.draining import Command
from cafe.traffic.domain.facts import ReplicaView
from cafe.traffic.domain.reporting import problems_of

SERVICE = "Service"
"""What the metrics call the provider that all Services are."""


def phase_of(pod: Pod) -> tuple[str, bool]:
    """Return where a pod stands, and whether its drain is forced; an empty word if nobody guards it."""
    fact = stand_of(marks_of(pod))
    if fact is UNGUARDED:
        return "", False
    is_forced = any(operation.force for operation in fact.operations.values())
    is_stuck = bool(fact.stuck) and fact.phase is Phase.DRAINING
    return STUCK if is_stuck else fact.phase.value, is_forced


class PodPhases:
    """Counts pods as the cache shows them."""

    def __init__(self, metrics: TrafficMetrics, watched: WatchedTraffic) -> None:
        self._metrics = metrics
        watched.pods.on_change(self._changed)

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        for pod, step in ((old, -1), (new, 1)):
            app = pod.metadata.labels.get(APP_LABEL) if pod is not None else None
            if pod is None or not app:
                continue
            phase, is_forced = phase_of(pod)
            if phase:
                self._metrics.pods.labels(pod.metadata.namespace, app, phase).inc(step)
            if is_forced:
                self._metrics.forced.labels(pod.metadata.namespace, app).inc(step)


class ProviderMeasuring:
    """The `ProviderObserver` that counts.

    Args:
        metrics: Where.
        name: Of the provider; empty for Services.
        replicas: Names of its processes.
    """

    def __init__(self, metrics: TrafficMetrics, name: str, replicas: Sequence[str] = ()) -> None:
        self._all = metrics
        self._name = name or SERVICE
        self._metrics = metrics.bind(self._name)
        self._replicas = replicas

    def seen(self, views: Mapping[str, Sequence[ReplicaView]]) -> None:
        """Say which processes answer; Services are read from the cache, which always does."""
        problems = problems_of(views)
        whole = "" if self._name in self._replicas else problems.get(self._name, "")
        for replica in self._replicas:
            if whole or replica in problems:
                is_reachable = not whole and not problems[replica]
                self._metrics.reached(self._name, replica, is_reachable=is_reachable)

    def told(self, command: Command, *, is_done: bool) -> None:
        """Count a command; nobody is told anything of Services."""
        if self._name != SERVICE:
            self._metrics.told(command.value, is_done=is_done)

    def drained(self, took: timedelta) -> None:
        """Measure a drain."""
        self._metrics.drained(took)

    def attached(self, took: timedelta) -> None:
        """Measure a way back."""
        self._metrics.attached(took)

    def forget(self) -> None:
        """Say no more of a provider that is gone, or changed."""
        self._all.forget(self._name, self._replicas)
