"""Reading: lists, pages, selectors, versions, watches, tables."""

from tests.ports.backend import TABLE, World, case, slow_case
from tests.ports.objects import config_map, pod


async def _colored(world: World, **colors: str) -> None:
    for name, color in colors.items():
        body = config_map(name)
        body["metadata"]["labels"] = {"color": color}
        await world.made("configmaps", body)


def _names(answer: object) -> list[str]:
    listed: list[str] = [item["metadata"]["name"] for item in answer.body["items"]]  # type: ignore[attr-defined]
    return [name for name in listed if name != "kube-root-ca.crt"]


@case
async def a_list_has_the_objects_in_order_of_their_names(world: World) -> None:
    await _colored(world, b="x", a="x", c="x")
    answer = await world.get(world.path("configmaps"))
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMapList", "v1")
    assert _names(answer) == ["a", "b", "c"]
    assert "kind" not in answer.body["items"][0]


@case
async def labels_select(world: World) -> None:
    await _colored(world, a="red", b="blue", c="green")
    path = world.path("configmaps")
    for selector, names in {
        "color=red": ["a"],
        "color==red": ["a"],
        "color!=red,color": ["b", "c"],
        "color in (red, blue)": ["a", "b"],
        "color notin (red),color": ["b", "c"],
        "color": ["a", "b", "c"],
        "!color": [],
    }.items():
        assert _names(await world.get(path, labelSelector=selector)) == names, selector


@case
async def a_broken_label_selector_is_a_bad_request(world: World) -> None:
    answer = await world.get(world.path("configmaps"), labelSelector="a in (")
    assert (answer.status, answer.reason) == (400, "BadRequest")


@case
async def fields_select(world: World) -> None:
    await world.made("pods", pod("a", nodeName="n1"))
    await world.made("pods", pod("b"))
    path = world.path("pods")
    assert _names(await world.get(path, fieldSelector="metadata.name=b")) == ["b"]
    assert _names(await world.get(path, fieldSelector="spec.nodeName=n1")) == ["a"]
    assert _names(await world.get(path, fieldSelector="spec.nodeName=")) == ["b"]
    assert _names(await world.get(path, fieldSelector="status.phase=Pending,metadata.name!=a")) == ["b"]
    await world.delete(world.path("pods", "a"), {"gracePeriodSeconds": 0})


@case
async def an_unknown_field_selects_nothing_but_an_error(world: World) -> None:
    answer = await world.get(world.path("configmaps"), fieldSelector="data.x=1")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert "data.x" in answer.message


@case
async def pages_show_one_moment(world: World) -> None:
    await _colored(world, a="x", b="x", c="x")
    path = world.path("configmaps")
    first = await world.get(path, limit="2", labelSelector="color")
    assert _names(first) == ["a", "b"]
    await world.delete(f"{path}/c")
    await _colored(world, d="x")
    second = await world.get(path, limit="2", labelSelector="color", continue_=first.meta["continue"])
    assert _names(second) == ["c"]
    assert "continue" not in second.meta
    assert second.version == first.version


@case
async def a_page_says_how_many_remain(world: World) -> None:
    for name in "abc":
        await world.made("secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}})
    answer = await world.get(world.path("secrets"), limit="1")
    assert answer.meta["remainingItemCount"] == 2


@case
async def a_broken_continue_token_is_a_bad_request(world: World) -> None:
    answer = await world.get(world.path("configmaps"), limit="1", continue_="nonsense")
    assert (answer.status, answer.reason) == (400, "BadRequest")


@case
async def an_exact_version_shows_the_past(world: World) -> None:
    await _colored(world, a="x")
    before = await world.get(world.path("configmaps"))
    await _colored(world, b="x")
    asked = {"resourceVersion": before.version, "resourceVersionMatch": "Exact"}
    assert _names(await world.get(world.path("configmaps"), **asked)) == ["a"]


@case
async def a_match_needs_a_version(world: World) -> None:
    answer = await world.get(world.path("configmaps"), resourceVersionMatch="Exact")
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.causes == [("FieldValueForbidden", "resourceVersionMatch")]


@case
async def initial_events_need_a_match(world: World) -> None:
    answer = await world.get(world.path("configmaps"), watch="true", sendInitialEvents="true")
    assert (answer.status, answer.reason) == (422, "Invalid")


@case
async def a_watch_from_a_version_shows_what_came_later(world: World) -> None:
    await _colored(world, a="x")
    path = world.path("configmaps")
    version = (await world.get(path)).version
    await _colored(world, b="x")
    await world.patch(f"{path}/b", {"data": {"k": "v"}})
    await world.delete(f"{path}/b")
    async with world.watch(path, resourceVersion=version, labelSelector="color") as stream:
        seen = [
            (kind, obj["metadata"]["name"], obj["kind"], int(obj["metadata"]["resourceVersion"]))
            for kind, obj in await stream.take(3)
        ]
    assert [entry[:3] for entry in seen] == [
        ("ADDED", "b", "ConfigMap"),
        ("MODIFIED", "b", "ConfigMap"),
        ("DELETED", "b", "ConfigMap"),
    ]
    assert seen[0][3] < seen[1][3] < seen[2][3]


@case
async def a_watch_without_version_begins_with_what_is_there(world: World) -> None:
    await _colored(world, a="x")
    async with world.watch(world.path("configmaps"), labelSelector="color") as stream:
        kind, obj = await stream.next()
    assert (kind, obj["metadata"]["name"]) == ("ADDED", "a")


@case
async def a_watch_list_ends_its_beginning_with_a_bookmark(world: World) -> None:
    await _colored(world, a="x", b="x")
    asked = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "labelSelector": "color",
    }
    async with world.watch(world.path("configmaps"), **asked) as stream:
        seen = await stream.take(3)
    assert [(kind, obj["metadata"].get("name")) for kind, obj in seen[:2]] == [("ADDED", "a"), ("ADDED", "b")]
    kind, mark = seen[2]
    assert (kind, mark["kind"]) == ("BOOKMARK", "ConfigMap")
    assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


@case
async def an_object_that_leaves_a_selection_is_seen_to_go(world: World) -> None:
    await _colored(world, a="red")
    path = world.path("configmaps")
    version = (await world.get(path)).version
    lost = await world.patch(f"{path}/a", {"metadata": {"labels": {"color": "blue"}}})
    back = await world.patch(f"{path}/a", {"metadata": {"labels": {"color": "red"}}})
    async with world.watch(path, resourceVersion=version, labelSelector="color=red") as stream:
        seen = await stream.take(2)
    assert [kind for kind, _ in seen] == ["DELETED", "ADDED"]
    assert seen[0][1]["metadata"]["resourceVersion"] == lost.version
    assert seen[0][1]["metadata"]["labels"] == {"color": "red"}
    assert seen[1][1]["metadata"]["resourceVersion"] == back.version


@case
async def a_finalizers_end_is_a_deletion_event_of_the_last_stored_state(world: World) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["cafe.test/hold"]
    await world.made("configmaps", body)
    path = world.path("configmaps", "a")
    marked = await world.delete(path)
    await world.patch(path, {"metadata": {"finalizers": None}})
    async with world.watch(world.path("configmaps"), resourceVersion=marked.version) as stream:
        kind, obj = await stream.next()
    assert kind == "DELETED"
    assert int(obj["metadata"]["resourceVersion"]) > int(marked.version)
    assert obj["metadata"]["finalizers"] == ["cafe.test/hold"]


@slow_case
async def a_watch_ends_after_its_timeout(world: World) -> None:
    async with world.watch(world.path("configmaps"), timeoutSeconds="1", resourceVersion="0") as stream:
        seen = await stream.rest()
    assert {kind for kind, _ in seen} == {"ADDED"}


@case
async def a_table_has_the_columns_of_kubectl(world: World) -> None:
    await world.made("pods", pod("a"))
    answer = await world.send("GET", world.path("pods"), accept=TABLE)
    assert answer.body["kind"] == "Table"
    columns = [(column["name"], column["priority"]) for column in answer.body["columnDefinitions"]]
    assert columns == [
        ("Name", 0), ("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0), ("IP", 1), ("Node", 1),
        ("Nominated Node", 1), ("Readiness Gates", 1),
    ]  # fmt: skip
    row = answer.body["rows"][0]
    assert row["cells"][:4] == ["a", "0/1", "Pending", "0"]
    assert row["cells"][5:] == ["<none>"] * 4
    assert row["object"]["kind"] == "PartialObjectMetadata"


@case
async def metadata_can_be_had_alone(world: World) -> None:
    await _colored(world, a="x")
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    answer = await world.send("GET", world.path("configmaps"), accept=accept, labelSelector="color")
    assert answer.body["kind"] == "PartialObjectMetadataList"
    assert [sorted(item) for item in answer.body["items"]] == [["apiVersion", "kind", "metadata"]] or [
        sorted(item) for item in answer.body["items"]
    ] == [["metadata"]]


@case
async def an_unknown_representation_is_not_acceptable(world: World) -> None:
    answer = await world.send("GET", world.path("configmaps"), accept="text/nonsense")
    assert (answer.status, answer.reason) == (406, "NotAcceptable")


@case
async def a_future_version_is_too_large(world: World) -> None:
    answer = await world.get(world.path("configmaps"), resourceVersion="999999999999")
    assert (answer.status, answer.reason) == (504, "Timeout")
    assert ("ResourceVersionTooLarge", "") in answer.causes
