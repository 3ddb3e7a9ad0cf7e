"""The way back to an earlier revision: groups of its own, from any state, only the pods that were touched."""

from collections import Counter
from datetime import timedelta

import pytest

from cafe.api.names import UNIT_LABEL
from cafe_sim.contract import Json
from tests.simulation.world import (
    APPS,
    World,
    a_template,
    a_world,
    an_app,
    image,
    lowest,
    place,
    released,
    restarts,
)
from tests.worlds.clock import in_virtual_time

CONFIRMED = {"needWaitingForConfirm": True}


def on(world: World, wanted: str) -> list[Json]:
    return [pod for pod in world.pods() if image(pod) == wanted]


def plan(world: World) -> Json:
    found: Json = world.status(APPS, "web")["plan"]
    return found


async def in_beta(world: World) -> None:
    await world.run(lambda: len(on(world, "web:2")) == 2)


async def in_mid_group(world: World) -> None:
    await world.run(lambda: world.asks("web", 0))
    world.confirm("web")
    await world.run(lambda: 2 < len(on(world, "web:2")) < 6)


async def waiting(world: World) -> None:
    await world.run(lambda: world.asks("web", 0))
    world.confirm("web")
    await world.run(lambda: world.asks("web", 1))


async def paused(world: World) -> None:
    await in_mid_group(world)
    world.edit(APPS, "web", strategy={"pause": True})
    await world.run(lambda: world.status(APPS, "web")["phase"] == "Paused")
    world.edit(APPS, "web", strategy={"pause": False})


async def failing(world: World) -> None:
    world.set_image(APPS, "web", "web:bad")
    await world.run(lambda: "ImagePull" in str(world.status(APPS, "web").get("waiting")))


@pytest.mark.parametrize("state", [in_beta, in_mid_group, waiting, paused, failing])
@in_virtual_time
async def test_from_any_state_only_the_touched_pods_go_back(state: object) -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        before = sorted(place(p) for p in world.pods())
        world.set_image(APPS, "web", "web:2")
        await state(world)  # type: ignore[operator]
        untouched = {p["metadata"]["name"] for p in world.pods() if restarts(p) == 0 and image(p) == "web:1"}
        since = len(world.commits)
        world.set_image(APPS, "web", "web:1")
        await world.run(lambda: world.is_complete("web"))
        assert plan(world)["rollback"]
        assert sorted(place(p) for p in world.pods()) == before
        assert len(on(world, "web:1")) == 10
        calm = {p["metadata"]["name"] for p in world.pods() if restarts(p) == 0}
        # What was being written when the way back was asked for, one pod of each cell, may still happen.
        assert len(untouched - calm) <= 2
        assert len(calm) >= 4
        assert lowest(world, since) >= 8


@in_virtual_time
async def test_a_whole_release_goes_back_cell_by_cell_in_three_groups_each() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        for group in (0, 1):
            await world.run(lambda group=group: world.asks("web", group))  # type: ignore[misc]
            world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        world.set_image(APPS, "web", "web:1")
        await world.run(lambda: len(on(world, "web:1")) == 5)
        assert Counter(p["metadata"]["labels"][UNIT_LABEL] for p in on(world, "web:1")) == {"cell-a": 5}
        await world.run(lambda: world.is_complete("web"))
        cut = [tuple(g["units"].items()) for g in plan(world)["groups"]]
        assert cut == [((c, n),) for c in ("cell-a", "cell-b") for n in (1, 2, 2)]


@in_virtual_time
async def test_a_way_back_asks_only_if_it_is_told_to() -> None:
    async with a_world() as world:
        await released(
            world, an_app(rollback={"needWaitingForConfirm": True, "grouping": {"strategy": "AllOne"}})
        )
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web"))
        world.edit(APPS, "web", strategy={"rollback": {"grouping": {"strategy": "Cell", "count": 1}}})
        world.set_image(APPS, "web", "web:1")
        await world.run(lambda: world.asks("web", 1))
        await world.stays(lambda: len(on(world, "web:1")) == 5, timedelta(minutes=5))
        world.confirm("web")
        await world.run(lambda: world.is_complete("web"))


@in_virtual_time
async def test_the_same_revision_forward_again_begins_with_beta() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        world.set_image(APPS, "web", "web:1")
        await world.run(lambda: world.is_complete("web"))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        assert not plan(world).get("rollback")
        assert len(on(world, "web:2")) == 2


@in_virtual_time
async def test_an_application_with_a_shell_script_goes_back_to_an_old_revision() -> None:
    """Its old revision gets a new number; Go escapes `&` and `>` in what the server compares it with."""
    script = ["sh", "-c", "touch /tmp/a && exec app > /tmp/log 2>&1"]
    async with a_world() as world:
        app = an_app(4)
        app["spec"]["template"] = a_template("web:1", command=script)
        await released(world, app)
        for wanted in ("web:2", "web:1"):
            world.set_image(APPS, "web", wanted)
            await world.run(lambda: world.is_complete("web"))
        assert {image(pod) for pod in world.pods()} == {"web:1"}
