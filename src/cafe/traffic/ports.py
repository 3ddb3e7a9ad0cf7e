"""What traffic needs from the world."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from cafe.api.trafficbinding import TrafficBinding, TrafficBindingStatus
from cafe.api.trafficmarks import Operation
from cafe.kernel import Note, ObjectKey, Refusal
from cafe.traffic.contract import Asking
from cafe.traffic.domain.draining import Command
from cafe.traffic.domain.facts import Employer, Member, PodTraffic, Pool, ReplicaView
from cafe.traffic.domain.keeping import Asked, Drop


class TrafficAdapter(Protocol):
    """One provider: all processes of one load balancer, registry or mesh.

    It remembers nothing that it could not read back. Every call may be repeated, and may be made in any
    order; a process that forgot (a reload, a restart) is told again by the next call.

    Errors: `cafe.kernel.Refusal` for what asking again won't change (`PoolMissing`, `CredentialsRefused`,
    `BadAddress`); everything that concerns one process alone is told in its `ReplicaView` instead.
    """

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        """Return by pool name how each process stands, read in as few requests as the protocol allows.

        A process that can't be reached, or refuses, is there all the same, with its problem. A pool that a
        process doesn't have is that process' problem; where a pool is only as long as it has members (a
        service of Nacos or SOFARegistry), one that isn't there is empty.

        Registries don't see requests, so their members have neither requests nor arrivals. A member that was
        detached and has registered itself again is SERVING.
        """

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Have no process send new requests to *members*; what they are working on goes on.

        Processes that can't be reached are passed over: `observe` tells of them.
        """

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Have all processes send requests to *members*, which are healthy; unknown ones are added.

        Registries learn of a member from itself alone: one that was detached is put back unless it has
        registered itself again, and one that never registered itself stays unknown.
        """

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Forget *members*, whose pods are gone or whose traffic is."""

    async def close(self) -> None:
        """Give up all connections."""


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod and all that concerns its traffic, never older than our own last writes.

    Attributes:
        employers: Who sends it requests, retired ones included.
        asked: By operation, who asked for it last.
        is_served: Whether its set writes the gate of a new pod.
    """

    pod: PodTraffic
    employers: Sequence[Employer]
    asked: Mapping[str, Asked] = field(default_factory=dict)
    is_served: bool = True


class PodTrafficStore(Protocol):
    """Pods, and the marks of traffic on them.

    Writes are guarded by what was judged: `cafe.kernel.Conflict` means that the pod moved.
    """

    def view(self, key: ObjectKey) -> PodView | None:
        """Return the pod; None if it is gone, belongs to no application, or our own writes don't show yet."""

    def is_gone(self, key: ObjectKey) -> bool:
        """Whether there is no such pod any more."""

    def mates(self, key: ObjectKey) -> Sequence[ObjectKey]:
        """Return the pods of the same application, itself included."""

    def confirm(self, pod: PodTraffic, employer: Employer, *, is_gone: bool) -> None:
        """Take note that an employer was read back just now, and whether it has no traffic for a pod."""

    async def release(self, pod: PodTraffic, employer: Employer, evidence: str) -> None:
        """Take an employer's protection away, and acknowledge the operations that stand."""

    async def publish(self, pod: PodTraffic, employer: Employer) -> None:
        """Put an employer's protection on."""

    async def tell_stuck(self, pod: PodTraffic, employer: Employer, evidence: str) -> None:
        """Say on the pod, and as an event, what a drain waits for that has taken too long."""

    async def drop(self, pod: PodTraffic, action: Drop) -> None:
        """Take away what is nobody's any more."""

    async def ask(self, pod: PodTraffic, name: str, operation: Operation) -> None:
        """Write an operation's beginning."""

    async def give_back(self, pod: PodTraffic, asking: Asking) -> None:
        """Write an operation's end."""

    async def tell(self, pod: PodTraffic, note: Note) -> None:
        """Record an Event of a pod."""


@dataclass(frozen=True, slots=True)
class BindingView:
    """One TrafficBinding and what it is judged by.

    Attributes:
        employers: Its pools, those included that are declared no more and still hold pods.
        protected: By finalizer, how many pods of the application carry it.
        refusal: Why it can't be followed, or None.
    """

    binding: TrafficBinding
    employers: Sequence[Employer]
    protected: Mapping[str, int]
    refusal: Refusal | None = None


class BindingStore(Protocol):
    """TrafficBindings; writes are guarded by the version that was judged."""

    def view(self, key: ObjectKey) -> BindingView | None:
        """Return the binding; None if it is gone, or our own writes don't show yet."""

    async def write_status(self, binding: TrafficBinding, status: TrafficBindingStatus) -> None:
        """Write the status if it differs."""

    async def hold(self, binding: TrafficBinding, *, is_held: bool) -> None:
        """Keep the binding from going, or let it go."""


class ProviderStore(Protocol):
    """TrafficProviders, as far as their status is concerned."""

    async def write_status(self, name: str, problems: Mapping[str, str]) -> None:
        """Write how each process was met last, if that differs from what the status says.

        Args:
            name: Of the provider; one that is gone is passed over.
            problems: By process, why it can't be spoken with; empty if it can.

        Raises:
            cafe.kernel.CafeError: It was not written.
        """


class ProviderObserver(Protocol):
    """Takes note of what happens with one provider. Never waits, never fails."""

    def seen(self, views: Mapping[str, Sequence[ReplicaView]]) -> None:
        """Take note of how its processes were read back, by pool."""

    def told(self, command: Command, *, is_done: bool) -> None:
        """Take note of a command, and whether it was taken."""

    def drained(self, took: timedelta) -> None:
        """Take note of a pod whose traffic is proven gone, so long after it was first wanted so."""

    def attached(self, took: timedelta) -> None:
        """Take note of a pod whose traffic is proven back, so long after it was first wanted so."""
