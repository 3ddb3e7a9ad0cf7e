"""What traffic needs from the world."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from cafe.traffic.domain.facts import Member, Pool, ReplicaView


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
        process doesn't have is that process' problem.
        """

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Have no process send new requests to *members*; what they are working on goes on.

        Processes that can't be reached are passed over: `observe` tells of them.
        """

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Have all processes send requests to *members*, which are healthy; unknown ones are added."""

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Forget *members*, whose pods are gone or whose traffic is."""

    async def close(self) -> None:
        """Give up all connections."""
