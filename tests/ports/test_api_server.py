"""The conformance list on the simulated API server; `tests/real/test_conformance.py` has the real one."""

from collections.abc import AsyncIterator

import pytest

from cafe.kernel import SystemClock, SystemEntropy
from cafe_sim.apiserver import ApiServer
from cafe_sim.timeline import LoopTimeline
from cafe_sim.transport import SimTransport
from tests.ports.backend import World
from tests.ports.listed import CASES

SLOW = {"a_watch_ends_after_its_timeout"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    server = ApiServer(LoopTimeline(SystemClock()), SystemEntropy())
    transport = SimTransport(server)
    server.create("namespaces", "", {"metadata": {"name": "ports"}})
    yield World(transport, "ports")
    await transport.close()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in sorted(CASES)]
)
async def test_the_simulator_behaves_as_recorded(name: str, world: World) -> None:
    await CASES[name](world)


def test_the_list_is_long_enough() -> None:
    assert len(CASES) >= 120
