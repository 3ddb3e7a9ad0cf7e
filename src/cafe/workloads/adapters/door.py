"""The one door to an application's disruption budget: who is taking which pods out of service right now.

    set cell-a: decide ─▶ take(a-1, a-2) ─▶ writes ─▶ its next pass, which sees them ─▶ take()
    set cell-b:      decide: a-1 and a-2 are away, whatever the cache says
    an eviction:     promise(b-7) ─▶ the API server deletes it ─▶ the watch tells

Caches lag behind writes. Each set waits for its own, but not for those of its siblings: between the choice of
a pod and the event that shows it unavailable, somebody else could take one more. So whoever takes a pod says
so here first, with no `await` between the look and the word. Nothing of this is stored: a new leader begins
with what its caches show, and by then all writes of the old one have ended (see `kube.fencing`).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

from cafe.kernel import Clock, ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.objects import Pod
from cafe.workloads.domain.budget import Use

PATIENCE = timedelta(seconds=30)
"""Until an eviction that was allowed must show: longer than a request to the API server may take."""


class Door:
    """Keeps account for all applications, by the UIDs of their sets and pods."""

    def __init__(self, clock: Clock, pods: Cache[Pod]) -> None:
        self._clock = clock
        self._held: dict[str, frozenset[str]] = {}
        self._promised: dict[str, dict[str, timedelta]] = {}
        self._uses: dict[str, Use] = {}
        self._waiting: dict[str, dict[ObjectKey, None]] = {}
        self._busy: Counter[ObjectKey] = Counter()
        self._wake: Callable[[ObjectKey], None] = lambda _: None
        pods.on_change(self._saw)

    def on_room(self, wake: Callable[[ObjectKey], None]) -> None:
        """Call *wake* with the key of each set that waits for room, when there is some."""
        self._wake = wake

    def promised(self, owner: str) -> frozenset[str]:
        """Return the pods of a set that somebody else was allowed to take, and that don't show it yet."""
        promises = self._promised.get(owner)
        if not promises:
            return frozenset()
        now = self._clock.monotonic()
        left = {uid: until for uid, until in promises.items() if until > now}
        if left:
            self._promised[owner] = left
        else:
            del self._promised[owner]
        return frozenset(left)

    def away(self, owner: str) -> frozenset[str]:
        """Return the pods of a set that anybody is taking."""
        return self._held.get(owner, frozenset()) | self.promised(owner)

    def promise(self, owner: str, pod: str) -> None:
        """Remember that a pod of a set may be taken."""
        self._promised.setdefault(owner, {})[pod] = self._clock.monotonic() + PATIENCE

    def take(self, app: str, owner: str, use: Use, pods: Collection[str]) -> None:
        """Remember which pods a set takes now; what it took before its view shows by now.

        Those of its application that wait for room are woken if it takes less than it did.

        Args:
            app: UID of the application; empty if the set belongs to none.
            owner: UID of the set.
            use: What it took before.
            pods: UIDs of those that it takes.
        """
        self._hold(owner, frozenset(pods))
        now = Use(use.missing + len(pods), use.pending + len(pods))
        before = self._uses.get(owner, Use())
        self._uses[owner] = now
        if now.missing < before.missing or now.pending < before.pending:
            self.wake(app)

    def _hold(self, owner: str, pods: frozenset[str]) -> None:
        if pods:
            self._held[owner] = pods
        else:
            self._held.pop(owner, None)

    def wake(self, app: str) -> None:
        """Wake the sets of an application that wait for room."""
        for key in self._waiting.pop(app, ()):
            self._wake(key)

    def wait(self, app: str, key: ObjectKey) -> None:
        """Have a set woken when a sibling gives something back."""
        self._waiting.setdefault(app, {})[key] = None

    @contextmanager
    def busy(self, app: ObjectKey) -> Iterator[None]:
        """While a pass over *app* is under way: what it decided from is old, and no cache shows it yet."""
        self._busy[app] += 1
        try:
            yield
        finally:
            self._busy[app] -= 1
            if not self._busy[app]:
                del self._busy[app]

    def is_busy(self, app: ObjectKey) -> bool:
        """Whether a pass over *app* is under way."""
        return app in self._busy

    def forget(self, app: str, owner: str) -> None:
        """Drop what is known of a set that is gone, and let the others have its share."""
        for known in (self._held, self._promised, self._uses):
            known.pop(owner, None)
        self.wake(app)

    def _saw(self, old: Pod | None, new: Pod | None) -> None:
        """Note that a pod is on its way out, or gone: from now on the caches tell."""
        if old is None or (
            new is not None and new.metadata.uid == old.metadata.uid and not new.metadata.is_deleting
        ):
            return
        owner = old.metadata.controller
        if owner is None:
            return
        uid = old.metadata.uid
        if (promises := self._promised.get(owner.uid)) is not None:
            promises.pop(uid, None)
        if uid in (held := self._held.get(owner.uid, frozenset())):
            self._hold(owner.uid, held - {uid})
