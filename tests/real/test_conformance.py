"""The conformance list on a real API server: what the simulator is held to is so."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from cafe.kernel import SystemClock, SystemEntropy
from cafe.kube.http import HttpTransport
from cafe.kube.kubeconfig import load_kubeconfig
from tests.ports.backend import World
from tests.ports.listed import CASES

pytestmark = [pytest.mark.real, pytest.mark.slow]

WITHIN = timedelta(seconds=20)


@pytest.fixture
async def world(kubeconfig: Path) -> AsyncIterator[World]:
    transport = HttpTransport(load_kubeconfig([kubeconfig]).access(SystemClock()))
    world = World(transport, f"ports-{SystemEntropy().suffix(6)}")
    await world.post("/api/v1/namespaces", {"metadata": {"name": world.namespace}})

    # Without its service account no pod is admitted.
    account = world.path("serviceaccounts", "default")
    async with asyncio.timeout(WITHIN.total_seconds()):
        while (await world.get(account)).status != 200:
            await SystemClock().sleep(timedelta(milliseconds=50))
    yield world
    await world.finish()
    await world.delete(f"/api/v1/namespaces/{world.namespace}")
    await transport.close()


@pytest.mark.parametrize("name", sorted(CASES))
async def test_the_real_server_behaves_as_recorded(name: str, world: World) -> None:
    await CASES[name](world)
