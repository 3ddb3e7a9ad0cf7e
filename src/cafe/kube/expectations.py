"""Our own writes that the cache may not show yet.

    reconciler                     API server                      cache
        │── patch pod a ──────────────▶│ a is now version 17           │ a is version 12
        │◀─ version 17 ────────────────│                               │
        │── note_write(a, 17, owner) ──┼──────────────────────────────▶│ owner is not current
        │   next pass: hold            │                               │
        │                              │── watch: a, version 17 ──────▶│ owner is current, comes back

A pass over stale state creates pods twice or counts an updated pod as old (k8s#129795). So a reconciler notes
what it wrote and holds while its owner is not current. Versions are compared per object (KEP-5504). What does
not show within the expiry is read live: one lost event must not stop a set for ever (kruise#1765).
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from cafe.kernel import Clock, ObjectKey

EXPIRY = timedelta(minutes=5)

Scope = Hashable
"""Whose writes: usually the key of the owner; the object's own key if no owner is given."""


@dataclass(slots=True)
class _Pending:
    """One object's newest write that has not been seen."""

    version: int
    deleted_uid: str
    scopes: dict[Scope, None]
    deadline: timedelta


class OwnWrites:
    """Which objects the cache must still catch up on. Costs one look into an empty dict if there are none."""

    def __init__(self, clock: Clock, expiry: timedelta = EXPIRY) -> None:
        self._clock = clock
        self._expiry = expiry
        self._pending: dict[ObjectKey, _Pending] = {}
        self._scopes: dict[Scope, dict[ObjectKey, None]] = {}
        self._handlers: list[Callable[[Scope], None]] = []
        self._something = asyncio.Event()
        self._hurry = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def is_idle(self) -> bool:
        """Whether nothing at all is awaited."""
        return not self._pending

    def on_settled(self, handler: Callable[[Scope], None]) -> None:
        """Call *handler* whenever a scope has become current: the reconciler that held goes on."""
        self._handlers.append(handler)

    def is_current(self, *scopes: Scope) -> bool:
        """Whether nothing is awaited for any of *scopes*."""
        pending = self._scopes
        return not pending or not any(scope in pending for scope in scopes)

    async def wait_current(self, *scopes: Scope) -> None:
        """Wait until nothing is awaited for *scopes*: at most the expiry and a live read."""
        while not self.is_current(*scopes):
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def expect(self, key: ObjectKey, version: int, deleted_uid: str, owner: Scope | None) -> None:
        """Await a version of an object, or the deletion of one UID. A later call replaces an earlier one."""
        scope: Scope = key if owner is None else owner
        old = self._pending.get(key)
        scopes = old.scopes if old else {}
        scopes[scope] = None
        if old and not deleted_uid:
            version, deleted_uid = max(version, old.version), old.deleted_uid
        deadline = self._clock.monotonic() + self._expiry
        self._pending[key] = _Pending(version, deleted_uid, scopes, deadline)
        self._scopes.setdefault(scope, {})[key] = None
        self._something.set()

    def saw(self, key: ObjectKey, version: int, uid: str, *, is_present: bool, is_deleting: bool) -> None:
        """Take note of an object's state in the cache. A deletion counts as having seen what came before."""
        if not self._pending or (pending := self._pending.get(key)) is None:
            return
        if pending.deleted_uid:
            is_same = is_present and uid == pending.deleted_uid
            if is_same and not is_deleting:
                return
        elif version < pending.version:
            return
        self.settle(key)

    def hurry_up_to(self, version: int) -> None:
        """Take note of a bookmark: by now every event up to *version* should have been delivered.

        What still doesn't show is read live at once, for its event is lost. It would be rash to believe that
        the cache has it: nothing would ever mend it.
        """
        now = self._clock.monotonic()
        for pending in self._pending.values():
            if 0 < pending.version <= version and pending.deadline > now:
                pending.deadline = now
                self._hurry.set()

    def saw_all_up_to(self, version: int) -> None:
        """Take note of a whole collection as it was at *version*: what it lacks is not there."""
        for key in [key for key, pending in self._pending.items() if 0 < pending.version <= version]:
            if not self._pending[key].deleted_uid:
                self.settle(key)

    def settle(self, key: ObjectKey) -> None:
        """Await nothing more of *key*, and tell those that held."""
        for scope in self.retract(key):
            for handler in self._handlers:
                handler(scope)

    def retract(self, key: ObjectKey) -> Sequence[Scope]:
        """Await nothing more of *key*: its write did not happen. Return the scopes that are current now.

        Their handlers are not called: nobody held, the pass that wrote is still under way, and how it ends
        decides when the owner comes back. Were it woken at once, whoever is refused (an exhausted quota)
        would ask again without a pause.
        """
        pending = self._pending.pop(key, None)
        if pending is None:
            return ()
        if not self._pending:
            self._something.clear()
        current: list[Scope] = []
        for scope in pending.scopes:
            keys = self._scopes[scope]
            del keys[key]
            if not keys:
                del self._scopes[scope]
                current.append(scope)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return current

    def postpone(self, key: ObjectKey, delay: timedelta) -> None:
        """Try a failed live read again after *delay*."""
        if (pending := self._pending.get(key)) is not None:
            pending.deadline = self._clock.monotonic() + delay

    async def wait_overdue(self) -> tuple[ObjectKey, ...]:
        """Wait until writes are overdue, and return their keys."""
        while True:
            await self._something.wait()
            now = self._clock.monotonic()
            if overdue := tuple(key for key, pending in self._pending.items() if pending.deadline <= now):
                return overdue
            if self._pending:  # It may have been settled before we were woken.
                soonest = min(pending.deadline for pending in self._pending.values())
                await self._wait_hurry(soonest - now)

    async def _wait_hurry(self, most: timedelta) -> None:
        """Wait until a bookmark makes something due, or *most* has passed."""
        self._hurry.clear()
        hurried = asyncio.ensure_future(self._hurry.wait())
        rest = asyncio.ensure_future(self._clock.sleep(most))
        try:
            await asyncio.wait((hurried, rest), return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurried.cancel()
            rest.cancel()
