"""One control plane for all tests that want a real one, started when the first asks for it.

A machine that lacks something skips these tests and says what it lacks. In CI nothing may be
skipped: there it fails.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from testbed import ControlPlane, FakeNodes, MetricsApi, Options, RealNodes, requirements

# No deadline: how long an example takes is the machine's affair, not a law.
settings.register_profile("cafe", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cafe")


AUTOSCALING = (
    "--horizontal-pod-autoscaler-sync-period=1s",
    "--horizontal-pod-autoscaler-cpu-initialization-period=0s",
    "--horizontal-pod-autoscaler-initial-readiness-delay=0s",
)
"""Tests don't wait a quarter of a minute for each look, and trust their pods from the first moment."""


def need(*, real_nodes: bool) -> None:
    """Skip, or in CI fail, if the machine lacks something."""
    lacking = requirements(real_nodes=real_nodes)
    if not lacking:
        return
    said = f"this machine lacks: {'; '.join(lacking)}"
    if os.environ.get("CI") == "true":
        pytest.fail(said, pytrace=False)
    pytest.skip(said)


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A fresh control plane without nodes; each test works in a namespace of its own."""
    need(real_nodes=False)
    failed_before = request.session.testsfailed
    plane = ControlPlane(Options(controller_manager=AUTOSCALING))
    yield plane
    plane.stop(keep_logs=request.session.testsfailed > failed_before)


@pytest.fixture(scope="session")
def kubeconfig(control_plane: ControlPlane) -> Path:
    """The administrator's kubeconfig of the control plane."""
    return control_plane.kubeconfig


@pytest.fixture(scope="session")
def real_nodes(control_plane: ControlPlane) -> RealNodes:
    """Two real nodes, labelled cafe.test/node=real, in cell-a and cell-b."""
    need(real_nodes=True)
    return RealNodes(control_plane)


@pytest.fixture(scope="session")
def fake_nodes(control_plane: ControlPlane) -> FakeNodes:
    """Ten fake nodes, labelled cafe.test/node=fake, in cell-a and cell-b."""
    return FakeNodes(control_plane, 10)


@pytest.fixture(scope="module")
def metrics_api(control_plane: ControlPlane) -> Iterator[MetricsApi]:
    """A metrics server on the control plane: what pods use is their annotation cafe.test/usage.

    It ends with its module: it serves from this process, and in simulated worlds nobody may open a socket.
    """
    metrics = MetricsApi(control_plane)
    yield metrics
    metrics.stop()
