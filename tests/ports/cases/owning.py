"""Server-side apply in depth: sharing, giving up, emptiness, lists of each kind, doors, rehearsals."""

from tests.ports.backend import APPLY, Answer, Json, Value, World, case
from tests.ports.objects import config_map, deployment, pod

APPS = "apps/v1"


def _service(**ports: int) -> Json:
    listed = [{"name": name, "port": port} for name, port in ports.items()]
    spec = {"ports": listed, "selector": {"app": "a"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec}


async def _apply(world: World, body: Json, manager: str, **query: str) -> Answer:
    plural, api = f"{body['kind'].lower()}s", body["apiVersion"]
    path = world.path(plural, body["metadata"]["name"], api=api)
    return await world.patch(path, body, APPLY, fieldManager=manager, **query)


def _fields(answer: Answer, manager: str) -> Value:
    found = [e["fieldsV1"] for e in answer.meta.get("managedFields", []) if e["manager"] == manager]
    return found[0] if found else None


@case
async def a_manager_that_states_nothing_owns_nothing(world: World) -> None:
    await _apply(world, config_map("a", x="1"), "one")
    await _apply(world, config_map("a", y="1"), "two")
    bare = config_map("a")
    del bare["data"]
    answer = await _apply(world, bare, "one")
    assert (answer.body["data"], _fields(answer, "one")) == ({"y": "1"}, None)


@case
async def a_shared_field_stays_until_its_last_owner_gives_it_up(world: World) -> None:
    await _apply(world, config_map("a", x="1", y="1"), "one")
    await _apply(world, config_map("a", x="1"), "two")
    first = await _apply(world, config_map("a", y="1"), "one")
    assert first.body["data"] == {"x": "1", "y": "1"}
    bare = config_map("a")
    del bare["data"]
    assert (await _apply(world, bare, "two")).body["data"] == {"y": "1"}


@case
async def a_shared_field_is_not_changed_by_one_of_its_owners(world: World) -> None:
    await _apply(world, config_map("a", x="1"), "one")
    await _apply(world, config_map("a", x="1"), "two")
    answer = await _apply(world, config_map("a", x="2"), "one")
    assert (answer.status, answer.causes) == (409, [("FieldManagerConflict", ".data.x")])
    forced = await _apply(world, config_map("a", x="2"), "one", force="true")
    assert (forced.status, _fields(forced, "two")) == (200, None)


@case
async def a_rehearsed_apply_stores_nothing(world: World) -> None:
    first = await _apply(world, config_map("a", x="1"), "one")
    answer = await _apply(world, config_map("a", x="2"), "one", dryRun="All")
    assert (answer.status, answer.body["data"], answer.version) == (200, {"x": "2"}, first.version)
    assert (await world.get(world.path("configmaps", "a"))).body["data"] == {"x": "1"}


@case
async def an_apply_of_an_old_version_is_a_conflict(world: World) -> None:
    first = await _apply(world, config_map("a", x="1"), "one")
    await _apply(world, config_map("a", x="2"), "one")
    body = config_map("a", x="3")
    body["metadata"]["resourceVersion"] = first.version
    answer = await _apply(world, body, "one")
    assert (answer.status, answer.reason) == (409, "Conflict")


@case
async def an_apply_needs_a_manager(world: World) -> None:
    answer = await world.patch(world.path("configmaps", "a"), config_map("a"), APPLY)
    assert (answer.status, answer.causes) == (422, [("FieldValueRequired", "fieldManager")])


@case
async def an_empty_map_is_owned_as_a_place(world: World) -> None:
    answer = await _apply(world, {**config_map("a"), "data": {}}, "one")
    assert (answer.status, _fields(answer, "one"), "data" in answer.body) == (201, {"f:data": {}}, False)


@case
async def a_null_is_owned_as_an_empty_map_is(world: World) -> None:
    answer = await _apply(world, {**config_map("a"), "data": None}, "one")
    assert (answer.status, _fields(answer, "one"), "data" in answer.body) == (201, {"f:data": {}}, False)


@case
async def a_null_of_a_string_is_the_empty_string(world: World) -> None:
    answer = await _apply(world, {**config_map("a"), "data": {"x": None}}, "one")
    assert (answer.body["data"], _fields(answer, "one")) == ({"x": ""}, {"f:data": {"f:x": {}}})


@case
async def an_emptied_map_leaves_what_another_owns_in_it(world: World) -> None:
    await _apply(world, config_map("a", x="1"), "two")
    answer = await _apply(world, {**config_map("a"), "data": {}}, "one")
    assert (answer.status, answer.body["data"]) == (200, {"x": "1"})
    assert _fields(answer, "two") == {"f:data": {"f:x": {}}}


@case
async def a_list_without_keys_is_owned_whole(world: World) -> None:
    body = pod("a")
    body["spec"]["containers"][0]["args"] = ["1", "2"]
    await _apply(world, body, "one")
    other = pod("a")
    other["spec"]["containers"][0]["args"] = ["1"]
    answer = await _apply(world, other, "two")
    assert answer.causes == [("FieldManagerConflict", '.spec.containers[name="main"].args')]


@case
async def finalizers_are_a_set_of_single_values(world: World) -> None:
    body = config_map("a")
    del body["data"]  # An empty map would be a wish of its own.
    body["metadata"]["finalizers"] = ["cafe.test/one"]
    await _apply(world, body, "one")
    body["metadata"]["finalizers"] = ["cafe.test/two"]
    answer = await _apply(world, body, "two")
    assert set(answer.meta["finalizers"]) == {"cafe.test/one", "cafe.test/two"}
    del body["metadata"]["finalizers"]
    assert (await _apply(world, body, "two")).meta["finalizers"] == ["cafe.test/one"]
    assert "finalizers" not in (await _apply(world, body, "one")).meta


@case
async def an_owner_reference_is_an_item_by_its_uid(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    body = config_map("a")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.meta["uid"]}
    body["metadata"]["ownerReferences"] = [reference]
    answer = await _apply(world, body, "one")
    key = f'k:{{"uid":"{owner.meta["uid"]}"}}'
    assert _fields(answer, "one")["f:metadata"] == {"f:ownerReferences": {key: {}}}


@case
async def a_key_may_be_a_default(world: World) -> None:
    answer = await _apply(world, _service(http=80), "one")
    ports = _fields(answer, "one")["f:spec"]["f:ports"]
    assert ports == {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}}
    both = await _apply(world, _service(web=81), "two")
    assert sorted(port["port"] for port in both.body["spec"]["ports"]) == [80, 81]


@case
async def a_default_belongs_to_nobody_and_may_be_taken(world: World) -> None:
    await _apply(world, deployment("d"), "one")
    body = deployment("d", minReadySeconds=3, revisionHistoryLimit=2)
    for name in ("template", "selector", "replicas"):
        del body["spec"][name]
    answer = await _apply(world, body, "two")
    assert (answer.status, answer.body["spec"]["revisionHistoryLimit"]) == (200, 2)
    assert _fields(answer, "two") == {"f:spec": {"f:minReadySeconds": {}, "f:revisionHistoryLimit": {}}}
    del body["spec"]["revisionHistoryLimit"]
    again = await _apply(world, body, "two")
    assert again.body["spec"]["revisionHistoryLimit"] == 10


@case
async def a_delete_by_patch_takes_the_field_from_its_owner(world: World) -> None:
    await _apply(world, config_map("a", x="1", y="1"), "one")
    path = world.path("configmaps", "a")
    answer = await world.patch(path, {"data": {"x": None}}, fieldManager="hand")
    assert (_fields(answer, "one"), _fields(answer, "hand")) == ({"f:data": {"f:y": {}}}, None)


@case
async def a_field_that_no_schema_knows_cannot_be_applied(world: World) -> None:
    answer = await _apply(world, {**config_map("a"), "nonsense": 1}, "one")
    assert answer.status == 500
    assert answer.message.endswith(".nonsense: field not declared in schema")


@case
async def a_null_takes_nothing_from_a_map_that_is_shared(world: World) -> None:
    await _apply(world, config_map("a", x="1"), "one")
    await _apply(world, config_map("a", x="1"), "two")
    answer = await _apply(world, {**config_map("a"), "data": None}, "one")
    assert (answer.status, answer.body["data"]) == (200, {"x": "1"})
    assert (_fields(answer, "one"), _fields(answer, "two")) == ({"f:data": {}}, {"f:data": {"f:x": {}}})


@case
async def an_empty_list_of_items_is_owned_by_nobody(world: World) -> None:
    body = pod("a")
    body["metadata"]["finalizers"] = []
    body["spec"]["containers"][0] |= {"env": [], "args": []}
    answer = await _apply(world, body, "one")
    fields = _fields(answer, "one")
    assert "f:finalizers" not in fields["f:metadata"]
    container = fields["f:spec"]["f:containers"]['k:{"name":"main"}']
    assert set(container) == {".", "f:name", "f:image", "f:args"}


@case
async def the_data_of_a_revision_is_owned_whole(world: World) -> None:
    body = {"apiVersion": APPS, "kind": "ControllerRevision", "metadata": {"name": "a"}, "revision": 1}
    body["data"] = {"spec": {"x": 1}}
    made = await world.post(world.path("controllerrevisions", api=APPS), body, fieldManager="hand")
    assert _fields(made, "hand") == {"f:data": {}, "f:revision": {}}


@case
async def a_default_beside_the_spec_belongs_to_the_creator(world: World) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    made = await world.post(world.path("secrets"), body, fieldManager="hand")
    assert _fields(made, "hand") == {"f:type": {}}
