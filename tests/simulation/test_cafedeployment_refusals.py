"""What is refused, at admission or in a condition; nothing that runs is changed."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cafe.api.names import CELL_LABEL, UNIT_LABEL
from cafe_sim.contract import ApiError, Json
from tests.simulation.world import (
    APPS,
    CELLS,
    SETS,
    World,
    a_set,
    a_template,
    a_world,
    an_app,
    image,
    is_available,
    restarts,
)
from tests.worlds.clock import in_virtual_time


def per_cell(world: World) -> Counter[str]:
    return Counter(pod["metadata"]["labels"][UNIT_LABEL] for pod in world.pods())


def versions(world: World) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["metadata"]["resourceVersion"] for pod in world.pods()}


async def released(world: World, replicas: int = 10, **more: Any) -> None:  # noqa: ANN401 -- any field
    world.apply(an_app(replicas, **more))
    await world.run(lambda: world.is_complete("web"))


async def refused(world: World, reason: str) -> Json:
    """Wait until the application is refused for that reason; return its condition."""
    await world.run(lambda: world.condition(APPS, "web", "Accepted").get("reason") == reason)
    assert world.status(APPS, "web")["phase"] == "Refused"
    return world.condition(APPS, "web", "Accepted")


def edited(change: Callable[[Json], None]) -> Json:
    body = an_app()
    change(body["spec"])
    return body


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (edited(lambda s: s["strategy"].update(batchSize=0)), "batchSize"),
        (edited(lambda s: s["strategy"].update(batchSize=-3)), "batchSize"),
        (edited(lambda s: s["strategy"].update(maxUnavailable=0)), "maxUnavailable"),
        (edited(lambda s: s["strategy"].update(maxUnavailable="0%")), "maxUnavailable"),
        (edited(lambda s: s["strategy"].update(maxUnavailable="many")), "maxUnavailable"),
        (edited(lambda s: s.update(replicas=-1)), "replicas"),
        (edited(lambda s: s["topology"].update(unitType="Galaxy")), "unitType"),
        (edited(lambda s: s["topology"].update(values=[])), "topology.values"),
        (edited(lambda s: s["topology"].update(unitReplicas={"cell-z": 1})), "unitReplicas"),
        (edited(lambda s: s["selector"].update(matchLabels={"app": "other"})), "selector"),
        (edited(lambda s: s["selector"].update(matchLabels={})), "selector"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
@in_virtual_time
async def test_admission_refuses_what_can_be_seen_to_be_wrong(body: Json, word: str) -> None:
    async with a_world(is_controlled=False) as world:
        with pytest.raises(ApiError) as caught:
            world.apply(body)
        assert caught.value.status == 422
        assert word in caught.value.message
        assert not world.api.list(APPS)


@in_virtual_time
async def test_a_selector_cannot_be_changed() -> None:
    async with a_world() as world:
        await released(world, 2)
        labels = {"app": "web", "more": "x"}
        template = {"metadata": {"labels": labels}}
        with pytest.raises(ApiError, match="selector is immutable"):
            world.edit(APPS, "web", selector={"matchLabels": labels}, template=template)


@pytest.mark.parametrize(
    ("pins", "reason"),
    [
        ({"cell-a": 11}, "PinsExceedReplicas"),
        ({"cell-a": "60%", "cell-b": "50%"}, "PinsExceedReplicas"),
        ({"cell-a": 3, "cell-b": 3}, "PinsShort"),
        ({"cell-a": "plenty"}, "InvalidPin"),
        ({"cell-a": -1}, "InvalidPin"),
    ],
)
@in_virtual_time
async def test_pins_that_cannot_be_had_are_refused_and_a_correction_goes_on(
    pins: dict[str, object], reason: str
) -> None:
    async with a_world() as world:
        await released(world)
        before = versions(world)
        world.edit(APPS, "web", topology={"unitReplicas": pins}, template=a_template("web:2"))
        told = await refused(world, reason)
        assert told["status"] == "False"
        assert told["message"]
        await world.rest()
        assert versions(world) == before
        assert len(world.events(reason)) == 1
        world.edit(APPS, "web", topology={"unitReplicas": None})
        await world.run(lambda: world.is_complete("web"))
        assert {(image(p), restarts(p)) for p in world.pods()} == {("web:2", 1)}


@pytest.mark.parametrize(
    ("pins", "sizes"),
    [
        ({"cell-a": 2}, {"cell-a": 2, "cell-b": 8}),
        ({"cell-a": "30%"}, {"cell-a": 3, "cell-b": 7}),
        ({"cell-a": 10}, {"cell-a": 10}),
        ({"cell-a": 4, "cell-b": 6}, {"cell-a": 4, "cell-b": 6}),
    ],
)
@in_virtual_time
async def test_pins_are_served_first(pins: dict[str, object], sizes: dict[str, int]) -> None:
    async with a_world() as world:
        await released(world, pins=pins)
        assert per_cell(world) == sizes


@in_virtual_time
async def test_an_unknown_cell_is_refused_until_it_has_a_node() -> None:
    async with a_world() as world:
        await released(world, 4)
        before = versions(world)
        world.edit(APPS, "web", topology={"values": [*CELLS, "cell-z"]}, replicas=6)
        told = await refused(world, "UnknownUnit")
        assert "cell-z" in told["message"]
        assert "cell-a, cell-b" in told["message"]
        await world.rest()
        assert versions(world) == before
        world.cluster.add_node("late", {CELL_LABEL: "cell-z"})
        await world.run(lambda: world.is_complete("web"))
        assert per_cell(world) == {"cell-a": 2, "cell-b": 2, "cell-z": 2}


@in_virtual_time
async def test_a_refused_first_deployment_leaves_nothing_behind() -> None:
    async with a_world() as world:
        world.apply(an_app(values=["cell-a", "cell-z"]))
        await refused(world, "UnknownUnit")
        await world.rest()
        assert not world.api.list(SETS)
        assert not world.pods()


@in_virtual_time
async def test_a_refusal_in_mid_release_holds_what_is_open() -> None:
    async with a_world() as world:
        await released(world, needWaitingForConfirm=False)
        world.edit(APPS, "web", strategy={"needWaitingForConfirm": True}, template=a_template("web:2"))
        await world.run(lambda: world.asks("web", 0))
        world.edit(APPS, "web", topology={"unitReplicas": {"cell-a": 99}})
        await refused(world, "PinsExceedReplicas")
        await world.rest()
        assert Counter(image(p) for p in world.pods()) == {"web:1": 8, "web:2": 2}
        assert all(is_available(p) for p in world.pods())
        world.edit(APPS, "web", topology={"unitReplicas": None})
        await world.run(lambda: world.asks("web", 0))
        assert Counter(image(p) for p in world.pods()) == {"web:1": 8, "web:2": 2}


def with_expression(body: Json) -> Json:
    rule = {"key": "tier", "operator": "In", "values": ["front"]}
    selector = {**body["spec"]["selector"], "matchExpressions": [rule]}
    return {**body, "spec": {**body["spec"], "selector": selector}}


@in_virtual_time
async def test_a_set_whose_expressions_do_not_find_its_template_says_so_and_makes_no_pod() -> None:
    async with a_world() as world:
        world.apply(with_expression(a_set(2)))
        await world.run(lambda: bool(world.condition(SETS, "web", "Progressing")))
        told = world.condition(SETS, "web", "Progressing")
        assert (told["status"], told["reason"]) == ("False", "SelectorMismatch")
        await world.rest()
        assert not world.pods()
        assert len(world.events("SelectorMismatch")) == 1
        world.edit(SETS, "web", template={"metadata": {"labels": {"tier": "front"}}})
        await world.run(lambda: world.is_settled("web"))
        assert len(world.pods()) == 2


@in_virtual_time
async def test_an_application_whose_expressions_do_not_find_its_template_is_refused() -> None:
    async with a_world() as world:
        world.apply(with_expression(an_app(2)))
        told = await refused(world, "SelectorMismatch")
        assert "selector" in told["message"]
        await world.rest()
        assert not world.api.list(SETS)
        world.edit(APPS, "web", template={"metadata": {"labels": {"tier": "front"}}})
        await world.run(lambda: world.is_complete("web"))
        assert len(world.pods()) == 2
