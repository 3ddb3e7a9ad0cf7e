"""A Deployment that runs on real nodes changes hands; its containers notice nothing."""

from collections import Counter

import pytest

from cafe.api.names import ADOPT_ANNOTATION, API_VERSION, CELL_LABEL
from testbed.client import Client
from testbed.waiting import wait_for
from tests.real.cluster import Object, container
from tests.real.rollouts import CELLS, PATIENCE, V1, App, is_available, restarts

pytestmark = [pytest.mark.real, pytest.mark.slow]


def template(app: App) -> Object:
    one = {"name": "app", "image": V1, "imagePullPolicy": "IfNotPresent"}
    spec = {
        "nodeSelector": {"cafe.test/node": "real"},
        "terminationGracePeriodSeconds": 1,
        "containers": [one],
    }
    return {"metadata": {"labels": {"app": app.name}}, "spec": spec}


def identities(app: App) -> list[tuple[str, str, str, int]]:
    return sorted(
        (p["metadata"]["uid"], p["status"]["podIP"], container(p)["containerID"], restarts(p))
        for p in app.pods()
    )


def cells_of(client: Client, pods: list[Object]) -> dict[str, int]:
    nodes = {n["metadata"]["name"]: n["metadata"]["labels"] for n in client.get("/api/v1/nodes")["items"]}
    counts = Counter(nodes[p["spec"]["nodeName"]][CELL_LABEL] for p in pods)
    return {cell: counts[cell] for cell in CELLS}


@pytest.mark.usefixtures("real_nodes", "controller")
def test_a_live_deployment_is_adopted_without_a_restart(app: App) -> None:
    space = app.core.rsplit("/", 1)[-1]
    deployments = f"/apis/apps/v1/namespaces/{space}/deployments"
    spec = {"replicas": 4, "selector": {"matchLabels": {"app": app.name}}, "template": template(app)}
    app.client.create(deployments, {"metadata": {"name": "old"}, "spec": spec})
    wait_for(
        "four pods of the Deployment",
        lambda: len(app.pods()) == 4 and all(is_available(p) for p in app.pods()),
        PATIENCE,
    )
    before = identities(app)
    body = {
        "apiVersion": API_VERSION,
        "kind": "CafeDeployment",
        "metadata": {"name": app.name, "annotations": {ADOPT_ANNOTATION: "Deployment/old"}},
        "spec": {
            **spec,
            "topology": {
                "unitType": "Cell",
                "values": list(CELLS),
                "unitReplicas": cells_of(app.client, app.pods()),
            },
        },
    }
    app.client.create(app.apps, body)
    app.wait_complete()
    assert identities(app) == before
    assert {p["metadata"]["ownerReferences"][0]["kind"] for p in app.pods()} == {"InPlaceSet"}
    assert app.client.get(deployments)["items"] == []
    assert app.client.get(f"/apis/apps/v1/namespaces/{space}/replicasets")["items"] == []
