"""The store: objects by resource, one clock of versions over all, and each resource's recent history.

Objects in it are shared and never changed. A commit is told to watchers at once and in order; they decide
when to act on it. Watchers read through a table and not through the store's dictionaries, so that several API
servers, each with a horizon of its own, can later stand before one store.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec

from cafe_sim.apiserver.values import with_meta
from cafe_sim.contract import EventType, Json, StoreEvent


class Commit:
    """One change of one object.

    Attributes:
        version: The store's version after it.
        type: What happened.
        old: The object before, None for ADDED.
        new: The object after; for DELETED its last state, carrying the deletion's version.
    """

    __slots__ = ("_lines", "new", "old", "type", "version")

    def __init__(self, version: int, kind: EventType, old: Json | None, new: Json) -> None:
        self.version = version
        self.type: EventType = kind
        self.old = old
        self.new = new
        self._lines: dict[tuple[str, str], bytes] = {}

    def event(self) -> StoreEvent:
        """Return it as the cluster's own parts see it."""
        return StoreEvent(self.type, self.old, self.new)

    def line(self, kind: str, api_version: str, render: Callable[[Json], Json] | None) -> bytes:
        """Return it as a line of a watch stream; encoded once for all watchers that want the same."""
        if render is not None:
            return encode_event(kind, render(self.new))
        key = (kind, api_version)
        if key not in self._lines:
            self._lines[key] = encode_event(kind, self.new)
        return self._lines[key]


_encode = msgspec.json.Encoder().encode


def encode_event(kind: str, obj: Json) -> bytes:
    """Return one line of a watch stream, without its end."""
    return _encode({"type": kind, "object": obj})


Listener = Callable[[Commit], None]


class Table:
    """All objects of one resource, and what happened to them lately.

    Args:
        history: How many commits are remembered; watches and lists that begin before them get a 410.
        version: The store's version when the table was made; nothing is known before it.
    """

    def __init__(self, history: int, version: int) -> None:
        self._by_namespace: dict[str, dict[str, Json]] = {}
        self._sorted: dict[str, list[str]] = {}
        self._history: deque[Commit] = deque()
        self._limit = history
        self._listeners: dict[int, Listener] = {}
        self._next_listener = 0
        self.horizon = version
        """Commits up to this version are forgotten."""

    def get(self, namespace: str, name: str) -> Json | None:
        """Return the object, or None."""
        return self._by_namespace.get(namespace, {}).get(name)

    def rows(self, namespace: str | None = None) -> list[Json]:
        """Return all objects, of one namespace or of all, in the order of their keys."""
        if namespace is None:
            return [row for space in sorted(self._by_namespace) for row in self._rows_of(space)]
        return self._rows_of(namespace)

    def _rows_of(self, namespace: str) -> list[Json]:
        rows = self._by_namespace.get(namespace)
        if not rows:
            return []
        names = self._sorted.get(namespace)
        if names is None:
            names = self._sorted[namespace] = sorted(rows)
        return [rows[name] for name in names]

    def count(self) -> int:
        """Return how many objects there are."""
        return sum(len(rows) for rows in self._by_namespace.values())

    def rows_at(self, version: int, namespace: str | None = None) -> list[Json] | None:
        """Return the objects as they stood at *version*, or None if that is forgotten."""
        if version < self.horizon:
            return None
        undone: dict[tuple[str, str], Json | None] = {}
        for commit in reversed(self._history):
            if commit.version <= version:
                break
            undone[_key(commit.new)] = commit.old
        if not undone:
            return self.rows(namespace)
        state = {_key(row): row for row in self.rows(namespace)}
        for key, old in undone.items():
            if namespace is not None and key[0] != namespace:
                continue
            if old is None:
                state.pop(key, None)
            else:
                state[key] = old
        return [state[key] for key in sorted(state)]

    def since(self, version: int) -> Iterator[Commit]:
        """Return the commits after *version*, which must not lie before the horizon."""
        start = bisect_right(self._history, version, key=lambda commit: commit.version)
        return iter(list(self._history)[start:])

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call *listener* at each commit, inside it; return how to stop."""
        self._next_listener += 1
        number = self._next_listener
        self._listeners[number] = listener
        return lambda: self._listeners.pop(number, None) and None

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def record(self, commit: Commit) -> None:
        """Take a commit in and tell it to all listeners."""
        namespace, name = _key(commit.new)
        rows = self._by_namespace.setdefault(namespace, {})
        if commit.type == "DELETED":
            del rows[name]
        else:
            rows[name] = commit.new
        if commit.type != "MODIFIED":
            self._sorted.pop(namespace, None)
        self._history.append(commit)
        if len(self._history) > self._limit:
            self.horizon = self._history.popleft().version
        for listener in list(self._listeners.values()):
            listener(commit)

    def forget(self) -> None:
        """Drop the whole history, as a compaction does."""
        if self._history:
            self.horizon = self._history[-1].version
            self._history.clear()


def _key(obj: Json) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


class Store:
    """Tables by resource, and the version that all share.

    Attributes:
        observers: Told of every commit with its resource, inside it, behind all who watch.
    """

    def __init__(self, history: int = 10_000) -> None:
        self.version = 1
        self.observers: list[Callable[[str, Commit], None]] = []
        self._history = history
        self._tables: dict[str, Table] = {}

    def table(self, key: str) -> Table:
        """Return the table of a resource; an empty one is made when first asked for."""
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = Table(self._history, self.version)
        return found

    def drop(self, key: str) -> None:
        """Forget a table, as when a custom resource's definition goes."""
        self._tables.pop(key, None)

    def keys(self) -> Iterable[str]:
        """Return the resources that have a table."""
        return tuple(self._tables)

    def commit(self, key: str, kind: EventType, old: Json | None, new: Json) -> Json:
        """Store *new* under the next version and return it as stored."""
        self.version += 1
        stored = with_meta(new, resourceVersion=str(self.version))
        commit = Commit(self.version, kind, old, stored)
        self.table(key).record(commit)
        for observe in self.observers:
            observe(key, commit)
        return stored
