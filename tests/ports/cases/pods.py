"""Pods: what a new one looks like, what can change, how it is bound, evicted, reported on."""

from tests.ports.backend import STRATEGIC, World, case
from tests.ports.objects import pod


@case
async def a_pod_gets_its_defaults(world: World) -> None:
    made = await world.made("pods", pod("a"))
    spec = made.body["spec"]
    assert {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30,
        "enableServiceLinks": True,
        "securityContext": {},
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
    }.items() <= spec.items()
    container = spec["containers"][0]
    assert {
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "resources": {},
    }.items() <= container.items()
    assert (made.body["status"]["phase"], made.body["status"]["qosClass"]) == ("Pending", "BestEffort")
    assert made.meta["generation"] == 1


@case
async def the_tag_latest_is_always_pulled(world: World) -> None:
    made = await world.made("pods", pod("a", containers=[{"name": "main", "image": "host:5000/x"}]))
    assert made.body["spec"]["containers"][0]["imagePullPolicy"] == "Always"


@case
async def a_probe_gets_its_defaults(world: World) -> None:
    container = {"name": "main", "image": "x:1", "readinessProbe": {"httpGet": {"port": 80}}}
    made = await world.made("pods", pod("a", containers=[container]))
    assert made.body["spec"]["containers"][0]["readinessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


@case
async def quantities_are_written_one_way(world: World) -> None:
    resources = {"limits": {"cpu": "0.5", "memory": "1024Mi"}}
    made = await world.made(
        "pods", pod("a", containers=[{"name": "m", "image": "x:1", "resources": resources}])
    )
    same = {"cpu": "500m", "memory": "1Gi"}
    assert made.body["spec"]["containers"][0]["resources"] == {"limits": same, "requests": same}
    assert made.body["status"]["qosClass"] == "Guaranteed"


@case
async def a_pod_tolerates_bad_nodes_for_a_while(world: World) -> None:
    made = await world.made("pods", pod("a"))
    found = {
        (item["key"], item["effect"], item["tolerationSeconds"]) for item in made.body["spec"]["tolerations"]
    }
    assert found == {
        ("node.kubernetes.io/not-ready", "NoExecute", 300),
        ("node.kubernetes.io/unreachable", "NoExecute", 300),
    }


@case
async def a_pod_needs_containers(world: World) -> None:
    answer = await world.post(world.path("pods"), pod("a", containers=[]))
    assert (answer.status, answer.causes) == (422, [("FieldValueRequired", "spec.containers")])
    assert answer.message == 'Pod "a" is invalid: spec.containers: Required value'


@case
async def container_names_are_unique(world: World) -> None:
    containers = [{"name": "m", "image": "x:1"}, {"name": "m", "image": "x:2"}]
    answer = await world.post(world.path("pods"), pod("a", containers=containers))
    assert (answer.status, answer.causes) == (422, [("FieldValueDuplicate", "spec.containers[1].name")])


@case
async def an_unknown_restart_policy_is_not_supported(world: World) -> None:
    answer = await world.post(world.path("pods"), pod("a", restartPolicy="Perhaps"))
    assert (answer.status, answer.causes) == (422, [("FieldValueNotSupported", "spec.restartPolicy")])
    assert 'Unsupported value: "Perhaps": supported values: "Always", "OnFailure", "Never"' in answer.message


@case
async def an_image_can_change_in_place(world: World) -> None:
    made = await world.made("pods", pod("a"))
    patch = {"spec": {"containers": [{"name": "main", "image": "registry.invalid/main:2"}]}}
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    assert answer.status == 200
    assert answer.body["spec"]["containers"][0]["image"] == "registry.invalid/main:2"
    assert (answer.meta["uid"], answer.meta["generation"]) == (made.meta["uid"], 2)


@case
async def an_environment_can_not_change(world: World) -> None:
    await world.made("pods", pod("a"))
    patch = {"spec": {"containers": [{"name": "main", "env": [{"name": "X", "value": "1"}]}]}}
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "spec")])
    assert "pod updates may not change fields other than `spec.containers[*].image`" in answer.message


@case
async def a_readiness_gate_can_not_be_added(world: World) -> None:
    await world.made("pods", pod("a"))
    answer = await world.patch(
        world.path("pods", "a"), {"spec": {"readinessGates": [{"conditionType": "x/y"}]}}
    )
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "spec")])


@case
async def a_container_can_not_be_added(world: World) -> None:
    await world.made("pods", pod("a"))
    patch = {"spec": {"containers": [{"name": "more", "image": "x:1"}]}}
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "spec.containers")])
    assert "pod updates may not add or remove containers" in answer.message


@case
async def tolerations_can_be_added(world: World) -> None:
    made = await world.made("pods", pod("a"))
    more = [*made.body["spec"]["tolerations"], {"key": "x", "operator": "Exists"}]
    answer = await world.patch(world.path("pods", "a"), {"spec": {"tolerations": more}})
    assert answer.status == 200


@case
async def labels_do_not_count_as_generation(world: World) -> None:
    await world.made("pods", pod("a"))
    answer = await world.patch(world.path("pods", "a"), {"metadata": {"labels": {"x": "y"}}})
    assert answer.meta["generation"] == 1


@case
async def a_status_in_a_new_pod_is_dropped(world: World) -> None:
    made = await world.made("pods", {**pod("a"), "status": {"phase": "Running", "podIP": "1.2.3.4"}})
    assert made.body["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@case
async def the_status_door_ignores_the_spec(world: World) -> None:
    await world.made("pods", pod("a"))
    patch = {"spec": {"activeDeadlineSeconds": 5}, "status": {"phase": "Running"}}
    answer = await world.patch(world.path("pods", "a", sub="status"), patch)
    assert (answer.status, answer.body["status"]["phase"]) == (200, "Running")
    assert "activeDeadlineSeconds" not in answer.body["spec"]
    assert answer.meta["generation"] == 1


@case
async def the_status_door_of_pods_takes_labels_and_annotations(world: World) -> None:
    await world.made("pods", pod("a"))
    patch = {"metadata": {"labels": {"x": "y"}, "annotations": {"k": "v"}}, "status": {"message": "hello"}}
    answer = await world.patch(world.path("pods", "a", sub="status"), patch)
    assert answer.meta["labels"]["x"] == "y"
    assert answer.meta["annotations"] == {"k": "v"}


@case
async def the_main_door_ignores_the_status(world: World) -> None:
    made = await world.made("pods", pod("a"))
    answer = await world.patch(world.path("pods", "a"), {"status": {"phase": "Running"}})
    assert (answer.status, answer.version) == (200, made.version)
    assert answer.body["status"]["phase"] == "Pending"


@case
async def conditions_merge_by_type(world: World) -> None:
    await world.made("pods", pod("a"))
    path = world.path("pods", "a", sub="status")
    for name in ("x/one", "x/two"):
        patch = {"status": {"conditions": [{"type": name, "status": "True"}]}}
        answer = await world.patch(path, patch, STRATEGIC)
    assert {item["type"] for item in answer.body["status"]["conditions"]} == {"x/one", "x/two"}


def _binding(name: str, node: str) -> dict[str, object]:
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}


@case
async def a_binding_gives_a_pod_its_node_once(world: World) -> None:
    await world.made("pods", pod("a"))
    path = world.path("pods", "a", sub="binding")
    bound = await world.post(path, _binding("a", "node-1"))
    assert (bound.status, bound.body["status"]) == (201, "Success")
    found = await world.get(world.path("pods", "a"))
    assert found.body["spec"]["nodeName"] == "node-1"
    conditions = {item["type"]: item["status"] for item in found.body["status"]["conditions"]}
    assert conditions == {"PodScheduled": "True"}
    again = await world.post(path, _binding("a", "node-2"))
    assert (again.status, again.reason) == (409, "Conflict")
    assert 'pod a is already assigned to node "node-1"' in again.message
    await world.delete(world.path("pods", "a"), {"gracePeriodSeconds": 0})


@case
async def an_eviction_deletes(world: World) -> None:
    await world.made("pods", pod("a"))
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    answer = await world.post(world.path("pods", "a", sub="eviction"), body)
    assert (answer.status, answer.body["status"]) == (201, "Success")
    assert (await world.get(world.path("pods", "a"))).status == 404


@case
async def a_schedule_gate_shows_in_the_status(world: World) -> None:
    made = await world.made("pods", pod("a", schedulingGates=[{"name": "x/y"}]))
    condition = made.body["status"]["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "PodScheduled",
        "False",
        "SchedulingGated",
    )


@case
async def an_unscheduled_pod_has_no_log_yet(world: World) -> None:
    await world.made("pods", pod("a"))
    answer = await world.get(world.path("pods", "a", sub="log"))
    assert (answer.status, answer.body) == (204, b"")


@case
async def a_binding_to_what_is_no_node_is_an_error_without_a_reason(world: World) -> None:
    path = world.path("pods", "no", sub="binding")
    kind = 'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"'
    name = "target.name: Required value"
    for target, text in (
        ({"kind": "Pod", "name": "x"}, kind),
        ({"kind": ""}, name),
        ({"kind": "Pod"}, f"[{kind}, {name}]"),
    ):
        answer = await world.post(path, {**_binding("no", ""), "target": target})
        assert (answer.status, answer.reason, answer.message) == (500, "", text)


@case
async def the_condition_of_a_bound_pod_tells_no_generation(world: World) -> None:
    await world.made("pods", pod("a"))
    await world.post(world.path("pods", "a", sub="binding"), _binding("a", "node-1"))
    [condition] = (await world.get(world.path("pods", "a"))).body["status"]["conditions"]
    assert condition.keys() == {"type", "status", "lastProbeTime", "lastTransitionTime"}
    await world.delete(world.path("pods", "a"), {"gracePeriodSeconds": 0})


@case
async def a_condition_that_tells_no_times_has_null_times(world: World) -> None:
    await world.made("pods", pod("a"))
    patch = {"status": {"conditions": [{"type": "x/one", "status": "True"}]}}
    answer = await world.patch(world.path("pods", "a", sub="status"), patch, STRATEGIC)
    [condition] = answer.body["status"]["conditions"]
    assert (condition["lastProbeTime"], condition["lastTransitionTime"]) == (None, None)


@case
async def an_update_that_takes_an_image_away_is_refused_twice(world: World) -> None:
    await world.made("pods", pod("a"))
    patch = {"spec": {"hostname": "other", "containers": [{"name": "main", "args": ["2"]}]}}
    answer = await world.patch(world.path("pods", "a"), patch)
    wanted = [("FieldValueForbidden", "spec"), ("FieldValueRequired", "spec.containers[0].image")]
    assert sorted(answer.causes) == wanted
