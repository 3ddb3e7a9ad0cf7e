"""Pods come back as the instances that they were: number, revision, and an object that remembers both."""

import pytest

from cafe.api.names import INSTANCE_LABEL, UNIT_LABEL
from cafe_sim.contract import DeleteOptions, Json
from tests.simulation.world import APPS, World, a_world, an_app, image, is_available, released
from tests.worlds.clock import in_virtual_time

ROSTERS = "podrosters.apps.cafe.sofastack.io"


def numbers(world: World, unit: str = "cell-a") -> dict[int, str]:
    """Return, by number, the names of a unit's living pods."""
    return {
        int(p["metadata"]["labels"][INSTANCE_LABEL]): p["metadata"]["name"]
        for p in world.pods()
        if p["metadata"]["labels"].get(UNIT_LABEL) == unit and "deletionTimestamp" not in p["metadata"]
    }


def roster(world: World, name: str = "web-cell-a") -> list[Json]:
    found: list[Json] = world.api.get(ROSTERS, "default", name)["spec"]["instances"]
    return found


def take(world: World, *names: str) -> None:
    """Take pods away, as an eviction does."""
    for name in names:
        world.api.delete("pods", "default", name, DeleteOptions())


def is_whole(world: World, replicas: int = 10) -> bool:
    serving = [p for p in world.pods() if is_available(p)]
    return len(serving) == len(world.pods()) == replicas


@in_virtual_time
async def test_an_evicted_pod_comes_back_under_its_number() -> None:
    async with a_world() as world:
        await released(world)
        before = numbers(world)
        assert sorted(before) == [0, 1, 2, 3, 4]
        await world.run(lambda: [(i["id"], i["pod"]) for i in roster(world)] == sorted(before.items()))
        take(world, before[1], before[3])
        await world.run(lambda: is_whole(world) and before[1] not in numbers(world).values())
        after = numbers(world)
        assert sorted(after) == [0, 1, 2, 3, 4]
        assert {n: after[n] for n in (0, 2, 4)} == {n: before[n] for n in (0, 2, 4)}
        await world.run(lambda: [(i["id"], i["pod"]) for i in roster(world)] == sorted(after.items()))


@in_virtual_time
async def test_pods_of_both_revisions_come_back_at_theirs() -> None:
    async with a_world() as world:
        await released(world, an_app(needWaitingForConfirm=True))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        new = next(n for n, name in numbers(world).items() if image(world.pod(name)) == "web:2")
        old = next(n for n in numbers(world) if n != new)
        revisions = {i["id"]: i["revision"] for i in roster(world)}
        await world.run(lambda: {i["id"]: i["revision"] for i in roster(world)}[new] != revisions[old])
        gone = {numbers(world)[n] for n in (old, new)}
        take(world, *gone)
        await world.run(lambda: is_whole(world) and not gone & set(numbers(world).values()))
        now = {n: image(world.pod(name)) for n, name in numbers(world).items()}
        assert (now[old], now[new]) == ("web:1", "web:2")


@in_virtual_time
async def test_numbers_are_kept_through_scaling_in_and_out() -> None:
    async with a_world() as world:
        await released(world)
        world.edit(APPS, "web", replicas=6)
        await world.run(lambda: is_whole(world, 6) and len(roster(world)) == 3)
        kept = numbers(world)
        world.edit(APPS, "web", replicas=10)
        await world.run(lambda: is_whole(world) and len(roster(world)) == 5)
        assert sorted(numbers(world)) == [0, 1, 2, 3, 4]
        assert {n: numbers(world)[n] for n in kept} == kept


@in_virtual_time
async def test_a_roster_that_is_lost_or_spoiled_is_written_anew_and_touches_no_pod() -> None:
    async with a_world() as world:
        await released(world)
        before = numbers(world)
        await world.run(lambda: len(roster(world)) == 5)
        world.api.delete(ROSTERS, "default", "web-cell-a", DeleteOptions())
        take(world, before[4])
        await world.run(lambda: is_whole(world) and len(world.api.list(ROSTERS)) == 2)
        world.api.patch(ROSTERS, "default", "web-cell-a", {"spec": {"instances": [], "count": 0}})
        await world.run(lambda: len(roster(world)) == 5)
        assert {n: numbers(world)[n] for n in range(4)} == {n: before[n] for n in range(4)}


@pytest.mark.slow
@pytest.mark.parametrize("is_applied", [False, True], ids=["before_the_write", "after_the_write"])
@in_virtual_time
async def test_lives_that_end_at_each_second_write_keep_the_numbers(*, is_applied: bool) -> None:
    async with a_world(is_controlled=False) as world:
        first = world.start_controller()
        await released(world)
        before = numbers(world)
        await world.run(lambda: len(roster(world)) == 5)
        await first.end()
        take(world, before[0], before[2])
        for _ in range(60):
            life = world.start_controller(2, is_applied=is_applied)
            await world.run(lambda life=life: life.transport.broken.is_set() or is_whole(world))  # type: ignore[misc]
            await life.end()
            if is_whole(world):
                break
        after = numbers(world)
        assert sorted(after) == [0, 1, 2, 3, 4]
        assert {n: after[n] for n in (1, 3, 4)} == {n: before[n] for n in (1, 3, 4)}


@in_virtual_time
async def test_a_roster_goes_with_its_set() -> None:
    async with a_world() as world:
        await released(world)
        await world.run(lambda: len(world.api.list(ROSTERS)) == 2)
        world.api.delete(APPS, "default", "web", DeleteOptions())
        await world.run(lambda: not world.api.list(ROSTERS) and not world.pods())


@in_virtual_time
async def test_a_roster_of_somebody_else_is_left_alone_and_holds_nothing_up() -> None:
    async with a_world() as world:
        foreign = {"instances": [{"id": 7, "pod": "x", "revision": "y"}], "count": 1}
        world.api.create(ROSTERS, "default", {"metadata": {"name": "web-cell-a"}, "spec": foreign})
        await released(world)
        assert sorted(numbers(world)) == [0, 1, 2, 3, 4]
        assert roster(world) == foreign["instances"]
        gone = numbers(world)[2]
        take(world, gone)
        await world.run(lambda: is_whole(world) and gone not in numbers(world).values())
        assert sorted(numbers(world)) == [0, 1, 2, 3, 4]
