"""Deleting: finalizers, grace, preconditions, propagation, namespaces."""

from datetime import datetime, timedelta

from tests.ports.backend import World, case
from tests.ports.objects import config_map, deployment, pod


def _held(name: str) -> dict[str, object]:
    body = config_map(name)
    body["metadata"]["finalizers"] = ["cafe.test/hold"]
    return body


@case
async def a_delete_answers_with_a_status(world: World) -> None:
    made = await world.made("configmaps", config_map("a"))
    answer = await world.delete(world.path("configmaps", "a"))
    assert answer.status == 200
    assert answer.body["status"] == "Success"
    assert answer.body["details"] == {"name": "a", "kind": "configmaps", "uid": made.meta["uid"]}


@case
async def a_deleted_service_is_answered_with_itself(world: World) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}]},
    }
    await world.made("services", body)
    answer = await world.delete(world.path("services", "s"))
    assert (answer.status, answer.body["kind"]) == (200, "Service")


@case
async def a_finalizer_holds_an_object(world: World) -> None:
    made = await world.made("configmaps", _held("a"))
    path = world.path("configmaps", "a")
    marked = await world.delete(path)
    assert (marked.status, marked.meta["deletionGracePeriodSeconds"]) == (200, 0)
    assert "deletionTimestamp" in marked.meta
    assert int(marked.version) > int(made.version)
    assert (await world.delete(path)).version == marked.version
    assert (await world.get(path)).status == 200
    freed = await world.patch(path, {"metadata": {"finalizers": None}})
    assert (freed.status, (await world.get(path)).status) == (200, 404)


@case
async def no_finalizer_can_be_added_to_what_is_being_deleted(world: World) -> None:
    await world.made("configmaps", _held("a"))
    path = world.path("configmaps", "a")
    await world.delete(path)
    answer = await world.patch(path, {"metadata": {"finalizers": ["cafe.test/hold", "cafe.test/more"]}})
    assert (answer.status, set(answer.causes)) == (422, {("FieldValueForbidden", "metadata.finalizers")})
    await world.patch(path, {"metadata": {"finalizers": None}})


@case
async def a_deletion_mark_cannot_be_taken_back(world: World) -> None:
    await world.made("configmaps", _held("a"))
    path = world.path("configmaps", "a")
    marked = await world.delete(path)
    answer = await world.patch(path, {"metadata": {"deletionTimestamp": None}})
    assert answer.meta["deletionTimestamp"] == marked.meta["deletionTimestamp"]
    await world.patch(path, {"metadata": {"finalizers": None}})


@case
async def a_name_is_taken_until_its_object_is_gone(world: World) -> None:
    await world.made("configmaps", _held("a"))
    path = world.path("configmaps", "a")
    await world.delete(path)
    answer = await world.post(world.path("configmaps"), config_map("a"))
    assert (answer.status, answer.reason) == (409, "AlreadyExists")
    assert answer.message == 'object is being deleted: configmaps "a" already exists'
    await world.patch(path, {"metadata": {"finalizers": None}})


@case
async def a_delete_may_name_the_uid(world: World) -> None:
    made = await world.made("configmaps", config_map("a"))
    path = world.path("configmaps", "a")
    other = {"preconditions": {"uid": "00000000-0000-4000-8000-000000000000"}}
    answer = await world.delete(path, other)
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert (await world.delete(path, {"preconditions": {"uid": made.meta["uid"]}})).status == 200


@case
async def a_delete_may_name_the_version(world: World) -> None:
    made = await world.made("configmaps", config_map("a", x="1"))
    path = world.path("configmaps", "a")
    await world.patch(path, {"data": {"x": "2"}})
    answer = await world.delete(path, {"preconditions": {"resourceVersion": made.version}})
    assert (answer.status, answer.reason) == (409, "Conflict")


@case
async def a_foreground_deletion_is_a_finalizer(world: World) -> None:
    body = deployment("d")
    body["metadata"]["finalizers"] = ["cafe.test/hold"]
    await world.made("deployments", body, "apps/v1")
    path = world.path("deployments", "d", api="apps/v1")
    answer = await world.delete(path, {"propagationPolicy": "Foreground"})
    assert set(answer.meta["finalizers"]) == {"cafe.test/hold", "foregroundDeletion"}
    await world.patch(path, {"metadata": {"finalizers": None}})


@case
async def an_orphaning_deletion_is_a_finalizer(world: World) -> None:
    body = deployment("d")
    body["metadata"]["finalizers"] = ["cafe.test/hold"]
    await world.made("deployments", body, "apps/v1")
    path = world.path("deployments", "d", api="apps/v1")
    answer = await world.delete(path, {"propagationPolicy": "Orphan"})
    assert "orphan" in answer.meta["finalizers"]
    await world.patch(path, {"metadata": {"finalizers": None}})


@case
async def an_unknown_propagation_is_invalid(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    answer = await world.delete(world.path("configmaps", "a"), {"propagationPolicy": "Sideways"})
    assert (answer.status, answer.reason) == (422, "Invalid")


@case
async def a_deletion_mark_raises_the_generation(world: World) -> None:
    body = deployment("d")
    body["metadata"]["finalizers"] = ["cafe.test/hold"]
    await world.made("deployments", body, "apps/v1")
    path = world.path("deployments", "d", api="apps/v1")
    assert (await world.delete(path)).meta["generation"] == 2
    await world.patch(path, {"metadata": {"finalizers": None}})


@case
async def an_unscheduled_pod_goes_at_once(world: World) -> None:
    await world.made("pods", pod("a"))
    path = world.path("pods", "a")
    answer = await world.delete(path)
    assert (answer.status, answer.body["kind"]) == (200, "Pod")
    assert (await world.get(path)).status == 404


@case
async def a_scheduled_pod_gets_its_grace(world: World) -> None:
    await world.made("pods", pod("a", nodeName="no-such-node", terminationGracePeriodSeconds=40))
    path = world.path("pods", "a")
    marked = await world.delete(path)
    assert (marked.status, marked.meta["deletionGracePeriodSeconds"]) == (200, 40)
    longer = await world.delete(path, {"gracePeriodSeconds": 100})
    assert longer.meta["deletionGracePeriodSeconds"] == 40
    shorter = await world.delete(path, {"gracePeriodSeconds": 5})
    assert shorter.meta["deletionGracePeriodSeconds"] == 5
    assert (await world.delete(path, {"gracePeriodSeconds": 0})).status == 200
    assert (await world.get(path)).status == 404


@case
async def a_collection_is_deleted_by_selector(world: World) -> None:
    for name, color in (("a", "red"), ("b", "blue")):
        body = config_map(name)
        body["metadata"]["labels"] = {"color": color}
        await world.made("configmaps", body)
    answer = await world.delete(world.path("configmaps"), labelSelector="color=red")
    assert answer.status == 200
    assert (await world.get(world.path("configmaps", "a"))).status == 404
    assert (await world.get(world.path("configmaps", "b"))).status == 200


@case
async def a_terminating_namespace_takes_nothing_new(world: World) -> None:
    await world.made("configmaps", _held("a"))
    marked = await world.delete(f"/api/v1/namespaces/{world.namespace}")
    assert (marked.status, marked.body["status"]["phase"]) == (200, "Terminating")
    answer = await world.post(world.path("configmaps"), config_map("b"))
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.causes == [("NamespaceTerminating", "metadata.namespace")]
    assert answer.message == (
        f'configmaps "b" is forbidden: unable to create new content in namespace {world.namespace} '
        "because it is being terminated"
    )
    await world.patch(world.path("configmaps", "a"), {"metadata": {"finalizers": None}})


@case
async def the_default_namespace_stays(world: World) -> None:
    answer = await world.delete("/api/v1/namespaces/default")
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message == 'namespaces "default" is forbidden: this namespace may not be deleted'


@case
async def the_query_of_a_delete_with_a_body_is_ignored(world: World) -> None:
    """Who asks for a rehearsal in the query and sends a body as well deletes in earnest."""
    await world.made("configmaps", config_map("a"))
    path = world.path("configmaps", "a")
    assert (await world.delete(path, {"dryRun": ["All"]})).status == 200
    assert (await world.get(path)).status == 200
    assert (await world.delete(path, {}, dryRun="All")).status == 200
    assert (await world.get(path)).status == 404


@case
async def a_pod_that_goes_at_once_is_marked_first(world: World) -> None:
    """Watches see it change before they see it go, so a cache may meet it as terminating."""
    made = await world.made("pods", pod("a"))
    gone = await world.delete(world.path("pods", "a"))
    assert (gone.meta["generation"], gone.meta["deletionGracePeriodSeconds"]) == (2, 0)
    async with world.watch(world.path("pods"), resourceVersion=made.version) as stream:
        seen = await stream.take(2)
    assert [kind for kind, _ in seen] == ["MODIFIED", "DELETED"]
    assert all(obj["metadata"]["deletionGracePeriodSeconds"] == 0 for _, obj in seen)
    assert seen[1][1]["metadata"]["resourceVersion"] == gone.version


@case
async def a_shorter_grace_counts_from_the_first_delete(world: World) -> None:
    made = await world.made("pods", pod("a", nodeName="no-such-node"))
    path = world.path("pods", "a")
    first = await world.delete(path, {"gracePeriodSeconds": 20})
    second = await world.delete(path, {"gracePeriodSeconds": 5})
    ends = [datetime.fromisoformat(answer.meta["deletionTimestamp"]) for answer in (first, second)]
    assert ends[0] - ends[1] == timedelta(seconds=15)
    last = await world.delete(path, {"gracePeriodSeconds": 0})
    assert int(last.version) > int(second.version)
    async with world.watch(world.path("pods"), resourceVersion=made.version) as stream:
        seen = await stream.take(4)
    found = [(kind, obj["metadata"]["deletionGracePeriodSeconds"]) for kind, obj in seen]
    assert found == [("MODIFIED", 20), ("MODIFIED", 5), ("MODIFIED", 0), ("DELETED", 0)]
