"""One list of cases, on the simulated API server and on a real one."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed import ControlPlane, MetricsApi
from tests.ports.backend import SLOW
from tests.ports.listed import CASES
from tests.ports.servers import Outcomes, real, run_case, run_cases, simulated, simulated_over_https

NAMES = sorted(CASES)


def _marked(name: str) -> object:
    return pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.mark.parametrize("name", [_marked(name) for name in NAMES])
async def test_the_simulator_behaves_as_kubernetes_does(name: str) -> None:
    async with simulated() as (transport, hooks):
        await run_case(CASES[name], transport, hooks)


@pytest.fixture(scope="module")
def real_outcomes(
    request: pytest.FixtureRequest,
    control_plane: ControlPlane,
    metrics_api: MetricsApi,
    tmp_path_factory: pytest.TempPathFactory,
) -> Outcomes:
    """What came of the chosen cases on the real server, where all run side by side."""
    del metrics_api  # It serves the autoscaler, whoever asks.
    functions = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen = {
        str(item.callspec.params["name"])
        for item in functions
        if item.originalname == test_kubernetes_behaves_as_the_list_says.__name__
    }

    async def run() -> Outcomes:
        folder = tmp_path_factory.mktemp("hooks")
        async with real(control_plane.kubeconfig, folder) as (transport, hooks):
            return await run_cases([(name, CASES[name]) for name in sorted(chosen)], transport, hooks)

    return asyncio.run(run())


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_behaves_as_the_list_says(name: str, real_outcomes: Outcomes) -> None:
    error = real_outcomes[name]
    if error is not None:
        raise error


@pytest.mark.slow
async def test_the_simulator_behaves_so_over_https_too(tmp_path: Path) -> None:
    async with simulated_over_https(tmp_path) as (transport, hooks):
        outcomes = await run_cases(sorted(CASES.items()), transport, hooks)
    failed = {name: repr(error) for name, error in outcomes.items() if error is not None}
    assert not failed


def test_the_list_is_long(record_property: Callable[[str, object], None]) -> None:
    record_property("cases", len(CASES))
    sys.stdout.write(f"conformance cases: {len(CASES)}\n")
    assert len(CASES) >= 290
