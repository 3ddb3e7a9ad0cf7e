"""The running pods of a Deployment become an application's own, without a restart."""

from collections import Counter
from datetime import timedelta

import pytest

from cafe.api.names import ADOPT_ANNOTATION
from cafe_sim.contract import Json
from tests.simulation.world import (
    APPS,
    PODS,
    SETS,
    World,
    a_template,
    a_world,
    an_app,
    image,
    place,
    restarts,
)
from tests.worlds.clock import in_virtual_time

DEPLOYMENTS = "deployments.apps"
REPLICA_SETS = "replicasets.apps"
CELL = "cafe.sofastack.io/cell"


async def deployed(world: World, replicas: int = 6) -> list[Json]:
    """Run a Deployment, until all its pods are ready; return them."""
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": a_template()}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "old"}, "spec": spec}
    world.api.create(DEPLOYMENTS, "default", body)
    await world.run(
        lambda: (world.one(DEPLOYMENTS, "old").get("status") or {}).get("readyReplicas") == replicas
    )
    return world.pods()


def per_cell(world: World) -> dict[str, int]:
    nodes = {n["metadata"]["name"]: n["metadata"]["labels"][CELL] for n in world.api.list("nodes")}
    return dict(sorted(Counter(nodes[p["spec"]["nodeName"]] for p in world.pods()).items()))


def adopting(world: World, source: str = "Deployment/old", **spec: object) -> Json:
    """Return an application with as many pods in each cell as there are."""
    there = per_cell(world)
    body = an_app(len(world.pods()), pins=there)
    body["metadata"]["annotations"] = {ADOPT_ANNOTATION: source}
    body["spec"] |= spec
    return body


def is_given_up(world: World) -> bool:
    return not world.api.list(DEPLOYMENTS, "default") and not world.api.list(REPLICA_SETS, "default")


def refused(world: World, code: str) -> bool:
    return (world.status(APPS, "web").get("waiting") or {}).get("reason") == code


@in_virtual_time
async def test_pods_change_hands_without_a_restart() -> None:
    async with a_world() as world:
        before = sorted(place(p) for p in await deployed(world))
        world.apply(adopting(world))
        await world.run(lambda: world.is_complete("web"))
        assert sorted(place(p) for p in world.pods()) == before
        assert {restarts(p) for p in world.pods()} == {0}
        assert is_given_up(world)
        owners = {p["metadata"]["ownerReferences"][0]["kind"] for p in world.pods()}
        assert owners == {"InPlaceSet"}
        await world.rest()
        assert sorted(place(p) for p in world.pods()) == before


@in_virtual_time
async def test_the_first_release_replaces_adopted_pods_in_groups_and_the_second_is_made_in_place() -> None:
    async with a_world() as world:
        old = {p["metadata"]["uid"] for p in await deployed(world)}
        world.apply(adopting(world))
        await world.run(lambda: world.is_complete("web"))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web"))
        assert not old & {p["metadata"]["uid"] for p in world.pods()}
        now = sorted(place(p) for p in world.pods())
        world.set_image(APPS, "web", "web:3")
        await world.run(lambda: world.is_complete("web"))
        assert sorted(place(p) for p in world.pods()) == now
        assert {image(p) for p in world.pods()} == {"web:3"}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"template": a_template("web:2")}, "AdoptionDiffers", "spec.containers[app].image"),
        (
            {"template": a_template(env=[{"name": "A", "value": "b"}])},
            "AdoptionDiffers",
            "containers[app].env",
        ),
        (
            {"replicas": 8, "topology": {"unitType": "Cell", "values": ["cell-a", "cell-b"]}},
            "AdoptionWouldMove",
            "4+4",
        ),
        (
            {"topology": {"unitType": "Cell", "values": ["cell-a"]}},
            "AdoptionWouldMove",
            "run outside the units",
        ),
    ],
)
@in_virtual_time
async def test_what_would_replace_or_move_pods_is_refused_and_nothing_is_given_up(
    change: Json, code: str, words: str
) -> None:
    async with a_world() as world:
        before = sorted(place(p) for p in await deployed(world))
        world.apply(adopting(world, **change))
        await world.run(lambda: refused(world, code))
        assert words in world.status(APPS, "web")["waiting"]["message"]
        await world.rest()
        assert world.one(DEPLOYMENTS, "old")["status"]["readyReplicas"] == 6
        assert sorted(place(p) for p in world.pods()) == before
        assert not world.api.list(SETS, "default")


@pytest.mark.parametrize(
    ("source", "code"),
    [("Deployment/none", "NothingToAdopt"), ("CronJob/old", "BadAdoption"), ("old", "BadAdoption")],
)
@in_virtual_time
async def test_what_is_not_there_is_not_adopted(source: str, code: str) -> None:
    async with a_world() as world:
        body = an_app(4)
        body["metadata"]["annotations"] = {ADOPT_ANNOTATION: source}
        world.apply(body)
        await world.run(lambda: refused(world, code))
        await world.rest()
        assert not world.pods()
        world.annotate(APPS, "web", **{ADOPT_ANNOTATION: None})
        await world.run(lambda: world.is_complete("web"))


@in_virtual_time
async def test_a_deployment_in_mid_rollout_is_waited_for() -> None:
    async with a_world() as world:
        await deployed(world)
        world.set_image(DEPLOYMENTS, "old", "web:bad")
        await world.run(lambda: any(image(p) == "web:bad" for p in world.pods()))
        await world.run(lambda: all("nodeName" in p["spec"] for p in world.pods()))
        body = adopting(world, template=a_template("web:bad"))
        world.apply(body)
        await world.run(lambda: refused(world, "AdoptionInMidRollout"))
        assert world.one(DEPLOYMENTS, "old")


@in_virtual_time
async def test_a_pod_lost_while_nobody_kept_it_is_made_anew() -> None:
    async with a_world() as world:
        await deployed(world)
        world.apply(adopting(world))
        await world.run(lambda: not world.api.list(DEPLOYMENTS, "default"))
        lost = world.pods()[0]["metadata"]
        world.api.delete(PODS, "default", lost["name"])
        await world.run(lambda: world.is_complete("web"))
        assert len(world.pods()) == 6
        assert lost["uid"] not in {p["metadata"]["uid"] for p in world.pods()}


@pytest.mark.slow
@pytest.mark.parametrize("is_applied", [False, True], ids=["before_the_write", "after_the_write"])
def test_a_controller_that_dies_at_any_write_of_an_adoption_restarts_nothing(*, is_applied: bool) -> None:
    deaths: list[int] = []

    @in_virtual_time
    async def story(number: int) -> None:
        async with a_world() as world:
            before = sorted(place(p) for p in await deployed(world))
            await world.crash_controller()
            life = world.start_controller(number, is_applied=is_applied)
            world.apply(adopting(world))
            await world.run(lambda: life.transport.broken.is_set() or world.is_complete("web"))
            deaths.extend([number] * life.transport.broken.is_set())
            await world.crash_controller()
            world.start_controller()
            await world.run(lambda: world.is_complete("web"), timedelta(minutes=20))
            assert sorted(place(p) for p in world.pods()) == before, number
            assert is_given_up(world)

    for number in range(60):
        story(number)
        if number not in deaths:
            break
    assert len(deaths) > 10, "the sweep went through all writes of an adoption"
