"""What the API server itself refuses while a pod may still receive requests."""

from datetime import UTC, datetime, timedelta

import pytest

from cafe.api.names import APP_LABEL, FORCED_ANNOTATION, OPERATION_PREFIX
from cafe.api.trafficmarks import Operation, OperationType, write_mark
from cafe.kernel import ObjectKey
from cafe.kube.client import Client
from cafe.kube.errors import Forbidden
from cafe.kube.objects import PODS, Pod
from cafe.kube.patches import StrategicPatch
from cafe_sim.apiserver.dispatch import Caller
from cafe_sim.contract import Json
from cafe_sim.transport import SimTransport
from tests.simulation.test_evictions import evict, guarded
from tests.simulation.test_traffic import Witness, all_published, carried, operations
from tests.simulation.world import APPS, World, a_world, an_app, image, released
from tests.worlds.clock import in_virtual_time


def person(world: World) -> Client:
    return Client(SimTransport(world.api, Caller(agent="kubectl")), world.clock, world.entropy)


def key_of(pod: Pod) -> ObjectKey:
    return ObjectKey(pod.metadata.namespace, pod.metadata.name)


async def one_pod(world: World) -> ObjectKey:
    carried(world)
    await released(world, an_app(2))
    return ObjectKey("default", world.pods()[0]["metadata"]["name"])


def other_image() -> StrategicPatch:
    return StrategicPatch({"spec": {"containers": [{"name": "app", "image": "web:9"}]}})


@in_virtual_time
async def test_a_pod_under_traffic_is_neither_deleted_nor_changed_by_hand() -> None:
    async with a_world() as world:
        key, client = await one_pod(world), person(world)
        with pytest.raises(
            Forbidden, match=r"is not deleted.* 2 protections stand on it.*Lower the replicas"
        ):
            await client.delete(PODS, key)
        with pytest.raises(Forbidden, match=r"gets no other image.*Change the image of its application"):
            await client.patch(PODS, key, other_image())
        labelled = StrategicPatch({"metadata": {"labels": {"note": "mine"}}})
        assert (await client.patch(PODS, key, labelled)).metadata.labels["note"] == "mine"


def forced(level: int = 3, reason: str = "fire", record: str = '{"by":"ann","reason":"fire"}') -> Json:
    """Return the annotations by which a person overrides the protection of a pod."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    wish = Operation(type=OperationType.OFFLINE, actor="ann", start=start, force=level, reason=reason)
    return {OPERATION_PREFIX + "ann": write_mark(wish)} | ({FORCED_ANNOTATION: record} if record else {})


def annotated(notes: Json) -> StrategicPatch:
    return StrategicPatch({"metadata": {"annotations": notes}})


@in_virtual_time
async def test_what_is_forced_goes_through_as_long_as_the_operation_stands_and_stays_on_record() -> None:
    async with a_world() as world:
        key, client = await one_pod(world), person(world)
        await client.patch(PODS, key, annotated(forced()))
        with pytest.raises(Forbidden, match="stays on record"):
            await client.patch(PODS, key, annotated({FORCED_ANNOTATION: None}))
        with pytest.raises(Forbidden, match="stays on record"):
            await client.patch(PODS, key, annotated({FORCED_ANNOTATION: "{}"}))
        await client.patch(PODS, key, other_image())
        await client.patch(PODS, key, annotated({OPERATION_PREFIX + "ann": None}))
        await world.run(all_published(world, 2), timedelta(minutes=5))
        with pytest.raises(Forbidden, match="is not deleted"):
            await client.delete(PODS, key)


@pytest.mark.parametrize(
    "notes",
    [forced(record=""), forced(reason=""), forced(2, reason=""), forced(record='{"by":"ann","reason":""}')],
)
@in_virtual_time
async def test_nobody_forces_anything_without_saying_why(notes: Json) -> None:
    async with a_world() as world:
        key, client = await one_pod(world), person(world)
        with pytest.raises(Forbidden, match=r"may lack a reason.*cafe traffic force does"):
            await client.patch(PODS, key, annotated(notes))


@in_virtual_time
async def test_a_pod_under_traffic_does_not_escape_by_its_label() -> None:
    async with a_world() as world:
        key, client = await one_pod(world), person(world)
        with pytest.raises(Forbidden, match="keeps the label of its application"):
            await client.patch(PODS, key, StrategicPatch({"metadata": {"labels": {APP_LABEL: None}}}))


@in_virtual_time
async def test_a_pod_that_nobody_sends_requests_to_is_anybodys_to_delete() -> None:
    async with a_world() as world:
        await released(world, an_app(2))
        key = ObjectKey("default", world.pods()[0]["metadata"]["name"])
        await person(world).delete(PODS, key)


@pytest.mark.slow
@in_virtual_time
async def test_an_eviction_waits_until_the_traffic_is_gone() -> None:
    async with a_world() as world:
        balancer = carried(world)
        guarded(world)
        await released(world, an_app(4, maxUnavailable=1))
        witness = Witness(world, balancer)
        first, second, *_ = (p["metadata"]["name"] for p in world.pods())
        assert "leaves traffic first" in evict(world, first)
        assert "Pool/default/edge/web" in evict(world, first)
        assert "no further pod of web" in evict(world, second), "it is counted as away already"

        def is_gone() -> bool:
            return not evict(world, first) or world.api.get("pods", "default", first) is None

        await world.run(is_gone, timedelta(minutes=1))
        await world.run(all_published(world, 4))
        assert witness.touched == 1
        assert witness.lost == []


@pytest.mark.slow
@in_virtual_time
async def test_a_pod_whose_eviction_is_given_up_serves_again() -> None:
    async with a_world() as world:
        balancer = carried(world)
        guarded(world)
        await released(world, an_app(4, maxUnavailable=1))
        witness = Witness(world, balancer)
        name = world.pods()[0]["metadata"]["name"]
        assert "leaves traffic first" in evict(world, name)
        await world.run(lambda: bool(operations(world.pod(name))))
        await world.run(all_published(world, 4), timedelta(minutes=10))
        assert witness.touched == 0


@pytest.mark.slow
@in_virtual_time
async def test_a_node_is_drained_while_a_release_is_under_way_and_nothing_is_lost() -> None:
    async with a_world() as world:
        balancer = carried(world)
        guarded(world)
        await released(world, an_app(10, maxUnavailable=2))
        witness = Witness(world, balancer)
        first = world.pods()[0]["spec"]["nodeName"]
        left = {p["metadata"]["name"] for p in world.pods() if p["spec"]["nodeName"] == first}
        count = len(left)
        world.set_image(APPS, "web", "web:2")
        while left:
            for name in sorted(left):
                if world.api.get("pods", "default", name) is None or not evict(world, name):
                    left.discard(name)
            await world.clock.sleep(timedelta(seconds=5))
        await world.run(lambda: world.is_complete("web") and all_published(world)())
        assert {image(p) for p in world.pods()} == {"web:2"}
        assert witness.touched >= 10
        assert count > 0
        assert witness.lost == []
