"""A real API server takes what is exported, and real pods serve on when their application leaves."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from testbed import ControlPlane
from testbed.waiting import wait_for
from tests.real.cluster import Object, Space, condition, make_space
from tests.real.rollouts import CELLS, PATIENCE, App
from tests.unit.workloads.applications import CLAIM, app, exported

pytestmark = [pytest.mark.real, pytest.mark.slow]

SHOP = Path(__file__).parents[2] / "samples" / "shop-service.yaml"
TOPOLOGY = {"unitType": "Cell", "values": list(CELLS)}


@pytest.fixture
def space(control_plane: ControlPlane) -> Iterator[Space]:
    yield from make_space(control_plane.client)


def run(kubeconfig: Path, *words: str, given: str = "") -> str:
    """Run a program of the environment, and return what it writes."""
    program, *arguments = words
    done = subprocess.run(
        [str(Path(sys.executable).parent / program), f"--kubeconfig={kubeconfig}", *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_real_server_takes_what_is_exported_to_the_letter(kubeconfig: Path, space: Space) -> None:
    service = yaml.safe_load(SHOP.read_text())
    service["spec"]["elasticity"]["replicas"] = 0
    stateful = {"podSetType": "StatefulSet", "serviceName": "db", "replicas": 0}
    surging = {"maxSurge": "30%", "pause": True}
    documents = [
        service,
        app("plain", replicas=0, strategy={"progressDeadlineSeconds": 0}),
        app("slow", replicas=0, strategy={"minReadySeconds": 900}),
        app("paused", replicas=0, podSetType="ReplicaSet", topology=TOPOLOGY, strategy=surging),
        app("db", **stateful, strategy={"maxUnavailable": 2, "pause": True}),
        app("cells", **stateful, topology=TOPOLOGY, volumeClaimTemplates=[CLAIM]),
    ]
    for document in documents:
        document["metadata"]["namespace"] = space.name
    plain = exported(*documents)
    told = run(
        kubeconfig, "kubectl", "apply", "--validate=strict", "-f", "-", given=yaml.safe_dump_all(plain)
    )
    assert told.count(" created") == len(plain) == 10


@pytest.mark.usefixtures("real_nodes", "controller")
def test_real_pods_serve_on_while_their_application_leaves(control_plane: ControlPlane, app: App) -> None:
    app.create("real", spec={"replicas": 4}, needWaitingForConfirm=False)
    app.wait_complete()
    namespace = app.get()["metadata"]["namespace"]
    manifest = run(control_plane.kubeconfig, "cafe", "export", app.name, "-n", namespace)
    run(control_plane.kubeconfig, "kubectl", "apply", "--validate=strict", "-f", "-", given=manifest)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{app.name}"

    def is_available() -> bool:
        return bool(app.client.get(path)["status"].get("availableReplicas") == 4)

    wait_for("the Deployment", is_available, PATIENCE)
    app.client.delete(app.path)

    def left() -> list[Object]:
        return [pod for pod in app.pods() if "deletionTimestamp" not in pod["metadata"]]

    wait_for("the old pods to go", lambda: len(left()) == 4, PATIENCE)
    assert {pod["metadata"]["ownerReferences"][0]["kind"] for pod in left()} == {"ReplicaSet"}
    assert {condition(pod, "Ready") for pod in left()} == {"True"}
