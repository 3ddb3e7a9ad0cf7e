"""`kubectl drain` on a real control plane: evictions share one budget, with each other and with a release."""

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from testbed import ControlPlane
from testbed.client import MERGE
from testbed.waiting import wait_for
from tests.real.cluster import SOON, Object, condition
from tests.real.rollouts import CELLS, V1, V2, App, history_of, image_of
from tests.real.test_elasticity import live, service

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("fake_nodes", "controller")]

KUBECTL = str(Path(sys.executable).with_name("kubectl"))


def kubectl(plane: ControlPlane, *words: str) -> subprocess.CompletedProcess[str]:
    command = [KUBECTL, "--kubeconfig", str(plane.kubeconfig), *words]
    return subprocess.run(command, check=False, text=True, capture_output=True, timeout=120)


def nodes(app: App) -> Counter[str]:
    return Counter(pod["spec"]["nodeName"] for pod in live(app))


def fullest(app: App) -> tuple[str, set[str]]:
    """Return the node with the most of the application's pods, and their UIDs."""
    name, _ = nodes(app).most_common(1)[0]
    return name, {p["metadata"]["uid"] for p in live(app) if p["spec"]["nodeName"] == name}


def is_whole(app: App, image: str) -> bool:
    ready = [p for p in live(app) if condition(p, "Ready") == "True" and image_of(p) == image]
    return len(ready) == len(live(app)) == 10


def knows_pods(app: App) -> bool:
    """Whether the budget counts all pods; wake its controller, which learns of new kinds every 30 s.

    Until then it calls the pods' owner unknown, and it looks again only when a pod or the budget changes.
    """
    path = f"/apis/policy/v1/namespaces/{app.core.rpartition('/')[2]}/poddisruptionbudgets/{app.name}"
    found = app.client.get(path)
    if found["status"].get("currentHealthy") == 10:
        return True
    awoken = {"metadata": {"annotations": {"test/woken": str(found["metadata"]["resourceVersion"])}}}
    app.client.patch(path, awoken, MERGE)
    return False


def ten_pods(app: App) -> Object:
    body = service(app)
    body["spec"]["elasticity"] = {"replicas": 10}
    body["spec"]["deploy"]["disruption"] = {"maxUnavailable": 1}
    body["spec"]["deploy"]["strategy"]["maxUnavailable"] = 1
    return body


def test_a_node_is_drained_pod_by_pod_also_while_a_release_is_under_way(
    app: App, control_plane: ControlPlane
) -> None:
    services = app.apps.replace("cafedeployments", "cafeappservices")
    path = f"{services}/{app.name}"
    app.client.create(services, ten_pods(app))
    wait_for("ten pods", lambda: is_whole(app, V1), SOON)
    assert max(nodes(app).values()) <= 2, "pods crowd on one node"
    wait_for("the budget knows its pods", lambda: knows_pods(app), SOON * 2, every=timedelta(seconds=1))
    for wanted in (V1, V2):
        node, gone = fullest(app)
        with history_of(app) as history:
            wait_for("the watch has begun", lambda: len(history.now) >= 10, SOON)
            history.begin()
            if wanted == V2:
                edited = app.client.get(path)["spec"]
                edited["template"]["spec"]["containers"][0]["image"] = V2
                edited["publish"]["revision"] = 2
                app.client.patch(path, {"spec": edited}, MERGE)
            try:
                drained = kubectl(
                    control_plane, "drain", node, "--ignore-daemonsets", "--timeout=100s", "--force"
                )
                assert drained.returncode == 0, drained.stderr
                wait_for("ten pods", lambda wanted=wanted: is_whole(app, wanted), SOON)  # type: ignore[misc]
            finally:
                kubectl(control_plane, "uncordon", node)
            assert not gone & {p["metadata"]["uid"] for p in live(app)}
            # Evictions take one pod of all; a release, which sees it missing, one of another cell beside.
            assert all(history.lowest[cell] >= 4 for cell in CELLS), (wanted, history.lowest)
