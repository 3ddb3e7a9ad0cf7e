"""A field given twice in one body: which one counts, and who is told."""

from tests.ports.backend import APPLY, JSON_PATCH, MERGE, STRATEGIC, World, case
from tests.ports.objects import config_map

TWICE = (
    b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"x":"1","x":"2"}},'
    b'"data":{"x":"1","x":"2"},"data":{"y":"3"}}'
)
ALIKE = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"1"},"data":{"x":"1"}}'


@case
async def of_a_field_given_twice_the_last_counts_and_maps_add_up(world: World) -> None:
    made = await world.post(world.path("configmaps"), TWICE)
    assert (made.status, made.body["data"]) == (201, {"x": "2", "y": "3"})
    assert made.meta["labels"] == {"x": "2"}


@case
async def a_field_given_twice_is_warned_of(world: World) -> None:
    made = await world.post(world.path("configmaps"), ALIKE)
    assert (made.status, made.headers["warning"]) == (201, '299 - "duplicate field \\"data\\""')


@case
async def a_field_given_twice_is_refused_under_strict_validation(world: World) -> None:
    answer = await world.post(world.path("configmaps"), TWICE, fieldValidation="Strict")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'duplicate field "metadata.labels.x", duplicate field "data.x", duplicate field "data"'
    )


@case
async def a_field_given_twice_may_be_ignored(world: World) -> None:
    made = await world.post(world.path("configmaps"), TWICE, fieldValidation="Ignore")
    assert (made.status, "warning" in made.headers) == (201, False)


@case
async def a_put_with_a_field_given_twice_is_refused_likewise(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    answer = await world.put(world.path("configmaps", "a"), ALIKE, fieldValidation="Strict")
    assert answer.message.endswith('strict decoding error: duplicate field "data"')


@case
async def of_a_patch_that_gives_a_field_twice_only_the_last_counts(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    path = world.path("configmaps", "a")
    for media in (MERGE, STRATEGIC):
        answer = await world.send("PATCH", path, TWICE, media)
        assert (answer.status, answer.body["data"]) == (200, {"y": "3"})
        await world.put(path, config_map("a"))


@case
async def a_patch_that_gives_a_field_twice_is_invalid_under_strict_validation(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    path = world.path("configmaps", "a")
    steps = b'[{"op":"add","op":"add","path":"/data","value":{"x":"1","x":"2"}}]'
    for media, body in ((MERGE, ALIKE), (STRATEGIC, ALIKE), (JSON_PATCH, steps)):
        answer = await world.send("PATCH", path, body, media, fieldValidation="Strict")
        assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "patch")])
        assert "duplicate field" in answer.message


@case
async def a_configuration_that_gives_a_field_twice_is_refused_under_strict_validation(world: World) -> None:
    path = world.path("configmaps", "a")
    query = {"fieldManager": "one", "fieldValidation": "Strict"}
    answer = await world.send("PATCH", path, ALIKE, APPLY, **query)
    assert answer.status == 400
    assert answer.message == (
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
        '  line 1: key "data" already set in map'
    )
