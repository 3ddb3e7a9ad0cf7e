"""Pods that fail in the middle of a release, and what a person says of them."""

from collections import Counter

import pytest

from cafe.api.names import SKIP_ANNOTATION, SPECIFIED_DELETE_LABEL
from cafe_sim.contract import Json
from tests.simulation.world import (
    APPS,
    PODS,
    PROBED,
    World,
    a_template,
    a_world,
    an_app,
    image,
    is_ready,
    released,
)
from tests.worlds.clock import in_virtual_time

kinds = pytest.mark.parametrize("kind", ["InPlaceSet", "ReplicaSet", "StatefulSet"])


def probed(kind: str, **strategy: object) -> Json:
    """Return an application that tolerates two missing pods a cell, and whose hanging is noticed."""
    app = an_app(6, **{"batchSize": 2, "maxUnavailable": 2, "needWaitingForConfirm": True, **strategy})
    app["spec"]["podSetType"] = kind
    app["spec"]["template"] = a_template(**PROBED)
    return app


def new_pods(world: World, wanted: str = "web:2") -> list[Json]:
    return [p for p in world.pods() if image(p) == wanted and "deletionTimestamp" not in p["metadata"]]


async def with_a_sick_pod(world: World, kind: str, **strategy: object) -> Json:
    """Release web:2, and let a pod of Beta hang before the group is done; return it."""
    await released(world, probed(kind, **strategy))
    world.set_image(APPS, "web", "web:2")
    await world.run(lambda: any(_runs(pod) for pod in new_pods(world)))
    sick = next(pod for pod in new_pods(world) if _runs(pod))
    world.cluster.kubelets[sick["spec"]["nodeName"]].hang(sick["metadata"]["uid"], "app")
    await world.run(lambda: not is_ready(world.pod(sick["metadata"]["name"])))
    return sick


def _runs(pod: Json) -> bool:
    reports = pod["status"].get("containerStatuses") or []
    return any("running" in r["state"] and r["image"].endswith("web:2") for r in reports)


def told(world: World) -> Json:
    return world.status(APPS, "web")


@kinds
@in_virtual_time
async def test_a_release_goes_on_without_a_pod_that_a_person_skipped(kind: str) -> None:
    async with a_world() as world:
        sick = await with_a_sick_pod(world, kind)
        await world.rest()
        assert told(world)["phase"] == "Progressing"
        world.annotate(PODS, sick["metadata"]["name"], **{SKIP_ANNOTATION: "broken disk"})
        await world.run(lambda: world.asks("web", 0))
        for group in (0, 1):
            await world.run(lambda group=group: world.asks("web", group))  # type: ignore[misc]
            world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        assert Counter(map(image, world.pods())) == {"web:2": 6}
        assert sum(unit.get("skipped", 0) for unit in told(world)["units"]) == 1
        assert told(world)["availableReplicas"] == 5
        assert world.pod(sick["metadata"]["name"])["metadata"]["uid"] == sick["metadata"]["uid"]


@kinds
@in_virtual_time
async def test_a_skipped_pod_counts_again_when_it_serves(kind: str) -> None:
    async with a_world() as world:
        sick = await with_a_sick_pod(world, kind, needWaitingForConfirm=False)
        world.annotate(PODS, sick["metadata"]["name"], **{SKIP_ANNOTATION: "broken disk"})
        await world.run(lambda: world.is_complete("web"))
        world.cluster.kubelets[sick["spec"]["nodeName"]].recover(sick["metadata"]["uid"], "app")
        await world.run(lambda: told(world)["availableReplicas"] == 6)
        assert sum(unit.get("skipped", 0) for unit in told(world)["units"]) == 0
        assert world.is_complete("web")


@in_virtual_time
async def test_a_skip_holds_for_the_revision_that_it_was_said_of() -> None:
    async with a_world() as world:
        sick = await with_a_sick_pod(world, "InPlaceSet", needWaitingForConfirm=False)
        name = sick["metadata"]["name"]
        world.annotate(PODS, name, **{SKIP_ANNOTATION: "broken disk"})
        await world.run(lambda: world.is_complete("web"))
        world.set_image(APPS, "web", "web:bad")
        await world.run(lambda: image(world.pod(name)) == "web:bad")
        await world.rest()
        assert SKIP_ANNOTATION not in world.pod(name)["metadata"]["annotations"]
        assert not world.is_complete("web")
        assert sum(unit.get("skipped", 0) for unit in told(world)["units"]) == 0


@kinds
@in_virtual_time
async def test_a_failing_pod_is_made_anew_at_its_revision(kind: str) -> None:
    async with a_world() as world:
        sick = await with_a_sick_pod(world, kind)
        body = {"metadata": {"labels": {SPECIFIED_DELETE_LABEL: "true"}}}
        world.patch(PODS, sick["metadata"]["name"], body)
        await world.run(lambda: world.asks("web", 0))
        assert sick["metadata"]["uid"] not in {p["metadata"]["uid"] for p in world.pods()}
        assert len(new_pods(world)) == 2
        assert len(new_pods(world, "web:1")) == 4


@kinds
@in_virtual_time
async def test_so_many_failures_are_tolerated_but_the_release_is_whole_only_when_they_serve(
    kind: str,
) -> None:
    async with a_world() as world:
        sick = await with_a_sick_pod(world, kind, needWaitingForConfirm=False, failureTolerance=1)
        await world.run(lambda: len(new_pods(world)) == 6 and not new_pods(world, "web:1"))
        await world.rest()
        assert told(world)["phase"] == "Progressing"
        assert told(world)["availableReplicas"] == 5
        world.cluster.kubelets[sick["spec"]["nodeName"]].recover(sick["metadata"]["uid"], "app")
        await world.run(lambda: world.is_complete("web"))


@in_virtual_time
async def test_a_share_that_is_no_whole_pod_is_not_tolerated() -> None:
    async with a_world() as world:
        await with_a_sick_pod(world, "InPlaceSet", needWaitingForConfirm=False, failureTolerance="49%")
        await world.rest()
        assert len(new_pods(world)) == 2


@in_virtual_time
async def test_one_failure_more_than_is_tolerated_stops_the_release() -> None:
    async with a_world() as world:
        await released(world, probed("InPlaceSet", needWaitingForConfirm=False, failureTolerance=1))
        world.set_image(APPS, "web", "web:bad")
        await world.run(lambda: len(new_pods(world, "web:bad")) == 2)
        await world.rest()
        assert len(new_pods(world, "web:bad")) == 2
