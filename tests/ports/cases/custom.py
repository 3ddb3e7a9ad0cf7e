"""Custom resources: schema, defaults, pruning, rules, subresources."""

import asyncio

from tests.ports.backend import APPLY, STRATEGIC, TABLE, Answer, Json, World, case
from tests.ports.objects import custom, definition

API = "ports.cafe.test/v1"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


async def _defined(world: World, kind: str) -> str:
    """Define a kind, wait until it is served, and return the path of its collection."""
    answer = await world.post(DEFINITIONS, definition(kind))
    assert answer.status == 201, answer.body
    name = answer.meta["name"]
    world.later(lambda: world.delete(f"{DEFINITIONS}/{name}"))
    path = world.path(f"{kind.lower()}s", api=API)
    for _ in range(200):
        if (await world.get(path)).status == 200:
            return path
        await asyncio.sleep(0)
        await world.get(f"{DEFINITIONS}/{name}")
    raise AssertionError(f"{name} is never served")


@case
async def a_definition_is_established(world: World) -> None:
    await _defined(world, "Established")

    def is_established(found: Answer) -> bool:
        conditions = {item["type"]: item["status"] for item in found.body["status"]["conditions"]}
        return conditions == {"NamesAccepted": "True", "Established": "True"}

    # It may be served a moment before that is written.
    found = await world.until(f"{DEFINITIONS}/establisheds.ports.cafe.test", is_established)
    assert found.body["status"]["storedVersions"] == ["v1"]
    assert found.body["spec"]["names"]["listKind"] == "EstablishedList"


@case
async def a_custom_object_is_defaulted_and_pruned(world: World) -> None:
    path = await _defined(world, "Default")
    made = await world.post(path, custom("Default", "a", size=1, nonsense=2, any={"x": 1}))
    assert (made.status, made.body["spec"]) == (201, {"size": 1, "image": "main:1", "any": {"x": 1}})
    assert made.meta["generation"] == 1
    listed = await world.get(path)
    assert (listed.body["kind"], listed.body["items"][0]["kind"]) == ("DefaultList", "Default")


@case
async def a_custom_object_is_checked(world: World) -> None:
    path = await _defined(world, "Checked")
    for spec, cause in (
        ({}, ("FieldValueRequired", "spec.size")),
        ({"size": "x"}, ("FieldValueTypeInvalid", "spec.size")),
        ({"size": -1}, ("FieldValueInvalid", "spec.size")),
        ({"size": 11}, ("FieldValueInvalid", "spec.size")),
        ({"size": 1, "mode": "idle"}, ("FieldValueNotSupported", "spec.mode")),
        ({"size": 1, "image": "x" * 21}, ("FieldValueTooLong", "spec.image")),
        ({"size": 1, "items": [{"name": "a"}, {"name": "a"}]}, ("FieldValueDuplicate", "spec.items[1]")),
    ):
        answer = await world.post(path, custom("Checked", "a", **spec))
        assert (answer.status, answer.causes[0]) == (422, cause), spec
    told = await world.post(path, custom("Checked", "a", size="x"))
    assert (
        'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'
        in told.message
    )
    assert "some validation rules were not checked because the object was invalid" in told.message


@case
async def a_rule_is_enforced(world: World) -> None:
    path = await _defined(world, "Ruled")
    answer = await world.post(path, custom("Ruled", "a", size=7))
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec")])
    assert "seven is not wanted" in answer.message


@case
async def a_rule_about_steps_judges_changes_alone(world: World) -> None:
    path = await _defined(world, "Stepped")
    made = await world.post(path, custom("Stepped", "a", size=1, fixed="x"))
    assert made.status == 201
    answer = await world.patch(f"{path}/a", {"spec": {"fixed": "y"}})
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.fixed")])
    assert "fixed is fixed" in answer.message


@case
async def a_custom_object_is_not_replaced_blindly(world: World) -> None:
    path = await _defined(world, "Blind")
    await world.post(path, custom("Blind", "a", size=1))
    answer = await world.put(f"{path}/a", custom("Blind", "a", size=2))
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.resourceVersion")])
    assert "must be specified for an update" in answer.message


@case
async def a_custom_object_takes_no_strategic_patch(world: World) -> None:
    path = await _defined(world, "Plain")
    await world.post(path, custom("Plain", "a", size=1))
    answer = await world.patch(f"{path}/a", {"spec": {"size": 2}}, STRATEGIC)
    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")


@case
async def custom_status_and_spec_have_doors_of_their_own(world: World) -> None:
    path = await _defined(world, "Door")
    made = await world.post(path, {**custom("Door", "a", size=1), "status": {"x": 1}})
    assert "status" not in made.body
    status = await world.patch(f"{path}/a/status", {"spec": {"size": 5}, "status": {"size": 3}})
    assert (status.body["spec"]["size"], status.body["status"]) == (1, {"size": 3})
    assert status.meta["generation"] == 1
    spec = await world.patch(f"{path}/a", {"spec": {"size": 2}, "status": {"size": 9}})
    assert (spec.body["status"], spec.meta["generation"]) == ({"size": 3}, 2)
    labels = await world.patch(
        f"{path}/a/status", {"metadata": {"labels": {"x": "y"}}, "status": {"size": 4}}
    )
    assert "labels" not in labels.meta


@case
async def a_custom_scale_follows_its_paths(world: World) -> None:
    path = await _defined(world, "Scaled")
    await world.post(path, custom("Scaled", "a", size=2))
    scale = await world.get(f"{path}/a/scale")
    assert (scale.body["kind"], scale.body["spec"]) == ("Scale", {"replicas": 2})
    await world.patch(f"{path}/a/scale", {"spec": {"replicas": 4}})
    found = await world.get(f"{path}/a")
    assert (found.body["spec"]["size"], found.meta["generation"]) == (4, 2)


@case
async def int_or_string_takes_both(world: World) -> None:
    path = await _defined(world, "Either")
    assert (await world.post(path, custom("Either", "a", size=1, port=80))).status == 201
    assert (await world.post(path, custom("Either", "b", size=1, port="http"))).status == 201
    assert (await world.post(path, custom("Either", "c", size=1, port=True))).status == 422


@case
async def a_custom_table_has_its_columns(world: World) -> None:
    path = await _defined(world, "Column")
    await world.post(path, custom("Column", "a", size=3))
    answer = await world.send("GET", path, accept=TABLE)
    assert [column["name"] for column in answer.body["columnDefinitions"]] == ["Name", "Size"]
    assert answer.body["rows"][0]["cells"] == ["a", 3]


@case
async def a_deletion_mark_raises_a_custom_generation(world: World) -> None:
    path = await _defined(world, "Marked")
    body = custom("Marked", "a", size=1)
    body["metadata"]["finalizers"] = ["cafe.test/hold"]
    await world.post(path, body)
    marked = await world.delete(f"{path}/a")
    assert marked.meta["generation"] == 2
    await world.patch(f"{path}/a", {"metadata": {"finalizers": None}})


@case
async def an_unstructured_definition_is_invalid(world: World) -> None:
    body = definition("Broken", schema={"openAPIV3Schema": {"properties": {"spec": {"type": "object"}}}})
    answer = await world.post(DEFINITIONS, body)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert any(field.endswith("openAPIV3Schema.type") for _, field in answer.causes)


@case
async def a_definition_is_named_for_its_kind(world: World) -> None:
    body = definition("Misnamed")
    body["metadata"]["name"] = "other.ports.cafe.test"
    answer = await world.post(DEFINITIONS, body)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.name")])


@case
async def what_a_custom_schema_does_not_know_can_not_be_applied(world: World) -> None:
    """A create only prunes it; but nobody could own it."""
    path = await _defined(world, "Applied")
    body = custom("Applied", "a", size=1, nonsense=1)
    answer = await world.until_other(
        lambda: world.patch(f"{path}/a", body, APPLY, fieldManager="one", dryRun="All"), 201
    )
    assert (answer.status, answer.reason) == (500, "")
    assert answer.message.endswith(".spec.nonsense: field not declared in schema")
    del body["spec"]["nonsense"]
    assert (await world.patch(f"{path}/a", body, APPLY, fieldManager="one")).status == 201


@case
async def what_has_another_type_than_its_schema_says_can_not_be_applied(world: World) -> None:
    path = f"{await _defined(world, 'Typed')}/a"

    async def apply(spec: Json) -> Answer:
        body = {**custom("Typed", "a"), "spec": {"size": 1, **spec}}
        return await world.patch(path, body, APPLY, fieldManager="one")

    # Its schema is known to apply a moment after it is served.
    await world.until_other(lambda: apply({"mode": "fast"}), 404)
    for spec, text in (
        ({"size": "x"}, ".spec.size: expected numeric (int or float), got string"),
        ({"size": True}, ".spec.size: expected numeric (int or float), got bool"),
        ({"image": 3}, ".spec.image: expected string, got "),
        ({"any": "x"}, ".spec.any: expected map, got &{x}"),
        ({"items": "x"}, ".spec.items: expected list, got &{x}"),
        ({"items": [{"name": "a"}, {"name": "a"}]}, '.spec.items: duplicate entries for key [name="a"]'),
        ({"items": [{"value": "a"}]}, ".spec.items: element 0: associative list with keys has an element"),
    ):
        answer = await apply(spec)
        assert (answer.status, answer.reason) == (500, ""), spec
        assert text in answer.message, answer.message
    assert (await apply({"size": 1.5})).status == 422
