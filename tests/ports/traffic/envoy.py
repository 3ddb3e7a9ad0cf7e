"""Two real Envoy processes, told by discovery or by files, with small applications behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cafe.traffic.adapters.discovery import Delivery, Discovery, Files, serving_discovery
from cafe.traffic.adapters.envoy import EnvoyAdapter
from cafe.traffic.domain.facts import MemberState, Pool
from testbed.envoy import CLUSTER, PROVIDER, Envoy
from tests.ports.traffic.fronted import FrontedRig
from tests.ports.traffic.rig import Rig


class EnvoyRig(FrontedRig):
    """Asks the listener of a process. One that was restarted asks for its endpoints again."""

    forgets = False

    def __init__(self, servers: Envoy, delivery: Delivery) -> None:
        self._delivery = delivery
        adapter = EnvoyAdapter(servers.addresses, delivery)
        super().__init__(servers, Pool(CLUSTER, 0), adapter)

    async def settle(self) -> None:
        """Wait until all processes that answer say the same as what was told."""
        async with asyncio.timeout(10):
            while not await self._is_settled():  # noqa: ASYNC110 -- other processes settle
                await asyncio.sleep(0.02)

    async def _is_settled(self) -> bool:
        views = (await self.adapter.observe([self.pool]))[self.pool.name]
        told = [{(m.address, m.state) for m in v.members.values()} for v in views if not v.problem]
        known = self._delivery.get(self.pool.name)
        members = known.members.items() if known is not None else ()
        wanted = {
            (a, MemberState.DRAINING if drains else MemberState.SERVING) for a, (_, _, drains) in members
        }
        return all(one == wanted for one in told)


@asynccontextmanager
async def envoy_rest_rig() -> AsyncIterator[Rig]:
    """Yield two processes that ask our discovery service."""
    discovery = Discovery()
    async with serving_discovery(discovery, "127.0.0.1", 0) as port:
        servers = await asyncio.to_thread(lambda: Envoy(2, discovery_port=port))
        rig = EnvoyRig(servers, discovery.of(PROVIDER))
        try:
            yield rig
        finally:
            await rig.close()


@asynccontextmanager
async def envoy_files_rig() -> AsyncIterator[Rig]:
    """Yield two processes that watch files."""
    servers = await asyncio.to_thread(lambda: Envoy(2))
    rig = EnvoyRig(servers, Files(servers.files))
    try:
        yield rig
    finally:
        await rig.close()
