"""Server-side apply: who owns what, conflicts, and what goes when nobody wants it."""

from tests.ports.backend import APPLY, Answer, Value, World, case
from tests.ports.objects import config_map, deployment

APPS = "apps/v1"


async def _apply(world: World, body: Value, manager: str, **query: str) -> Answer:
    plural, api = ("deployments", APPS) if body["kind"] == "Deployment" else ("configmaps", "v1")
    path = world.path(plural, body["metadata"]["name"], api=api)
    return await world.patch(path, body, APPLY, fieldManager=manager, **query)


def _owners(answer: Answer) -> set[tuple[str, str]]:
    return {(entry["manager"], entry["operation"]) for entry in answer.meta["managedFields"]}


def _fields(answer: Answer, manager: str) -> Value:
    return next(e["fieldsV1"] for e in answer.meta["managedFields"] if e["manager"] == manager)


@case
async def an_apply_creates(world: World) -> None:
    answer = await _apply(world, config_map("a", x="1"), "one")
    assert (answer.status, _owners(answer)) == (201, {("one", "Apply")})
    assert _fields(answer, "one") == {"f:data": {"f:x": {}}}


@case
async def a_repeated_apply_changes_nothing(world: World) -> None:
    first = await _apply(world, config_map("a", x="1"), "one")
    again = await _apply(world, config_map("a", x="1"), "one")
    assert (again.status, again.version) == (200, first.version)


@case
async def what_another_owns_is_a_conflict(world: World) -> None:
    await _apply(world, config_map("a", x="1"), "one")
    answer = await _apply(world, config_map("a", x="2"), "two")
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.causes == [("FieldManagerConflict", ".data.x")]
    assert answer.message == 'Apply failed with 1 conflict: conflict with "one": .data.x'


@case
async def several_conflicts_are_listed(world: World) -> None:
    await _apply(world, config_map("a", x="1", y="1"), "one")
    answer = await _apply(world, config_map("a", x="2", y="2"), "two")
    assert answer.message == 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.x\n- .data.y'


@case
async def force_takes_a_field_over(world: World) -> None:
    await _apply(world, config_map("a", x="1", y="1"), "one")
    answer = await _apply(world, config_map("a", x="2"), "two", force="true")
    assert (answer.status, answer.body["data"]) == (200, {"x": "2", "y": "1"})
    assert _fields(answer, "one") == {"f:data": {"f:y": {}}}
    assert _fields(answer, "two") == {"f:data": {"f:x": {}}}


@case
async def equal_wishes_are_shared(world: World) -> None:
    await _apply(world, config_map("a", x="1"), "one")
    answer = await _apply(world, config_map("a", x="1"), "two")
    assert (answer.status, _owners(answer)) == (200, {("one", "Apply"), ("two", "Apply")})


@case
async def what_nobody_wants_any_more_goes(world: World) -> None:
    await _apply(world, config_map("a", x="1", y="1"), "one")
    answer = await _apply(world, config_map("a", x="1"), "one")
    assert answer.body["data"] == {"x": "1"}


@case
async def what_another_still_wants_stays(world: World) -> None:
    await _apply(world, config_map("a", x="1", y="1"), "one")
    await _apply(world, config_map("a", y="1"), "two")
    answer = await _apply(world, config_map("a", x="1"), "one")
    assert answer.body["data"] == {"x": "1", "y": "1"}


@case
async def an_update_takes_a_field_over(world: World) -> None:
    await _apply(world, config_map("a", x="1"), "one")
    patched = await world.patch(world.path("configmaps", "a"), {"data": {"x": "2"}}, fieldManager="hand")
    assert _owners(patched) == {("hand", "Update")}
    answer = await _apply(world, config_map("a", x="1"), "one")
    assert answer.status == 409
    assert answer.message == ('Apply failed with 1 conflict: conflict with "hand" using v1: .data.x')


@case
async def a_create_owns_what_it_states(world: World) -> None:
    made = await world.post(world.path("configmaps"), config_map("a", x="1"), fieldManager="hand")
    assert _owners(made) == {("hand", "Update")}
    assert _fields(made, "hand") == {"f:data": {".": {}, "f:x": {}}}


@case
async def containers_are_owned_by_their_names(world: World) -> None:
    answer = await _apply(world, deployment("d"), "one")
    containers = _fields(answer, "one")["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert containers == {'k:{"name":"main"}': {".": {}, "f:name": {}, "f:image": {}}}


@case
async def two_managers_may_own_a_container_each(world: World) -> None:
    await _apply(world, deployment("d"), "one")
    side = deployment("d")
    side["spec"] = {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}
    answer = await _apply(world, side, "two")
    names = [item["name"] for item in answer.body["spec"]["template"]["spec"]["containers"]]
    assert (answer.status, sorted(names)) == (200, ["main", "side"])
    del side["spec"]["template"]
    gone = await _apply(world, side, "two")
    assert [item["name"] for item in gone.body["spec"]["template"]["spec"]["containers"]] == ["main"]


@case
async def a_configuration_has_no_managed_fields(world: World) -> None:
    body = config_map("a")
    body["metadata"]["managedFields"] = [{"manager": "x"}]
    answer = await _apply(world, body, "one")
    assert (answer.status, answer.message) == (400, "metadata.managedFields must be nil")


@case
async def the_status_door_has_owners_of_its_own(world: World) -> None:
    await _apply(world, deployment("d", paused=True), "one")
    path = world.path("deployments", "d", api=APPS, sub="status")
    answer = await world.patch(path, {"status": {"readyReplicas": 1, "replicas": 1}}, fieldManager="watcher")
    entry = next(e for e in answer.meta["managedFields"] if e["manager"] == "watcher")
    assert entry["subresource"] == "status"
    assert set(entry["fieldsV1"]["f:status"]) >= {"f:readyReplicas", "f:replicas"}
