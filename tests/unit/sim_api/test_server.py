from datetime import timedelta

import pytest

from cafe_sim.contract import ApiError, StoreEvent
from cafe_sim.timeline import ManualTimeline
from tests.ports.objects import config_map, deployment, pod
from tests.unit.sim_api.worlds import events, new_sim

MAPS = "/api/v1/namespaces/default/configmaps"


def test_steps_of_one_instant_run_in_the_order_in_which_they_were_planned() -> None:
    timeline, seen = ManualTimeline(), list[str]()
    timeline.after(timedelta(seconds=2), lambda: seen.append("late"))
    timeline.after(timedelta(seconds=1), lambda: seen.append("first"))
    timeline.after(timedelta(seconds=1), lambda: timeline.soon(lambda: seen.append("third")))
    timeline.after(timedelta(seconds=1), lambda: seen.append("second"))
    cancelled = timeline.after(timedelta(seconds=1), lambda: seen.append("never"))
    cancelled.cancel()
    timeline.advance(timedelta(seconds=1))
    assert seen == ["first", "second", "third"]
    timeline.advance(timedelta(seconds=1))
    assert seen == ["first", "second", "third", "late"]


def test_equal_histories_give_equal_worlds() -> None:
    stores = []
    for _ in range(2):
        sim = new_sim()
        sim.server.create("deployments.apps", "default", deployment("d"))
        sim.server.create("pods", "default", {**pod(""), "metadata": {"generateName": "p-"}})
        sim.send(
            "PATCH", f"{MAPS}/x", config_map("x", a="b"), "application/apply-patch+yaml", fieldManager="m"
        )
        listed = ("deployments.apps", "pods", "configmaps")
        stores.append([sim.server.list(resource) for resource in listed])
    assert stores[0] == stores[1]


def test_subscribers_hear_of_commits_in_steps_of_their_own() -> None:
    sim, heard = new_sim(), list[StoreEvent]()
    sim.server.subscribe("configmaps", heard.append)
    sim.server.create("configmaps", "default", config_map("a"))
    sim.server.patch("configmaps", "default", "a", {"data": {"x": "1"}})
    sim.server.delete("configmaps", "default", "a")
    assert heard == []
    sim.timeline.run_until_idle()
    assert [event.type for event in heard] == ["ADDED", "MODIFIED", "DELETED"]
    assert heard[1].old is heard[0].new


def test_the_parts_of_an_object_that_a_write_leaves_alone_are_shared() -> None:
    sim = new_sim()
    before = sim.server.create("pods", "default", pod("a"))
    after = sim.server.patch("pods", "default", "a", {"status": {"phase": "Running"}}, "status")
    assert after["spec"] is before["spec"]
    whole = sim.server.update(
        "pods", "default", {**after, "metadata": {**after["metadata"], "labels": {"x": "y"}}}
    )
    assert whole["spec"] is before["spec"]


def test_the_callers_object_is_never_changed() -> None:
    sim, body = new_sim(), pod("a")
    copy = {**body, "metadata": dict(body["metadata"]), "spec": dict(body["spec"])}
    sim.server.create("pods", "default", body)
    assert body == copy


def test_a_refusal_carries_what_the_real_server_says() -> None:
    sim = new_sim()
    with pytest.raises(ApiError) as caught:
        sim.server.create("pods", "default", pod("a", containers=[]))
    assert (caught.value.status, caught.value.reason) == (422, "Invalid")
    assert caught.value.causes[0]["field"] == "spec.containers"


def test_a_watch_from_before_the_history_is_told_that_it_is_too_old() -> None:
    sim = new_sim(history=3)
    version = sim.server.create("configmaps", "default", config_map("a"))["metadata"]["resourceVersion"]
    for number in range(5):
        sim.server.patch("configmaps", "default", "a", {"data": {"n": str(number)}})
    watch = sim.watch(MAPS, resourceVersion=version)
    ((kind, status),) = events(watch)
    assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert status["message"].startswith(f"too old resource version: {version} (")
    assert watch.is_over


def test_an_expired_continue_token_offers_another() -> None:
    sim = new_sim(history=3)
    for name in "abc":
        sim.server.create("configmaps", "default", config_map(name))
    page = sim.send("GET", MAPS, limit="1")
    for number in range(5):
        sim.server.patch("configmaps", "default", "a", {"data": {"n": str(number)}})
    late = sim.send("GET", MAPS, limit="5", continue_=page.meta["continue"])
    assert (late.status, late.reason) == (410, "Expired")
    rest = sim.send("GET", MAPS, limit="5", continue_=late.meta["continue"])
    assert [item["metadata"]["name"] for item in rest.body["items"]] == ["b", "c"]


def test_a_quiet_watch_is_told_how_far_the_world_has_got() -> None:
    sim = new_sim()
    watch = sim.watch(MAPS, allowWatchBookmarks="true")
    made = sim.server.create("secrets", "default", {"metadata": {"name": "s"}})
    sim.timeline.advance(timedelta(seconds=61))
    ((kind, mark),) = events(watch)
    assert (kind, mark["metadata"]["resourceVersion"]) == ("BOOKMARK", made["metadata"]["resourceVersion"])


def test_a_watch_that_ends_listens_no_more() -> None:
    sim = new_sim()
    watch = sim.watch(MAPS, timeoutSeconds="5")
    table = sim.server.store.table("configmaps")
    assert table.listeners == 1
    sim.timeline.advance(timedelta(seconds=6))
    assert (watch.is_over, table.listeners) == (True, 0)


def test_a_pod_with_a_finalizer_stays_until_it_is_cleared() -> None:
    sim = new_sim()
    body = pod("a")
    body["metadata"]["finalizers"] = ["cafe.test/traffic"]
    sim.server.create("pods", "default", body)
    marked = sim.server.delete("pods", "default", "a")
    assert marked is not None
    assert marked["metadata"]["deletionTimestamp"] == "2030-01-01T00:00:00Z"
    sim.server.patch("pods", "default", "a", {"metadata": {"finalizers": None}})
    assert sim.server.get("pods", "default", "a") is None


def test_a_namespace_goes_once_it_is_finalized() -> None:
    sim = new_sim()
    sim.server.create("namespaces", "", {"metadata": {"name": "n"}})
    marked = sim.server.delete("namespaces", "", "n")
    assert marked is not None
    sim.server.update("namespaces", "", {**marked, "spec": {}}, "finalize")
    assert sim.server.get("namespaces", "", "n") is None


def test_an_event_is_one_object_in_two_groups() -> None:
    sim = new_sim()
    new = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "regarding": {"kind": "Pod", "name": "a", "namespace": "default"},
        "note": "hello",
        "reason": "Because",
        "type": "Normal",
        "action": "Acting",
        "eventTime": "2030-01-01T00:00:00.000000Z",
        "reportingController": "cafe.test/x",
        "reportingInstance": "x-1",
    }
    sim.send("POST", "/apis/events.k8s.io/v1/namespaces/default/events", new)
    old = sim.send("GET", "/api/v1/namespaces/default/events/e").body
    assert (old["apiVersion"], old["message"], old["involvedObject"]["name"]) == ("v1", "hello", "a")
    shown = sim.send("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e").body
    assert (shown["apiVersion"], shown["note"], shown["regarding"]["name"]) == (
        "events.k8s.io/v1",
        "hello",
        "a",
    )


def test_a_budget_refuses_evictions_beyond_it() -> None:
    sim = new_sim()
    for name in ("a", "b"):
        sim.server.create("pods", "default", pod(name, labels={"app": "x"}, nodeName="n"))
        ready = [{"type": "Ready", "status": "True"}]
        sim.server.patch(
            "pods", "default", name, {"status": {"phase": "Running", "conditions": ready}}, "status"
        )
    budget = {
        "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}},
    }
    sim.server.create("poddisruptionbudgets.policy", "default", budget)
    status = {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1}
    sim.server.patch("poddisruptionbudgets.policy", "default", "b", {"status": status}, "status")
    sim.server.create_subresource("pods", "default", "a", "eviction", {})
    with pytest.raises(ApiError) as caught:
        sim.server.create_subresource("pods", "default", "b", "eviction", {})
    assert (caught.value.status, caught.value.reason) == (429, "TooManyRequests")
    assert caught.value.causes[0]["reason"] == "DisruptionBudget"


def test_a_definition_takes_its_objects_with_it() -> None:
    from tests.ports.objects import custom, definition  # noqa: PLC0415 -- here alone

    sim = new_sim()
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    sim.send("POST", path, definition("Thing"))
    things = "/apis/ports.cafe.test/v1/namespaces/default/things"
    assert sim.send("POST", things, custom("Thing", "a", size=1)).status == 201
    watch = sim.watch(things)
    assert sim.send("DELETE", f"{path}/things.ports.cafe.test").status == 200
    assert [kind for kind, _ in events(watch)] == ["ADDED", "DELETED"]
    assert sim.send("GET", f"{path}/things.ports.cafe.test").status == 404
    assert sim.send("GET", things).status == 404
