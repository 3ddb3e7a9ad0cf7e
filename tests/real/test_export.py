"""What was exported, on a real API server: taken, and run."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import ControlPlane
from testbed.waiting import wait_for
from tests.real.cluster import SOON, Space, condition, make_space

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("fake_nodes")]

ROOT = Path(__file__).parents[2]
BESIDE = Path(sys.executable).parent


@pytest.fixture
def space(control_plane: ControlPlane) -> Iterator[Space]:
    yield from make_space(control_plane.client)


def test_a_service_that_leaves_runs_without_cafe(space: Space, control_plane: ControlPlane) -> None:
    export = [str(BESIDE / "cafe"), "export", "-f", str(ROOT / "samples/shop-service.yaml")]
    plain = subprocess.run(export, check=True, capture_output=True, text=True).stdout
    config = str(control_plane.kubeconfig)
    kubectl = [str(BESIDE / "kubectl"), "--kubeconfig", config, "-n", space.name]
    done = subprocess.run(
        [*kubectl, "apply", "--validate=strict", "-f", "-"],
        check=False,
        input=plain,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "unknown field" not in done.stderr
    found = space.client.get(f"/apis/apps/v1/namespaces/{space.name}/deployments")["items"]
    wanted = sum(deployment["spec"]["replicas"] for deployment in found)

    def are_ready() -> bool:
        pods = space.client.get(space.pods)["items"]
        return sum(condition(pod, "Ready") == "True" for pod in pods) == wanted

    assert wanted > 0
    wait_for("all pods are ready", are_ready, SOON)
