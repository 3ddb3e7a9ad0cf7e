"""Garbage collection: what becomes of dependents when owners go, in each mode, once all is settled."""

from tests.ports.backend import Answer, Json, World, case
from tests.ports.objects import config_map

NOBODY = "00000000-0000-4000-8000-000000000000"


def _reference(owner: Answer, **more: object) -> Json:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner.meta["name"], "uid": owner.meta["uid"], **more,
    }  # fmt: skip


async def _owned(world: World, name: str, *references: Json, finalizers: tuple[str, ...] = ()) -> Answer:
    body = config_map(name)
    body["metadata"] |= {"ownerReferences": list(references), "finalizers": list(finalizers)}
    return await world.made("configmaps", body)


async def _gone(world: World, name: str) -> None:
    await world.until(world.path("configmaps", name), lambda found: found.status == 404)


@case
async def in_the_background_dependents_follow_their_owner(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    await _owned(world, "a", _reference(owner))
    answer = await world.delete(world.path("configmaps", "owner"), {"propagationPolicy": "Background"})
    assert (answer.status, answer.body["status"]) == (200, "Success")
    await _gone(world, "a")


@case
async def orphans_stay_and_forget_their_owner(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    await _owned(world, "a", _reference(owner))
    marked = await world.delete(world.path("configmaps", "owner"), {"propagationPolicy": "Orphan"})
    assert marked.meta["finalizers"] == ["orphan"]
    await _gone(world, "owner")
    assert "ownerReferences" not in (await world.get(world.path("configmaps", "a"))).meta


@case
async def in_the_foreground_an_owner_waits_for_dependents_that_block(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    await _owned(world, "a", _reference(owner, blockOwnerDeletion=True), finalizers=("cafe.test/hold",))
    path = world.path("configmaps", "owner")
    marked = await world.delete(path, {"propagationPolicy": "Foreground"})
    assert marked.meta["finalizers"] == ["foregroundDeletion"]
    held = world.path("configmaps", "a")
    await world.until(held, lambda found: "deletionTimestamp" in found.meta)
    assert (await world.get(path)).status == 200
    await world.patch(held, {"metadata": {"finalizers": None}})
    await _gone(world, "owner")


@case
async def in_the_foreground_an_owner_does_not_wait_for_dependents_that_do_not_block(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    await _owned(world, "a", _reference(owner), finalizers=("cafe.test/hold",))
    await world.delete(world.path("configmaps", "owner"), {"propagationPolicy": "Foreground"})
    await _gone(world, "owner")
    held = world.path("configmaps", "a")
    await world.until(held, lambda found: "deletionTimestamp" in found.meta)
    await world.patch(held, {"metadata": {"finalizers": None}})


@case
async def a_foreground_deletion_reaches_grandchildren_first(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    child = await _owned(world, "child", _reference(owner, blockOwnerDeletion=True))
    await _owned(world, "grandchild", _reference(child, blockOwnerDeletion=True))
    await world.delete(world.path("configmaps", "owner"), {"propagationPolicy": "Foreground"})
    await _gone(world, "owner")
    for name in ("child", "grandchild"):
        assert (await world.get(world.path("configmaps", name))).status == 404


@case
async def a_dependent_of_two_owners_lives_as_long_as_one_does(world: World) -> None:
    first = await world.made("configmaps", config_map("first"))
    second = await world.made("configmaps", config_map("second"))
    await _owned(world, "a", _reference(first), _reference(second))
    await world.delete(world.path("configmaps", "first"))
    path = world.path("configmaps", "a")
    left = await world.until(path, lambda found: len(found.meta["ownerReferences"]) == 1)
    assert left.meta["ownerReferences"][0]["name"] == "second"
    await world.delete(world.path("configmaps", "second"))
    await _gone(world, "a")


@case
async def an_owner_that_never_was_is_one_that_went(world: World) -> None:
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": NOBODY}
    await _owned(world, "a", reference)
    await _gone(world, "a")


@case
async def a_namesake_of_the_owner_is_not_the_owner(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    await _owned(world, "a", {**_reference(owner), "uid": NOBODY})
    await _gone(world, "a")
    assert (await world.get(world.path("configmaps", "owner"))).status == 200


@case
async def a_finalizer_of_a_dependent_outlives_the_owner(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    await _owned(world, "a", _reference(owner), finalizers=("cafe.test/hold",))
    await world.delete(world.path("configmaps", "owner"))
    path = world.path("configmaps", "a")
    marked = await world.until(path, lambda found: "deletionTimestamp" in found.meta)
    assert marked.meta["finalizers"] == ["cafe.test/hold"]
    assert len(marked.meta["ownerReferences"]) == 1
    await world.patch(path, {"metadata": {"finalizers": None}})
    await _gone(world, "a")


@case
async def a_later_mode_replaces_an_earlier_one(world: World) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["cafe.test/hold"]
    await world.made("configmaps", body)
    path = world.path("configmaps", "a")
    await world.delete(path, {"propagationPolicy": "Foreground"})
    answer = await world.delete(path, {"propagationPolicy": "Background"})
    assert answer.meta["finalizers"] == ["cafe.test/hold"]
    await world.patch(path, {"metadata": {"finalizers": None}})


@case
async def a_mode_and_orphan_dependents_exclude_each_other(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    options = {"propagationPolicy": "Background", "orphanDependents": True}
    answer = await world.delete(world.path("configmaps", "a"), options)
    assert (answer.status, answer.reason) == (422, "Invalid")


@case
async def an_owner_reference_must_be_whole(world: World) -> None:
    body = config_map("a")
    body["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "", "name": "", "uid": ""}]
    answer = await world.post(world.path("configmaps"), body)
    fields = {field.rpartition(".")[2] for _, field in answer.causes}
    assert (answer.status, fields) == (422, {"kind", "name", "uid"})


@case
async def only_one_owner_is_the_controller(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    body = config_map("a")
    first = _reference(owner, controller=True)
    body["metadata"]["ownerReferences"] = [first, {**first, "name": "other", "uid": NOBODY}]
    answer = await world.post(world.path("configmaps"), body)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.ownerReferences")])
