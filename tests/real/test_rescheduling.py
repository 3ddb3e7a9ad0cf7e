"""A real node that is full: its cell's pods are served in another, and come home when there is room."""

from collections import Counter
from typing import Any

import pytest

from testbed.client import RequestFailed
from testbed.waiting import wait_for
from tests.real.cluster import SOON, Object, condition
from tests.real.rollouts import V1, App, unit_of

pytestmark = [pytest.mark.real, pytest.mark.slow]


def serving(app: App) -> Counter[str]:
    return Counter(unit_of(pod) for pod in mine(app) if condition(pod, "Ready") == "True")


def mine(app: App) -> list[Any]:
    found = [pod for pod in app.pods() if pod["metadata"]["labels"].get("app") == app.name]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def hog(app: App, node: Object) -> str:
    """Let a pod take nearly all of the node's CPU; return its path."""
    milli = int(str(node["status"]["allocatable"]["cpu"]).removesuffix("m"))
    milli = milli * 1000 if milli < 1000 else milli
    resources = {"requests": {"cpu": f"{milli - 100}m"}}
    container = {"name": "hog", "image": V1, "imagePullPolicy": "IfNotPresent", "resources": resources}
    spec = {
        "nodeName": node["metadata"]["name"],
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
    }
    app.client.create(
        f"{app.core}/pods", {"metadata": {"name": "hog", "labels": {"app": "hog"}}, "spec": spec}
    )
    return f"{app.core}/pods/hog"


@pytest.mark.usefixtures("real_nodes", "controller")
def test_a_full_node_sends_pods_to_another_cell_and_gets_them_back(app: App) -> None:
    nodes = app.client.get("/api/v1/nodes?labelSelector=cafe.test/node=real")["items"]
    full = next(n for n in nodes if n["metadata"]["labels"]["cafe.sofastack.io/cell"] == "cell-b")
    path = hog(app, full)
    wait_for("the hog runs", lambda: app.client.get(path)["status"].get("phase") == "Running", SOON)
    container = {"name": "app", "image": V1, "imagePullPolicy": "IfNotPresent"}
    container["resources"] = {"requests": {"cpu": "150m"}}  # type: ignore[assignment]
    moves = {"enable": True, "initialDelaySeconds": 3, "retrySeconds": 10}
    pod = {
        "nodeSelector": {"cafe.test/node": "real"},
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    app.create(
        "real",
        spec={
            "replicas": 4,
            "template": {"metadata": {"labels": {"app": app.name}}, "spec": pod},
            "topology": {"unitType": "Cell", "values": ["cell-a", "cell-b"], "autoReschedule": moves},
        },
        needWaitingForConfirm=False,
    )
    app.wait_complete()
    assert serving(app) == {"cell-a": 4}
    assert app.get()["status"]["rescheduled"][0]["name"] == "cell-b"
    before = {pod["metadata"]["uid"] for pod in mine(app)}

    app.client.delete(path)

    def is_home() -> bool:
        try:
            return serving(app) == {"cell-a": 2, "cell-b": 2} and not app.get()["status"]["rescheduled"]
        except (KeyError, RequestFailed):
            return False

    wait_for("two pods are home again", is_home, SOON * 2)
    app.wait_complete()
    assert len(before & {pod["metadata"]["uid"] for pod in mine(app)}) == 2
