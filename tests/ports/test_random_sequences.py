"""Random requests, side by side on the simulator and on a real server: whatever comes, they agree."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from difflib import unified_diff

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cafe.kernel import SystemClock, SystemEntropy
from testbed import ControlPlane
from tests.ports.backend import World
from tests.ports.objects import definition
from tests.ports.sequences import CUSTOM_API, Player, Step, steps
from tests.ports.servers import fresh_world, real, simulated

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MINUTES = float(os.environ.get("CAFE_SEQUENCES_MINUTES", "1"))
BUDGET = timedelta(minutes=MINUTES)


@dataclass
class Pair:
    """One namespace on either server, and the loop in which both are spoken to."""

    runner: asyncio.Runner
    simulated: World
    real: World
    until: timedelta
    compared: int = 0


async def _prepared(world: World) -> World:
    answer = await world.post(DEFINITIONS, definition("Random"))
    assert answer.status in {201, 409}, answer.body
    await world.until(world.path("randoms", api=CUSTOM_API), lambda found: found.status == 200)
    # What is served isn't yet ready for apply: its schema comes a moment later.
    await SystemClock().sleep(timedelta(seconds=1))
    return world


@pytest.fixture(scope="module")
def pair(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Pair]:
    """Both servers, each with the same custom kind; tells in the end how many sequences were compared."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def begin() -> tuple[World, World]:
            folder = tmp_path_factory.mktemp("hooks")
            kubernetes = await stack.enter_async_context(real(control_plane.kubeconfig, folder))
            simulator = await stack.enter_async_context(simulated())
            worlds = [await stack.enter_async_context(fresh_world(*each)) for each in (simulator, kubernetes)]
            return await _prepared(worlds[0]), await _prepared(worlds[1])

        first, second = runner.run(begin())
        try:
            both = Pair(runner, first, second, SystemClock().monotonic() + BUDGET)
            yield both
            with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
                sys.stdout.write(f"\n{both.compared} random sequences compared\n")
        finally:
            runner.run(stack.aclose())


IS_CI = os.environ.get("CI") == "true"


@pytest.mark.real
@pytest.mark.slow
@settings(
    # In CI the same few sequences each time; elsewhere new ones, as many as the time allows.
    max_examples=25 if IS_CI else int(1000 * max(1, MINUTES)),
    derandomize=IS_CI,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(sequence=st.lists(steps(), min_size=1, max_size=30))
def test_the_simulator_answers_any_sequence_as_kubernetes_does(pair: Pair, sequence: list[Step]) -> None:
    if SystemClock().monotonic() > pair.until:
        return  # The time for this test is used up: later examples count for nothing.

    async def play() -> tuple[str, str]:
        prefix = f"r{SystemEntropy().suffix(8)}"
        found = [await Player(world, prefix).play(sequence) for world in (pair.real, pair.simulated)]
        kubernetes, simulator = (json.dumps(each, indent=1, sort_keys=True) for each in found)
        return kubernetes, simulator

    kubernetes, simulator = pair.runner.run(play())
    if kubernetes != simulator:
        # The real collector of pods comes by every 20 s, and may just have come: what differs, differs twice.
        kubernetes, simulator = pair.runner.run(play())
    pair.compared += 1
    if kubernetes != simulator:
        lines = unified_diff(kubernetes.splitlines(), simulator.splitlines(), "kubernetes", "simulator", n=12)
        raise AssertionError("\n".join(lines))
