"""The workload controllers of one cluster, wired: the same in production, in tests and in `cafe up`."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from cafe.api.names import API_VERSION, DOMAIN
from cafe.api.shapes import Metadata
from cafe.kernel import Clock, Entropy, ObjectKey
from cafe.kube.caches import Caches
from cafe.kube.client import Client
from cafe.kube.controller import Controller
from cafe.kube.events import EventRecorder, News
from cafe.kube.informer import InformerSettings
from cafe.kube.objects import ObjectReference
from cafe.kube.queue import WorkQueue
from cafe.kube.runtime import collector_held
from cafe.observe.metrics import CacheMetrics, ControllerMetrics
from cafe.placement.domain.spread import spread
from cafe.workloads.adapters.apps import KubeApps
from cafe.workloads.adapters.sets import KubeSets
from cafe.workloads.adapters.watched import Watched
from cafe.workloads.domain.release import Note
from cafe.workloads.reconcilers.cafedeployments import CafeDeploymentReconciler
from cafe.workloads.reconcilers.inplacesets import InPlaceSetReconciler


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the controllers live in.

    Attributes:
        collector: Entered while caches fill: what the process does about its garbage collector meanwhile.
    """

    clock: Clock
    entropy: Entropy
    registry: CollectorRegistry
    informers: InformerSettings | None = None
    collector: Callable[[], AbstractAsyncContextManager[None]] = collector_held


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
    """InPlaceSet and CafeDeployment controllers over shared caches."""

    def __init__(self, client: Client, around: Surroundings, instance: str) -> None:
        self._collector = around.collector
        self.caches = Caches(client, around.informers, CacheMetrics(around.registry))
        self._recorder = EventRecorder(client, f"{DOMAIN}/workloads", instance)
        watched = Watched(self.caches)
        teller = EventTeller(self._recorder)
        sets = KubeSets(client, watched, around.clock, teller)
        apps = KubeApps(client, watched, around.clock, teller)
        metrics = ControllerMetrics(around.registry)
        set_queue: WorkQueue[ObjectKey] = WorkQueue(around.clock, around.entropy)
        app_queue: WorkQueue[ObjectKey] = WorkQueue(around.clock, around.entropy)
        watched.wake_sets(set_queue.add)
        watched.wake_apps(app_queue.add)
        self._controllers = (
            Controller(
                "inplaceset",
                InPlaceSetReconciler(sets, around.clock).reconcile,
                set_queue,
                around.clock,
                metrics=metrics.bind("inplaceset"),
            ),
            Controller(
                "cafedeployment",
                CafeDeploymentReconciler(apps, spread).reconcile,
                app_queue,
                around.clock,
                metrics=metrics.bind("cafedeployment"),
            ),
        )

    @property
    def is_ready(self) -> bool:
        """Whether all caches have been read once."""
        return self.caches.is_synced

    async def run(self) -> None:
        """Fill the caches, then reconcile, until drained or cancelled."""
        background = (asyncio.ensure_future(self.caches.run()), asyncio.ensure_future(self._recorder.run()))
        try:
            async with self._collector():
                await self.caches.wait_synced()
            async with asyncio.TaskGroup() as tasks:
                for controller in self._controllers:
                    tasks.create_task(controller.run(), name=controller.name)
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)

    def drain(self) -> None:
        """Take no more work; passes under way end by themselves."""
        for controller in self._controllers:
            controller.drain()
