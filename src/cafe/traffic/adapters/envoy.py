"""Envoy, all of its processes: told by discovery, and read back at each one's admin interface.

What is told is one thing for all processes, and each one takes it when it can; what counts is what each says
of itself. A draining endpoint gets no new request, and keeps those that it has.
"""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import aiohttp

from cafe.kernel import Unavailable
from cafe.traffic.adapters.discovery import Delivery
from cafe.traffic.adapters.endpointsets import Endpoints
from cafe.traffic.domain.facts import Member, MemberState, MemberView, Pool, ReplicaView

TIMEOUT = aiohttp.ClientTimeout(total=2.0, connect=1.0)
CLUSTERS = "/clusters?format=json"

Clusters = Mapping[str, Mapping[str, MemberView]]
"""By cluster, its hosts by address."""


class Garbled(ValueError):
    """An answer that is none of an admin interface."""


def read_clusters(text: str) -> Clusters:
    """Read the answer to `/clusters?format=json`.

    Raises:
        Garbled: It is none.
    """
    try:
        told = json.loads(text)
        return {
            str(cluster["name"]): {
                view.address: view for view in map(_view, cluster.get("host_statuses") or ())
            }
            for cluster in told["cluster_statuses"]
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Garbled(f"no answer of an admin interface: {' '.join(text.split())[:120]}") from error


def _view(host: Mapping[str, Any]) -> MemberView:
    place = host["address"]["socket_address"]
    stats = {stat["name"]: int(stat.get("value", 0)) for stat in host.get("stats") or ()}
    member = Member("", str(place["address"]), int(place.get("port_value", 0)))
    return MemberView(
        member.address,
        _state(host.get("health_status") or {}),
        active=stats.get("rq_active", 0),
        arrivals=stats.get("rq_total", 0),
    )


def _state(health: Mapping[str, Any]) -> MemberState:
    said = health.get("eds_health_status", "HEALTHY")
    if said == "DRAINING":
        return MemberState.DRAINING
    is_well = said in {"HEALTHY", "UNKNOWN"} and not any(
        v for k, v in health.items() if k != "eds_health_status"
    )
    return MemberState.SERVING if is_well else MemberState.DOWN


class EnvoyAdapter:
    """The `TrafficAdapter` of one group of Envoys.

    Args:
        replicas: Address of each process' admin interface by its name, `host:port`.
        delivery: How they are told.
    """

    def __init__(self, replicas: Mapping[str, str], delivery: Delivery) -> None:
        self._replicas = dict(replicas)
        self._delivery = delivery
        self._http: aiohttp.ClientSession | None = None

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        """Return how each process stands: one answer for all pools."""
        looks = await self._look()
        for pool in pools:
            self._seed(pool, looks)
        return {
            pool.name: [_view_of(name, looks[name], pool, self._replicas[name]) for name in self._replicas]
            for pool in pools
        }

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Have *members* drained."""
        self._put((await self._known(pool)).detached(members))

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Have *members* in service."""
        self._put((await self._known(pool)).attached(members))

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Take *members* out."""
        self._put((await self._known(pool)).without(members))

    async def close(self) -> None:
        """Give up all connections."""
        if self._http is not None:
            await self._http.close()

    def _put(self, endpoints: Endpoints) -> None:
        try:
            self._delivery.put(endpoints)
        except OSError as error:
            raise Unavailable(f"Envoy's file of {endpoints.cluster} can't be written: {error}") from error

    async def _known(self, pool: Pool) -> Endpoints:
        """Return the endpoints of a pool; the first time, those that the processes have.

        Raises:
            Unavailable: No process tells, so nobody knows whom a new list would leave out.
        """
        known = self._delivery.get(pool.name)
        if known is None:
            self._seed(pool, await self._look())
            known = self._delivery.get(pool.name)
        if known is None:
            raise Unavailable(f"no Envoy tells who is in {pool.name}")
        return known

    def _seed(self, pool: Pool, looks: Mapping[str, Clusters | str]) -> None:
        """Begin with what all processes have, unless that is known already; all of them must tell."""
        if self._delivery.get(pool.name) is not None or any(isinstance(look, str) for look in looks.values()):
            return
        members: dict[str, tuple[str, int, bool]] = {}
        for look in looks.values():
            for view in look.get(pool.name, {}).values() if not isinstance(look, str) else ():
                ip, _, port = view.address.rpartition(":")
                is_draining = view.state is MemberState.DRAINING
                before = members.get(view.address)
                told = is_draining and (before is None or before[2])
                members[view.address] = (ip.strip("[]"), int(port), told)
        self._put(Endpoints(pool.name, members))

    async def _look(self) -> dict[str, Clusters | str]:
        found = await asyncio.gather(*(self._ask(address) for address in self._replicas.values()))
        return dict(zip(self._replicas, found, strict=True))

    async def _ask(self, address: str) -> Clusters | str:
        """Return what a process says of its clusters, or why it doesn't."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=TIMEOUT)
        try:
            async with self._http.get(f"http://{address}{CLUSTERS}") as answer:
                if answer.status != 200:
                    return f"Envoy's admin interface at {address} answers {answer.status}"
                return read_clusters(await answer.text())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            return f"Envoy's admin interface at {address} can't be reached: {why}"
        except Garbled as error:
            return f"Envoy at {address}: {error}"


def _view_of(name: str, look: Clusters | str, pool: Pool, address: str) -> ReplicaView:
    if isinstance(look, str):
        return ReplicaView(name, problem=look)
    if pool.name not in look:
        return ReplicaView(name, problem=f"it has no cluster {pool.name} (admin interface at {address})")
    return ReplicaView(name, look[pool.name])
