"""A reconciler decides only on a world that shows its own last writes."""

import asyncio
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cafe.kernel import ObjectKey, Unavailable
from cafe.kube.cache import Cache
from cafe.kube.expectations import OwnWrites
from cafe.kube.objects import ObjectMeta, Pod
from tests.unit.kube.test_informer import KEY, following, path
from tests.worlds.clock import HandClock, eventually, in_virtual_time
from tests.worlds.scripted_api import CUT, ScriptedApi, bookmark_line, pod

OWNER = ObjectKey("default", "the-set")


@in_virtual_time
async def test_an_owner_is_current_once_its_write_shows() -> None:
    api = ScriptedApi()
    api.put(path("a"), pod("a"))
    async with following(api) as informer:
        cache = informer.cache
        await cache.wait_synced()
        settled: list[object] = []
        cache.writes.on_settled(settled.append)
        api.is_silent = True
        version = api.put(path("a"), pod("a", labels={"v": "2"}))["metadata"]["resourceVersion"]
        cache.note_write(KEY, version, owner=OWNER)
        await asyncio.sleep(1)
        assert not cache.is_current(OWNER)
        assert cache.is_current(KEY)
        api.tell_late()
        await asyncio.wait_for(cache.wait_seen(KEY, version), 1)
        assert cache.is_current(OWNER)
        assert settled[0] == OWNER


@in_virtual_time
async def test_a_write_that_shows_already_is_not_awaited() -> None:
    api = ScriptedApi()
    version = api.put(path("a"), pod("a"))["metadata"]["resourceVersion"]
    async with following(api) as informer:
        await informer.cache.wait_synced()
        informer.cache.note_write(KEY, version, owner=OWNER)
        assert informer.cache.is_current(OWNER)


@in_virtual_time
async def test_a_created_object_is_awaited_until_it_shows_or_is_retracted() -> None:
    api = ScriptedApi()
    async with following(api) as informer:
        cache = informer.cache
        await cache.wait_synced()
        cache.note_create(KEY, owner=OWNER)
        assert not cache.is_current(OWNER)
        api.put(path("a"), pod("a"))
        await eventually(lambda: cache.is_current(OWNER))
        other = ObjectKey("default", "never")
        settled: list[object] = []
        cache.writes.on_settled(settled.append)
        cache.note_create(other, owner=OWNER)
        cache.retract(other)
        assert cache.is_current(OWNER)
        assert not settled, "whoever was refused comes back by its back-off, not at once"


@in_virtual_time
async def test_a_deletion_shows_as_absence_as_a_mark_or_as_a_namesake() -> None:
    api = ScriptedApi()
    async with following(api) as informer:
        cache = informer.cache
        await cache.wait_synced()
        for name in "abc":
            api.put(path(name), pod(name, uid=f"uid-{name}"))
        await eventually(lambda: len(cache) == 3)
        for name in "abc":
            cache.note_delete(ObjectKey("default", name), f"uid-{name}", owner=name)
        api.put(path("a"), pod("a", labels={"x": "unrelated"}))
        await asyncio.sleep(1)
        assert not cache.is_current("a")
        api.remove(path("a"))
        api.put(path("b"), pod("b", deletionTimestamp="2026-01-01T00:00:00Z"))
        api.put(path("c"), pod("c", uid="another"))
        await eventually(lambda: cache.is_current("a", "b", "c"), timedelta(minutes=1))


@in_virtual_time
async def test_an_older_note_does_not_lower_what_is_awaited() -> None:
    cache: Cache[Pod] = Cache(HandClock())
    cache.note_write(KEY, "900", owner=OWNER)
    cache.note_write(KEY, "800", owner=OWNER)
    meta = ObjectMeta(name="a", namespace="default", uid="u", resource_version="850")
    cache.apply(KEY, Pod(metadata=meta))
    assert not cache.is_current(OWNER)


@in_virtual_time
async def test_what_a_live_read_found_is_not_undone_by_an_older_snapshot() -> None:
    def at(version: int, name: str = "a") -> Pod:
        return Pod(
            metadata=ObjectMeta(name=name, namespace="default", uid="u", resource_version=str(version))
        )

    cache: Cache[Pod] = Cache(HandClock())
    newer, new = at(20), at(21, "new")
    cache.apply(KEY, newer)
    cache.apply(new.key, new)
    cache.replace({KEY: at(10)}, 15)
    assert cache.get(KEY) is newer
    assert cache.get(new.key) is new
    cache.replace({KEY: at(10)}, 15, force=True)
    assert cache.items() == {KEY: at(10)}


@in_virtual_time
async def test_a_deletion_that_only_a_relist_shows_is_seen() -> None:
    api = ScriptedApi()
    api.put(path("a"), pod("a", uid="u"))
    async with following(api) as informer:
        cache = informer.cache
        await cache.wait_synced()
        api.say(CUT)
        await eventually(lambda: not api.watches)
        cache.note_delete(KEY, "u", owner=OWNER)
        api.remove(path("a"))
        api.compact()
        assert not cache.is_current(OWNER)
        await eventually(lambda: cache.is_current(OWNER), timedelta(minutes=1))
        assert len(cache) == 0


@in_virtual_time
async def test_a_deletion_counts_as_having_seen_the_write_before_it() -> None:
    api = ScriptedApi()
    api.put(path("a"), pod("a"))
    async with following(api) as informer:
        await informer.cache.wait_synced()
        version = api.put(path("a"), pod("a", labels={"v": "2"}))["metadata"]["resourceVersion"]
        api.remove(path("a"))
        await eventually(lambda: len(informer.cache) == 0)
        informer.cache.note_write(KEY, version, owner=OWNER)
        assert informer.cache.is_current(OWNER)


@in_virtual_time
async def test_the_deletion_of_a_predecessor_is_not_the_sight_of_our_write() -> None:
    api = ScriptedApi()
    async with following(api) as informer:
        cache = informer.cache
        await cache.wait_synced()
        cache.note_write(KEY, "900", owner=OWNER)
        cache.remove(KEY, 899)
        assert not cache.is_current(OWNER)
        cache.remove(KEY, 901)
        assert cache.is_current(OWNER)


@in_virtual_time
async def test_a_bookmark_past_a_write_that_never_showed_has_it_read_live_at_once() -> None:
    """To believe the bookmark would leave the cache wrong for ever; to wait, the owner at a halt."""
    api = ScriptedApi()
    api.put(path("a"), pod("a"))
    async with following(api, silence=timedelta(hours=9)) as informer:
        cache = informer.cache
        await cache.wait_synced()
        api.is_silent = True
        version = api.put(path("a"), pod("a", labels={"v": "2"}))["metadata"]["resourceVersion"]
        api.is_silent = False
        cache.note_write(KEY, version, owner=OWNER)
        api.say(bookmark_line(str(int(version) - 1)))
        await asyncio.sleep(1)
        assert not cache.is_current(OWNER)
        api.say(bookmark_line(version))
        await eventually(lambda: cache.is_current(OWNER), timedelta(seconds=5))
        found = cache.get(KEY)
        assert found is not None
        assert found.metadata.labels == {"v": "2"}


@in_virtual_time
async def test_a_lost_event_is_repaired_by_a_live_read_when_the_wait_expires() -> None:
    api = ScriptedApi()
    api.put(path("a"), pod("a"))
    async with following(api, silence=timedelta(hours=9)) as informer:
        cache = informer.cache
        await cache.wait_synced()
        api.is_silent = True
        version = api.put(path("a"), pod("a", labels={"v": "2"}))["metadata"]["resourceVersion"]
        cache.note_write(KEY, version, owner=OWNER)
        cache.note_create(ObjectKey("default", "never"), owner=OWNER)
        failing = iter([Unavailable("away")] * 7)
        api.faults.append(lambda _: next(failing, None))
        await cache.writes.wait_current(OWNER)
        assert 300 <= asyncio.get_running_loop().time() <= 330
        found = cache.get(KEY)
        assert found is not None
        assert found.metadata.labels == {"v": "2"}


@in_virtual_time
async def test_a_pass_with_nothing_pending_looks_at_nothing() -> None:
    writes = OwnWrites(HandClock())
    assert writes.is_idle
    assert writes.is_current(OWNER)
    assert writes._scopes == {}


STEPS = st.lists(st.tuples(st.sampled_from(["note", "event", "delete"]), st.integers(1, 3)), max_size=40)


@given(STEPS)
def test_an_owner_is_current_exactly_when_the_cache_shows_all_it_wrote(steps: list[tuple[str, int]]) -> None:
    @in_virtual_time
    async def scenario() -> None:
        cache: Cache[Pod] = Cache(HandClock())
        truth: dict[str, int] = {}
        shown: dict[str, int] = {}
        wanted: dict[str, int] = {}
        for version, (step, number) in enumerate(steps, 1):
            name = str(number)
            key = ObjectKey("default", name)
            if step == "note":
                truth[name] = version
                wanted[name] = version
                cache.note_write(key, str(version), owner="me")
            elif step == "event" and name in truth:
                shown[name] = truth[name]
                meta = ObjectMeta(name=name, namespace="default", resource_version=str(truth[name]), uid="u")
                cache.apply(key, Pod(metadata=meta))
            elif step == "delete" and name in truth:
                del truth[name]
                shown[name] = version
                cache.remove(key, version)
            behind = [name for name, at in wanted.items() if shown.get(name, 0) < at]
            assert cache.is_current("me") == (not behind)

    scenario()
