"""Controllers of native sets die at each of their writes; the story ends as an undisturbed one does."""

import pytest

from tests.simulation.test_podset_kinds import app_of, fewest_ready, live, names
from tests.simulation.world import APPS, World, a_world
from tests.worlds.clock import in_virtual_time

STORY = ("release", "bad image", "way back", "scale out", "scale in")


def take_step(world: World, step: str) -> None:
    """Ask for the next thing of the story."""
    if step == "release":
        world.set_image(APPS, "web", "web:2")
    elif step == "bad image":
        world.set_image(APPS, "web", "web:bad")
    elif step == "way back":
        world.set_image(APPS, "web", "web:2")
    else:
        world.edit(APPS, "web", replicas=6 if step == "scale out" else 4)


def is_there(world: World, step: str) -> bool:
    """Whether the world is as that step should leave it."""
    if step == "bad image":
        # Beta is a pod of each cell, but no more than one of all may be away.
        return len(names(world, "web:bad")) == 1
    wanted = 6 if step == "scale out" else 4
    return world.is_complete("web") and len(live(world)) == wanted == len(names(world, "web:2"))


async def one_death(world: World, step: str, at: int, *, is_applied: bool) -> bool:
    """Take a step while the controller dies at that write; say whether there was such a write."""
    since = len(world.commits)
    life = world.start_controller(at, is_applied=is_applied)
    take_step(world, step)
    await world.run(lambda: life.transport.broken.is_set() or is_there(world, step))
    has_died = life.transport.broken.is_set()
    await life.end()
    second = world.start_controller()
    await world.run(lambda: is_there(world, step))
    await world.rest()
    await second.end()
    assert is_there(world, step)
    floor = 4 if step == "scale in" else 3
    assert fewest_ready(world, since) >= floor, f"{step}, death at write {at}"
    return has_died


async def undisturbed(world: World, step: str) -> None:
    life = world.start_controller()
    take_step(world, step)
    await world.run(lambda: is_there(world, step))
    await world.rest()
    await life.end()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet"])
@pytest.mark.parametrize("is_applied", [False, True], ids=["before_the_write", "after_the_write"])
@pytest.mark.parametrize("step", STORY)
def test_a_death_at_any_write_changes_nothing_of_the_end(kind: str, step: str, *, is_applied: bool) -> None:
    deaths: list[int] = []

    @in_virtual_time
    async def story(at: int) -> None:
        async with a_world(is_controlled=False) as world:
            first = world.start_controller()
            world.apply(app_of(kind, 4, batchSize=2))
            await world.run(lambda: world.is_complete("web"))
            await world.rest()
            await first.end()
            for before in STORY[: STORY.index(step)]:
                await undisturbed(world, before)
            deaths.extend([at] * await one_death(world, step, at, is_applied=is_applied))

    for at in range(80):
        story(at)
        if at not in deaths:
            break
    assert len(deaths) > 4, "the sweep went through all writes of the step"
