"""Two real HAProxy processes, with small applications behind them."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cafe.traffic.adapters.haproxy import HAProxyAdapter
from cafe.traffic.domain.facts import Pool
from testbed.haproxy import HAProxy, requirements
from tests.ports.traffic.fronted import FrontedRig
from tests.ports.traffic.rig import Rig


def processes(count: int = 2) -> HAProxy:
    """Return fresh processes: what one case told them, no other may see."""
    if lacking := requirements():
        said = f"this machine lacks: {'; '.join(lacking)}"
        if os.environ.get("CI") == "true":
            pytest.fail(said, pytrace=False)
        pytest.skip(said)
    return HAProxy(count)


@asynccontextmanager
async def haproxy_rig() -> AsyncIterator[Rig]:
    """Yield two processes of its own."""
    servers = await asyncio.to_thread(processes)
    rig = FrontedRig(servers, Pool("web", 0), HAProxyAdapter(servers.addresses))
    try:
        yield rig
    finally:
        await rig.close()
