"""An application service says what single cells have otherwise, and what only a StatefulSet has."""

from collections import Counter

import pytest

from cafe.api.names import UNIT_LABEL
from cafe_sim.contract import ApiError, Json
from tests.simulation.test_cafeappservices import has_phase, is_seen, live, numbers, publish, said
from tests.simulation.test_overrides import in_cell, versions_in
from tests.simulation.world import APP_SERVICES, APPS, World, a_service, a_world, image
from tests.worlds.clock import in_virtual_time

STATEFUL_SETS = "statefulsets.apps"
CLAIM: Json = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def override(world: World, *entries: Json) -> None:
    world.edit(APP_SERVICES, "web", deploy={"topology": {"overrides": [*entries]}})


def images(world: World) -> Counter[tuple[str, str]]:
    return Counter((p["metadata"]["labels"][UNIT_LABEL], image(p)) for p in world.pods())


async def kept(world: World, number: int) -> None:
    await world.run(lambda: number in numbers(world) and is_seen(world))


@pytest.mark.slow
@in_virtual_time
async def test_a_published_override_reaches_its_cell_and_publishing_the_old_revision_takes_it_back() -> None:
    async with a_world() as world:
        await live(world)
        others = versions_in(world, "cell-b")
        override(world, in_cell("cell-a"))
        await kept(world, 2)
        await world.rest()
        assert images(world) == {("cell-a", "web:1"): 5, ("cell-b", "web:1"): 5}
        publish(world, 2)
        await world.run(lambda: has_phase(world, "Complete"))
        assert images(world) == {("cell-a", "web:9"): 5, ("cell-b", "web:1"): 5}
        publish(world, 1)
        await world.run(lambda: has_phase(world, "Complete"))
        assert images(world) == {("cell-a", "web:1"): 5, ("cell-b", "web:1"): 5}
        assert world.one(APPS, "web")["spec"]["topology"]["overrides"] == []
        publish(world, 2)
        await world.run(lambda: has_phase(world, "Complete"))
        assert images(world) == {("cell-a", "web:9"): 5, ("cell-b", "web:1"): 5}
        assert versions_in(world, "cell-b") == others
        assert numbers(world) == [1, 2]


@pytest.mark.slow
@in_virtual_time
async def test_an_override_that_hits_nothing_makes_no_revision_and_is_told() -> None:
    async with a_world() as world:
        await live(world)
        before = {cell: versions_in(world, cell) for cell in ("cell-a", "cell-b")}
        override(world, {"units": ["cell-a"], "containers": [{"name": "ghost", "image": "x"}]})
        await world.run(
            lambda: world.condition(APP_SERVICES, "web", "Stalled").get("reason") == "BadOverride"
        )
        await world.rest()
        assert "ghost" in said(world)["message"]
        assert numbers(world) == [1]
        assert {cell: versions_in(world, cell) for cell in before} == before
        with pytest.raises(ApiError, match=r"deploy.topology.overrides names a unit"):
            override(world, in_cell("cell-z"))


@pytest.mark.slow
@in_virtual_time
async def test_an_override_that_somebody_wrote_into_the_application_by_hand_is_drift() -> None:
    async with a_world() as world:
        await live(world)
        world.edit(APPS, "web", topology={"overrides": [in_cell("cell-a")]})
        await world.run(lambda: world.one(APPS, "web")["spec"]["topology"]["overrides"] == [])
        await world.run(lambda: has_phase(world, "Complete"))
        assert images(world) == {("cell-a", "web:1"): 5, ("cell-b", "web:1"): 5}


def stateful(**spec: object) -> Json:
    body = a_service(publish={"revision": 1}, **spec)
    body["spec"]["deploy"] = {**body["spec"]["deploy"], "podSetType": "StatefulSet"}
    return body


@pytest.mark.slow
@in_virtual_time
async def test_names_and_volumes_are_described_whole_and_the_policy_reaches_sets_that_exist() -> None:
    async with a_world() as world:
        await live(world, stateful(serviceName="web", volumeClaimTemplates=[CLAIM]))
        for found in world.api.list(STATEFUL_SETS, "default"):
            assert found["spec"]["serviceName"] == "web"
            assert found["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] == "data"
        pods = {cell: versions_in(world, cell) for cell in ("cell-a", "cell-b")}
        for edit in ({"serviceName": "x"}, {"volumeClaimTemplates": []}):
            with pytest.raises(ApiError, match="immutable"):
                world.edit(APP_SERVICES, "web", **edit)
        policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
        world.edit(APP_SERVICES, "web", persistentVolumeClaimRetentionPolicy=policy)
        await kept(world, 2)
        publish(world, 2)
        await world.run(
            lambda: all(
                s["spec"]["persistentVolumeClaimRetentionPolicy"] == policy
                for s in world.api.list(STATEFUL_SETS, "default")
            )
        )
        await world.rest()
        assert {cell: versions_in(world, cell) for cell in pods} == pods


@pytest.mark.parametrize(
    "more",
    [
        {"serviceName": "web"},
        {"volumeClaimTemplates": [CLAIM]},
        {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}},
    ],
)
@in_virtual_time
async def test_names_and_volumes_need_a_stateful_set(more: Json) -> None:
    async with a_world(is_controlled=False) as world:
        with pytest.raises(ApiError, match=r"need deploy\.podSetType StatefulSet"):
            world.apply(a_service(**more))
