"""Pods and the marks of traffic on them, on Kubernetes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from cafe.api.names import APP_LABEL, TRAFFIC_GATE
from cafe.api.trafficmarks import Operation
from cafe.kernel import Clock, Note, ObjectKey
from cafe.kube.kinds import IN_PLACE_SETS
from cafe.kube.objects import Pod
from cafe.traffic.adapters.podmarks import PodMarks, scope_of
from cafe.traffic.adapters.watched import WatchedTraffic, pod_traffic
from cafe.traffic.contract import STUCK, Asking, begin
from cafe.traffic.domain.facts import Employer, PodTraffic
from cafe.traffic.domain.keeping import Asked, Drop
from cafe.traffic.ports import PodView

BELIEVED = timedelta(seconds=3)
"""For so long a look at an employer counts: longer than the pause between two looks at a drained pod."""


class Teller(Protocol):
    """Where events of pods go."""

    def tell_of_pod(self, pod: PodTraffic, note: Note) -> None:
        """Record an Event; never waits, never fails."""


class Wishes:
    """Drains that were asked for: who asks does so again and again, so nothing need be stored."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[str, dict[str, tuple[timedelta, str]]] = {}

    def ask(self, uid: str, name: str, reason: str) -> None:
        """Remember that an operation on a pod is asked for now."""
        self._asked.setdefault(uid, {})[name] = (self._clock.monotonic(), reason)

    def of(self, uid: str) -> dict[str, Asked]:
        """Return by operation who asked for it last, and how long ago."""
        now = self._clock.monotonic()
        return {name: Asked(now - at, reason) for name, (at, reason) in self._asked.get(uid, {}).items()}

    def forget(self, uid: str) -> None:
        """Drop what is known of a pod that is gone."""
        self._asked.pop(uid, None)


class KubePodTraffic:
    """The `PodTrafficStore` of a cluster."""

    def __init__(
        self, watched: WatchedTraffic, marks: PodMarks, wishes: Wishes, teller: Teller, clock: Clock
    ) -> None:
        self._watched = watched
        self._clock = clock
        self._marks = marks
        self._wishes = wishes
        self._teller = teller
        self._facts: dict[ObjectKey, PodTraffic] = {}
        self._confirmed: dict[str, dict[str, timedelta]] = {}
        self._wake: Callable[[ObjectKey], None] = lambda _: None
        watched.pods.on_change(self._changed)

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is not None:
            self._facts.pop(pod.key, None)
        if old is not None and new is None:
            self._wishes.forget(old.metadata.uid)
            self._confirmed.pop(old.metadata.uid, None)

    def view(self, key: ObjectKey) -> PodView | None:
        """Return the pod; None if it is gone, belongs to no application, or our own writes don't show yet."""
        pod = self._watched.pods.get(key)
        if pod is None or not pod.metadata.labels.get(APP_LABEL):
            return None
        if not self._watched.pods.is_current(scope_of(key)):
            return None
        fact = self._facts.get(key)
        if fact is None:
            fact = self._facts[key] = pod_traffic(pod)
        owner = pod.metadata.controller
        # One that was made without the gate can't leave Services alive: nobody promises anything for it.
        is_gated = any(gate.condition_type == TRAFFIC_GATE for gate in pod.spec.readiness_gates)
        return PodView(
            pod=fact,
            employers=self._watched.employers(key.namespace, pod.metadata.labels) if is_gated else (),
            asked=self._wishes.of(fact.uid),
            is_served=owner is not None and owner.kind == IN_PLACE_SETS.kind,
        )

    def is_gone(self, key: ObjectKey) -> bool:
        """Whether there is no such pod any more."""
        return self._watched.pods.get(key) is None

    def mates(self, key: ObjectKey) -> Sequence[ObjectKey]:
        """Return the pods of the same application, itself included."""
        pod = self._watched.pods.get(key)
        app = pod.metadata.labels.get(APP_LABEL, "") if pod is not None else ""
        return [mate.key for mate in self._watched.pods_of(key.namespace, app)] if app else []

    def expected_text(self, namespace: str, labels: Mapping[str, str]) -> str:
        """Return what a pod with these labels is to carry as its `expected` annotation."""
        return self._watched.expected_text(namespace, labels)

    def on_confirmed(self, wake: Callable[[ObjectKey], None]) -> None:
        """Call *wake* with the key of a pod once it is confirmed to be out of traffic."""
        self._wake = wake

    def confirm(self, pod: PodTraffic, employer: Employer, *, is_gone: bool) -> None:
        """Take note that an employer was read back just now, and whether it has no traffic for a pod."""
        if not is_gone:  # What was seen before counts no more, however short ago: it has changed since.
            self._confirmed.get(pod.uid, {}).pop(employer.name, None)
            return
        key = ObjectKey(pod.namespace, pod.name)
        was = self.is_confirmed(key)
        self._confirmed.setdefault(pod.uid, {})[employer.name] = self._clock.monotonic()
        if not was and self.is_confirmed(key):
            self._wake(key)

    def is_confirmed(self, key: ObjectKey) -> bool:
        """Whether every employer of a pod was read back a moment ago, and had no traffic for it."""
        view = self.view(key)
        if view is None:
            return False
        told, now = self._confirmed.get(view.pod.uid, {}), self._clock.monotonic()
        return all(e.name in told and now - told[e.name] <= BELIEVED for e in view.employers)

    async def release(self, pod: PodTraffic, employer: Employer, evidence: str) -> None:
        """Take an employer's protection away, and acknowledge the operations that stand."""
        await self._marks.release(pod, employer, evidence)

    async def publish(self, pod: PodTraffic, employer: Employer) -> None:
        """Put an employer's protection on."""
        await self._marks.publish(pod, employer)

    async def tell_stuck(self, pod: PodTraffic, employer: Employer, evidence: str) -> None:
        """Say on the pod, and as an event, what a drain waits for that has taken too long."""
        await self._marks.tell_stuck(pod, employer, evidence)
        await self.tell(pod, Note(STUCK, f"{employer.name}: {evidence}", is_warning=True))

    async def drop(self, pod: PodTraffic, action: Drop) -> None:
        """Take away what is nobody's any more."""
        await self._marks.drop(pod, action.finalizers, action.employers)

    async def ask(self, pod: PodTraffic, name: str, operation: Operation) -> None:
        """Write an operation's beginning."""
        labels = self._labels(pod)
        asking = begin(name, operation, self.expected_text(pod.namespace, labels))
        await self._marks.write(pod, asking, f"{operation.type} asked for by {operation.actor}")

    async def give_back(self, pod: PodTraffic, asking: Asking) -> None:
        """Write an operation's end."""
        told = "An operation stands on the pod" if asking.gate is False else "No operation stands on the pod"
        await self._marks.write(pod, asking, told)

    async def tell(self, pod: PodTraffic, note: Note) -> None:
        """Record an Event of a pod."""
        self._teller.tell_of_pod(pod, note)

    def _labels(self, pod: PodTraffic) -> Mapping[str, str]:
        found = self._watched.pods.get(ObjectKey(pod.namespace, pod.name))
        return found.metadata.labels if found is not None else {}
