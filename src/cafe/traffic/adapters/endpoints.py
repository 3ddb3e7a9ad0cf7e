"""Services as a provider: the gate moves their endpoints, and the EndpointSlices tell.

Nothing is told to anybody here. A pod whose gate is down is not ready, so its endpoint isn't either; then the
proxies on the nodes hear of it, which no one can read back: that is what the floor is for.
"""

from collections.abc import Collection, Mapping, Sequence

from cafe.kube.cache import Cache
from cafe.kube.endpoints import Endpoint, EndpointSlice
from cafe.traffic.adapters.watched import SERVICE
from cafe.traffic.domain.facts import Member, MemberState, MemberView, Pool, ReplicaView

NAME = "endpoints"


class EndpointsAdapter:
    """The `TrafficAdapter` of all Services of a cluster; pools are called `namespace/name`."""

    def __init__(self, slices: Cache[EndpointSlice]) -> None:
        self._slices = slices

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        """Return the endpoints of each Service, as the cache shows them."""
        return {pool.name: [ReplicaView(NAME, self._members(pool))] for pool in pools}

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Do nothing: the gate is down."""

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Do nothing: the gate is up."""

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Do nothing: who is gone has no endpoint."""

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    def _members(self, pool: Pool) -> dict[str, MemberView]:
        found: dict[str, MemberView] = {}
        for body in self._slices.by_index(SERVICE, pool.name):
            for endpoint in body.endpoints:
                for ip in endpoint.addresses:
                    address = Member("", ip, pool.port).address
                    # A Service of several ports may tell of a pod in several slices: the worst counts.
                    if address not in found or found[address].state is not MemberState.SERVING:
                        found[address] = MemberView(address, _state(endpoint))
        return found


def _state(endpoint: Endpoint) -> MemberState:
    return MemberState.SERVING if endpoint.conditions.ready else MemberState.DRAINING
