"""What the cluster's parts know of the API: one cache a resource, shared by all, with indexes.

The cache follows the subscription, and takes our own writes at once: a controller that has just created a
pod sees it in its next pass, whatever order the steps of the timeline come in. So no expectations are needed
here. (Product code has none of this comfort: it reads through its own informer, over the network.)
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from cafe.kernel import ObjectKey
from cafe_sim.contract import Api, Json, StoreEvent
from cafe_sim.machinery.objects import controller_uid, key_of, uid_of

Indexer: TypeAlias = Callable[[Json], Iterable[str]]
Handler: TypeAlias = Callable[[StoreEvent], None]


def _version(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])


class Informer:
    """All objects of one resource, as far as this part of the world knows.

    Raises:
        ApiError: The server doesn't serve *resource*.
    """

    def __init__(self, api: Api, resource: str) -> None:
        self.resource = resource
        self._objects: dict[ObjectKey, Json] = {}
        self._indexes: dict[str, tuple[Indexer, dict[str, dict[ObjectKey, None]]]] = {}
        self._handlers: list[Handler] = []
        self._gone: set[str] = set()
        self._stopped = False
        for obj in api.list(resource):
            self._put(obj)
        api.subscribe(resource, self._deliver)

    def get(self, key: ObjectKey) -> Json | None:
        """Return the object as known here, or None."""
        return self._objects.get(key)

    def all(self) -> list[Json]:
        """Return every object, in the order in which they became known."""
        return list(self._objects.values())

    def index(self, name: str, indexer: Indexer) -> None:
        """Keep an index under *name*; the first who asks decides what it holds."""
        if name in self._indexes:
            return
        self._indexes[name] = (indexer, {})
        for key, obj in self._objects.items():
            self._enter(name, key, obj)

    def by_index(self, name: str, value: str) -> list[Json]:
        """Return the objects that the index holds under *value*, in the order in which they were entered."""
        return [self._objects[key] for key in self._indexes[name][1].get(value, ())]

    def index_by_owner(self) -> None:
        """Keep the index `owner`: the UID of the controller, empty for orphans of a namespace.

        Orphans are indexed as `orphans/<namespace>`, so that adopters need not look at everybody's.
        """
        self.index("owner", _by_owner)

    def owned(self, owner: Json) -> list[Json]:
        """Return what *owner* controls; needs `index_by_owner`."""
        return self.by_index("owner", uid_of(owner))

    def orphans(self, namespace: str) -> list[Json]:
        """Return what nobody controls in *namespace*; needs `index_by_owner`."""
        return self.by_index("owner", f"orphans/{namespace}")

    def follow(self, handler: Handler) -> None:
        """Call *handler* for what is there, as ADDED, and for each later commit, after the cache took it."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            handler(StoreEvent("ADDED", None, obj))

    def observe(self, obj: Json) -> None:
        """Take the result of our own write; its event still comes."""
        current = self._objects.get(key_of(obj))
        if current is None or _version(obj) > _version(current):
            self._put(obj)

    def observe_gone(self, key: ObjectKey) -> None:
        """Take it that our own delete removed the object; its event still comes."""
        current = self._objects.get(key)
        if current is not None:
            self._gone.add(uid_of(current))
            self._drop(key)

    def stop(self) -> None:
        """Call no handler any more."""
        self._stopped = True

    def _deliver(self, event: StoreEvent) -> None:
        if self._stopped:
            return
        key, uid = key_of(event.new), uid_of(event.new)
        current = self._objects.get(key)
        if event.type == "DELETED":
            self._gone.discard(uid)
            if current is not None and uid_of(current) == uid:
                self._drop(key)
        elif uid in self._gone:
            return
        elif current is None or _version(event.new) > _version(current):
            self._put(event.new)
        for handler in self._handlers:
            handler(event)

    def _put(self, obj: Json) -> None:
        key = key_of(obj)
        before = self._objects.get(key)
        self._objects[key] = obj
        for name, (indexer, held) in self._indexes.items():
            old = tuple(indexer(before)) if before is not None else ()
            if before is not None and old == tuple(indexer(obj)):
                continue
            for value in old:
                _remove(held, value, key)
            self._enter(name, key, obj)

    def _enter(self, name: str, key: ObjectKey, obj: Json) -> None:
        indexer, held = self._indexes[name]
        for value in indexer(obj):
            held.setdefault(value, {})[key] = None

    def _drop(self, key: ObjectKey) -> None:
        obj = self._objects.pop(key)
        for indexer, held in self._indexes.values():
            for value in indexer(obj):
                _remove(held, value, key)


def _remove(held: dict[str, dict[ObjectKey, None]], value: str, key: ObjectKey) -> None:
    keys = held.get(value)
    if keys is not None:
        keys.pop(key, None)
        if not keys:
            del held[value]


def _by_owner(obj: Json) -> tuple[str, ...]:
    return (controller_uid(obj) or f"orphans/{obj['metadata'].get('namespace') or ''}",)
