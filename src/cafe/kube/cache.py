"""What an informer knows of the world: objects, indexes over them, and whom to tell.

Single-threaded: every method runs on the event loop and none waits, so a reader between two awaits sees one
consistent state. Objects are immutable; share them, never change them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any, Generic, TypeVar

import structlog

from cafe.kernel import Clock, ObjectKey
from cafe.kube.codec import metadata_text, version_of
from cafe.kube.expectations import EXPIRY, OwnWrites, Scope
from cafe.kube.indexes import Index, Indexer

T = TypeVar("T")

Handler = Callable[[T | None, T | None], None]
"""Called with the old and the new state: None is absence. An object of another UID comes as two calls."""

REMEMBERED_REMOVALS = 4096

log = structlog.get_logger(__name__)


class Cache(Generic[T]):
    """The objects of one informer.

    Args:
        clock: For the expiry of awaited writes.
        expiry: How long to wait for an own write before it is read live.
    """

    def __init__(self, clock: Clock, expiry: timedelta = EXPIRY) -> None:
        self._objects: dict[ObjectKey, T] = {}
        self._indexes: dict[str, Index[T]] = {}
        self._handlers: list[Handler[T]] = []
        self._removed: OrderedDict[ObjectKey, int] = OrderedDict()
        self._synced = asyncio.Event()
        self.writes = OwnWrites(clock, expiry)

    # Reading.

    @property
    def is_synced(self) -> bool:
        """Whether the whole collection has been read once."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until the whole collection has been read once. Until then, absence means nothing."""
        await self._synced.wait()

    def get(self, key: ObjectKey) -> T | None:
        """Return the object, or None."""
        return self._objects.get(key)

    def items(self) -> Mapping[ObjectKey, T]:
        """Return all objects by key."""
        return self._objects

    def by_index(self, name: str, value: str) -> tuple[T, ...]:
        """Return the objects found under *value* of the index *name*; costs no more than there are.

        Raises:
            KeyError: There is no such index.
        """
        objects = self._objects
        return tuple(objects[key] for key in self._indexes[name].keys(value))

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())

    # Wiring.

    def add_index(self, name: str, indexer: Indexer[T]) -> None:
        """Add an index, also over what is there already. The same name twice keeps the first."""
        if name in self._indexes:
            return
        index: Index[T] = Index(indexer)
        for key, body in self._objects.items():
            index.change(key, None, body)
        self._indexes[name] = index

    def on_change(self, handler: Handler[T]) -> None:
        """Call *handler* for each later change, and now for what is there already."""
        self._handlers.append(handler)
        for body in tuple(self._objects.values()):
            self._tell(handler, None, body)

    # Own writes; see `expectations`.

    def note_write(self, key: ObjectKey, resource_version: str, *, owner: Scope | None = None) -> None:
        """Await that the cache shows *resource_version* of the object, or its deletion."""
        wanted = int(resource_version)
        body = self._objects.get(key)
        seen = self._removed.get(key, 0) if body is None else version_of(body)
        if seen < wanted:
            self.writes.expect(key, wanted, "", owner)

    def note_create(self, key: ObjectKey, *, owner: Scope | None = None) -> None:
        """Await that the object shows at all. Call it before the request; `retract` if that failed."""
        if key not in self._objects:
            self.writes.expect(key, 0, "", owner)

    def note_delete(self, key: ObjectKey, uid: str, *, owner: Scope | None = None) -> None:
        """Await that the object of this UID is gone, or at least marked for deletion."""
        body = self._objects.get(key)
        if body is not None and metadata_text(body, "uid") == uid and not _is_deleting(body):
            self.writes.expect(key, 0, uid, owner)

    def retract(self, key: ObjectKey) -> None:
        """Await nothing of *key*: its write surely did not happen. Who wrote decides what comes of that."""
        self.writes.retract(key)

    def is_current(self, *scopes: Scope) -> bool:
        """Whether the cache shows all own writes noted for *scopes* (owners, or keys noted without one)."""
        return self.writes.is_current(*scopes)

    async def wait_seen(self, key: ObjectKey, resource_version: str) -> None:
        """Wait until the cache shows that version or a later one, or the object's deletion."""
        self.note_write(key, resource_version)
        await self.writes.wait_current(key)

    # Changing; for the informer.

    def apply(self, key: ObjectKey, new: T) -> bool:
        """Take in a state; an older one than the cache has is dropped. Returns whether it was taken."""
        old = self._objects.get(key)
        version = version_of(new)
        if old is not None and version_of(old) > version:
            return False
        self._objects[key] = new
        self._changed(key, old, new)
        self._saw(key, new, version)
        return True

    def remove(self, key: ObjectKey, version: int) -> None:
        """Take in a deletion that happened at *version*; one older than what the cache has is dropped."""
        old = self._objects.get(key)
        if old is not None and version_of(old) > version:
            return
        self._remember_removal(key, version)
        if old is not None:
            del self._objects[key]
            self._changed(key, old, None)
        self.writes.saw(key, version, "", is_present=False, is_deleting=False)

    def replace(
        self,
        snapshot: dict[ObjectKey, T],
        version: int,
        *,
        keep: Collection[ObjectKey] = (),
        force: bool = False,
    ) -> None:
        """Take in the whole collection as it was at *version*, in one step.

        What the cache has that is newer than the snapshot stays, as do the keys of *keep*. Everything else
        that the snapshot lacks was deleted while nobody looked: that is told like any deletion.

        Args:
            snapshot: All objects.
            version: Of the collection.
            keep: Objects that exist but could not be read.
            force: The server's history was reset (restored from a backup): believe it all.
        """
        before = self._objects
        after = dict(snapshot)
        for key, old in before.items():
            new = snapshot.get(key)
            if new is None:
                if key in keep or (not force and version_of(old) > version):
                    after[key] = old
            elif not force and version_of(old) > version_of(new):
                after[key] = old
        self._objects = after
        for key, old in before.items():
            if key not in after:
                self._remember_removal(key, version)
                self._changed(key, old, None)
                self.writes.saw(key, version, "", is_present=False, is_deleting=False)
        for key, new in after.items():
            old_one = before.get(key)
            if old_one is not new and (old_one is None or not _is_same(old_one, new)):
                self._changed(key, old_one, new)
            self._saw(key, new, version_of(new))
        self._synced.set()
        self.writes.saw_all_up_to(version)

    def _changed(self, key: ObjectKey, old: T | None, new: T | None) -> None:
        for index in self._indexes.values():
            index.change(key, old, new)
        is_replaced = old is not None and new is not None and _uid(old) != _uid(new)
        for handler in self._handlers:
            if is_replaced:
                self._tell(handler, old, None)
                self._tell(handler, None, new)
            else:
                self._tell(handler, old, new)

    def _tell(self, handler: Handler[T], old: T | None, new: T | None) -> None:
        try:
            handler(old, new)
        except Exception:  # A listener's bug must not blind all other listeners.
            log.exception("cache.handler_failed", object=metadata_text(new or old, "name"))

    def _saw(self, key: ObjectKey, body: T, version: int) -> None:
        if not self.writes.is_idle:
            self.writes.saw(key, version, _uid(body), is_present=True, is_deleting=_is_deleting(body))

    def _remember_removal(self, key: ObjectKey, version: int) -> None:
        """Keep when an object went: a write noted only after that counts as seen."""
        self._removed[key] = version
        self._removed.move_to_end(key)
        if len(self._removed) > REMEMBERED_REMOVALS:
            self._removed.popitem(last=False)


def _uid(body: Any) -> str:  # noqa: ANN401 -- dict or Struct
    return str(body["metadata"].get("uid", "")) if isinstance(body, dict) else str(body.metadata.uid)


def _is_deleting(body: Any) -> bool:  # noqa: ANN401 -- dict or Struct
    if isinstance(body, dict):
        return "deletionTimestamp" in body["metadata"]
    return body.metadata.deletion_timestamp is not None


def _is_same(old: Any, new: Any) -> bool:  # noqa: ANN401 -- dict or Struct
    return version_of(old) == version_of(new) and _uid(old) == _uid(new)
