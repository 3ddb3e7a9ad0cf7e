"""The controller dies at each write of a release in one cell; the other cell never notices."""

import pytest

from cafe_sim.contract import Json
from tests.simulation.test_overrides import KINDS, in_cell, override, versions_in
from tests.simulation.test_podset_kinds import app_of, fewest_ready, live, per_cell
from tests.simulation.world import APPS, World, a_world, lowest, released
from tests.worlds.clock import in_virtual_time

STEPS: dict[str, tuple[list[Json], dict[str, int]]] = {
    "it begins": ([in_cell("cell-a", "web:8")], {"web:8": 2, "web:1": 2}),
    "it changes": ([in_cell("cell-a", "web:9")], {"web:9": 2, "web:1": 2}),
    "it ends": ([], {"web:1": 4}),
}
"""What is asked for, and how many pods of each image there are then."""


def is_there(world: World, wanted: dict[str, int]) -> bool:
    """Whether the newest spec is released whole."""
    app = world.one(APPS, "web")
    is_seen = app["status"]["observedGeneration"] == app["metadata"]["generation"]
    counts = {name: per_cell(world, name).total() for name in wanted}
    return is_seen and world.is_complete("web") and counts == wanted and len(live(world)) == 4


async def one_step(world: World, step: str, at: int | None, *, is_applied: bool) -> bool:
    """Take a step; the controller dies at that write, if there is one; say whether there was."""
    entries, wanted = STEPS[step]
    life = world.start_controller(at, is_applied=is_applied)
    override(world, *entries)
    await world.run(lambda: life.transport.broken.is_set() or is_there(world, wanted))
    has_died = life.transport.broken.is_set()
    await life.end()
    second = world.start_controller()
    await world.run(lambda: is_there(world, wanted))
    await world.rest()
    await second.end()
    assert is_there(world, wanted), f"{step}, death at write {at}"
    return has_died


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_applied", [False, True], ids=["before_the_write", "after_the_write"])
@pytest.mark.parametrize("step", STEPS)
def test_a_death_at_any_write_changes_nothing_of_the_end(kind: str, step: str, *, is_applied: bool) -> None:
    deaths: list[int] = []

    @in_virtual_time
    async def story(at: int) -> None:
        async with a_world(is_controlled=False) as world:
            first = world.start_controller()
            body = app_of(kind, 4, batchSize=2)
            if step == "it changes":
                body["spec"]["topology"]["overrides"] = [in_cell("cell-a", "web:8")]
            await released(world, body)
            await first.end()
            if step == "it ends":  # As the way back: there was a time without it.
                await one_step(world, "it begins", None, is_applied=is_applied)
            since, others = len(world.commits), versions_in(world, "cell-b")
            deaths.extend([at] * await one_step(world, step, at, is_applied=is_applied))
            assert versions_in(world, "cell-b") == others, f"{step}, death at write {at}"
            fewest = lowest(world, since) if kind == "InPlaceSet" else fewest_ready(world, since)
            assert fewest >= 3, f"{step}, death at write {at}"

    for at in range(80):
        story(at)
        if at not in deaths:
            break
    assert len(deaths) > 4, "the sweep went through all writes of the step"
