"""Watching: what a cache that must never miss a change relies on."""

from tests.ports.backend import STRATEGIC, TABLE, Json, World, case, slow_case
from tests.ports.objects import config_map, pod


def _labelled(name: str, **labels: str) -> Json:
    body = config_map(name)
    body["metadata"]["labels"] = labels
    return body


@case
async def a_live_watch_sees_each_write_with_its_version(world: World) -> None:
    path = world.path("configmaps")
    start = (await world.get(path)).version
    async with world.watch(path, resourceVersion=start, labelSelector="w") as stream:
        made = await world.made("configmaps", _labelled("a", w="1"))
        changed = await world.patch(f"{path}/a", {"data": {"x": "1"}})
        await world.delete(f"{path}/a")
        seen = await stream.take(3)
    assert [kind for kind, _ in seen] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [obj["metadata"]["resourceVersion"] for _, obj in seen]
    assert versions[:2] == [made.version, changed.version]
    assert int(versions[2]) > int(changed.version)
    assert seen[1][1] == changed.body


@case
async def a_write_that_changes_nothing_is_no_event(world: World) -> None:
    made = await world.made("configmaps", _labelled("a", w="1"))
    path = world.path("configmaps")
    async with world.watch(path, resourceVersion=made.version, labelSelector="w") as stream:
        await world.patch(f"{path}/a", {"metadata": {"labels": {"w": "1"}}})
        last = await world.patch(f"{path}/a", {"data": {"x": "1"}})
        kind, obj = await stream.next()
    assert (kind, obj["metadata"]["resourceVersion"]) == ("MODIFIED", last.version)


@case
async def a_dry_run_is_no_event(world: World) -> None:
    made = await world.made("configmaps", _labelled("a", w="1"))
    path = world.path("configmaps")
    async with world.watch(path, resourceVersion=made.version, labelSelector="w") as stream:
        await world.patch(f"{path}/a", {"data": {"x": "1"}}, dryRun="All")
        await world.delete(f"{path}/a", dryRun="All")
        last = await world.patch(f"{path}/a", {"data": {"x": "2"}})
        kind, obj = await stream.next()
    assert (kind, obj["metadata"]["resourceVersion"]) == ("MODIFIED", last.version)


@case
async def a_watch_from_the_present_list_misses_nothing_and_repeats_nothing(world: World) -> None:
    path = world.path("configmaps")
    await world.made("configmaps", _labelled("a", w="1"))
    listed = await world.get(path, labelSelector="w")
    await world.made("configmaps", _labelled("b", w="1"))
    async with world.watch(path, resourceVersion=listed.version, labelSelector="w") as stream:
        kind, obj = await stream.next()
    assert (kind, obj["metadata"]["name"]) == ("ADDED", "b")


@case
async def a_watch_list_of_nothing_is_one_bookmark(world: World) -> None:
    asked = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    before = (await world.get(world.path("secrets"))).version
    async with world.watch(world.path("secrets"), labelSelector="none=at-all", **asked) as stream:
        kind, mark = await stream.next()
    assert (kind, mark["kind"], mark["apiVersion"]) == ("BOOKMARK", "Secret", "v1")
    assert int(mark["metadata"]["resourceVersion"]) >= int(before)
    assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


@case
async def a_watch_list_goes_on_after_its_beginning(world: World) -> None:
    await world.made("configmaps", _labelled("a", w="1"))
    path = world.path("configmaps")
    asked = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with world.watch(path, labelSelector="w", **asked) as stream:
        seen = await stream.take(2)
        later = await world.made("configmaps", _labelled("b", w="1"))
        seen += await stream.take(1)
    assert [kind for kind, _ in seen] == ["ADDED", "BOOKMARK", "ADDED"]
    assert seen[2][1]["metadata"]["resourceVersion"] == later.version


@case
async def a_watch_list_without_bookmarks_never_says_that_its_beginning_is_over(world: World) -> None:
    await world.made("configmaps", _labelled("a", w="1"))
    path = world.path("configmaps")
    asked = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    async with world.watch(path, labelSelector="w", **asked) as stream:
        first = await stream.next()
        await world.patch(f"{path}/a", {"data": {"x": "1"}})
        second = await stream.next()
    assert (first[0], second[0]) == ("ADDED", "MODIFIED")


@case
async def one_object_is_watched_by_the_field_of_its_name(world: World) -> None:
    path = world.path("configmaps")
    start = (await world.get(path)).version
    await world.made("configmaps", config_map("a"))
    await world.made("configmaps", config_map("b"))
    async with world.watch(path, resourceVersion=start, fieldSelector="metadata.name=b") as stream:
        kind, obj = await stream.next()
    assert (kind, obj["metadata"]["name"]) == ("ADDED", "b")


@case
async def a_pod_is_lost_to_a_field_selection_when_the_field_changes(world: World) -> None:
    made = await world.made("pods", pod("a"))
    path = world.path("pods")
    selected = {"resourceVersion": made.version, "fieldSelector": "status.phase=Pending"}
    async with world.watch(path, **selected) as stream:
        await world.patch(f"{path}/a/status", {"status": {"phase": "Running"}}, STRATEGIC)
        kind, obj = await stream.next()
    assert (kind, obj["status"]["phase"]) == ("DELETED", "Pending")


@case
async def a_held_deletion_is_a_modification_first(world: World) -> None:
    body = _labelled("a", w="1")
    body["metadata"]["finalizers"] = ["cafe.test/hold"]
    made = await world.made("configmaps", body)
    path = world.path("configmaps")
    async with world.watch(path, resourceVersion=made.version, labelSelector="w") as stream:
        await world.delete(f"{path}/a")
        await world.patch(f"{path}/a", {"metadata": {"finalizers": None}})
        seen = await stream.take(2)
    assert [kind for kind, _ in seen] == ["MODIFIED", "DELETED"]
    assert "deletionTimestamp" in seen[0][1]["metadata"]


@case
async def a_watch_over_all_namespaces_sees_this_one(world: World) -> None:
    label = f"in={world.namespace}"
    start = (await world.get("/api/v1/configmaps", limit="1")).version
    async with world.watch("/api/v1/configmaps", resourceVersion=start, labelSelector=label) as stream:
        await world.made("configmaps", _labelled("a", **{"in": world.namespace}))
        kind, obj = await stream.next()
    assert (kind, obj["metadata"]["namespace"]) == ("ADDED", world.namespace)


@case
async def a_table_can_be_watched(world: World) -> None:
    made = await world.made("pods", pod("a"))
    path = world.path("pods")
    await world.patch(f"{path}/a", {"metadata": {"labels": {"x": "y"}}})
    async with world.watch(path, accept=TABLE, resourceVersion=made.version) as stream:
        kind, table = await stream.next()
    assert (kind, table["kind"]) == ("MODIFIED", "Table")
    assert table["rows"][0]["cells"][0] == "a"
    assert [column["name"] for column in table["columnDefinitions"]][:3] == ["Name", "Ready", "Status"]


@case
async def metadata_alone_can_be_watched(world: World) -> None:
    made = await world.made("configmaps", config_map("a", x="1"))
    accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    path = world.path("configmaps")
    await world.patch(f"{path}/a", {"data": {"x": "2"}})
    async with world.watch(path, accept=accept, resourceVersion=made.version) as stream:
        kind, obj = await stream.next()
    assert (kind, obj["kind"], obj["metadata"]["name"]) == ("MODIFIED", "PartialObjectMetadata", "a")
    assert "data" not in obj


@case
async def a_version_that_is_no_number_is_refused(world: World) -> None:
    path = world.path("configmaps")
    told = 'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'
    listed = await world.get(path, resourceVersion="x")
    assert (listed.status, listed.reason) == (400, "BadRequest")
    assert listed.message == f"invalid resource version: {told}"
    watched = await world.get(path, watch="true", resourceVersion="x")
    assert (watched.status, watched.reason, watched.message) == (500, "", told)


@slow_case
async def a_single_object_of_the_future_is_not_had(world: World) -> None:
    answer = await world.get(world.path("configmaps", "kube-root-ca.crt"), resourceVersion="999999999999")
    assert (answer.status, answer.reason) == (504, "Timeout")
    assert ("ResourceVersionTooLarge", "") in answer.causes


@slow_case
async def a_watch_ends_without_an_error_when_its_time_is_up(world: World) -> None:
    made = await world.made("configmaps", _labelled("a", w="1"))
    asked = {"resourceVersion": made.version, "labelSelector": "w", "timeoutSeconds": "1"}
    async with world.watch(world.path("configmaps"), **asked) as stream:
        assert await stream.rest() == []


@slow_case
async def a_watch_asked_for_bookmarks_gets_one_before_its_end(world: World) -> None:
    made = await world.made("configmaps", _labelled("a", w="1"))
    asked = {
        "resourceVersion": made.version, "labelSelector": "w", "timeoutSeconds": "3",
        "allowWatchBookmarks": "true",
    }  # fmt: skip
    async with world.watch(world.path("configmaps"), **asked) as stream:
        seen = await stream.rest()
    assert {kind for kind, _ in seen} == {"BOOKMARK"}
    assert int(seen[-1][1]["metadata"]["resourceVersion"]) >= int(made.version)


@case
async def a_list_at_version_zero_has_the_present(world: World) -> None:
    made = await world.made("configmaps", _labelled("a", w="1"))
    await world.until(world.path("configmaps", "a"), lambda found: found.version == made.version)
    answer = await world.get(
        world.path("configmaps"),
        resourceVersion=made.version,
        resourceVersionMatch="NotOlderThan",
        labelSelector="w",
    )
    assert [item["metadata"]["name"] for item in answer.body["items"]] == ["a"]
    assert int(answer.version) >= int(made.version)


@case
async def a_get_at_version_zero_may_be_late_but_comes(world: World) -> None:
    """The real server answers it from its watch cache."""
    await world.made("configmaps", config_map("a"))
    for _ in range(200):
        answer = await world.get(world.path("configmaps", "a"), resourceVersion="0")
        if answer.status == 200:
            break
        await world.pause()
    assert answer.status == 200
