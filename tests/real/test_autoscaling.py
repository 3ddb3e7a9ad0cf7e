"""The real HorizontalPodAutoscaler, fed by the testbed's metrics server, scales what runs on fake nodes."""

from collections.abc import Iterator
from typing import Any

import pytest

from testbed import ControlPlane
from testbed.client import MERGE, RequestFailed
from testbed.waiting import wait_for
from tests.real.cluster import SOON, Space, is_running, make_space

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("metrics_api", "fake_nodes")]

USAGE = "cafe.test/usage"
METRICS = "/apis/metrics.k8s.io/v1beta1"


@pytest.fixture
def space(control_plane: ControlPlane) -> Iterator[Space]:
    yield from make_space(control_plane.client)


class Web:
    """A Deployment of busy pods, and its autoscaler."""

    def __init__(self, space: Space, replicas: int, usage: str) -> None:
        self.space = space
        self.path = f"/apis/apps/v1/namespaces/{space.name}/deployments"
        self.scalers = f"/apis/autoscaling/v2/namespaces/{space.name}/horizontalpodautoscalers"
        resources = {"requests": {"cpu": "100m", "memory": "64Mi"}}
        container = {"name": "app", "image": "cafe.test/web:v1", "resources": resources}
        pod = {"nodeSelector": {"cafe.test/node": "fake"}, "containers": [container]}
        meta = {"labels": {"app": "web"}, "annotations": {USAGE: usage}}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": meta, "spec": pod},
        }
        space.client.create(self.path, {"metadata": {"name": "web"}, "spec": spec})
        self.wait_running(replicas)

    def scale(self, **spec: object) -> None:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        full = {"scaleTargetRef": target, "maxReplicas": 10, **spec}
        self.space.client.create(self.scalers, {"metadata": {"name": "web"}, "spec": full})

    def pods(self) -> list[dict[str, Any]]:
        found = self.space.client.get(self.space.pods)["items"]
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def use(self, usage: str) -> None:
        for pod in self.pods():
            patch = {"metadata": {"annotations": {USAGE: usage}}}
            self.space.client.patch(f"{self.space.pods}/{pod['metadata']['name']}", patch, MERGE)

    def wait_running(self, count: int) -> None:
        def are_running() -> bool:
            pods = self.pods()
            return len(pods) == count and all(is_running(pod) for pod in pods)

        wait_for(f"{count} pods run", are_running, SOON)


def test_a_deployment_grows_with_its_load_and_shrinks_again(space: Space) -> None:
    web = Web(space, 2, "cpu=40m,memory=16Mi")
    down = {"stabilizationWindowSeconds": 0}
    goal = {"type": "Utilization", "averageUtilization": 50}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": goal}}]
    web.scale(metrics=metrics, behavior={"scaleDown": down})
    web.use("cpu=100m,memory=16Mi")
    # The new pods are idle as their template says: the load is then spread.
    web.wait_running(4)
    web.use("cpu=10m")
    web.wait_running(1)
    events = space.client.get(f"/api/v1/namespaces/{space.name}/events")["items"]
    told = {event["message"] for event in events if event["reason"] == "SuccessfulRescale"}
    assert "New size: 1; reason: All metrics below target" in told


def test_the_metrics_of_pods_are_what_their_annotations_say(space: Space) -> None:
    web = Web(space, 2, "cpu=250m,memory=64Mi")
    path = f"{METRICS}/namespaces/{space.name}/pods"
    listed = space.client.get(f"{path}?labelSelector=app%3Dweb")
    assert listed["kind"] == "PodMetricsList"
    told = {"name": "app", "usage": {"cpu": "250m", "memory": "64Mi"}}
    assert [item["containers"] for item in listed["items"]] == [[told], [told]]
    assert space.client.get(f"{path}?labelSelector=app%3Dother")["items"] == []
    name = web.pods()[0]["metadata"]["name"]
    assert space.client.get(f"{path}/{name}")["metadata"]["labels"]["app"] == "web"
    with pytest.raises(RequestFailed, match="NotFound"):
        space.client.get(f"{path}/nobody")
