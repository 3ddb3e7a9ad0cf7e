"""Containers with launch priorities: in a living pod the next image comes only after the last one serves."""

from datetime import timedelta

import pytest

from cafe.api.names import LAUNCH_PRIORITY_ANNOTATION, UPDATE_GATE
from cafe_sim.contract import Json
from tests.simulation.world import (
    APPS,
    PODS,
    World,
    a_world,
    an_app,
    find_condition,
    is_available,
    place,
    released,
)
from tests.worlds.clock import in_virtual_time


def a_pair(version: str, priorities: str = "proxy=10") -> Json:
    """Return a template of an application and its proxy, both of that version."""
    containers = [{"name": name, "image": f"web:{version}"} for name in ("app", "proxy")]
    annotations = {LAUNCH_PRIORITY_ANNOTATION: priorities}
    return {
        "metadata": {"labels": {"app": "web"}, "annotations": annotations},
        "spec": {"containers": containers, "terminationGracePeriodSeconds": 1},
    }


def images(pod: Json) -> tuple[str, str]:
    """Return what application and proxy are asked to run."""
    first, second = pod["spec"]["containers"]
    return first["image"], second["image"]


def proxy_runs(pod: Json, image: str) -> bool:
    """Whether the proxy is ready and runs *image*, as the kubelet tells it."""
    told = {c["name"]: c for c in pod["status"].get("containerStatuses") or []}
    return bool(told["proxy"]["ready"] and told["proxy"]["image"].endswith(image))


async def brought_up(world: World) -> None:
    body = an_app(4)
    body["spec"]["template"] = a_pair("1")
    await released(world, body)


def judge(world: World, since: int) -> int:
    """Check each write of an application's image since that commit; return how many there were."""
    seen = 0
    for resource, event in world.commits[since:]:
        last, pod = event.old, event.new
        if resource != PODS or last is None or images(last)[0] == images(pod)[0]:
            continue
        seen += 1
        assert images(last)[1] == images(pod)[1], "the proxy had its image by a write of its own"
        assert proxy_runs(last, images(pod)[1]), "the application came before its proxy served"
        gate = find_condition(last["status"], UPDATE_GATE)
        assert gate is not None
        assert gate["status"] == "False"
    return seen


@in_virtual_time
async def test_the_proxy_serves_before_the_application_gets_its_image() -> None:
    async with a_world() as world:
        await brought_up(world)
        places, since = sorted(place(p) for p in world.pods()), len(world.commits)
        world.edit(APPS, "web", template=a_pair("2"))
        await world.run(lambda: world.is_complete("web") and all(is_available(p) for p in world.pods()))
        assert {images(p) for p in world.pods()} == {("web:2", "web:2")}
        assert sorted(place(p) for p in world.pods()) == places
        assert judge(world, since) == 4


@in_virtual_time
async def test_a_proxy_that_never_serves_leaves_the_application_as_it_is_and_the_way_back_open() -> None:
    async with a_world() as world:
        await brought_up(world)
        broken = a_pair("1")
        broken["spec"]["containers"][1]["image"] = "web:bad"
        broken["spec"]["containers"][0]["image"] = "web:2"
        world.edit(APPS, "web", template=broken)
        await world.run(lambda: any(images(p) == ("web:1", "web:bad") for p in world.pods()))
        await world.stays(
            lambda: not any(images(p)[0] == "web:2" for p in world.pods()), timedelta(minutes=10)
        )
        restarted = {p["metadata"]["name"]: count_of(p, "app") for p in world.pods()}
        world.edit(APPS, "web", template=a_pair("1"))
        await world.run(lambda: world.is_complete("web") and all(is_available(p) for p in world.pods()))
        assert {images(p) for p in world.pods()} == {("web:1", "web:1")}
        assert {p["metadata"]["name"]: count_of(p, "app") for p in world.pods()} == restarted


def count_of(pod: Json, container: str) -> int:
    """Return how often a container was restarted."""
    told = {c["name"]: c["restartCount"] for c in pod["status"]["containerStatuses"]}
    return int(told[container])


@pytest.mark.slow
@pytest.mark.parametrize("is_applied", [False, True], ids=["before_the_write", "after_the_write"])
@in_virtual_time
async def test_lives_that_end_at_each_second_write_keep_the_order(*, is_applied: bool) -> None:
    async with a_world(is_controlled=False) as world:
        first = world.start_controller()
        await brought_up(world)
        await first.end()
        since = len(world.commits)
        world.edit(APPS, "web", template=a_pair("2"))
        for _ in range(200):
            life = world.start_controller(2, is_applied=is_applied)
            await world.run(lambda life=life: life.transport.broken.is_set() or is_over(world))  # type: ignore[misc]
            await life.end()
            if is_over(world):
                break
        assert is_over(world)
        assert judge(world, since) == 4


def is_over(world: World) -> bool:
    """Whether all is updated and serves."""
    whole = {images(p) for p in world.pods()} == {("web:2", "web:2")}
    return whole and world.is_complete("web") and all(is_available(p) for p in world.pods())


@in_virtual_time
async def test_priorities_of_unknown_containers_are_refused_and_nothing_is_touched() -> None:
    async with a_world() as world:
        await brought_up(world)
        versions = {p["metadata"]["name"]: p["metadata"]["resourceVersion"] for p in world.pods()}
        world.edit(APPS, "web", template=a_pair("2", "envoy=1"))
        await world.run(lambda: "launch-priority" in str(world.status(APPS, "web").get("waiting", {})))
        assert "BadLaunchPriority" in str(world.status(APPS, "web")["conditions"])
        assert {p["metadata"]["name"]: p["metadata"]["resourceVersion"] for p in world.pods()} == versions
