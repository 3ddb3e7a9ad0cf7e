"""One leader among candidates, by a Lease.

    A   acquire ── renew ── renew ──✗ (no answer) ──✗ ── deadline: A stops its work
    B   observes ───────────────────────────────────────────── lease duration unchanged ── takes over
                                                      └── margin ──┘

Election is no fence: a paused leader may wake up and send one more request (client-go says so too). Therefore
writes carry UIDs and versions, and pass `fencing`, which asks `is_leading` in the step that sends them.

- Only monotonic clocks are compared. A candidate judges a lease by how long *it* has seen it unchanged, never
  by the holder's timestamps; so clocks may differ, though not their speed by more than the margin.
- The deadline counts from *before* the last successful request was sent, since its answer may be late.
- A request gives up before the deadline, or a hanging one would make a leader without a lease.
- Writes carry the resourceVersion that was read, so of two candidates one gets a conflict.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from cafe.kernel import CafeError, Clock, Conflict, Entropy, ObjectKey
from cafe.kube.client import Client
from cafe.kube.errors import NotFound
from cafe.kube.objects import LEASES, Lease, format_micro_time
from cafe.kube.patches import MergePatch

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LeadershipSettings:
    """Times, as client-go's defaults.

    Attributes:
        lease_duration: After so long without a renewal, others may take over.
        renew_deadline: After so long without one, the leader stops. The difference is the margin.
        retry_period: Between attempts.

    Raises:
        ValueError: The times don't leave a margin.
    """

    lease_duration: timedelta = timedelta(seconds=15)
    renew_deadline: timedelta = timedelta(seconds=10)
    retry_period: timedelta = timedelta(seconds=2)

    def __post_init__(self) -> None:
        if not self.lease_duration > self.renew_deadline > 2 * self.retry_period:
            raise ValueError("lease_duration > renew_deadline > 2 * retry_period must hold")

    @property
    def write_deadline(self) -> timedelta:
        """Most of the margin: what a leader sends has happened before others may lead, or never does."""
        return 0.8 * (self.lease_duration - self.renew_deadline)

    @property
    def request_timeout(self) -> timedelta:
        """Half the deadline: a request that hangs leaves time for another."""
        return self.renew_deadline / 2


class Leadership:
    """One candidate for one lease.

    Args:
        client: To the API server that has the lease.
        key: The lease's namespace and name.
        identity: Unique among all candidates, also those of the past: use a fresh UID.
        settings: Times.
    """

    def __init__(
        self, client: Client, key: ObjectKey, identity: str, settings: LeadershipSettings | None = None
    ) -> None:
        self._client = client
        self._key = key
        self._identity = identity
        self.settings = settings or LeadershipSettings()
        self._clock: Clock = client.clock
        self._entropy: Entropy = client.entropy
        self._seen = ""
        self._seen_at = timedelta()
        self._lease: Lease | None = None
        self._held_until: timedelta | None = None

    @property
    def is_leading(self) -> bool:
        """Whether the lease is surely ours now. Also right after a pause: it asks the clock, not a task."""
        return self._held_until is not None and self._clock.monotonic() < self._held_until

    async def lead(
        self, work: Callable[[], Awaitable[None]], may_release: Callable[[], bool] = lambda: True
    ) -> None:
        """Wait until elected, then run *work* until it ends or leadership is lost.

        If it is lost, *work* is cancelled, and this returns once it has stopped; call it again to stand for
        election again. Cancelling this stops *work* first and gives the lease up only then, and only if
        *may_release* says that nothing of it can take effect any more; else the lease runs out.
        """
        while not await self._try():
            await self._pause()
        log.info("leadership.gained", lease=str(self._key), identity=self._identity)
        task = asyncio.ensure_future(work())
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait((task, renewing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _stopped(task)
            await _stopped(renewing)
            if may_release():
                await self._release()
            self._held_until = None
        if not task.cancelled():
            task.result()

    async def _renew(self) -> None:
        """Renew until the deadline passes without a success."""
        while self._held_until is not None:
            left = self._held_until - self._clock.monotonic()
            try:
                async with asyncio.timeout(left.total_seconds()):  # Neither pause nor request outlives it.
                    await self._pause()
                    is_renewed = await self._try()
            except TimeoutError:
                break
            if not is_renewed and not self._is_ours():
                break
        self._held_until = None
        log.warning("leadership.lost", lease=str(self._key), identity=self._identity)

    def _is_ours(self) -> bool:
        """Whether, as far as we know, nobody else holds the lease."""
        return self._lease is None or self._lease.spec.holder_identity == self._identity

    async def _try(self) -> bool:
        """Try once to acquire or renew. False for any reason."""
        before = self._clock.monotonic()
        try:
            async with asyncio.timeout(self.settings.request_timeout.total_seconds()):
                is_ours = await self._acquire()
        except Conflict:
            self._lease = None  # Somebody wrote it: look again.
            return False
        except (CafeError, TimeoutError) as error:
            self._lease = None  # Our write may have happened: look again.
            log.info("leadership.no_answer", lease=str(self._key), why=str(error) or "timeout")
            return False
        if is_ours:
            self._held_until = before + self.settings.renew_deadline
        return is_ours

    async def _acquire(self) -> bool:
        lease = self._lease
        if lease is None or lease.spec.holder_identity != self._identity:
            try:
                lease = await self._client.get(LEASES, self._key)
            except NotFound:
                self._lease = await self._client.create(LEASES, self._key.namespace, self._fresh())
                return True
            self._observe(lease)
            if not self._may_take(lease):
                self._lease = lease
                return False
        is_new = lease.spec.holder_identity != self._identity
        spec = self._spec(lease.spec.lease_transitions + 1 if is_new else None)
        guarded = {"resourceVersion": lease.metadata.resource_version}
        patch = MergePatch({"metadata": guarded, "spec": spec})
        self._lease = await self._client.patch(LEASES, self._key, patch)
        return True

    def _observe(self, lease: Lease) -> None:
        if lease.metadata.resource_version != self._seen:
            self._seen = lease.metadata.resource_version
            self._seen_at = self._clock.monotonic()

    def _may_take(self, lease: Lease) -> bool:
        spec = lease.spec
        if spec.holder_identity in {"", self._identity}:
            return True
        duration = timedelta(seconds=spec.lease_duration_seconds) or self.settings.lease_duration
        return self._clock.monotonic() - self._seen_at >= duration

    def _spec(self, transitions: int | None) -> dict[str, Any]:
        now = format_micro_time(self._clock.now())
        spec: dict[str, Any] = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(self.settings.lease_duration.total_seconds()),
            "renewTime": now,
        }
        if transitions is not None:
            spec |= {"acquireTime": now, "leaseTransitions": transitions}
        return spec

    def _fresh(self) -> dict[str, Any]:
        metadata = {"name": self._key.name, "namespace": self._key.namespace}
        return {"metadata": metadata, "spec": self._spec(0)}

    async def _release(self) -> None:
        """Give the lease up, so that the next candidate need not wait. Its version guards it."""
        lease, self._lease = self._lease, None
        self._held_until = None
        if lease is None or lease.spec.holder_identity != self._identity:
            return
        guarded = {"resourceVersion": lease.metadata.resource_version}
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            async with asyncio.timeout(self.settings.request_timeout.total_seconds()):
                await self._client.patch(LEASES, self._key, MergePatch({"metadata": guarded, "spec": spec}))
        except (CafeError, TimeoutError) as error:
            log.info("leadership.not_released", lease=str(self._key), why=str(error) or "timeout")

    async def _pause(self) -> None:
        """Wait for the retry period, drawn a little longer so that candidates don't march in step."""
        await self._clock.sleep(self.settings.retry_period * (1 + 0.2 * self._entropy.fraction()))


async def _stopped(task: "asyncio.Future[None]") -> None:
    """Cancel *task* and wait until it has really stopped, also if we are cancelled meanwhile."""
    task.cancel()
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            continue
