"""Deployments and their like, services, scale."""

from tests.ports.backend import TABLE, World, case
from tests.ports.objects import deployment

APPS = "apps/v1"


@case
async def a_deployment_gets_its_defaults(world: World) -> None:
    body = deployment("d")
    del body["spec"]["replicas"]
    body["spec"]["paused"] = True
    made = await world.made("deployments", body, APPS)
    assert {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}.items() <= made.body[
        "spec"
    ].items()
    assert made.body["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert made.meta["generation"] == 1


@case
async def a_selector_must_match_its_template(world: World) -> None:
    answer = await world.post(
        world.path("deployments", api=APPS), deployment("d", selector={"matchLabels": {"app": "other"}})
    )
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.template.metadata.labels")])
    assert "`selector` does not match template `labels`" in answer.message


@case
async def a_selector_never_changes(world: World) -> None:
    await world.made("deployments", deployment("d"), APPS)
    patch = {
        "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}},
        }
    }
    answer = await world.patch(world.path("deployments", "d", api=APPS), patch)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.selector")])
    assert "field is immutable" in answer.message


@case
async def negative_replicas_are_invalid(world: World) -> None:
    answer = await world.post(world.path("deployments", api=APPS), deployment("d", replicas=-1))
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.replicas")])
    assert "must be greater than or equal to 0" in answer.message


@case
async def the_spec_raises_the_generation(world: World) -> None:
    await world.made("deployments", deployment("d", paused=True), APPS)
    path = world.path("deployments", "d", api=APPS)
    labelled = await world.patch(path, {"metadata": {"labels": {"x": "y"}}})
    assert labelled.meta["generation"] == 1
    assert (await world.patch(path, {"spec": {"minReadySeconds": 5}})).meta["generation"] == 2


@case
async def a_scale_is_read_and_written(world: World) -> None:
    await world.made("deployments", deployment("d", paused=True), APPS)
    path = world.path("deployments", "d", api=APPS, sub="scale")
    scale = await world.get(path)
    assert (scale.body["kind"], scale.body["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale.body["spec"], scale.body["status"]) == ({}, {"replicas": 0, "selector": "app=d"})
    del scale.body["metadata"]["resourceVersion"]  # The deployment's controller may be writing.
    scaled = await world.put(path, {**scale.body, "spec": {"replicas": 0}})
    assert scaled.status == 200
    patched = await world.patch(path, {"spec": {"replicas": 3}}, dryRun="All")
    assert patched.body["spec"] == {"replicas": 3}


@case
async def most_of_a_stateful_set_never_changes(world: World) -> None:
    body = {**deployment("s", serviceName="s"), "kind": "StatefulSet"}
    await world.made("statefulsets", body, APPS)
    answer = await world.patch(world.path("statefulsets", "s", api=APPS), {"spec": {"serviceName": "t"}})
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "spec")])
    assert "updates to statefulset spec for fields other than" in answer.message


@case
async def a_revision_never_changes_its_data(world: World) -> None:
    body = {
        "apiVersion": APPS,
        "kind": "ControllerRevision",
        "metadata": {"name": "r"},
        "data": {"spec": {"a": 1}},
        "revision": 1,
    }
    await world.made("controllerrevisions", body, APPS)
    path = world.path("controllerrevisions", "r", api=APPS)
    moved = await world.patch(path, {"revision": 2})
    assert (moved.status, moved.body["revision"]) == (200, 2), moved.body
    answer = await world.patch(path, {"data": {"spec": {"a": 2}}})
    assert (answer.status, answer.reason) == (422, "Invalid")


@case
async def a_service_gets_an_address_for_life(world: World) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}]},
    }
    made = await world.made("services", body)
    spec = made.body["spec"]
    assert {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilyPolicy": "SingleStack",
    }.items() <= spec.items()
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert made.body["status"] == {"loadBalancer": {}}
    answer = await world.patch(
        world.path("services", "s"), {"spec": {"clusterIP": "10.0.0.99", "clusterIPs": None}}
    )
    assert (answer.status, answer.reason) == (422, "Invalid")


@case
async def a_service_needs_a_port(world: World) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"selector": {"a": "b"}},
    }
    answer = await world.post(world.path("services"), body)
    assert (answer.status, answer.causes) == (422, [("FieldValueRequired", "spec.ports")])


@case
async def a_budget_with_two_bounds_is_invalid(world: World) -> None:
    body = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}},
    }
    answer = await world.post(world.path("poddisruptionbudgets", api="policy/v1"), body)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec")])
    assert "minAvailable and maxUnavailable cannot be both set" in answer.message


@case
async def a_deployments_table_has_the_columns_of_kubectl(world: World) -> None:
    await world.made("deployments", deployment("d", paused=True), APPS)
    answer = await world.send("GET", world.path("deployments", "d", api=APPS), accept=TABLE)
    names = [column["name"] for column in answer.body["columnDefinitions"]]
    assert names == ["Name", "Ready", "Up-to-date", "Available", "Age", "Containers", "Images", "Selector"]
    cells = answer.body["rows"][0]["cells"]
    assert [*cells[:4], *cells[5:]] == ["d", "0/0", 0, 0, "main", "registry.invalid/main:1", "app=d"]


@case
async def a_service_port_of_zero_is_no_target_either(world: World) -> None:
    spec = {"clusterIP": "None", "ports": [{"port": 0}]}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec}
    answer = await world.post(world.path("services"), body)
    wanted = [("FieldValueInvalid", f"spec.ports[0].{name}") for name in ("port", "targetPort")]
    assert sorted(answer.causes) == wanted


@case
async def a_service_has_a_known_affinity_and_names_each_port_once(world: World) -> None:
    ports = [{"port": 80, "name": "web"}, {"port": 81, "name": "web"}]
    spec = {"clusterIP": "None", "ports": ports, "sessionAffinity": "Sideways"}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec}
    answer = await world.post(world.path("services"), body)
    assert sorted(answer.causes) == [
        ("FieldValueDuplicate", "spec.ports[1].name"),
        ("FieldValueNotSupported", "spec.sessionAffinity"),
    ]


@case
async def a_headless_service_without_a_selector_is_of_both_families(world: World) -> None:
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"clusterIP": "None"}}
    made = await world.made("services", body)
    spec = made.body["spec"]
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == ("RequireDualStack", ["IPv4", "IPv6"])
