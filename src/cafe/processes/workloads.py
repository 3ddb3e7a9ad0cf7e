"""The workload controllers of one cluster, wired: the same in production, in tests and in `cafe up`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry

from cafe.api.names import API_VERSION, CONTROLLER_NAMESPACE, DOMAIN
from cafe.api.shapes import Metadata
from cafe.appservices.adapters.services import KubeServices
from cafe.appservices.adapters.watched import WatchedServices
from cafe.appservices.reconcilers.cafeappservices import CafeAppServiceReconciler
from cafe.kernel import Clock, Entropy, Note, ObjectKey
from cafe.kube.caches import Caches
from cafe.kube.client import Client
from cafe.kube.controller import Controller, Reconcile
from cafe.kube.events import EventRecorder, News
from cafe.kube.informer import InformerSettings
from cafe.kube.leadership import LeadershipSettings
from cafe.kube.objects import ObjectReference
from cafe.kube.queue import WorkQueue
from cafe.kube.runtime import collector_held
from cafe.observe.metrics import CacheMetrics, ControllerMetrics, TrafficMetrics
from cafe.placement.contract import Placement
from cafe.placement.domain.rescheduling import move
from cafe.placement.domain.spread import spread
from cafe.processes.carriers import Carriers, MakeAdapter
from cafe.processes.guard import WebhookSettings, guarding_evictions
from cafe.processes.traffic import ProviderLoops, TrafficParts
from cafe.traffic.adapters.discovery import Discovery, serving_discovery
from cafe.traffic.contract import Drains, TrafficWatch, Unemployed
from cafe.workloads.adapters.adoptions import KubeAdoptions
from cafe.workloads.adapters.apps import KubeApps
from cafe.workloads.adapters.evictions import Evictions
from cafe.workloads.adapters.leaving import Leaving
from cafe.workloads.adapters.sets import KubeSets
from cafe.workloads.adapters.watched import Watched
from cafe.workloads.reconcilers.cafedeployments import CafeDeploymentReconciler
from cafe.workloads.reconcilers.inplacesets import InPlaceSetReconciler

log = structlog.get_logger(__name__)

WORKLOADS = frozenset({"inplaceset", "cafedeployment"})
CONTROLLERS = WORKLOADS | {"cafeappservice", "traffic"}
"""Every controller of a member cluster. The workloads' own can run without those above them."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the controllers live in.

    Attributes:
        collector: Entered while caches fill: what the process does about its garbage collector meanwhile.
        controllers: Names of those that run.
        election: How long a lease holds, for a replica that stands for election; None for the usual times.
        webhook: Where evictions are judged; None leaves them to their PodDisruptionBudget.
        namespace: Of the controller: where providers of traffic are declared.
        discovery: Where Envoys ask for their endpoints; None serves them nothing.
        make_adapter: How each provider of traffic is spoken with; None for the real ones.
    """

    clock: Clock
    entropy: Entropy
    registry: CollectorRegistry
    informers: InformerSettings | None = None
    collector: Callable[[], AbstractAsyncContextManager[None]] = collector_held
    controllers: frozenset[str] = CONTROLLERS
    election: LeadershipSettings | None = None
    webhook: WebhookSettings | None = None
    namespace: str = CONTROLLER_NAMESPACE
    discovery: tuple[str, int] | None = None
    make_adapter: MakeAdapter | None = None


class EventTeller:
    """Records notes about our kinds as Events."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def tell(self, kind: str, regarding: Metadata, note: Note) -> None:
        """Record an Event; never waits, never fails."""
        reference = ObjectReference(
            api_version=API_VERSION,
            kind=kind,
            namespace=regarding.namespace,
            name=regarding.name,
            uid=regarding.uid,
        )
        news = News(reference, note.reason, note.message, "Warning" if note.is_warning else "Normal")
        self._recorder.record(news)


class WorkloadControllers:
    """The controllers of a member cluster over shared caches.

    Args:
        client: To the API server.
        around: What they live in.
        instance: The name that Events tell.
        may_judge: Whether evictions may be judged now: only whoever leads knows what is being taken.
    """

    def __init__(
        self,
        client: Client,
        around: Surroundings,
        instance: str,
        may_judge: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._around = around
        self._may_judge = may_judge
        self.caches = Caches(client, around.informers, CacheMetrics(around.registry))
        self._recorder = EventRecorder(client, f"{DOMAIN}/workloads", instance)
        self._teller = EventTeller(self._recorder)
        self._metrics = ControllerMetrics(around.registry)
        self._traffic_watch: TrafficWatch = Unemployed()
        self._drains: Drains | None = None
        self._parts: TrafficParts | None = None
        self._discovery: Discovery | None = None
        self._loops: ProviderLoops | None = None
        self._controllers: list[Controller] = []
        if "traffic" in around.controllers:
            self._controllers += self._traffic(client)
        self._controllers += self._workloads(client)
        if "cafeappservice" in around.controllers:
            self._controllers.append(self._services(client))

    def _traffic(self, client: Client) -> tuple[Controller, Controller]:
        clock, metrics = self._around.clock, TrafficMetrics(self._around.registry)
        parts = TrafficParts(client, self.caches, clock, self._recorder, self._around.namespace, metrics)
        self._traffic_watch, self._drains, self._parts = parts.pods, parts, parts
        self._discovery = Discovery() if self._around.discovery is not None else None
        make = self._around.make_adapter or Carriers(client, self._discovery).make
        self._loops = parts.loops(make, self._may_judge)
        pods = self._controller("traffic", parts.pod_reconciler.reconcile)
        bindings = self._controller("trafficbinding", parts.binding_reconciler.reconcile)
        parts.watched.wake_pods(pods.queue.add)
        parts.on_wish(pods.queue.add)
        parts.watched.wake_bindings(bindings.queue.add)
        self._loops.watch()
        return pods, bindings

    def _workloads(self, client: Client) -> tuple[Controller, Controller]:
        clock, watched = self._around.clock, Watched(self.caches, self._around.clock)
        sets = KubeSets(client, watched, clock, self._teller, self._traffic_watch)
        leaving = Leaving(self._traffic_watch, self._drains)
        apps = KubeApps(client, watched, clock, self._teller, leaving)
        adoptions = KubeAdoptions(client, watched)
        set_controller = self._controller("inplaceset", InPlaceSetReconciler(sets, clock).reconcile)
        app_controller = self._controller(
            "cafedeployment", CafeDeploymentReconciler(apps, Placement(spread, move), adoptions).reconcile
        )
        self.evictions = Evictions(watched, sets, apps, clock, self._may_judge, self._drains)
        watched.wake_sets(set_controller.queue.add)
        if self._parts is not None:
            self._parts.pods.on_confirmed(lambda key: watched.wake_set_of(key, set_controller.queue.add))
        watched.wake_apps(app_controller.queue.add)
        return set_controller, app_controller

    def _services(self, client: Client) -> Controller:
        watched = WatchedServices(self.caches)
        services = KubeServices(client, watched, self._around.clock, self._teller)
        controller = self._controller("cafeappservice", CafeAppServiceReconciler(services).reconcile)
        watched.wake(controller.queue.add)
        return controller

    def _controller(self, name: str, reconcile: Reconcile) -> Controller:
        queue: WorkQueue[ObjectKey] = WorkQueue(self._around.clock, self._around.entropy)
        return Controller(name, reconcile, queue, self._around.clock, metrics=self._metrics.bind(name))

    @property
    def is_ready(self) -> bool:
        """Whether all caches have been read once."""
        return self.caches.is_synced

    async def run(self) -> None:
        """Fill the caches, then reconcile, until drained or cancelled."""
        background = (asyncio.ensure_future(self.caches.run()), asyncio.ensure_future(self._recorder.run()))
        try:
            async with self._around.collector():
                await self.caches.wait_synced()
            async with self._guarding(), self._discovering(), asyncio.TaskGroup() as tasks:
                carrying = tasks.create_task(self._loops.run()) if self._loops is not None else None
                async with asyncio.TaskGroup() as working:
                    for controller in self._controllers:
                        working.create_task(controller.run(), name=controller.name)
                if carrying is not None:
                    carrying.cancel()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)

    def _guarding(self) -> AbstractAsyncContextManager[None]:
        """Judge evictions, if anybody can ask us."""
        if self._around.webhook is None:
            return nullcontext()
        return guarding_evictions(self._client, self.evictions.judge, self._around.webhook)

    @asynccontextmanager
    async def _discovering(self) -> AsyncIterator[None]:
        """Serve discovery, if anybody shall ask us. Only a leader does: others know nothing."""
        if self._discovery is None or self._around.discovery is None:
            yield
            return
        bind, port = self._around.discovery
        async with serving_discovery(self._discovery, bind, port) as served:
            log.info("discovery.on", port=served)
            yield

    def drain(self) -> None:
        """Take no more work; passes under way end by themselves."""
        for controller in self._controllers:
            controller.drain()
