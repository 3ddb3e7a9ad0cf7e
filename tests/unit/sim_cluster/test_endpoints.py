"""EndpointSlices and disruption budgets: what others see of pods' readiness."""

import pytest

from cafe_sim.contract import Json
from cafe_sim.controllers.disruption import Budget, budget_of
from cafe_sim.machinery.objects import labels_of, text_of
from tests.unit.sim_cluster.world import APP, World, build_world, container, pod_spec, template

SLICES, BUDGETS = "endpointslices.discovery.k8s.io", "poddisruptionbudgets.policy"
GATE = [{"conditionType": "example.com/traffic"}]


def service(world: World, **spec: object) -> Json:
    ports = [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]
    body: Json = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    spec = {"selector": APP, "ports": ports, "clusterIP": "10.96.0.10", **spec}
    return world.api.create("services", "default", {**body, "spec": spec})


def web_pod(port: int = 8080, **more: object) -> Json:
    ports = [{"name": "web", "containerPort": port}]
    return pod_spec(container(ports=ports), **more)


def endpoints(world: World) -> dict[str, Json]:
    return {
        e["targetRef"]["name"]: e
        for one in world.api.list(SLICES, "default")
        for e in one.get("endpoints") or ()
    }


def gate(world: World, name: str, value: str) -> None:
    others = [c for c in world.pod(name)["status"]["conditions"] if c["type"] != GATE[0]["conditionType"]]
    now = text_of(world.timeline.now())
    condition = {"type": GATE[0]["conditionType"], "status": value, "lastTransitionTime": now}
    world.patch("pods", name, {"status": {"conditions": [*others, condition]}}, "status")


def test_a_slice_names_ports_addresses_nodes_and_zones() -> None:
    world = build_world()
    service(world)
    world.create_pod("a", web_pod(), labels=APP)
    world.create_pod("stranger", web_pod(), labels={"app": "other"})
    world.until_ready("a")
    world.run(1)
    (one,) = world.api.list(SLICES, "default")
    assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert labels_of(one)["kubernetes.io/service-name"] == "web"
    (endpoint,) = one["endpoints"]
    pod = world.pod("a")
    assert endpoint["addresses"] == [pod["status"]["podIP"]]
    assert endpoint["nodeName"] == "node-0"
    assert endpoint["zone"] == "z0"
    assert endpoint["targetRef"]["uid"] == pod["metadata"]["uid"]
    assert endpoint["conditions"] == {"ready": True, "serving": True, "terminating": False}


def test_a_service_without_pods_has_an_empty_slice_and_one_without_selector_none() -> None:
    world = build_world()
    service(world)
    manual: Json = {"metadata": {"name": "manual"}, "spec": {"ports": [{"port": 80}]}}
    world.api.create("services", "default", manual)
    world.run(1)
    (one,) = world.api.list(SLICES, "default")
    assert one["endpoints"] == []


def test_an_endpoint_follows_the_readiness_gate_through_an_image_change() -> None:
    world = build_world()
    service(world)
    world.create_pod("a", web_pod(readinessGates=GATE), labels=APP)
    world.run(5)
    assert endpoints(world)["a"]["conditions"]["ready"] is False
    gate(world, "a", "True")
    world.run(0.1)
    address = endpoints(world)["a"]["addresses"]
    assert endpoints(world)["a"]["conditions"]["ready"] is True
    gate(world, "a", "False")
    world.run(0.1)
    assert endpoints(world)["a"]["conditions"]["ready"] is False
    world.set_image("web:2", pod="a")
    world.run(5)
    gate(world, "a", "True")
    world.run(0.1)
    assert endpoints(world)["a"]["conditions"]["ready"] is True
    assert endpoints(world)["a"]["addresses"] == address


def test_a_terminating_pod_still_serves_but_is_not_ready() -> None:
    world = build_world()
    service(world)
    hook = {"preStop": {"sleep": {"seconds": 5}}}
    ports = [{"name": "web", "containerPort": 8080}]
    world.create_pod("a", pod_spec(container(ports=ports, lifecycle=hook)), labels=APP)
    world.until_ready("a")
    world.delete("pods", "a")
    world.run(2)
    assert endpoints(world)["a"]["conditions"] == {"ready": False, "serving": True, "terminating": True}
    world.run(10)
    assert endpoints(world) == {}


def test_unready_addresses_are_published_when_asked_for() -> None:
    world = build_world()
    service(world, publishNotReadyAddresses=True, clusterIP="None")
    world.create_pod("a", web_pod(readinessGates=GATE), labels=APP)
    world.run(5)
    assert endpoints(world)["a"]["conditions"] == {"ready": True, "serving": False, "terminating": False}
    assert "service.kubernetes.io/headless" in labels_of(world.api.list(SLICES, "default")[0])


def test_pods_whose_named_port_differs_stand_in_slices_of_their_own() -> None:
    world = build_world()
    service(world)
    world.create_pod("a", web_pod(8080), labels=APP)
    world.create_pod("b", web_pod(9090), labels=APP)
    world.run(5)
    ports = {s["ports"][0]["port"]: len(s["endpoints"]) for s in world.api.list(SLICES, "default")}
    assert ports == {8080: 1, 9090: 1}


@pytest.mark.slow
def test_a_slice_holds_a_hundred_and_a_change_touches_one_slice() -> None:
    world = build_world(3, pods="200", cpu="100")
    service(world)
    world.create_apps("ReplicaSet", "web", {"replicas": 230, "template": template(web_pod())})
    world.run(20)
    slices = world.api.list(SLICES, "default")
    assert sorted(len(s["endpoints"]) for s in slices) == [30, 100, 100]
    versions = {s["metadata"]["name"]: s["metadata"]["resourceVersion"] for s in slices}
    gone = slices[0]["endpoints"][0]["targetRef"]["name"]
    world.patch("pods", gone, {"metadata": {"labels": {"app": "other"}}})
    world.run(0.1)
    changed = [
        s
        for s in world.api.list(SLICES, "default")
        if versions.get(s["metadata"]["name"]) != s["metadata"]["resourceVersion"]
    ]
    assert len(changed) == 1


def test_slices_go_with_their_service() -> None:
    world = build_world()
    service(world)
    world.run(1)
    world.delete("services", "web")
    world.run(1)
    assert world.api.list(SLICES, "default") == []


@pytest.mark.parametrize(
    ("spec", "matching", "scale", "budget"),
    [
        ({"minAvailable": 2}, 3, 5, Budget(3, 2)),
        ({"minAvailable": "50%"}, 3, 5, Budget(5, 3)),
        ({"maxUnavailable": 1}, 3, 5, Budget(5, 4)),
        ({"maxUnavailable": "30%"}, 3, 5, Budget(5, 3)),
        ({"maxUnavailable": 9}, 3, 5, Budget(5, 0)),
        ({}, 3, 5, Budget(3, 1)),
    ],
)
def test_budgets_are_counted_as_the_real_one_does(
    spec: Json, matching: int, scale: int, budget: Budget
) -> None:
    assert budget_of(spec, matching, scale) == budget


def budget(world: World, **spec: object) -> None:
    body: Json = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}}
    spec = {"selector": {"matchLabels": APP}, **spec}
    world.api.create(BUDGETS, "default", {**body, "spec": spec})


def test_a_budget_follows_its_pods() -> None:
    world = build_world()
    budget(world, maxUnavailable=1)
    world.create_apps("Deployment", "web", {"replicas": 3})
    world.run(1)
    status = world.one(BUDGETS, "web")["status"]
    assert (status["expectedPods"], status["disruptionsAllowed"]) == (3, 0)
    world.run(10)
    status = world.one(BUDGETS, "web")["status"]
    assert (status["currentHealthy"], status["desiredHealthy"], status["disruptionsAllowed"]) == (3, 2, 1)
    assert world.condition(world.one(BUDGETS, "web"), "DisruptionAllowed")["reason"] == "SufficientPods"
    world.set_image("web:bad", pod=world.pods()[0]["metadata"]["name"])
    world.run(5)
    status = world.one(BUDGETS, "web")["status"]
    assert status["disruptionsAllowed"] == 0
    assert world.condition(world.one(BUDGETS, "web"), "DisruptionAllowed")["status"] == "False"


def test_an_evicted_pod_counts_as_gone_before_it_is_seen_going() -> None:
    world = build_world()
    budget(world, minAvailable=1)
    world.create_apps("ReplicaSet", "web", {"replicas": 3})
    world.run(10)
    assert world.one(BUDGETS, "web")["status"]["disruptionsAllowed"] == 2
    name, now = world.pods()[0]["metadata"]["name"], text_of(world.timeline.now())
    noted = {"status": {"disruptedPods": {name: now}, "disruptionsAllowed": 1}}
    world.patch(BUDGETS, "web", noted, "status")
    world.run(60)
    status = world.one(BUDGETS, "web")["status"]
    assert status["disruptionsAllowed"] == 1
    assert name in status["disruptedPods"]
    world.run(90)
    status = world.one(BUDGETS, "web")["status"]
    assert status["disruptionsAllowed"] == 2, "after two minutes the pod is believed to stay"
    assert "disruptedPods" not in status
    assert world.events("NotDeleted")
