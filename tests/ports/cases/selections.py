"""Watches with selectors: what is entered, left, and seen only in passing."""

from tests.ports.backend import Json, Watched, World, case
from tests.ports.objects import config_map, pod


def _marked(name: str, **labels: str) -> Json:
    body = config_map(name)
    body["metadata"]["labels"] = labels
    return body


async def _seen(stream: Watched, count: int) -> list[tuple[str, str]]:
    return [(kind, obj["metadata"]["name"]) for kind, obj in await stream.take(count)]


@case
async def an_object_enters_and_leaves_a_selection(world: World) -> None:
    start = (await world.get(world.path("configmaps"))).version
    path = world.path("configmaps", "a")
    await world.made("configmaps", _marked("a", x="1"))
    for value in ("2", "1", "2"):
        await world.patch(path, {"metadata": {"labels": {"x": value}}})
    await world.made("configmaps", _marked("z", x="1"))
    query = {"labelSelector": "x=1", "resourceVersion": start}
    async with world.watch(world.path("configmaps"), **query) as stream:
        assert await _seen(stream, 5) == [
            ("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("DELETED", "a"), ("ADDED", "z"),
        ]  # fmt: skip


@case
async def what_leaves_a_selection_is_shown_as_it_was_with_the_version_of_its_leaving(world: World) -> None:
    start = (await world.get(world.path("configmaps"))).version
    await world.made("configmaps", _marked("a", x="1"))
    left = await world.patch(world.path("configmaps", "a"), {"metadata": {"labels": {"x": "2"}}})
    query = {"labelSelector": "x=1", "resourceVersion": start}
    async with world.watch(world.path("configmaps"), **query) as stream:
        _, (kind, obj) = await stream.take(2)
    assert (kind, obj["metadata"]["labels"]) == ("DELETED", {"x": "1"})
    assert obj["metadata"]["resourceVersion"] == left.version


@case
async def what_was_never_selected_is_never_seen_to_go(world: World) -> None:
    start = (await world.get(world.path("configmaps"))).version
    await world.made("configmaps", _marked("a", x="2"))
    await world.delete(world.path("configmaps", "a"))
    await world.made("configmaps", _marked("z", x="1"))
    query = {"labelSelector": "x=1", "resourceVersion": start}
    async with world.watch(world.path("configmaps"), **query) as stream:
        assert await _seen(stream, 1) == [("ADDED", "z")]


@case
async def a_deletion_of_what_has_left_is_not_seen_again(world: World) -> None:
    start = (await world.get(world.path("configmaps"))).version
    await world.made("configmaps", _marked("a", x="1"))
    await world.patch(world.path("configmaps", "a"), {"metadata": {"labels": None}})
    await world.delete(world.path("configmaps", "a"))
    await world.made("configmaps", _marked("z", x="1"))
    query = {"labelSelector": "x=1", "resourceVersion": start}
    async with world.watch(world.path("configmaps"), **query) as stream:
        assert await _seen(stream, 3) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "z")]


@case
async def a_selection_by_absence_is_entered_by_losing_a_label(world: World) -> None:
    start = (await world.get(world.path("configmaps"))).version
    await world.made("configmaps", _marked("a", run="me", x="1"))
    path = world.path("configmaps", "a")
    await world.patch(path, {"metadata": {"labels": {"x": None}}})
    await world.patch(path, {"metadata": {"labels": {"x": ""}}})
    query = {"labelSelector": "run=me,!x", "resourceVersion": start}
    async with world.watch(world.path("configmaps"), **query) as stream:
        assert await _seen(stream, 2) == [("ADDED", "a"), ("DELETED", "a")]


@case
async def a_change_within_a_selection_is_a_modification(world: World) -> None:
    start = (await world.get(world.path("configmaps"))).version
    await world.made("configmaps", _marked("a", x="1"))
    await world.patch(world.path("configmaps", "a"), {"metadata": {"labels": {"x": "2"}}})
    query = {"labelSelector": "x in (1,2)", "resourceVersion": start}
    async with world.watch(world.path("configmaps"), **query) as stream:
        assert await _seen(stream, 2) == [("ADDED", "a"), ("MODIFIED", "a")]


@case
async def two_selectors_select_what_both_do(world: World) -> None:
    start = (await world.get(world.path("pods"))).version
    await world.made("pods", pod("a", labels={"x": "1"}))
    await world.made("pods", pod("b", labels={"x": "1"}))
    query = {"labelSelector": "x=1", "fieldSelector": "metadata.name=b", "resourceVersion": start}
    async with world.watch(world.path("pods"), **query) as stream:
        assert await _seen(stream, 1) == [("ADDED", "b")]


@case
async def a_pod_enters_a_field_selection_by_its_binding(world: World) -> None:
    start = (await world.get(world.path("pods"))).version
    await world.made("pods", pod("a"))
    target = {"apiVersion": "v1", "kind": "Node", "name": "no-such-node"}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}, "target": target}
    assert (await world.post(world.path("pods", "a", sub="binding"), body)).status == 201
    query = {"fieldSelector": "spec.nodeName=no-such-node", "resourceVersion": start}
    async with world.watch(world.path("pods"), **query) as stream:
        assert await _seen(stream, 1) == [("ADDED", "a")]
    await world.delete(world.path("pods", "a"), {"gracePeriodSeconds": 0})
