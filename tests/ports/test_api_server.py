"""The conformance list on the simulated API server; `real.py` runs the same list on a real one."""

import importlib
import pkgutil
from collections.abc import AsyncIterator

import pytest

from cafe.kernel import SystemClock, SystemEntropy
from cafe_sim.apiserver import ApiServer
from cafe_sim.timeline import LoopTimeline
from cafe_sim.transport import SimTransport
from tests.ports import cases
from tests.ports.backend import CASES, World

for _module in pkgutil.iter_modules(cases.__path__):
    importlib.import_module(f"tests.ports.cases.{_module.name}")

SLOW = {"a_watch_ends_after_its_timeout", "a_watch_from_a_forgotten_version_is_told_so_in_the_stream"}


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
    assert len(CASES) >= 110
