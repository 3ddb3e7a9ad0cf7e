"""What the guard of traffic means to the cluster's own parts: nothing may be stuck because of it."""

from datetime import timedelta

import pytest

from tests.simulation.test_evictions import evict, guarded
from tests.simulation.test_podset_kinds import app_of
from tests.simulation.test_traffic import NATIVES, Witness, all_published, carried, operations
from tests.simulation.world import APPS, PROBED, World, a_template, a_world, released
from tests.worlds.clock import in_virtual_time

KINDS = pytest.mark.parametrize("kind", ["InPlaceSet", "ReplicaSet", "StatefulSet"])


async def drain(world: World, node: str) -> None:
    """Evict all pods of a node, as kubectl drain does: each again every five seconds until it may go."""
    left = {
        p["metadata"]["uid"]: p["metadata"]["name"] for p in world.pods() if p["spec"]["nodeName"] == node
    }
    deadline = world.clock.monotonic() + timedelta(minutes=20)
    while left:
        assert world.clock.monotonic() < deadline, world.told()
        for uid, name in sorted(left.items()):
            pod = world.api.get("pods", "default", name)
            if pod is None or pod["metadata"]["uid"] != uid or not evict(world, name):
                del left[uid]
        await world.clock.sleep(timedelta(seconds=5))


@KINDS
@pytest.mark.slow
@in_virtual_time
async def test_a_node_is_drained_without_loss_whatever_serves_the_units(kind: str) -> None:
    async with a_world() as world:
        balancer = carried(world)
        guarded(world)
        await released(world, app_of(kind, maxUnavailable=2))
        witness = Witness(world, balancer)
        await drain(world, world.pods()[0]["spec"]["nodeName"])
        await world.run(all_published(world), timedelta(minutes=10))
        assert witness.touched > 0
        assert witness.lost == []


@KINDS
@pytest.mark.slow
@in_virtual_time
async def test_without_the_guard_the_same_drain_loses_requests(kind: str) -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, app_of(kind, maxUnavailable=2))
        witness = Witness(world, balancer)
        await drain(world, world.pods()[0]["spec"]["nodeName"])
        assert witness.lost


@KINDS
@pytest.mark.slow
@in_virtual_time
async def test_an_application_that_is_deleted_takes_its_pods_along(kind: str) -> None:
    async with a_world() as world:
        carried(world)
        await released(world, app_of(kind, maxUnavailable=2))
        world.api.delete(APPS, "default", "web")
        await world.run(lambda: not world.pods(), timedelta(minutes=10))


@KINDS
@pytest.mark.slow
@in_virtual_time
async def test_pods_of_a_lost_node_are_replaced_though_they_were_under_traffic(kind: str) -> None:
    async with a_world() as world:
        carried(world)
        await released(world, app_of(kind, maxUnavailable=2))
        node = world.pods()[0]["spec"]["nodeName"]
        lost = {p["metadata"]["uid"] for p in world.pods() if p["spec"]["nodeName"] == node}
        world.cluster.kubelets[node].power_off()
        await world.run(
            lambda: all(
                "deletionTimestamp" in p["metadata"] for p in world.pods() if p["metadata"]["uid"] in lost
            ),
            timedelta(minutes=10),
        )


@NATIVES
@pytest.mark.slow
@in_virtual_time
async def test_a_set_that_was_scaled_by_hand_is_not_stuck_with_pods_that_it_may_not_delete(kind: str) -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, app_of(kind, maxUnavailable=2))
        witness = Witness(world, balancer)
        resource = f"{kind.lower()}s.apps"
        name = world.api.list(resource, "default")[0]["metadata"]["name"]
        world.patch(resource, name, {"spec": {"replicas": 3}})
        await world.rest(timedelta(minutes=1), timedelta(minutes=30))
        await world.run(all_published(world), timedelta(minutes=10))
        assert witness.lost == []


@pytest.mark.slow
@in_virtual_time
async def test_a_pod_that_falls_ill_in_mid_scale_in_does_not_hold_it_up() -> None:
    async with a_world() as world:
        balancer = carried(world)
        app = app_of("ReplicaSet", maxUnavailable=2)
        app["spec"]["template"] = a_template(**PROBED)
        await released(world, app)
        witness = Witness(world, balancer)
        world.edit(APPS, "web", replicas=8)
        await world.run(lambda: any(operations(p) for p in world.pods()))
        asked = {p["metadata"]["uid"] for p in world.pods() if operations(p)}
        for pod in world.pods():
            if pod["metadata"]["uid"] not in asked:
                kubelet = world.cluster.kubelets[pod["spec"]["nodeName"]]
                kubelet.hang(pod["metadata"]["uid"], "app")
                break
        await world.run(
            lambda: sum("deletionTimestamp" not in p["metadata"] for p in world.pods()) == 8,
            timedelta(minutes=20),
        )
        assert witness.lost == []
