"""The real HorizontalPodAutoscaler raises an application's number in the middle of a release."""

from collections import Counter
from typing import Any

import pytest

from cafe.api.names import API_VERSION
from testbed.client import MERGE
from testbed.waiting import wait_for
from tests.real.cluster import SOON, Object, condition
from tests.real.rollouts import CELLS, V1, V2, App, image_of, unit_of

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.usefixtures("metrics_api", "fake_nodes", "controller"),
]

USAGE = "cafe.test/usage"


def service(app: App) -> dict[str, Any]:
    """Return an application service of 6 pods that an autoscaler keeps at half of their requested CPU."""
    goal = {"type": "Utilization", "averageUtilization": 50}
    scaler = {
        "minReplicas": 4,
        "maxReplicas": 10,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": goal}}],
    }
    container = {"name": "app", "image": V1, "resources": {"requests": {"cpu": "100m"}}}
    pod = {"nodeSelector": {"cafe.test/node": "fake"}, "containers": [container]}
    meta = {"labels": {"app": app.name}, "annotations": {USAGE: "cpu=50m"}}
    return {
        "apiVersion": API_VERSION,
        "kind": "CafeAppService",
        "metadata": {"name": app.name},
        "spec": {
            "selector": {"matchLabels": {"app": app.name}},
            "template": {"metadata": meta, "spec": pod},
            "elasticity": {"replicas": 6, "autoscaling": scaler},
            "publish": {"revision": 1},
            "deploy": {
                "topology": {"unitType": "Cell", "values": list(CELLS)},
                "strategy": {"batchSize": 4},
            },
        },
    }


def live(app: App) -> list[Object]:
    return [pod for pod in app.pods() if "deletionTimestamp" not in pod["metadata"]]


def ready(app: App) -> Counter[tuple[str, str]]:
    """Count the pods that are ready, by cell and image."""
    return Counter((unit_of(p), image_of(p)) for p in live(app) if condition(p, "Ready") == "True")


def load(app: App, usage: str) -> None:
    for pod in live(app):
        path = f"{app.core}/pods/{pod['metadata']['name']}"
        app.client.patch(path, {"metadata": {"annotations": {USAGE: usage}}}, MERGE)


def test_load_adds_pods_while_a_release_waits_for_a_person(app: App) -> None:
    services = app.apps.replace("cafedeployments", "cafeappservices")
    path = f"{services}/{app.name}"
    app.client.create(services, service(app))
    wait_for("six pods", lambda: ready(app) == dict.fromkeys([(c, V1) for c in CELLS], 3), SOON)
    wait_for("the service is complete", lambda: app.client.get(path)["status"]["phase"] == "Complete", SOON)

    edited = app.client.get(path)["spec"]
    edited["template"]["spec"]["containers"][0]["image"] = V2
    edited["deploy"]["strategy"]["needWaitingForConfirm"] = True
    edited["publish"]["revision"] = 2
    app.client.patch(path, {"spec": edited}, MERGE)
    waiting = app.wait_waiting("WaitingForConfirm", 0)

    load(app, "cpu=150m")
    grown = {(cell, image): count for cell in CELLS for image, count in ((V1, 4), (V2, 1))}
    wait_for("four more pods of what runs", lambda: ready(app) == grown, SOON)
    assert app.get()["spec"]["replicas"] == 10
    again = app.wait_waiting("WaitingForConfirm", 0)
    assert again["planHash"] != waiting["planHash"]  # A person confirms what there is now.

    app.confirm(again)
    app.confirm(app.wait_waiting("WaitingForConfirm", 1))
    app.wait_complete()
    assert ready(app) == dict.fromkeys([(cell, V2) for cell in CELLS], 5)
    assert app.client.get(path)["status"]["latestRevision"] == 2
    wait_for("the service is complete", lambda: app.client.get(path)["status"]["phase"] == "Complete", SOON)
