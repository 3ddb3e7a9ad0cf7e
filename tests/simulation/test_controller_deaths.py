"""The controller dies at each of its writes, or has a double; the world ends the same."""

from collections import Counter
from datetime import timedelta

import pytest

from cafe.api.names import UNIT_LABEL
from tests.simulation.world import (
    APPS,
    PODS,
    SETS,
    Fragile,
    World,
    a_set,
    a_template,
    a_world,
    an_app,
    gate,
    image,
    is_available,
    lowest,
    place,
    restarts,
)
from tests.worlds.clock import in_virtual_time

CONFIRMED = {"needWaitingForConfirm": True}


def open_pods(world: World, wanted: str) -> Counter[str]:
    return Counter(p["metadata"]["labels"][UNIT_LABEL] for p in world.pods() if image(p) == wanted)


async def lived_until(world: World, is_there: "object", *, writes: int, is_applied: bool) -> None:
    """Run life after life, each of which dies at its write number *writes*, until *is_there* holds."""
    assert callable(is_there)
    for _ in range(400):
        life = world.start_controller(writes, is_applied=is_applied)
        broken = life.transport.broken
        await world.run(lambda broken=broken: broken.is_set() or is_there())  # type: ignore[misc]
        # What the dead one sent last is still on its way while its successor starts.
        await life.end()
        if is_there():
            return
    raise AssertionError(f"400 lives were not enough: {world.told()}")


async def the_story(world: World, *, writes: int, is_applied: bool) -> int:
    """First deployment, then an update, each with confirmations; return where the update begins."""
    world.apply(an_app(6, batchSize=2, **CONFIRMED))
    since = 0
    for wanted in ("web:1", "web:2"):
        if wanted == "web:2":
            since = len(world.commits)
            world.set_image(APPS, "web", wanted)
        for group, updated in ((0, 1), (1, 2)):
            await lived_until(
                world,
                lambda group=group: world.asks("web", group),  # type: ignore[misc]
                writes=writes,
                is_applied=is_applied,
            )
            assert open_pods(world, wanted) == {"cell-a": updated, "cell-b": updated}
            world.confirm("web")
        await lived_until(world, lambda: world.is_complete("web"), writes=writes, is_applied=is_applied)
    return since


def check_end(world: World, since: int) -> None:
    """Demand the one end that the story has, and that nothing untoward happened on the way."""
    assert open_pods(world, "web:2") == {"cell-a": 3, "cell-b": 3}
    assert {restarts(p) for p in world.pods()} == {1}
    assert all(is_available(p) for p in world.pods())
    assert lowest(world, since) >= 4  # One of each cell at most.
    made = {e.new["metadata"]["uid"] for r, e in world.commits if r == PODS and e.type == "ADDED"}
    assert len(made) == 6, "a pod was made twice"
    plans = [
        plan["hash"]
        for r, e in world.commits
        if r == APPS and (plan := (e.new.get("status") or {}).get("plan"))
    ]
    assert len(set(plans)) == 2, "a plan was made anew"


@pytest.mark.parametrize(
    ("writes", "is_applied"), [(n, is_applied) for n in range(4) for is_applied in (False, True)][1:]
)
@pytest.mark.slow
def test_a_controller_that_dies_again_and_again_gets_the_release_done(
    writes: int, *, is_applied: bool
) -> None:
    @in_virtual_time
    async def story() -> None:
        async with a_world(is_controlled=False) as world:
            check_end(world, await the_story(world, writes=writes, is_applied=is_applied))

    story()


async def one_death(world: World, at: int, *, is_applied: bool) -> bool:
    """Release once more, with a death at that write; say whether there was such a write."""
    before, since = sorted(place(p) for p in world.pods()), len(world.commits)
    wanted = f"web:{at + 2}"
    world.set_image(APPS, "web", wanted)
    first = world.start_controller(at, is_applied=is_applied)
    await world.run(lambda: first.transport.broken.is_set() or world.is_complete("web"))
    has_died = first.transport.broken.is_set()
    await first.end()
    second = world.start_controller()
    await world.run(lambda: world.is_complete("web"))
    await world.rest()
    await second.end()
    assert open_pods(world, wanted) == {"cell-a": 2, "cell-b": 2}
    assert {restarts(p) for p in world.pods()} == {at + 1}, "restarted twice"
    assert sorted(place(p) for p in world.pods()) == before
    assert lowest(world, since) >= 2  # One of each cell at most.
    statuses = [e.new.get("status") or {} for r, e in world.commits[since:] if r == APPS]
    assert len({status["plan"]["hash"] for status in statuses}) == 2, "the old plan, and one new plan"
    return has_died


@pytest.mark.parametrize("is_applied", [False, True], ids=["before_the_write", "after_the_write"])
@pytest.mark.slow
def test_one_death_at_any_write_of_an_update_changes_nothing_of_its_end(*, is_applied: bool) -> None:
    @in_virtual_time
    async def story() -> None:
        async with a_world() as world:
            world.apply(an_app(4, batchSize=2))
            await world.run(lambda: world.is_complete("web"))
            await world.rest()
            await world.crash_controller()
            at = 0
            while await one_death(world, at, is_applied=is_applied):
                at += 1
            assert at > 20, "the sweep went through all writes of a release"

    story()


@pytest.mark.slow
@in_virtual_time
async def test_two_controllers_at_once_end_in_the_same_state_without_double_restarts() -> None:
    async with a_world() as world:
        world.start_controller()
        world.apply(an_app(6, batchSize=2))
        await world.run(lambda: world.is_complete("web"))
        since = len(world.commits)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web"))
        await world.rest()
        check_end(world, since)


@in_virtual_time
async def test_two_controllers_at_rest_do_not_fight() -> None:
    async with a_world() as world:
        world.start_controller()
        world.apply(an_app(4))
        await world.run(lambda: world.is_complete("web"))
        await world.rest()
        writes = len(world.writes)
        await world.clock.sleep(timedelta(minutes=30))
        assert len(world.writes) == writes


@in_virtual_time
async def test_a_controller_that_starts_in_a_finished_world_writes_nothing() -> None:
    async with a_world() as world:
        world.apply(an_app(4))
        await world.run(lambda: world.is_complete("web"))
        await world.rest()
        await world.crash_controller()
        life = world.start_controller()
        await world.clock.sleep(timedelta(minutes=10))
        assert life.transport.writes == []


@in_virtual_time
async def test_what_happened_while_no_controller_lived_is_made_good() -> None:
    async with a_world() as world:
        world.apply(an_app(4))
        await world.run(lambda: world.is_complete("web"))
        await world.crash_controller()
        world.api.delete(PODS, "default", world.pods()[0]["metadata"]["name"])
        world.edit(APPS, "web", replicas=6, template=a_template("web:2"))
        await world.clock.sleep(timedelta(minutes=5))
        world.start_controller()
        await world.run(lambda: world.is_complete("web"))
        assert open_pods(world, "web:2") == {"cell-a": 3, "cell-b": 3}


@in_virtual_time
async def test_a_controller_that_dies_in_the_grace_period_leaves_the_rest_of_it_to_the_next() -> None:
    async with a_world() as world:
        world.apply(a_set(1, strategy={"gracePeriodSeconds": 60}))
        await world.run(lambda: world.is_settled("web"))
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: gate(world.pods()[0]) == "False")
        start = world.clock.monotonic()
        await world.crash_controller()
        await world.clock.sleep(timedelta(seconds=30))
        world.start_controller()
        await world.run(lambda: image(world.pods()[0]) == "web:2")
        assert timedelta(seconds=59) <= world.clock.monotonic() - start <= timedelta(seconds=63)
        await world.run(lambda: world.is_settled("web"))
        assert restarts(world.pods()[0]) == 1


@in_virtual_time
async def test_a_dead_line_passes_nothing_on() -> None:
    async with a_world(is_controlled=False) as world:
        life = world.start_controller(0, is_applied=False)
        world.apply(a_set(3))
        await world.run(life.transport.broken.is_set)
        await world.rest()
        assert isinstance(life.transport, Fragile)
        assert not world.pods()
        assert not life.transport.writes
