"""The traffic controllers of one cluster, wired: the same in production, in tests and in `cafe up`."""

import asyncio
from collections.abc import Callable, Mapping

from cafe.api.trafficprovider import TrafficProvider
from cafe.kernel import Clock, Note, ObjectKey
from cafe.kube.caches import Caches
from cafe.kube.client import Client
from cafe.kube.endpoints import EndpointSlice
from cafe.kube.events import EventRecorder, News
from cafe.kube.objects import PODS, ObjectReference
from cafe.observe.metrics import TrafficMetrics
from cafe.processes.carriers import MakeAdapter
from cafe.processes.trafficmetrics import PodPhases, ProviderMeasuring
from cafe.traffic.adapters.bindings import KubeBindings
from cafe.traffic.adapters.endpoints import EndpointsAdapter
from cafe.traffic.adapters.podmarks import PodMarks
from cafe.traffic.adapters.pods import KubePodTraffic, Wishes
from cafe.traffic.adapters.providers import KubeProviders
from cafe.traffic.adapters.watched import WatchedTraffic
from cafe.traffic.domain.facts import PodTraffic
from cafe.traffic.ports import ProviderObserver, TrafficAdapter
from cafe.traffic.reconcilers.bindings import BindingReconciler
from cafe.traffic.reconcilers.pods import PodTrafficReconciler
from cafe.traffic.reconcilers.providers import ProviderLoop
from cafe.traffic.reconcilers.reporting import ProviderReporter

SERVICES = ""
"""The provider that all Services are."""


class PodTeller:
    """Records notes about pods as Events."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def tell_of_pod(self, pod: PodTraffic, note: Note) -> None:
        """Record an Event; never waits, never fails."""
        reference = ObjectReference(
            api_version="v1", kind=PODS.kind, namespace=pod.namespace, name=pod.name, uid=pod.uid
        )
        self._recorder.record(
            News(reference, note.reason, note.message, "Warning" if note.is_warning else "Normal")
        )


class TrafficParts:
    """Everything of traffic but its controllers' queues.

    Attributes:
        expecting: Knows who sends requests to pods; for whoever makes pods.
        wishes: Where evictions are asked for.
        metrics: Where pods on their way are counted.
    """

    def __init__(
        self,
        client: Client,
        caches: Caches,
        clock: Clock,
        recorder: EventRecorder,
        namespace: str,
        metrics: TrafficMetrics,
    ) -> None:
        self.watched = WatchedTraffic(caches, namespace)
        self.wishes = Wishes(clock)
        marks = PodMarks(client, self.watched, clock)
        self.pods = KubePodTraffic(self.watched, marks, self.wishes, PodTeller(recorder), clock)
        self.pod_reconciler = PodTrafficReconciler(self.pods, clock)
        self.binding_reconciler = BindingReconciler(KubeBindings(client, self.watched, clock))
        self.providers = KubeProviders(client, self.watched, clock)
        self.metrics = metrics
        PodPhases(metrics, self.watched)
        self._clock = clock
        self._wake_pod: Callable[[ObjectKey], None] = lambda _: None

    def ask(self, key: ObjectKey, uid: str, name: str, reason: str = "") -> None:
        """Have a pod drained, since that is asked for now."""
        self.wishes.ask(uid, name, reason)
        self._wake_pod(key)

    def is_confirmed(self, key: ObjectKey) -> bool:
        """Whether every employer of a pod was read back a moment ago, and had no traffic for it."""
        return self.pods.is_confirmed(key)

    def on_wish(self, wake: Callable[[ObjectKey], None]) -> None:
        """Call *wake* with the key of a pod whose eviction is asked for."""
        self._wake_pod = wake

    def loops(self, make: MakeAdapter, may_act: Callable[[], bool]) -> "ProviderLoops":
        """Return the loops of all providers, Services included."""
        services = EndpointsAdapter(self.watched.slices)
        return ProviderLoops(self, services, make, may_act, self._clock)


class ProviderLoops:
    """One loop for each provider that there is, begun and ended as they come and go."""

    def __init__(
        self,
        parts: TrafficParts,
        services: TrafficAdapter,
        make: MakeAdapter,
        may_act: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._parts = parts
        self._make = make
        self._may_act = may_act
        self._clock = clock
        counts = ProviderMeasuring(parts.metrics, SERVICES)
        self._loops: dict[str, ProviderLoop] = {SERVICES: self._loop(SERVICES, services, counts)}
        self._counts: dict[str, ProviderMeasuring] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._specs: Mapping[str, TrafficProvider] = {}
        self._changed = asyncio.Event()

    def _loop(self, name: str, adapter: TrafficAdapter, observer: ProviderObserver) -> ProviderLoop:
        return ProviderLoop(name, adapter, self._parts.pods, self._clock, self._may_act, observer)

    def wake(self, key: ObjectKey) -> None:
        """Have all loops look at a pod."""
        for loop in self._loops.values():
            loop.wake(key)

    def watch(self) -> None:
        """Listen to the caches."""
        self._parts.watched.wake_pods(self.wake)
        self._parts.watched.providers.on_change(lambda *_: self._changed.set())
        self._parts.watched.slices.on_change(self._slice_changed)

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        body = new or old
        service = self._parts.watched.services.get(
            ObjectKey(body.metadata.namespace, body.service) if body is not None else ObjectKey("", "")
        )
        if service is not None:
            ips = {ip for s in (old, new) if s for e in s.endpoints for ip in e.addresses}
            for pod in self._parts.watched.pods_at(service.metadata.namespace, ips):
                self._loops[SERVICES].wake(pod.key)

    async def run(self) -> None:
        """Run all loops until cancelled."""
        try:
            self._tasks[SERVICES] = asyncio.ensure_future(self._loops[SERVICES].run())
            while True:
                self._changed.clear()
                await self._follow()
                await self._changed.wait()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _follow(self) -> None:
        """End the loops of providers that are gone or changed, begin those that are new."""
        wanted = self._parts.watched.by_name()
        for name in [n for n in self._loops if n != SERVICES]:
            provider = wanted.get(name)
            if provider is None or provider.spec != self._specs[name].spec:
                task = self._tasks.pop(name)
                del self._loops[name]
                self._counts.pop(name).forget()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._specs = wanted
        for name, provider in wanted.items():
            if name not in self._loops:
                self._begin(name, provider)

    def _begin(self, name: str, provider: TrafficProvider) -> None:
        replicas = [replica.name for replica in provider.spec.replicas]
        counts = self._counts[name] = ProviderMeasuring(self._parts.metrics, name, replicas)
        reporter = ProviderReporter(name, self._parts.providers, self._clock, counts)
        loop = self._loops[name] = self._loop(name, self._make(provider), reporter)
        for pod in self._parts.watched.pods:
            loop.wake(pod.key)
        self._tasks[name] = asyncio.ensure_future(_together(loop, reporter))


async def _together(loop: ProviderLoop, reporter: ProviderReporter) -> None:
    """Run a provider's loop, and tell in its status how it goes."""
    reporting = asyncio.ensure_future(reporter.run())
    try:
        await loop.run()
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
