"""What an update in place relies on: guarded patches of pods and their status, generation, conditions."""

from tests.ports.backend import APPLY, STRATEGIC, Answer, Json, World, case
from tests.ports.objects import config_map, pod

GATE = "cafe.sofastack.io/update"
STATE = "cafe.sofastack.io/state"
WHEN = "2030-01-01T00:00:00Z"


def _condition(kind: str, status: str, **more: str) -> Json:
    return {"type": kind, "status": status, "lastTransitionTime": WHEN, **more}


def _lowered(made: Answer) -> Json:
    guard = {"uid": made.meta["uid"], "resourceVersion": made.version}
    conditions = [
        _condition(GATE, "False", reason="InPlaceUpdate", message="being updated"),
        _condition("Ready", "False", reason="ReadinessGatesNotReady", message="being updated"),
    ]
    return {
        "metadata": {**guard, "annotations": {STATE: '{"revision":"r2"}'}},
        "status": {"conditions": conditions},
    }


async def _gated(world: World, **spec: object) -> Answer:
    return await world.made("pods", pod("a", readinessGates=[{"conditionType": GATE}], **spec))


@case
async def a_gate_falls_and_its_note_is_written_in_one_status_patch(world: World) -> None:
    made = await _gated(world)
    answer = await world.patch(world.path("pods", "a", sub="status"), _lowered(made), STRATEGIC)
    assert answer.status == 200
    assert answer.meta["annotations"] == {STATE: '{"revision":"r2"}'}
    found = {item["type"]: item["status"] for item in answer.body["status"]["conditions"]}
    assert found == {GATE: "False", "Ready": "False"}
    assert (answer.meta["generation"], answer.meta["uid"]) == (1, made.meta["uid"])
    assert int(answer.version) > int(made.version)


@case
async def a_stale_gate_patch_is_a_conflict(world: World) -> None:
    made = await _gated(world)
    await world.patch(world.path("pods", "a"), {"metadata": {"labels": {"x": "y"}}})
    answer = await world.patch(world.path("pods", "a", sub="status"), _lowered(made), STRATEGIC)
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.message.startswith(
        'Operation cannot be fulfilled on pods "a": the object has been modified'
    )


@case
async def a_gate_patch_for_a_namesake_is_refused(world: World) -> None:
    old = await _gated(world)
    await world.delete(world.path("pods", "a"))
    new = await _gated(world)
    patch = _lowered(old)
    answer = await world.patch(world.path("pods", "a", sub="status"), patch, STRATEGIC)
    assert answer.status == 409  # The version is judged before the UID.
    patch["metadata"]["resourceVersion"] = new.version
    answer = await world.patch(world.path("pods", "a", sub="status"), patch, STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.uid")])
    assert answer.message.endswith("field is immutable")


@case
async def a_repeated_gate_patch_without_version_changes_nothing(world: World) -> None:
    made = await _gated(world)
    patch = _lowered(made)
    del patch["metadata"]["resourceVersion"]
    path = world.path("pods", "a", sub="status")
    first = await world.patch(path, patch, STRATEGIC)
    again = await world.patch(path, patch, STRATEGIC)
    assert (again.status, again.version) == (200, first.version)


@case
async def a_raised_gate_takes_its_note_away_by_null(world: World) -> None:
    made = await _gated(world)
    path = world.path("pods", "a", sub="status")
    lowered = await world.patch(path, _lowered(made), STRATEGIC)
    guard = {"uid": made.meta["uid"], "resourceVersion": lowered.version}
    patch = {
        "metadata": {**guard, "annotations": {STATE: None}},
        "status": {"conditions": [_condition(GATE, "True", reason="Serving", message="")]},
    }
    answer = await world.patch(path, patch, STRATEGIC)
    assert answer.status == 200
    assert STATE not in answer.meta.get("annotations", {})
    by_type = {item["type"]: item for item in answer.body["status"]["conditions"]}
    assert (by_type[GATE]["status"], by_type[GATE]["reason"]) == ("True", "Serving")
    assert "message" not in by_type[GATE]
    assert by_type["Ready"]["status"] == "False"


@case
async def an_image_a_label_and_a_note_change_in_one_patch(world: World) -> None:
    two = [{"name": "main", "image": "x:1"}, {"name": "side", "image": "s:1"}]
    made = await _gated(world, containers=two)
    patch = {
        "metadata": {
            "uid": made.meta["uid"],
            "resourceVersion": made.version,
            "labels": {"rev": "r2"},
            "annotations": {STATE: "x"},
        },
        "spec": {"containers": [{"name": "side", "image": "s:2"}]},
    }
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    assert answer.status == 200
    images = [(item["name"], item["image"]) for item in answer.body["spec"]["containers"]]
    assert sorted(images) == [("main", "x:1"), ("side", "s:2")]
    assert (answer.meta["generation"], answer.meta["labels"]) == (2, {"app": "a", "rev": "r2"})


@case
async def a_patched_container_keeps_its_place_and_its_fields(world: World) -> None:
    two = [
        {"name": "main", "image": "x:1", "args": ["1"]},
        {"name": "side", "image": "s:1", "args": ["2"]},
    ]
    await _gated(world, containers=two)
    patch = {"spec": {"containers": [{"name": "side", "image": "s:2"}]}}
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    seen = [(item["name"], item["args"]) for item in answer.body["spec"]["containers"]]
    assert sorted(seen) == [("main", ["1"]), ("side", ["2"])]


@case
async def an_image_patch_with_an_unknown_container_changes_nothing(world: World) -> None:
    made = await _gated(world)
    patch = {"spec": {"containers": [{"name": "main", "image": "x:2"}, {"name": "new", "image": "x:2"}]}}
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    assert answer.status == 422
    assert (await world.get(world.path("pods", "a"))).version == made.version


@case
async def the_same_image_is_no_new_generation(world: World) -> None:
    made = await _gated(world)
    image = made.body["spec"]["containers"][0]["image"]
    patch = {"spec": {"containers": [{"name": "main", "image": image}]}}
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    assert (answer.version, answer.meta["generation"]) == (made.version, 1)


@case
async def an_empty_image_is_refused(world: World) -> None:
    await _gated(world)
    patch = {"spec": {"containers": [{"name": "main", "image": ""}]}}
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueRequired", "spec.containers[0].image")])


@case
async def an_init_containers_image_may_change_too(world: World) -> None:
    await _gated(world, initContainers=[{"name": "first", "image": "i:1"}])
    patch = {"spec": {"initContainers": [{"name": "first", "image": "i:2"}]}}
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    assert (answer.status, answer.meta["generation"]) == (200, 2)


@case
async def a_shorter_deadline_of_a_pod_is_taken_a_longer_is_not(world: World) -> None:
    await _gated(world)
    path = world.path("pods", "a")
    assert (await world.patch(path, {"spec": {"activeDeadlineSeconds": 50}})).meta["generation"] == 2
    assert (await world.patch(path, {"spec": {"activeDeadlineSeconds": 40}})).status == 200
    answer = await world.patch(path, {"spec": {"activeDeadlineSeconds": 60}})
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.activeDeadlineSeconds")])


@case
async def the_grace_period_in_a_spec_can_not_change(world: World) -> None:
    await _gated(world)
    answer = await world.patch(world.path("pods", "a"), {"spec": {"terminationGracePeriodSeconds": 5}})
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "spec")])


@case
async def a_tolerations_time_can_change_but_none_can_go(world: World) -> None:
    made = await _gated(world)
    path = world.path("pods", "a")
    old = made.body["spec"]["tolerations"]
    longer = [{**item, "tolerationSeconds": 600} for item in old]
    assert (await world.patch(path, {"spec": {"tolerations": longer}})).status == 200
    more = {"key": "x", "operator": "Exists", "effect": "NoExecute"}
    assert (await world.patch(path, {"spec": {"tolerations": [*longer, more]}})).status == 200
    answer = await world.patch(path, {"spec": {"tolerations": longer}})
    assert (answer.status, answer.reason) == (422, "Invalid")


@case
async def a_pods_resources_do_not_change_by_its_main_door(world: World) -> None:
    resources = {"requests": {"cpu": "100m"}}
    await _gated(world, containers=[{"name": "main", "image": "x:1", "resources": resources}])
    patch = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "200m"}}}]}}
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "spec")])


@case
async def a_pod_is_replaced_by_put_only_within_the_same_bounds(world: World) -> None:
    made = await _gated(world)
    path = world.path("pods", "a")
    changed = {**made.body, "spec": {**made.body["spec"], "hostname": "other"}}
    assert (await world.put(path, changed)).status == 422
    container = {**made.body["spec"]["containers"][0], "image": "x:9"}
    fine = {**made.body, "spec": {**made.body["spec"], "containers": [container]}}
    answer = await world.put(path, fine)
    assert (answer.status, answer.meta["generation"]) == (200, 2)


@case
async def observed_generation_is_written_by_whoever_reports(world: World) -> None:
    await _gated(world)
    path = world.path("pods", "a", sub="status")
    answer = await world.patch(path, {"status": {"observedGeneration": 1}}, STRATEGIC)
    assert (answer.status, answer.body["status"]["observedGeneration"]) == (200, 1)
    condition = _condition("Ready", "False") | {"observedGeneration": 1}
    answer = await world.patch(path, {"status": {"conditions": [condition]}}, STRATEGIC)
    assert answer.body["status"]["conditions"][0]["observedGeneration"] == 1


@case
async def a_condition_keeps_what_a_patch_does_not_name(world: World) -> None:
    await _gated(world)
    path = world.path("pods", "a", sub="status")
    first = {"status": {"conditions": [_condition(GATE, "False", reason="One", message="told")]}}
    await world.patch(path, first, STRATEGIC)
    second = {"status": {"conditions": [{"type": GATE, "status": "True", "reason": "Two"}]}}
    answer = await world.patch(path, second, STRATEGIC)
    (found,) = answer.body["status"]["conditions"]
    assert (found["status"], found["reason"], found["message"]) == ("True", "Two", "told")
    assert found["lastTransitionTime"] == WHEN


@case
async def a_merge_patch_of_conditions_replaces_them_all(world: World) -> None:
    await _gated(world)
    path = world.path("pods", "a", sub="status")
    await world.patch(path, {"status": {"conditions": [_condition(GATE, "False")]}}, STRATEGIC)
    answer = await world.patch(path, {"status": {"conditions": [_condition("Ready", "False")]}})
    assert [item["type"] for item in answer.body["status"]["conditions"]] == ["Ready"]


@case
async def a_pods_status_patch_takes_finalizers_but_no_owners(world: World) -> None:
    await _gated(world)
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "x",
        "uid": "00000000-0000-4000-8000-000000000001",
    }
    patch = {
        "metadata": {"finalizers": ["cafe.test/hold"], "ownerReferences": [owner]},
        "status": {"message": "m"},
    }
    answer = await world.patch(world.path("pods", "a", sub="status"), patch)
    assert (answer.status, answer.body["status"]["message"]) == (200, "m")
    assert answer.meta["finalizers"] == ["cafe.test/hold"]
    assert "ownerReferences" not in answer.meta
    await world.patch(world.path("pods", "a"), {"metadata": {"finalizers": None}})


@case
async def a_status_patch_of_a_missing_pod_is_not_found(world: World) -> None:
    answer = await world.patch(world.path("pods", "no", sub="status"), {"status": {}}, STRATEGIC)
    assert (answer.status, answer.reason) == (404, "NotFound")


@case
async def container_statuses_merge_as_a_whole_list_of_names(world: World) -> None:
    await _gated(world)
    path = world.path("pods", "a", sub="status")
    one = {"name": "main", "image": "x:1", "imageID": "sha256:1", "ready": True, "restartCount": 0}
    await world.patch(path, {"status": {"containerStatuses": [one]}}, STRATEGIC)
    answer = await world.patch(
        path,
        {"status": {"containerStatuses": [{**one, "restartCount": 1, "imageID": "sha256:2"}]}},
        STRATEGIC,
    )
    assert answer.status == 200
    (found,) = answer.body["status"]["containerStatuses"]
    assert (found["restartCount"], found["imageID"]) == (1, "sha256:2")


@case
async def labels_can_be_applied_to_a_pod(world: World) -> None:
    await _gated(world)
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"rev": "r2"}}}
    answer = await world.patch(world.path("pods", "a"), body, APPLY, fieldManager="cafe")
    assert (answer.status, answer.meta["labels"]) == (200, {"app": "a", "rev": "r2"})
    assert answer.meta["generation"] == 1


@case
async def a_pod_being_deleted_still_takes_labels_and_status(world: World) -> None:
    body = pod("a")
    body["metadata"]["finalizers"] = ["cafe.test/hold"]
    await world.made("pods", body)
    path = world.path("pods", "a")
    marked = await world.delete(path)
    assert (marked.status, marked.meta["deletionGracePeriodSeconds"]) == (200, 0)
    assert (await world.patch(path, {"metadata": {"labels": {"x": "y"}}})).status == 200
    assert (await world.patch(f"{path}/status", {"status": {"message": "bye"}})).status == 200
    assert (await world.patch(path, {"metadata": {"finalizers": None}})).status == 200
    assert (await world.get(path)).status == 404


@case
async def a_pod_adopted_twice_has_one_controller(world: World) -> None:
    await _gated(world)
    path = world.path("pods", "a")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "controller": True, "blockOwnerDeletion": True}
    one, two = [
        {**owner, "name": name, "uid": (await world.made("configmaps", config_map(name))).meta["uid"]}
        for name in ("one", "two")
    ]
    first = await world.patch(path, {"metadata": {"ownerReferences": [one]}}, STRATEGIC)
    assert first.status == 200
    answer = await world.patch(path, {"metadata": {"ownerReferences": [two]}}, STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.ownerReferences")])
    assert (
        'Only one reference can have Controller set to true. Found "true" in references for' in answer.message
    )


@case
async def a_pod_is_released_by_a_directive(world: World) -> None:
    body = pod("a")
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "one",
        "uid": "00000000-0000-4000-8000-000000000001",
    }
    other = {**owner, "name": "two", "uid": "00000000-0000-4000-8000-000000000002"}
    # Owners that do not exist would have the collector delete the pod; it is held.
    body["metadata"] |= {"ownerReferences": [owner, other], "finalizers": ["cafe.test/hold"]}
    made = await world.made("pods", body)
    patch = {
        "metadata": {
            "uid": made.meta["uid"],
            "ownerReferences": [{"$patch": "delete", "uid": owner["uid"]}],
        }
    }
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC)
    assert [item["name"] for item in answer.meta["ownerReferences"]] == ["two"]
    await world.patch(world.path("pods", "a"), {"metadata": {"finalizers": None}})


def _sized(**amounts: Json) -> Json:
    return {"spec": {"containers": [{"name": "main", "resources": amounts}]}}


async def _burstable(world: World) -> Answer:
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    return await _gated(world, containers=[{"name": "main", "image": "x:1", "resources": resources}])


@case
async def a_pod_is_resized_by_a_door_of_its_own(world: World) -> None:
    made = await _burstable(world)
    guard = {"uid": made.meta["uid"], "resourceVersion": made.version}
    patch = {"metadata": guard, **_sized(requests={"cpu": "0.25"})}
    answer = await world.patch(world.path("pods", "a", sub="resize"), patch, STRATEGIC)
    assert (answer.status, answer.meta["generation"]) == (200, 2)
    resources = answer.body["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    stale = await world.patch(world.path("pods", "a", sub="resize"), patch, STRATEGIC)
    assert (stale.status, stale.reason) == (409, "Conflict")


@case
async def a_resize_of_a_pod_that_is_gone_is_not_found(world: World) -> None:
    answer = await world.patch(world.path("pods", "a", sub="resize"), _sized(limits={"cpu": "1"}), STRATEGIC)
    assert (answer.status, answer.reason) == (404, "NotFound")


@case
async def the_door_of_a_resize_lets_no_image_and_no_label_through(world: World) -> None:
    await _burstable(world)
    patch = {"metadata": {"labels": {"x": "y"}}, "spec": {"containers": [{"name": "main", "image": "x:2"}]}}
    answer = await world.patch(world.path("pods", "a", sub="resize"), patch, STRATEGIC)
    assert answer.status == 200
    assert answer.body["spec"]["containers"][0]["image"] == "x:1"
    assert answer.meta["labels"] == {"app": "a"}


@case
async def a_resize_may_not_change_the_quality_of_service(world: World) -> None:
    await _burstable(world)
    equal = {"cpu": "100m", "memory": "64Mi"}
    patch = _sized(requests=equal, limits=equal)
    answer = await world.patch(world.path("pods", "a", sub="resize"), patch, STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec")])
    assert '"Burstable": Pod QOS Class may not change as a result of resizing' in answer.message


@case
async def a_resize_can_not_take_a_request_or_a_limit_away(world: World) -> None:
    await _burstable(world)
    path = world.path("pods", "a", sub="resize")
    answer = await world.patch(path, _sized(requests={"cpu": None}), STRATEGIC)
    at = "spec.containers[0].resources"
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", f"{at}.requests")])
    answer = await world.patch(path, _sized(limits={"memory": None}), STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", f"{at}.limits")])
    assert "resource limits cannot be removed" in answer.message


@case
async def a_resize_is_of_cpu_and_memory_alone(world: World) -> None:
    await _burstable(world)
    patch = _sized(requests={"ephemeral-storage": "1Gi"})
    answer = await world.patch(world.path("pods", "a", sub="resize"), patch, STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "spec")])
    assert "only cpu and memory resources are mutable" in answer.message


@case
async def a_request_over_the_limit_is_no_size(world: World) -> None:
    made = await _burstable(world)
    patch = _sized(requests={"memory": "1Gi"})
    answer = await world.patch(world.path("pods", "a", sub="resize"), patch, STRATEGIC)
    assert answer.status == 422
    assert (await world.get(world.path("pods", "a"))).version == made.version


@case
async def a_pod_on_a_node_that_tells_no_sizes_is_not_resized(world: World) -> None:
    """So an API server keeps resizes from nodes that are too old for them."""
    await _burstable(world)
    told = {"name": "main", "image": "x:1", "imageID": "x", "ready": True, "restartCount": 0}
    running = {"running": {"startedAt": WHEN}}
    patch = {"status": {"containerStatuses": [{**told, "state": running}]}}
    assert (await world.patch(world.path("pods", "a", sub="status"), patch)).status == 200
    answer = await world.patch(
        world.path("pods", "a", sub="resize"), _sized(limits={"memory": "1Gi"}), STRATEGIC
    )
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "spec")])
    assert "Pod running on node without support for resize" in answer.message
