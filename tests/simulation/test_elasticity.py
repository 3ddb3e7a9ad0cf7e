"""An autoscaler and the releases of its application: who decides how many pods there are, and who wins."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from cafe.api.names import UNIT_LABEL
from cafe_sim.contract import ApiError, Json
from tests.simulation.test_cafeappservices import edit_image, has_phase, live, numbers, publish, said
from tests.simulation.world import (
    APP_SERVICES,
    APPS,
    PODS,
    World,
    a_service,
    a_template,
    a_world,
    image,
    is_available,
    lowest,
)
from tests.worlds.clock import in_virtual_time

SCALERS = "horizontalpodautoscalers.autoscaling"
QUICK = {"scaleDown": {"stabilizationWindowSeconds": 0}}
LONG = timedelta(minutes=30)


def elastic(least: int = 2, most: int = 8, replicas: int = 4, **more: Any) -> Json:  # noqa: ANN401 -- any field
    """Return a service that an autoscaler keeps at half of the CPU that its pods request."""
    target = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    scaler = {
        "minReplicas": least,
        "maxReplicas": most,
        "metrics": [{"type": "Resource", "resource": target}],
        "behavior": QUICK,
    }
    template = a_template(resources={"requests": {"cpu": "100m"}})
    template["metadata"]["annotations"] = {"cafe.test/usage": "cpu=50m"}
    body = a_service(replicas, template=template, configs=[], **{"publish": {"revision": 1}, **more})
    body["spec"]["elasticity"] = {"replicas": replicas, "autoscaling": scaler}
    return body


def load(world: World, cpu: str) -> None:
    """Let each pod that there is use so much CPU."""
    for pod in world.pods():
        body = {"metadata": {"annotations": {"cafe.test/usage": f"cpu={cpu}"}}}
        world.patch(PODS, pod["metadata"]["name"], body)


def wanted(world: World) -> int:
    return int(world.one(APPS, "web")["spec"]["replicas"])


def bounds(world: World) -> tuple[int, int]:
    spec = world.one(SCALERS, "web")["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def is_whole(world: World, count: int) -> bool:
    return has_phase(world, "Complete") and wanted(world) == count and len(world.pods()) == count


def cells(world: World) -> Counter[str]:
    return Counter(pod["metadata"]["labels"][UNIT_LABEL] for pod in world.pods())


@in_virtual_time
async def test_an_autoscaler_grows_and_shrinks_an_application_without_a_revision_and_without_drift() -> None:
    async with a_world() as world:
        await live(world, elastic())
        assert wanted(world) == 4
        load(world, "150m")
        await world.run(lambda: is_whole(world, 8))
        assert cells(world) == {"cell-a": 4, "cell-b": 4}
        load(world, "5m")
        await world.run(lambda: is_whole(world, 2), LONG)
        assert cells(world) == {"cell-a": 1, "cell-b": 1}
        assert numbers(world) == [1]
        assert "drifted" not in said(world) or not said(world)["drifted"]
        renders = [e for r, e in world.commits if r == APPS and e.type == "MODIFIED"]
        marks = {e.new["metadata"]["annotations"]["cafe.sofastack.io/rendered"] for e in renders}
        assert len(marks) == 1, "what the autoscaler chose was taken for a new wish"


@in_virtual_time
async def test_an_autoscaler_adds_pods_while_a_release_waits_and_no_confirmed_group_is_asked_again() -> None:
    async with a_world() as world:
        deploy = a_service()["spec"]["deploy"]
        strategy = {**deploy["strategy"], "batchSize": 2, "needWaitingForConfirm": True}
        await live(world, elastic(most=10, replicas=6))
        world.edit(APP_SERVICES, "web", deploy={**deploy, "strategy": strategy})
        edit_image(world, "web:2")
        await world.run(lambda: said(world).get("latestRevision") in {2, 3})
        publish(world, said(world)["latestRevision"])
        await world.run(lambda: world.asks("web", 0))
        since = len(world.commits)
        world.confirm("web")
        await world.run(lambda: world.asks("web", 1))
        before = {pod["metadata"]["uid"] for pod in world.pods() if image(pod) == "web:2"}
        assert len(before) == 4

        load(world, "150m")
        await world.run(lambda: len(world.pods()) == 10)
        await world.rest()
        after = {pod["metadata"]["uid"]: image(pod) for pod in world.pods()}
        assert all(after[uid] == "web:2" for uid in before)
        assert wanted(world) == 10
        for group in (1, 2, 3):
            await world.run(lambda group=group: world.asks("web", group))  # type: ignore[misc]
            world.confirm("web")
        await world.run(lambda: has_phase(world, "Complete"))
        assert Counter(map(image, world.pods())) == {"web:2": 10}
        assert lowest(world, since) >= 4


@in_virtual_time
async def test_a_number_that_a_person_asks_for_holds_the_autoscaler_there_until_it_is_taken_back() -> None:
    async with a_world() as world:
        await live(world, elastic())
        world.patch(APP_SERVICES, "web", {"spec": {"publish": {"replicas": 6}}})
        await world.run(lambda: is_whole(world, 6))
        load(world, "5m")
        since = len(world.commits)
        await world.rest(timedelta(minutes=2))
        assert bounds(world) == (6, 6)
        assert {e.new["spec"]["replicas"] for r, e in world.commits[since:] if r == APPS} <= {6}
        world.patch(APP_SERVICES, "web", {"spec": {"publish": {"replicas": None}}})
        await world.run(lambda: is_whole(world, 2), LONG)
        assert bounds(world) == (2, 8)


@in_virtual_time
async def test_no_pods_at_all_are_left_alone_by_the_autoscaler() -> None:
    async with a_world() as world:
        await live(world, elastic())
        world.patch(APP_SERVICES, "web", {"spec": {"publish": {"replicas": 0}}})
        await world.run(lambda: not world.pods())
        await world.rest(timedelta(minutes=2))
        assert wanted(world) == 0
        world.patch(APP_SERVICES, "web", {"spec": {"publish": {"replicas": None}}})
        await world.run(lambda: is_whole(world, 2))


@in_virtual_time
async def test_a_revision_without_an_autoscaler_takes_it_away_before_its_own_number_counts() -> None:
    async with a_world() as world:
        await live(world, elastic())
        load(world, "150m")
        await world.run(lambda: is_whole(world, 8))
        world.edit(APP_SERVICES, "web", elasticity={"replicas": 3, "autoscaling": None})
        await world.run(lambda: said(world).get("latestRevision") == 2)
        publish(world, 2)
        await world.run(lambda: is_whole(world, 3), LONG)
        assert world.api.get(SCALERS, "default", "web") is None
        load(world, "150m")
        await world.rest(timedelta(minutes=2))
        assert wanted(world) == 3


@in_virtual_time
async def test_an_autoscaler_that_was_given_up_scales_no_more_while_the_release_waits() -> None:
    async with a_world() as world:
        deploy = a_service()["spec"]["deploy"]
        strategy = {**deploy["strategy"], "needWaitingForConfirm": True}
        await live(world, elastic())
        world.edit(APP_SERVICES, "web", draft=True)
        edit_image(world, "web:2")
        world.edit(APP_SERVICES, "web", elasticity={"autoscaling": None}, deploy={"strategy": strategy})
        world.edit(APP_SERVICES, "web", draft=False)
        await world.run(lambda: said(world).get("latestRevision") == 2)
        publish(world, 2)
        await world.run(lambda: world.asks("web", 0))
        load(world, "150m")
        since = len(world.commits)
        await world.rest(timedelta(minutes=2))
        assert {e.new["spec"]["replicas"] for r, e in world.commits[since:] if r == APPS} <= {4}
        assert wanted(world) == 4


@in_virtual_time
async def test_new_bounds_hold_at_once() -> None:
    async with a_world() as world:
        await live(world, elastic())
        world.edit(APP_SERVICES, "web", elasticity={"autoscaling": {"minReplicas": 6}})
        await world.run(lambda: said(world).get("latestRevision") == 2)
        assert wanted(world) == 4
        publish(world, 2)
        await world.run(lambda: is_whole(world, 6))


@in_virtual_time
async def test_a_deleted_service_is_drained_although_it_has_an_autoscaler() -> None:
    async with a_world() as world:
        await live(world, elastic())
        load(world, "150m")
        world.api.delete(APP_SERVICES, "default", "web")
        await world.run(lambda: world.api.get(APP_SERVICES, "default", "web") is None)
        await world.run(lambda: world.api.get(SCALERS, "default", "web") is None)
        assert not world.pods()


@in_virtual_time
async def test_an_autoscaler_that_was_changed_by_hand_is_brought_back() -> None:
    async with a_world() as world:
        await live(world, elastic())
        world.patch(SCALERS, "web", {"spec": {"maxReplicas": 50}})
        await world.run(lambda: bounds(world) == (2, 8))
        world.api.delete(SCALERS, "default", "web")
        await world.run(lambda: world.api.get(SCALERS, "default", "web") is not None)
        await world.run(lambda: has_phase(world, "Complete"))
        assert all(map(is_available, world.pods()))


@in_virtual_time
async def test_bounds_that_cross_are_refused_at_the_door() -> None:
    async with a_world() as world:
        with pytest.raises(ApiError, match="maxReplicas must be at least minReplicas"):
            world.apply(elastic(least=5, most=4))


@in_virtual_time
async def test_a_metric_that_is_none_is_refused_by_the_api_server_and_nothing_of_it_is_written() -> None:
    async with a_world() as world:
        body = elastic()
        body["spec"]["elasticity"]["autoscaling"]["metrics"] = [{"type": "Magic"}]
        world.apply(body)
        await world.run(lambda: has_phase(world, "Refused"))
        assert "supported values" in said(world)["message"] or "Unsupported" in said(world)["message"]
        assert world.api.get(APPS, "default", "web") is None
