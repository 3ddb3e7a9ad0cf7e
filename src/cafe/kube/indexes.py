"""Finding objects by something other than their key, without looking at all of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from cafe.kernel import ObjectKey

T = TypeVar("T")

Indexer = Callable[[T], Iterable[str]]
"""Returns the values under which an object is found; pure, for it is called for old and new states."""


class Index(Generic[T]):
    """One index. Kept from the old and the new state of each object, so nothing stays behind."""

    def __init__(self, indexer: Indexer[T]) -> None:
        self._indexer = indexer
        self._keys: dict[str, dict[ObjectKey, None]] = {}

    def change(self, key: ObjectKey, old: T | None, new: T | None) -> None:
        """Replace what was found under *old* by what is found under *new*."""
        before = tuple(self._indexer(old)) if old is not None else ()
        after = tuple(self._indexer(new)) if new is not None else ()
        if before == after:
            return
        for value in before:
            keys = self._keys.get(value)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del self._keys[value]
        for value in after:
            self._keys.setdefault(value, {})[key] = None

    def keys(self, value: str) -> Iterable[ObjectKey]:
        """Return the keys found under *value*, in the order in which they came."""
        return self._keys.get(value, {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)


def by_controller(body: object) -> tuple[str, ...]:
    """Index objects by the UID of the owner that controls them: names can be taken by namesakes."""
    meta = getattr(body, "metadata", None)
    owner = getattr(meta, "controller", None)
    return (owner.uid,) if owner is not None else ()
