"""Services in SOFARegistry, by the REST interface of its session servers.

`clientOff` has a session server drop all that the connections of an IP have published; the clients don't
notice and stay connected. `clientOpen` closes the connections of an IP, whereupon its clients connect again
and publish all anew. Both are about an IP as a whole: all services of a pod go and come together, whatever
the pool. So a member belongs to a publisher by IP alone; the port that a publisher is seen with is its
connection's.

What is read is what a session server has of a service from the data servers, which is what it pushes to its
subscribers; each is asked for itself. A service without a publisher is not told from one that nobody ever
heard of. A client that connects again while it is off publishes again; that is seen, and taken off again.

A session server that can't be reached from here may be reached by another: `/zone/` has one pass on what it
was told to all others of its zone.

A pool is a data id (`shop.Cart:1.0@DEFAULT`), in the group and instance of SOFARPC, or a whole
`dataId#@#instanceId#@#group`. The interface knows no users, so there are no credentials.
"""

import asyncio
import functools
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from cafe.kernel import Clock, Unavailable
from cafe.traffic.adapters.httpregistry import Http, observe_each, read_json
from cafe.traffic.domain.facts import Member, MemberState, MemberView, Pool, ReplicaView

SPLIT: Final = "#@#"
INSTANCE: Final = "DEFAULT_INSTANCE_ID"
GROUP: Final = "SOFA"

PATIENCE: Final = timedelta(seconds=10)
"""So long a client has for connecting and publishing anew before its connections are closed once more. Who
forgets when it closed them (another controller took over) closes them once more at worst."""


class SofaRegistryAdapter:
    """A `TrafficAdapter` for the session servers of one zone.

    Args:
        replicas: Address (host:port of its HTTP server, 9603 by default) of each session server, by its name.
        clock: Tells how long ago connections were closed.
    """

    def __init__(self, replicas: Mapping[str, str], clock: Clock) -> None:
        self._http = Http()
        self._clock = clock
        self._bases = {name: f"http://{address}" for name, address in replicas.items()}
        self._closed: dict[str, timedelta] = {}

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        """Return by pool name what each session server pushes to its subscribers."""
        looks = {name: functools.partial(self._look, base) for name, base in self._bases.items()}
        return await observe_each(looks, pools)

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Have dropped what the pods of *members* have published."""
        published = await self._published(pool) or set()
        await self._tell("clientOff", [member.ip for member in members if member.ip in published])

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Have pods publish again that don't; one that never registered itself stays unknown."""
        published = await self._published(pool)
        if published is None:
            return
        now = self._clock.monotonic()
        self._closed = {ip: at for ip, at in self._closed.items() if now - at < PATIENCE}
        absent = [m.ip for m in members if m.ip not in published and m.ip not in self._closed]
        if await self._tell("clientOpen", absent):
            self._closed |= dict.fromkeys(absent, now)

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Have dropped what is left of *members*; a pod that is gone goes with its connection anyway."""
        await self.detach(pool, members)

    async def close(self) -> None:
        """Give up all connections."""
        await self._http.close()

    async def _published(self, pool: Pool) -> set[str] | None:
        """Return the IPs that any session server knows; None if none answers."""
        views = [view for view in (await self.observe([pool]))[pool.name] if not view.problem]
        if not views:
            return None
        addresses = {address for view in views for address in view.members}
        return {address.rpartition(":")[0].strip("[]") for address in addresses}

    async def _look(self, base: str, pool: Pool) -> dict[str, MemberView]:
        query = {"dataInfoId": _data_info_id(pool)}
        found = await self._ask("GET", f"{base}/digest/data/queryPublisher", query=query)
        ips = (str(publisher["sourceAddress"]).rpartition(":")[0].strip("[]") for publisher in found or ())
        addresses = (Member("", ip, pool.port).address for ip in ips)
        return {address: MemberView(address, MemberState.SERVING) for address in addresses}

    async def _tell(self, what: str, ips: Collection[str]) -> bool:
        """Tell each session server; whom we don't reach, another may. Return whether any was told."""
        if not ips:
            return False
        form = {"ips": ";".join(sorted(ips))}
        told = await asyncio.gather(
            *(self._try(f"{base}/api/clientManager/{what}", form) for base in self._bases.values())
        )
        if any(told) and not all(told):
            base = next(base for base, is_told in zip(self._bases.values(), told, strict=True) if is_told)
            await self._try(f"{base}/api/clientManager/zone/{what}", form)
        return any(told)

    async def _try(self, url: str, form: Mapping[str, str]) -> bool:
        try:
            await self._ask("POST", url, form=form)
        except Unavailable:  # `observe` tells of it.
            return False
        return True

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 -- JSON
        answer = read_json(*await self._http.ask(method, url, query=query, form=form))
        if not isinstance(answer, dict) or not answer.get("success"):
            said = answer.get("message") if isinstance(answer, dict) else answer
            raise Unavailable(f"it says no: {said}")
        return answer.get("data")


def _data_info_id(pool: Pool) -> str:
    return pool.name if SPLIT in pool.name else SPLIT.join((pool.name, INSTANCE, GROUP))
