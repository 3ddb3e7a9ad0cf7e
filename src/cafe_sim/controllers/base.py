"""What every controller is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import Json, StoreEvent, Timeline
from cafe_sim.machinery.cache import Informer
from cafe_sim.machinery.client import Client
from cafe_sim.machinery.kinds import Catalogue
from cafe_sim.machinery.objects import controller_of, key_of, labels_of, merge_diff, status_of
from cafe_sim.machinery.queue import Queue
from cafe_sim.machinery.recorder import Note, Recorder, Source, reference
from cafe_sim.machinery.selectors import selector_of

APPS = "apps/v1"
GATHER = timedelta(milliseconds=10)
"""About what a real controller is behind; a wave of pods then costs one pass, not one a pod."""


@dataclass(frozen=True, slots=True)
class Plane:
    """What all controllers share."""

    client: Client
    timeline: Timeline
    recorder: Recorder
    catalogue: Catalogue


class Controller:
    """A queue of keys and a `reconcile` that takes one step for one of them.

    Subclasses set `name` (the component that its events come from), follow what they need in `start`, and
    implement `reconcile`. Those that look at many objects in a pass set `latency` to `GATHER`.
    """

    name = ""
    latency: timedelta | None = None

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.client = plane.client
        self.queue: Queue[ObjectKey] = Queue(plane.timeline, self.reconcile, self.latency)

    def start(self) -> None:
        """Follow what the controller needs; everything that is there counts as news."""
        raise NotImplementedError

    def stop(self) -> None:
        """Do nothing any more."""
        self.queue.stop()

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Bring one object one step forward; return when to come back if nothing changes."""
        raise NotImplementedError

    def now(self) -> datetime:
        """Return the world's time."""
        return self.plane.timeline.now()

    def follow(self, resource: str) -> Informer:
        """Queue every object of *resource* that changes."""
        informer = self.client.informer(resource)
        informer.follow(lambda event: self.queue.add(key_of(event.new)))
        return informer

    def follow_owned(
        self, resource: str, owner_kind: str, matters: Callable[[Json, Json], bool] | None = None
    ) -> Informer:
        """Queue the controller of every object of *resource* that changes, if it is an *owner_kind*.

        Args:
            resource: Of the owned objects.
            owner_kind: Of their controller.
            matters: Tells for two states of an object whether the change is worth a look; all are if None.
        """
        informer = self.client.informer(resource)
        informer.index_by_owner()

        def on_event(event: StoreEvent) -> None:
            is_change = event.type == "MODIFIED" and event.old is not None
            if is_change and matters is not None and not matters(event.old or {}, event.new):
                return
            for obj in (event.old, event.new):
                ref = controller_of(obj) if obj is not None else None
                if ref is not None and ref["kind"] == owner_kind:
                    self.queue.add(ObjectKey(event.new["metadata"]["namespace"], ref["name"]))

        informer.follow(on_event)
        return informer

    def follow_orphans(self, resource: str, owners: Informer) -> None:
        """Queue every one of *owners* whose selector matches an orphan: it may want to adopt it."""

        def on_event(event: StoreEvent) -> None:
            if event.type == "DELETED" or controller_of(event.new) is not None:
                return
            labels = labels_of(event.new)
            for owner in owners.by_index("namespace", event.new["metadata"]["namespace"]):
                if labels and selector_of(owner["spec"].get("selector")).matches(labels):
                    self.queue.add(key_of(owner))

        owners.index("namespace", by_namespace)
        self.client.informer(resource).follow(on_event)

    def patch_status(self, resource: str, obj: Json, status: Json) -> None:
        """Write *status* over the object's, if it differs."""
        diff = merge_diff(status_of(obj), status)
        if diff:
            self.client.patch(resource, key_of(obj), {"status": diff}, "status")

    def event(self, obj: Json, api_version: str, note: Note) -> None:
        """Record *note* about *obj*, whose kind is in the object."""
        source = Source(self.name)
        self.plane.recorder.record(source, reference(obj, api_version, obj["kind"]), note)


def by_namespace(obj: Json) -> tuple[str, ...]:
    """Index objects by their namespace."""
    return (obj["metadata"].get("namespace") or "",)


def soonest(*delays: timedelta | None) -> timedelta | None:
    """Return the shortest of the delays that are none, None if all are."""
    return min((delay for delay in delays if delay is not None), default=None)
