"""A cell that is full: its pods are served elsewhere, and come home when there is room."""

from collections import Counter
from datetime import timedelta

import pytest

from cafe.api.names import UNIT_LABEL
from cafe_sim.contract import Json
from tests.simulation.test_controller_deaths import lived_until
from tests.simulation.world import APPS, PODS, World, a_template, a_world, an_app, image, is_ready, lowest
from tests.worlds.clock import in_virtual_time

KINDS = ("InPlaceSet", "ReplicaSet", "StatefulSet")
kinds = pytest.mark.parametrize("kind", KINDS)
MOVES = {"enable": True, "initialDelaySeconds": 30, "retrySeconds": 60}


def hungry(replicas: int, kind: str = "InPlaceSet", cpu: str = "1500m", **strategy: object) -> Json:
    """Return an application of whose pods two fit on a node, unless they ask for less."""
    app = an_app(replicas, **strategy)
    app["spec"]["podSetType"] = kind
    app["spec"]["template"] = a_template(resources={"requests": {"cpu": cpu}})
    app["spec"]["topology"]["autoReschedule"] = MOVES
    return app


def fill(world: World, cell: str, second: str = "2000m") -> None:
    """Let somebody else's pods leave room for one of ours in a cell of two nodes."""
    for number, cpu in ((1, "3800m"), (2, second)):
        container = {"name": "hog", "image": "hog:1", "resources": {"requests": {"cpu": cpu}}}
        spec = {
            "nodeName": f"{cell}-node-{number}",
            "containers": [container],
            "terminationGracePeriodSeconds": 0,
        }
        world.api.create(PODS, "default", {"metadata": {"name": f"hog-{number}"}, "spec": spec})


def clear(world: World) -> None:
    for number in (1, 2):
        world.api.delete(PODS, "default", f"hog-{number}")


def ours(world: World) -> list[Json]:
    return [pod for pod in world.pods() if UNIT_LABEL in (pod["metadata"].get("labels") or {})]


def serving(world: World) -> Counter[str]:
    """Count the pods that are ready and stay, by cell."""
    return Counter(pod["metadata"]["labels"][UNIT_LABEL] for pod in ours(world) if serves(pod))


def serves(pod: Json) -> bool:
    meta = pod["metadata"]
    return is_ready(pod) and UNIT_LABEL in (meta.get("labels") or {}) and "deletionTimestamp" not in meta


def limits(world: World) -> dict[str, int]:
    return {held["name"]: held.get("limit", 0) for held in world.status(APPS, "web").get("rescheduled") or []}


@kinds
@in_virtual_time
async def test_pods_without_room_are_served_by_another_cell_and_come_home_when_there_is(kind: str) -> None:
    async with a_world() as world:
        fill(world, "cell-b")
        world.apply(hungry(5, kind))
        await world.run(lambda: world.is_complete("web"))
        assert serving(world) == {"cell-a": 4, "cell-b": 1}
        assert limits(world) == {"cell-b": 1}
        since = len(world.commits)
        clear(world)
        await world.run(lambda: world.is_complete("web") and not limits(world))
        assert sorted(serving(world).values()) == [2, 3]
        assert lowest(world, since, serves) >= 5, "a substitute went before the pod that came home served"


@kinds
@in_virtual_time
async def test_a_cell_that_stays_full_is_tried_in_vain_and_nobody_notices(kind: str) -> None:
    async with a_world() as world:
        fill(world, "cell-b")
        world.apply(hungry(5, kind))
        await world.run(lambda: world.is_complete("web"))
        before = {pod["metadata"]["uid"] for pod in ours(world)}
        since = len(world.commits)
        await world.clock.sleep(timedelta(minutes=10))
        assert before <= {pod["metadata"]["uid"] for pod in ours(world)}
        assert lowest(world, since, serves) == 5
        assert limits(world) == {"cell-b": 1}
        made = [e for r, e in world.commits[since:] if r == PODS and e.type == "ADDED"]
        assert 3 <= len(made) <= 10, "one pod was to be tried every one and a half minutes"


@in_virtual_time
async def test_pods_that_lose_their_places_are_served_elsewhere_and_nobody_is_asked() -> None:
    async with a_world() as world:
        world.apply(hungry(8, cpu="700m"))
        await world.run(lambda: world.is_complete("web"))
        world.edit(APPS, "web", strategy={"needWaitingForConfirm": True})
        await world.run(lambda: world.is_complete("web"))
        for node in (1, 2):
            world.api.patch("nodes", "", f"cell-b-node-{node}", {"spec": {"unschedulable": True}})
        fill(world, "cell-b", "3800m")
        *lost, _ = (p for p in ours(world) if p["metadata"]["labels"][UNIT_LABEL] == "cell-b")
        kept = {p["metadata"]["uid"] for p in ours(world)} - {p["metadata"]["uid"] for p in lost}
        for pod in lost:
            world.api.delete(PODS, "default", pod["metadata"]["name"])
        await world.clock.sleep(timedelta(minutes=2))
        assert not limits(world), "a cordoned node lacks no room"
        for node in (1, 2):
            world.api.patch("nodes", "", f"cell-b-node-{node}", {"spec": {"unschedulable": None}})
        await world.run(lambda: serving(world) == {"cell-a": 7, "cell-b": 1})
        await world.run(lambda: world.is_complete("web"))
        assert kept <= {p["metadata"]["uid"] for p in ours(world)}


@in_virtual_time
async def test_without_being_asked_for_nothing_is_moved() -> None:
    async with a_world() as world:
        fill(world, "cell-b")
        app = hungry(5)
        app["spec"]["topology"]["autoReschedule"] = {"enable": False}
        world.apply(app)
        await world.clock.sleep(timedelta(minutes=10))
        assert serving(world)["cell-b"] == 1
        assert not limits(world)
        assert "no node has room" in world.status(APPS, "web")["waiting"]["message"]


@in_virtual_time
async def test_a_pinned_cell_keeps_its_number_whatever_room_it_has() -> None:
    async with a_world() as world:
        fill(world, "cell-b")
        app = hungry(5)
        app["spec"]["topology"]["unitReplicas"] = {"cell-b": 2}
        world.apply(app)
        await world.clock.sleep(timedelta(minutes=10))
        assert serving(world)["cell-b"] == 1
        assert not limits(world)


@in_virtual_time
async def test_a_release_reaches_pods_wherever_they_are_served() -> None:
    async with a_world() as world:
        fill(world, "cell-b")
        world.apply(hungry(5, needWaitingForConfirm=False))
        await world.run(lambda: world.is_complete("web"))
        since = len(world.commits)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web"))
        assert {image(pod) for pod in ours(world)} == {"web:2"}
        assert serving(world) == {"cell-a": 4, "cell-b": 1}
        assert lowest(world, since, serves) >= 3


@in_virtual_time
async def test_a_cap_goes_when_it_is_no_longer_wanted() -> None:
    async with a_world() as world:
        fill(world, "cell-b")
        world.apply(hungry(5))
        await world.run(lambda: world.is_complete("web"))
        world.edit(APPS, "web", replicas=2)
        await world.run(lambda: world.is_complete("web") and not limits(world))
        assert serving(world) == {"cell-a": 1, "cell-b": 1}


@pytest.mark.slow
@pytest.mark.parametrize("is_applied", [False, True], ids=["not-applied", "answer-lost"])
@pytest.mark.parametrize("writes", range(1, 6))
@in_virtual_time
async def test_a_death_at_any_write_neither_loses_nor_doubles_a_pod(writes: int, *, is_applied: bool) -> None:
    async with a_world(is_controlled=False) as world:
        fill(world, "cell-b")
        world.apply(hungry(5))
        dying = {"writes": writes, "is_applied": is_applied}
        await lived_until(world, lambda: world.is_complete("web"), **dying)
        assert serving(world) == {"cell-a": 4, "cell-b": 1}
        since = len(world.commits)
        clear(world)
        await lived_until(world, lambda: world.is_complete("web") and not limits(world), **dying)
        assert sorted(serving(world).values()) == [2, 3]
        assert len([pod for pod in ours(world) if "deletionTimestamp" not in pod["metadata"]]) == 5
        assert lowest(world, since, serves) >= 5
