"""Creating, replacing, patching, deleting: versions, conflicts, and what doesn't change."""

from tests.ports.backend import APPLY, JSON_PATCH, MERGE, STRATEGIC, World, case
from tests.ports.objects import config_map, deployment, pod


@case
async def a_created_object_has_uid_version_and_time(world: World) -> None:
    made = await world.made("configmaps", config_map("a", x="1"))
    assert {"uid", "resourceVersion", "creationTimestamp"} <= made.meta.keys()
    assert made.body["data"] == {"x": "1"}
    assert (await world.get(world.path("configmaps", "a"))).body == made.body


@case
async def a_second_create_of_a_name_is_already_exists(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    again = await world.post(world.path("configmaps"), config_map("a"))
    assert (again.status, again.reason) == (409, "AlreadyExists")
    assert again.message == 'configmaps "a" already exists'
    assert again.body["details"] == {"name": "a", "kind": "configmaps"}


@case
async def what_is_not_there_is_not_found(world: World) -> None:
    for answer in (
        await world.get(world.path("configmaps", "no")),
        await world.put(world.path("configmaps", "no"), config_map("no")),
        await world.patch(world.path("configmaps", "no"), {}),
        await world.delete(world.path("configmaps", "no")),
    ):
        assert (answer.status, answer.reason) == (404, "NotFound")
        assert answer.message == 'configmaps "no" not found'


@case
async def an_unknown_path_is_not_found_in_other_words(world: World) -> None:
    answer = await world.get(world.path("nonsense"))
    assert answer.status == 404


@case
async def a_name_is_generated(world: World) -> None:
    body = config_map("")
    body["metadata"] = {"generateName": "gen-"}
    made = await world.made("configmaps", body)
    assert made.meta["name"].startswith("gen-")
    assert len(made.meta["name"]) == len("gen-") + 5
    assert made.meta["generateName"] == "gen-"


@case
async def a_bad_name_is_invalid(world: World) -> None:
    answer = await world.post(world.path("configmaps"), config_map("Bad_Name"))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.causes == [("FieldValueInvalid", "metadata.name")]
    assert answer.message.startswith(
        'ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": '
    )


@case
async def an_object_needs_a_name(world: World) -> None:
    body = config_map("")
    body["metadata"] = {}
    answer = await world.post(world.path("configmaps"), body)
    assert (answer.status, answer.causes) == (422, [("FieldValueRequired", "metadata.name")])
    assert answer.message.endswith("metadata.name: Required value: name or generateName is required")


@case
async def a_bad_label_is_invalid(world: World) -> None:
    body = config_map("a")
    body["metadata"]["labels"] = {"a b": "c"}
    answer = await world.post(world.path("configmaps"), body)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.labels")])


@case
async def the_namespace_of_the_body_must_be_that_of_the_path(world: World) -> None:
    body = config_map("a")
    body["metadata"]["namespace"] = "elsewhere"
    answer = await world.post(world.path("configmaps"), body)
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert (
        answer.message
        == "the namespace of the provided object does not match the namespace sent on the request"
    )


@case
async def nothing_can_be_created_in_a_missing_namespace(world: World) -> None:
    answer = await world.post("/api/v1/namespaces/no-such-place/configmaps", config_map("a"))
    assert (answer.status, answer.message) == (404, 'namespaces "no-such-place" not found')


@case
async def a_stale_put_is_a_conflict(world: World) -> None:
    made = await world.made("configmaps", config_map("a", x="1"))
    path = world.path("configmaps", "a")
    await world.patch(path, {"data": {"x": "2"}})
    answer = await world.put(path, {**made.body, "data": {"x": "3"}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert answer.body["details"] == {"name": "a", "kind": "configmaps"}


@case
async def a_put_without_version_replaces_a_built_in(world: World) -> None:
    await world.made("configmaps", config_map("a", x="1"))
    answer = await world.put(world.path("configmaps", "a"), config_map("a", y="2"))
    assert (answer.status, answer.body["data"]) == (200, {"y": "2"})


@case
async def a_put_with_another_uid_is_a_conflict(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    body = config_map("a")
    body["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
    answer = await world.put(world.path("configmaps", "a"), body)
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: 00000000" in answer.message


@case
async def a_put_to_another_name_is_a_bad_request(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    answer = await world.put(world.path("configmaps", "a"), config_map("b"))
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == "the name of the object (b) does not match the name on the URL (a)"


@case
async def a_stale_patch_is_a_conflict(world: World) -> None:
    made = await world.made("configmaps", config_map("a", x="1"))
    path = world.path("configmaps", "a")
    await world.patch(path, {"data": {"x": "2"}})
    patch = {"metadata": {"resourceVersion": made.version}, "data": {"x": "3"}}
    answer = await world.patch(path, patch)
    assert (answer.status, answer.reason) == (409, "Conflict")


@case
async def a_patch_of_the_uid_is_invalid(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    patch = {"metadata": {"uid": "00000000-0000-4000-8000-000000000000"}}
    answer = await world.patch(world.path("configmaps", "a"), patch)
    assert (answer.status, set(answer.causes)) == (422, {("FieldValueInvalid", "metadata.uid")})


@case
async def a_write_that_changes_nothing_keeps_the_version(world: World) -> None:
    made = await world.made("configmaps", config_map("a", x="1"))
    path = world.path("configmaps", "a")
    same = [
        await world.patch(path, {"data": {"x": "1"}}),
        await world.patch(path, {"data": {"x": "1"}}, STRATEGIC),
        await world.patch(path, [{"op": "replace", "path": "/data/x", "value": "1"}], JSON_PATCH),
        await world.put(path, made.body),
    ]
    assert [answer.version for answer in same] == [made.version] * 4


@case
async def versions_rise_with_each_write(world: World) -> None:
    made = await world.made("configmaps", config_map("a", x="1"))
    changed = await world.patch(world.path("configmaps", "a"), {"data": {"x": "2"}})
    other = await world.made("secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
    assert int(made.version) < int(changed.version) < int(other.version)


@case
async def a_merge_patch_removes_by_null(world: World) -> None:
    await world.made("configmaps", config_map("a", x="1", y="2"))
    answer = await world.patch(world.path("configmaps", "a"), {"data": {"x": None, "z": "3"}})
    assert answer.body["data"] == {"y": "2", "z": "3"}


@case
async def a_json_patch_whose_test_fails_does_nothing(world: World) -> None:
    await world.made("configmaps", config_map("a", x="1"))
    path = world.path("configmaps", "a")
    steps = [
        {"op": "replace", "path": "/data/x", "value": "2"},
        {"op": "test", "path": "/data/x", "value": "9"},
    ]
    answer = await world.patch(path, steps, JSON_PATCH)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert (await world.get(path)).body["data"] == {"x": "1"}


@case
async def a_json_patch_of_a_missing_path_is_refused(world: World) -> None:
    await world.made("configmaps", config_map("a", x="1"))
    steps = [{"op": "remove", "path": "/data/no"}]
    answer = await world.patch(world.path("configmaps", "a"), steps, JSON_PATCH)
    assert (answer.status, answer.reason) == (422, "Invalid")


@case
async def a_strategic_patch_merges_containers_by_name(world: World) -> None:
    await world.made("deployments", deployment("d"), "apps/v1")
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}}
    answer = await world.patch(world.path("deployments", "d", api="apps/v1"), patch, STRATEGIC)
    containers = answer.body["spec"]["template"]["spec"]["containers"]
    assert sorted(item["name"] for item in containers) == ["main", "side"]


@case
async def a_strategic_patch_deletes_an_item_by_directive(world: World) -> None:
    body = deployment("d")
    body["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "side:1"})
    await world.made("deployments", body, "apps/v1")
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    answer = await world.patch(world.path("deployments", "d", api="apps/v1"), patch, STRATEGIC)
    assert [item["name"] for item in answer.body["spec"]["template"]["spec"]["containers"]] == ["main"]


@case
async def a_merge_patch_replaces_a_list(world: World) -> None:
    await world.made("deployments", deployment("d"), "apps/v1")
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}}
    answer = await world.patch(world.path("deployments", "d", api="apps/v1"), patch)
    assert [item["name"] for item in answer.body["spec"]["template"]["spec"]["containers"]] == ["side"]


@case
async def a_patch_of_an_unknown_kind_is_unsupported(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    answer = await world.patch(world.path("configmaps", "a"), {}, "application/json")
    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")


@case
async def a_dry_run_changes_nothing(world: World) -> None:
    path = world.path("configmaps")
    made = await world.post(path, config_map("a"), dryRun="All")
    assert (made.status, (await world.get(f"{path}/a")).status) == (201, 404)
    real = await world.made("configmaps", config_map("a", x="1"))
    patched = await world.patch(f"{path}/a", {"data": {"x": "2"}}, dryRun="All")
    assert (patched.body["data"], patched.version) == ({"x": "2"}, real.version)
    gone = await world.delete(f"{path}/a", dryRun="All")
    assert (gone.status, (await world.get(f"{path}/a")).body) == (200, real.body)


@case
async def an_unknown_field_is_refused_under_strict_validation(world: World) -> None:
    body = pod("a", nonsense=1)
    answer = await world.post(world.path("pods"), body, fieldValidation="Strict")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.nonsense"' in answer.message


@case
async def an_unknown_field_is_dropped_with_a_warning(world: World) -> None:
    answer = await world.post(world.path("pods"), pod("a", nonsense=1), fieldValidation="Warn")
    assert (answer.status, "nonsense" in answer.body["spec"]) == (201, False)
    assert answer.headers["warning"] == '299 - "unknown field \\"spec.nonsense\\""'


@case
async def a_field_of_the_wrong_type_is_a_bad_request(world: World) -> None:
    answer = await world.post(world.path("pods"), pod("a", hostNetwork="yes"))
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert 'Pod in version "v1" cannot be handled as a Pod' in answer.message


@case
async def a_body_of_another_kind_is_a_bad_request(world: World) -> None:
    answer = await world.post(world.path("configmaps"), pod("a"))
    assert (answer.status, answer.reason) == (400, "BadRequest")


@case
async def a_sealed_config_map_stays(world: World) -> None:
    await world.made("configmaps", {**config_map("a", x="1"), "immutable": True})
    answer = await world.patch(world.path("configmaps", "a"), {"data": {"x": "2"}})
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "data")])


@case
async def two_controllers_are_one_too_many(world: World) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "controller": True}
    body = config_map("a")
    body["metadata"]["ownerReferences"] = [
        {**owner, "name": "x", "uid": "00000000-0000-4000-8000-000000000001"},
        {**owner, "name": "y", "uid": "00000000-0000-4000-8000-000000000002"},
    ]
    answer = await world.post(world.path("configmaps"), body)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.ownerReferences")])


@case
async def a_secret_takes_text_and_keeps_bytes(world: World) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    made = await world.made("secrets", body)
    assert (made.body["data"], made.body["type"]) == ({"a": "Yg=="}, "Opaque")
    assert "stringData" not in made.body


@case
async def a_lease_is_created_by_put(world: World) -> None:
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    path = world.path("leases", "l", api="coordination.k8s.io/v1")
    made = await world.put(path, body)
    assert made.status == 201
    assert (await world.put(path, made.body)).status == 200
    blind = await world.put(path, body)
    assert (blind.status, blind.causes) == (422, [("FieldValueInvalid", "metadata.resourceVersion")])


@case
async def an_apply_without_manager_is_refused(world: World) -> None:
    answer = await world.patch(world.path("configmaps", "a"), config_map("a"), APPLY)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.causes == [("FieldValueRequired", "fieldManager")]


@case
async def force_belongs_to_apply_alone(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    answer = await world.patch(world.path("configmaps", "a"), {}, MERGE, force="true")
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "force")])


@case
async def a_json_patch_replaces_what_is_not_there_if_its_parent_is(world: World) -> None:
    await world.made("configmaps", config_map("a", x="1"))
    path = world.path("configmaps", "a")
    steps = [{"op": "replace", "path": "/data/new", "value": "2"}]
    answer = await world.patch(path, steps, JSON_PATCH)
    assert (answer.status, answer.body["data"]) == (200, {"x": "1", "new": "2"})
    steps = [{"op": "replace", "path": "/metadata/annotations/new", "value": "2"}]
    assert (await world.patch(path, steps, JSON_PATCH)).status == 422


@case
async def a_strategic_patch_orders_a_list_as_it_names_its_items(world: World) -> None:
    """What only the server has stands before what it stood before; what is new comes first."""
    path = world.path("configmaps", "a")
    for old, patch, wanted in (
        ("a", "b", "ba"),
        ("a", "ba", "ba"),
        ("ab", "ba", "ba"),
        ("abc", "xb", "xabc"),
    ):
        body = config_map("a")
        body["metadata"]["finalizers"] = [f"cafe.test/{name}" for name in old]
        await world.made("configmaps", body)
        change = {"metadata": {"finalizers": [f"cafe.test/{name}" for name in patch]}}
        answer = await world.patch(path, change, STRATEGIC)
        assert answer.meta["finalizers"] == [f"cafe.test/{name}" for name in wanted], (old, patch)
        await world.patch(path, {"metadata": {"finalizers": None}})
        await world.delete(path)
