"""HorizontalPodAutoscalers in a simulated cluster on virtual time."""

from typing import Any

import pytest

from cafe_sim.apiserver.server import ApiServer
from cafe_sim.cluster import ClusterOptions, SimCluster
from cafe_sim.contract import Json
from cafe_sim.controllers.autoscaler_metrics import Autoscaling
from tests.unit.sim_cluster.timeline import VirtualTimeline
from tests.unit.sim_cluster.world import (
    APP,
    SeededEntropy,
    World,
    build_world,
    container,
    pod_spec,
    template,
)

SCALERS = "horizontalpodautoscalers.autoscaling"
DEPLOYMENTS = "deployments.apps"
USAGE = "cafe.test/usage"
REQUESTS = {"requests": {"cpu": "100m", "memory": "64Mi"}}


def world_with(replicas: int, usage: str = "", **options: Any) -> World:  # noqa: ANN401 -- of Autoscaling
    """Four nodes, and a Deployment whose pods have been ready for long."""
    world = build_world(4, ClusterOptions(autoscaling=Autoscaling(**options)))
    body = template(pod_spec(container(resources=REQUESTS)))
    if usage:
        body["metadata"]["annotations"] = {USAGE: usage}
    world.create_apps("Deployment", "web", {"replicas": replicas, "template": body})
    world.run(400)
    return world


def scale(world: World, name: str = "web", **spec: Any) -> None:  # noqa: ANN401 -- any field of the spec
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    body = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}}
    full = {"scaleTargetRef": target, "maxReplicas": 10, **spec}
    world.api.create(SCALERS, "default", {**body, "spec": full})


def use(world: World, usage: str | None) -> None:
    for pod in world.pods():
        patch = {"metadata": {"annotations": {USAGE: usage}}}
        world.patch("pods", pod["metadata"]["name"], patch)


def wanted(world: World) -> int:
    return int(world.one(DEPLOYMENTS, "web")["spec"]["replicas"])


def conditions(world: World, name: str = "web") -> dict[str, tuple[str, str]]:
    status = world.one(SCALERS, name)["status"]
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def test_a_load_above_the_target_is_followed_in_the_next_look() -> None:
    world = world_with(2, "cpu=160m,memory=16Mi")
    scale(world)
    world.run(14)
    assert wanted(world) == 2
    world.run(2)
    assert wanted(world) == 4
    status = world.one(SCALERS, "web")["status"]
    assert (status["currentReplicas"], status["desiredReplicas"]) == (2, 4)
    current = {"averageUtilization": 160, "averageValue": "160m"}
    assert status["currentMetrics"] == [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
    assert conditions(world) == {
        "AbleToScale": ("True", "SucceededRescale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }
    told = world.events("SuccessfulRescale")[0]["message"]
    assert told == "New size: 4; reason: cpu resource utilization (percentage of request) above target"


def test_a_load_is_followed_as_fast_as_twice_a_look_and_no_further_than_the_most() -> None:
    world = world_with(2, "cpu=1")
    scale(world, maxReplicas=7)
    world.run(16)
    assert (wanted(world), conditions(world)["ScalingLimited"]) == (4, ("True", "ScaleUpLimit"))
    world.run(120)
    assert (wanted(world), conditions(world)["ScalingLimited"]) == (7, ("True", "TooManyReplicas"))


def test_a_calm_is_believed_after_five_minutes() -> None:
    world = world_with(4, "cpu=80m")
    scale(world)
    world.run(60)
    use(world, "cpu=10m")
    world.run(240)
    assert (wanted(world), conditions(world)["AbleToScale"]) == (4, ("True", "ScaleDownStabilized"))
    world.run(90)
    assert wanted(world) == 1
    assert world.events("SuccessfulRescale")[0]["message"] == "New size: 1; reason: All metrics below target"


def test_a_behavior_takes_pods_one_by_one() -> None:
    policies = [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    down = {"stabilizationWindowSeconds": 0, "policies": policies}
    world = world_with(4, "cpu=1m")
    scale(world, behavior={"scaleDown": down})
    sizes = []
    for _ in range(5):
        sizes.append(wanted(world))
        world.run(60)
    assert sizes == [4, 3, 2, 1, 1]


def test_pods_without_metrics_leave_the_size_as_it_is_and_say_so() -> None:
    world = world_with(2)
    scale(world)
    world.run(40)
    assert wanted(world) == 2
    assert conditions(world)["ScalingActive"] == ("False", "FailedGetResourceMetric")
    told = world.events("FailedGetResourceMetric")[0]
    assert told["message"] == (
        "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from "
        "resource metrics API"
    )
    assert told["count"] == 2


@pytest.mark.parametrize(
    ("spec", "before", "after"),
    [({"maxReplicas": 3}, 5, 3), ({"minReplicas": 4}, 2, 4), ({"minReplicas": 2}, 0, 0)],
)
def test_the_bounds_hold_whatever_the_metrics_say(spec: Json, before: int, after: int) -> None:
    world = world_with(before)
    scale(world, **spec)
    world.run(20)
    assert wanted(world) == after
    if not before:
        assert conditions(world)["ScalingActive"] == ("False", "ScalingDisabled")


def test_a_target_that_is_missing_has_no_scale() -> None:
    world = build_world(1)
    scale(world)
    elsewhere = {"apiVersion": "x.test/v1", "kind": "Nothing", "name": "web"}
    scale(world, "nothing", scaleTargetRef=elsewhere)
    world.run(20)
    for name in ("web", "nothing"):
        assert conditions(world, name) == {"AbleToScale": ("False", "FailedGetScale")}
    assert len(world.events("FailedGetScale")) == 2


def test_metrics_of_other_apis_are_not_to_be_had() -> None:
    world = world_with(2, "cpu=10m")
    target = {"type": "AverageValue", "averageValue": "10"}
    about = {"apiVersion": "v1", "kind": "Service", "name": "web"}
    sources = {
        "Pods": {"metric": {"name": "requests"}, "target": target},
        "Object": {"metric": {"name": "requests"}, "target": target, "describedObject": about},
        "External": {"metric": {"name": "requests"}, "target": target},
    }
    for kind, source in sources.items():
        scale(world, metrics=[{"type": kind, kind.lower(): source}])
        world.run(20)
        assert conditions(world)["ScalingActive"] == ("False", f"FailedGet{kind}Metric")
        world.delete(SCALERS, "web")
    assert wanted(world) == 2


def test_one_metric_that_fails_takes_no_pods_away_but_adds_some() -> None:
    world = world_with(2, "cpu=10m")
    source = {"metric": {"name": "requests"}, "target": {"type": "AverageValue", "averageValue": "10"}}
    goal = {"type": "AverageValue", "averageValue": "50m"}
    metrics = [
        {"type": "Pods", "pods": source},
        {"type": "Resource", "resource": {"name": "cpu", "target": goal}},
    ]
    down = {"stabilizationWindowSeconds": 0}
    scale(world, metrics=metrics, behavior={"scaleDown": down})
    world.run(20)
    assert (wanted(world), conditions(world)["ScalingActive"][1]) == (2, "FailedGetPodsMetric")
    use(world, "cpu=150m")
    world.run(20)
    assert wanted(world) > 2


def test_a_container_is_scaled_by_what_it_uses_alone() -> None:
    world = build_world(2)
    pair = pod_spec(container(resources=REQUESTS), container("log"))
    body = {**template(pair), "metadata": {"labels": APP, "annotations": {USAGE: "cpu=400m"}}}
    world.create_apps("Deployment", "web", {"replicas": 2, "template": body})
    world.run(400)
    target = {"type": "Utilization", "averageUtilization": 100}
    source = {"name": "cpu", "container": "app", "target": target}
    scale(world, metrics=[{"type": "ContainerResource", "containerResource": source}])
    world.run(20)
    assert wanted(world) == 4
    scale(world, "whole")
    world.run(20)
    # Two autoscalers for the same pods: neither does anything any more.
    assert conditions(world, "whole")["ScalingActive"] == ("False", "AmbiguousSelector")


def test_without_requests_there_is_no_utilization() -> None:
    world = build_world(2)
    labels = {"labels": APP, "annotations": {USAGE: "cpu=400m"}}
    world.create_apps("Deployment", "web", {"replicas": 1, "template": {**template(), "metadata": labels}})
    world.run(400)
    scale(world)
    world.run(20)
    told = world.condition(world.one(SCALERS, "web"), "ScalingActive")["message"]
    assert "missing request for cpu in container app of Pod web-" in told


def test_a_pod_that_starts_does_not_count_until_its_sample_is_of_its_work() -> None:
    world = world_with(2, "cpu=160m")
    scale(world)
    world.run(16)
    assert wanted(world) == 4
    # The new pods are busy, but nobody believes it while they start: that would be too many.
    world.run(15)
    assert wanted(world) == 4
    world.run(30)
    assert wanted(world) > 4


def test_a_cluster_without_a_metrics_server_scales_nothing() -> None:
    timeline = VirtualTimeline()
    api = ApiServer(timeline, SeededEntropy(), serves_metrics=False)
    cluster = SimCluster(api, timeline, SeededEntropy(2))
    cluster.add_node("node")
    cluster.start()
    world = World(timeline, api, cluster, [])
    body = {**template(pod_spec(container(resources=REQUESTS)))}
    body["metadata"] = {"labels": APP, "annotations": {USAGE: "cpu=400m"}}
    world.create_apps("Deployment", "web", {"replicas": 1, "template": body})
    scale(world)
    world.run(400)
    assert wanted(world) == 1
    told = world.condition(world.one(SCALERS, "web"), "ScalingActive")["message"]
    assert told.endswith("the server could not find the requested resource (get pods.metrics.k8s.io)")


def test_usage_is_shared_by_the_containers_without_losing_any() -> None:
    world = build_world(1)
    spec = pod_spec(container("a"), container("b"), container("c"))
    world.create_pod(spec=spec, labels=APP, annotations={USAGE: "cpu=100m, memory=100Mi"})
    assert world.api.list("pods.metrics.k8s.io") == [], "it does not run yet"
    world.until_ready("p")
    [found] = world.api.list("pods.metrics.k8s.io", "default")
    assert found["metadata"]["labels"] == APP
    assert [each["usage"]["cpu"] for each in found["containers"]] == ["34m", "33m", "33m"]
    world.patch("pods", "p", {"metadata": {"annotations": {USAGE: "cpu=lots"}}})
    assert world.api.get("pods.metrics.k8s.io", "default", "p") is None
