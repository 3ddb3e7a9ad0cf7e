"""The cache becomes and stays equal to the world, whatever the connection does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from cafe.kernel import ObjectKey, Unavailable
from cafe.kube.cache import Cache
from cafe.kube.caches import Caches
from cafe.kube.client import Client
from cafe.kube.indexes import by_controller
from cafe.kube.informer import Informer, InformerSettings, Selection
from cafe.kube.interning import Pool
from cafe.kube.objects import PODS, Condition, ObjectMeta, Pod, PodStatus
from cafe.kube.transport import Request, Response
from tests.worlds.clock import LoopClock, SeededEntropy, eventually, in_virtual_time
from tests.worlds.scripted_api import CUT, END, ScriptedApi, event_line, pod, status

BASE = "/api/v1/pods"
KEY = ObjectKey("default", "a")


def path(name: str) -> str:
    return f"{BASE}/{name}"


def names(cache: Cache[Pod]) -> list[str]:
    return sorted(item.metadata.name for item in cache)


def seen_by(cache: Cache[Pod]) -> list[str]:
    """A list that grows with what the cache tells: +added, ~changed, -deleted."""
    told: list[str] = []

    def tell(old: Pod | None, new: Pod | None) -> None:
        mark = "+" if old is None else "-" if new is None else "~"
        body = new or old
        assert body is not None
        told.append(mark + body.metadata.name)

    cache.on_change(tell)
    return told


@asynccontextmanager
async def following(api: ScriptedApi, **settings: Any) -> AsyncIterator[Informer[Pod]]:  # noqa: ANN401
    client = Client(api, LoopClock(), SeededEntropy())
    informer = Informer(client, Selection(PODS), InformerSettings(**settings))
    task = asyncio.create_task(informer.run())
    try:
        yield informer
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


def watches_asked(api: ScriptedApi) -> list[dict[str, str]]:
    return [dict(r.query) for r in api.requests if ("watch", "true") in r.query]


def lists_asked(api: ScriptedApi) -> list[Request]:
    return [r for r in api.requests if r.path == BASE and ("watch", "true") not in r.query]


@in_virtual_time
async def test_a_cache_is_filled_by_a_watch_list_and_then_follows() -> None:
    api = ScriptedApi()
    api.put(path("a"), pod("a"))
    async with following(api) as informer:
        cache = informer.cache
        await cache.wait_synced()
        told = seen_by(cache)
        api.put(path("b"), pod("b"))
        api.put(path("a"), pod("a", labels={"v": "2"}))
        await eventually(lambda: told == ["+a", "+b", "~a"])
        api.remove(path("a"))
        await eventually(lambda: names(cache) == ["b"])
    assert told[-1] == "-a"
    assert not lists_asked(api)
    assert len(watches_asked(api)) == 1


@in_virtual_time
async def test_nothing_shows_before_the_initial_events_have_ended() -> None:
    api = ScriptedApi()
    api.ends_initial_events = False
    api.put(path("a"), pod("a"))
    async with following(api) as informer:
        await asyncio.sleep(1)
        assert not informer.cache.is_synced
        assert names(informer.cache) == []


@in_virtual_time
async def test_a_server_that_refuses_watch_lists_is_read_in_pages() -> None:
    api = ScriptedApi()
    api.knows_watch_list = False
    for number in range(1100):
        api.put(path(f"p{number:04}"), pod(f"p{number:04}"))
    async with following(api) as informer:
        await informer.cache.wait_synced()
        assert len(informer.cache) == 1100
        api.put(path("late"), pod("late"))
        await eventually(lambda: len(informer.cache) == 1101)
    assert len(lists_asked(api)) == 3
    assert asyncio.get_running_loop().time() < 5


@in_virtual_time
async def test_a_watch_list_whose_end_never_comes_falls_back_to_pages() -> None:
    api = ScriptedApi()
    api.ends_initial_events = False
    api.put(path("a"), pod("a"))
    async with following(api) as informer:
        await informer.cache.wait_synced()
        assert names(informer.cache) == ["a"]
        assert asyncio.get_running_loop().time() < 31


@in_virtual_time
async def test_pages_that_expire_meanwhile_are_read_again_in_one() -> None:
    api = ScriptedApi()
    api.knows_watch_list = False
    for number in range(600):
        api.put(path(f"p{number:04}"), pod(f"p{number:04}"))

    def compacting(request: Request) -> None:
        if dict(request.query).get("continue"):
            api.put(path("new"), pod("new"))
            api.compact()

    api.faults.append(compacting)
    async with following(api) as informer:
        await informer.cache.wait_synced()
        assert len(informer.cache) == 601


@in_virtual_time
async def test_a_broken_connection_is_resumed_from_the_last_version() -> None:
    api = ScriptedApi()
    api.put(path("a"), pod("a"))
    async with following(api) as informer:
        await informer.cache.wait_synced()
        api.put(path("b"), pod("b"))
        await eventually(lambda: len(informer.cache) == 2)
        last = str(api.version)
        api.say(CUT)
        await eventually(lambda: not api.watches)
        api.put(path("c"), pod("c"))
        await eventually(lambda: len(informer.cache) == 3)
    assert watches_asked(api)[-1]["resourceVersion"] == last
    assert "sendInitialEvents" not in watches_asked(api)[-1]


@in_virtual_time
async def test_a_bookmark_moves_the_point_of_resumption() -> None:
    api = ScriptedApi()
    async with following(api) as informer:
        await informer.cache.wait_synced()
        api.version = 500
        api.bookmark()
        await asyncio.sleep(1)
        api.say(END)
        await eventually(lambda: len(watches_asked(api)) == 2)
    assert watches_asked(api)[1]["resourceVersion"] == "500"


@in_virtual_time
async def test_versions_of_initial_events_are_no_points_to_resume_from() -> None:
    api = ScriptedApi()
    api.ends_initial_events = False
    api.put(path("a"), pod("a"))
    async with following(api):
        await eventually(lambda: api.watches)
        api.say(CUT)
        await eventually(lambda: len(watches_asked(api)) == 2)
    assert "resourceVersion" not in watches_asked(api)[1]
    assert "sendInitialEvents" in watches_asked(api)[1]


@pytest.mark.parametrize("is_event", [True, False])
def test_an_expired_version_is_read_anew_and_missed_deletions_are_told(*, is_event: bool) -> None:
    @in_virtual_time
    async def scenario() -> None:
        api = ScriptedApi()
        for name in "abc":
            api.put(path(name), pod(name))
        async with following(api) as informer:
            await informer.cache.wait_synced()
            told = seen_by(informer.cache)
            api.say(CUT)
            await eventually(lambda: not api.watches)
            api.remove(path("b"))
            api.put(path("d"), pod("d"))
            api.compact()
            if not is_event:
                gone = iter([status(410, "Expired")])
                api.faults.append(lambda r: next(gone, None) if ("watch", "true") in r.query else None)
            await eventually(lambda: names(informer.cache) == ["a", "c", "d"])
        assert told == ["+a", "+b", "+c", "-b", "+d"]

    scenario()


@in_virtual_time
async def test_a_silent_watch_is_taken_for_dead() -> None:
    api = ScriptedApi()
    async with following(api) as informer:
        await informer.cache.wait_synced()
        api.is_silent = True
        api.put(path("a"), pod("a"))
        await eventually(lambda: names(informer.cache) == ["a"])
        assert asyncio.get_running_loop().time() < 200


@in_virtual_time
async def test_bookmarks_keep_a_quiet_watch_alive() -> None:
    api = ScriptedApi()
    async with following(api) as informer:
        await informer.cache.wait_synced()
        for _ in range(60):
            await asyncio.sleep(60)
            api.bookmark()
    assert len(watches_asked(api)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Unavailable("reset", is_outcome_known=False),
        status(500, "InternalError"),
        status(403, "Forbidden"),
        status(404, "NotFound"),
        Response(200, b"<html>"),
    ],
    ids=["reset", "500", "403", "404", "html"],
)
def test_every_failure_is_followed_by_a_growing_wait(fault: Response | Unavailable) -> None:
    @in_virtual_time
    async def scenario() -> None:
        api = ScriptedApi()
        api.put(path("a"), pod("a"))
        until = 600.0
        loop = asyncio.get_running_loop()
        api.faults.append(lambda _: fault if loop.time() < until else None)
        async with following(api) as informer:
            await informer.cache.wait_synced()
            assert until <= loop.time() <= until + 31
        assert 20 < len(api.requests) < 60

    scenario()


@in_virtual_time
async def test_an_error_event_other_than_410_does_not_end_the_informer() -> None:
    api = ScriptedApi()
    async with following(api) as informer:
        await informer.cache.wait_synced()
        api.say(event_line("ERROR", {"kind": "Status", "code": 500, "message": "etcd is away"}))
        await eventually(lambda: not api.watches)
        api.put(path("a"), pod("a"))
        await eventually(lambda: names(informer.cache) == ["a"])
    assert "resourceVersion" in watches_asked(api)[-1]


@in_virtual_time
async def test_a_watch_that_ends_at_once_is_not_reopened_in_a_storm() -> None:
    api = ScriptedApi()
    async with following(api) as informer:
        await informer.cache.wait_synced()
        start = len(api.requests)
        for _ in range(6000):
            await asyncio.sleep(0.1)
            api.say(END)
        assert len(api.requests) - start < 60


@in_virtual_time
async def test_a_stream_that_ends_in_the_rush_is_resumed_at_once() -> None:
    api = ScriptedApi()
    async with following(api) as informer:
        await informer.cache.wait_synced()
        start = asyncio.get_running_loop().time()
        for number in range(50):
            api.put(path(f"p{number}"), pod(f"p{number}"))
            await eventually(lambda wanted=number + 1: len(informer.cache) == wanted)
            api.say(END)
        assert asyncio.get_running_loop().time() - start < 2


@in_virtual_time
async def test_a_busy_server_is_left_alone_for_as_long_as_it_asks() -> None:
    api = ScriptedApi()
    busy = iter([Response(429, b"", {"retry-after": "50"})])
    api.faults.append(lambda _: next(busy, None))
    async with following(api) as informer:
        await informer.cache.wait_synced()
    assert asyncio.get_running_loop().time() >= 50


@in_virtual_time
async def test_one_object_that_cannot_be_read_does_not_blind_us_to_the_rest() -> None:
    api = ScriptedApi()
    api.put(path("a"), pod("a"))
    api.put(path("b"), pod("b"))
    async with following(api) as informer:
        await informer.cache.wait_synced()
        broken = pod("a")
        broken["status"] = {"phase": 7}
        api.put(path("a"), broken)
        api.put(path("c"), pod("c"))
        await eventually(lambda: names(informer.cache) == ["a", "b", "c"])
        api.say(CUT)
        await eventually(lambda: not api.watches)
        api.put(path("d"), pod("d"))
        api.compact()
        await eventually(lambda: names(informer.cache) == ["a", "b", "c", "d"])


@in_virtual_time
async def test_a_server_that_lags_behind_what_we_have_seen_is_not_believed() -> None:
    api = ScriptedApi()
    api.put(path("a"), pod("a"))
    async with following(api) as informer:
        await informer.cache.wait_synced()
        api.put(path("b"), pod("b"))
        await eventually(lambda: len(informer.cache) == 2)
        del api.objects[path("b")]
        api.version -= 1
        api.say(event_line("ERROR", {"kind": "Status", "code": 410}))
        await asyncio.sleep(60)
        assert names(informer.cache) == ["a", "b"]
        # Five minutes later this is no lag: the cluster was restored from a backup.
        await eventually(lambda: names(informer.cache) == ["a"], timedelta(minutes=10))


@in_virtual_time
async def test_an_event_from_the_past_changes_nothing() -> None:
    api = ScriptedApi()
    old = api.put(path("a"), pod("a", labels={"v": "1"}))
    api.put(path("a"), pod("a", labels={"v": "2"}))
    async with following(api) as informer:
        await informer.cache.wait_synced()
        api.say(event_line("MODIFIED", old))
        api.say(event_line("DELETED", old))
        api.put(path("b"), pod("b"))
        await eventually(lambda: len(informer.cache) == 2)
        found = informer.cache.get(KEY)
        assert found is not None
        assert found.metadata.labels == {"v": "2"}


@in_virtual_time
async def test_a_namesake_is_told_as_a_deletion_and_a_creation() -> None:
    api = ScriptedApi()
    api.put(path("a"), pod("a", uid="first"))
    async with following(api) as informer:
        await informer.cache.wait_synced()
        told = seen_by(informer.cache)
        api.put(path("a"), pod("a", uid="second"))
        await eventually(lambda: told == ["+a", "-a", "+a"])


@in_virtual_time
async def test_an_index_follows_old_and_new_states() -> None:
    def owned(uid: str) -> list[dict[str, Any]]:
        return [{"uid": "x", "name": "n"}, {"uid": uid, "controller": True}]

    api = ScriptedApi()
    api.put(path("a"), pod("a", ownerReferences=owned("one")))
    async with following(api) as informer:
        cache = informer.cache
        cache.add_index("owner", by_controller)
        await cache.wait_synced()
        assert [p.metadata.name for p in cache.by_index("owner", "one")] == ["a"]
        api.put(path("a"), pod("a", ownerReferences=owned("two")))
        await eventually(lambda: cache.by_index("owner", "two"))
        assert cache.by_index("owner", "one") == ()
        api.remove(path("a"))
        await eventually(lambda: len(cache) == 0)
        assert list(cache._indexes["owner"]) == []


@in_virtual_time
async def test_all_controllers_share_one_cache() -> None:
    api = ScriptedApi()
    api.put(path("a"), pod("a"))
    caches = Caches(Client(api, LoopClock(), SeededEntropy()))
    first = caches.cache(PODS)
    task = asyncio.create_task(caches.run())
    await caches.wait_synced()
    assert caches.cache(PODS) is first
    other = caches.cache(PODS, label_selector="app=x")
    assert other is not first
    assert not caches.is_synced
    await caches.wait_synced()
    assert api.most_open == 2
    task.cancel()
    await asyncio.wait([task])


@in_virtual_time
async def test_equal_strings_are_stored_once() -> None:
    api = ScriptedApi()
    for name in "ab":
        body = pod(name, labels={"app": "a rather long value"})
        body["status"]["conditions"] = [{"type": "Ready", "status": "Unknown", "reason": "NodeIsGone"}]
        api.put(path(name), body)
    async with following(api) as informer:
        await informer.cache.wait_synced()
        one, two = informer.cache
        assert one.metadata.labels["app"] is two.metadata.labels["app"]
        assert one.status.conditions[0].reason is two.status.conditions[0].reason


def test_the_pool_of_shared_strings_does_not_grow_without_bound() -> None:
    pool = Pool(capacity=100)
    for number in range(10_000):
        meta = ObjectMeta(name=str(number), labels={"app": f"app-{number}"})
        stamp = Condition(type="Ready", last_transition_time=str(number))
        pool.share(Pod(metadata=meta, status=PodStatus(conditions=(stamp,))))
    assert len(pool._known) <= 102
