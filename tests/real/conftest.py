"""What tests on real nodes share: the controller in a process of its own, and an application."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import ControlPlane
from tests.real.cluster import SOON, make_space
from tests.real.rollouts import App, install_crds


@pytest.fixture
def controller(control_plane: ControlPlane, tmp_path: Path) -> Iterator[None]:
    """The controller, as a person would start it."""
    install_crds(control_plane.kubeconfig)
    command = [sys.executable, "-m", "cafe.processes.controller", f"--kubeconfig={control_plane.kubeconfig}"]
    with (tmp_path / "controller.log").open("wb") as log:
        here = ("--webhook-host=127.0.0.1", "--webhook-bind=127.0.0.1", "--webhook-port=0")
        process = subprocess.Popen([*command, "--no-leader-elect", *here], stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(SOON.total_seconds()) == 0


@pytest.fixture
def app(control_plane: ControlPlane) -> Iterator[App]:
    for space in make_space(control_plane.client):
        yield App(control_plane.client, space.name)
