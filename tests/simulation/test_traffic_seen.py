"""What is told of traffic: the status of each provider, and the metrics."""

from datetime import timedelta
from itertools import pairwise

from cafe.api.names import CONTROLLER_NAMESPACE, OPERATION_PREFIX
from cafe.api.trafficmarks import Operation, OperationType, write_mark
from cafe_sim.contract import Json, StoreEvent
from tests.simulation.test_traffic import BINDINGS, PROVIDERS, carried
from tests.simulation.world import APPS, PODS, World, a_world, an_app, released
from tests.worlds.clock import in_virtual_time


def status(world: World) -> Json:
    found: Json = world.api.get(PROVIDERS, CONTROLLER_NAMESPACE, "edge").get("status") or {}
    return found


def reachable(world: World) -> Json:
    return next((c for c in status(world).get("conditions") or [] if c["type"] == "Reachable"), {})


def value(world: World, name: str, **labels: str) -> float | None:
    return world.registry.get_sample_value(name, labels)


def pods_in(world: World, phase: str) -> float:
    where = {"namespace": "default", "application": "web", "phase": phase}
    return value(world, "cafe_traffic_pods", **where) or 0


@in_virtual_time
async def test_a_process_that_does_not_answer_is_named_in_the_status_until_it_does() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(4))
        await world.run(lambda: status(world).get("reachable") == 2)
        assert reachable(world)["message"] == "All processes answer"
        balancer.processes["right"].is_reachable = False
        await world.run(lambda: status(world)["reachable"] == 1)
        assert reachable(world)["status"] == "False"
        assert "right: no answer" in reachable(world)["message"]
        assert {r["name"]: bool(r["problem"]) for r in status(world)["replicas"]} == {
            "left": False,
            "right": True,
        }
        right = {"provider": "edge", "replica": "right"}
        assert value(world, "cafe_traffic_provider_reachable", **right) == 0
        balancer.processes["right"].is_reachable = True
        await world.run(lambda: reachable(world)["status"] == "True")
        assert value(world, "cafe_traffic_provider_reachable", **right) == 1


@in_virtual_time
async def test_a_process_that_comes_and_goes_is_not_written_down_more_often_than_every_5_seconds() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(4))
        await world.run(lambda: status(world).get("reachable") == 2)
        written: list[timedelta] = []

        def saw(_: StoreEvent) -> None:
            written.append(world.clock.monotonic())

        world.api.subscribe(PROVIDERS, saw)
        world.set_image(APPS, "web", "web:2")
        for turn in range(100):
            balancer.processes["right"].is_reachable = turn % 2 == 0
            await world.clock.sleep(timedelta(seconds=0.7))
        assert len(written) > 2
        assert all(later - earlier >= timedelta(seconds=5) for earlier, later in pairwise(written))


@in_virtual_time
async def test_a_provider_that_nobody_is_bound_to_is_asked_nothing_and_says_nothing() -> None:
    async with a_world() as world:
        carried(world)
        world.api.delete(BINDINGS, "default", "web")
        await released(world, an_app(2))
        assert status(world).get("conditions") is None


@in_virtual_time
async def test_drains_commands_and_pods_by_phase_are_counted() -> None:
    async with a_world() as world:
        carried(world)
        await released(world, an_app(4, maxUnavailable=1))
        await world.run(lambda: pods_in(world, "Serving") == 4)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: pods_in(world, "Draining") > 0)
        await world.run(lambda: world.is_complete("web"))
        await world.run(lambda: pods_in(world, "Serving") == 4)
        assert pods_in(world, "Draining") == pods_in(world, "Drained") == pods_in(world, "Attaching") == 0
        for provider in ("edge", "Service"):
            assert value(world, "cafe_traffic_drain_seconds_count", provider=provider) == 4
            # Four when they were made, and four when they came back.
            assert value(world, "cafe_traffic_attach_seconds_count", provider=provider) == 8
        seconds = value(world, "cafe_traffic_drain_seconds_sum", provider="edge")
        assert seconds is not None
        assert seconds >= 4
        detached = {"provider": "edge", "command": "detach", "result": "done"}
        assert (value(world, "cafe_traffic_commands_total", **detached) or 0) >= 4


@in_virtual_time
async def test_a_pod_that_a_person_holds_is_counted_apart_and_so_is_one_whose_drain_is_forced() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(4))
        balancer.processes["right"].is_reachable = False
        pod = world.pods()[0]["metadata"]["name"]
        wish = Operation(type=OperationType.OFFLINE, actor="ann", start=world.clock.now())
        world.annotate(PODS, pod, **{f"{OPERATION_PREFIX}ann": write_mark(wish)})
        gate = {"type": "cafe.sofastack.io/traffic", "status": "False"}
        world.patch(PODS, pod, {"status": {"conditions": [gate]}}, "status")
        await world.run(lambda: pods_in(world, "DrainStuck") == 1)
        forced = Operation(
            type=wish.type, actor="ann", start=wish.start, force=2, skip=["Pool/default/edge/web"], reason="x"
        )
        world.annotate(PODS, pod, **{f"{OPERATION_PREFIX}ann": write_mark(forced)})
        where = {"namespace": "default", "application": "web"}
        await world.run(lambda: value(world, "cafe_traffic_forced_pods", **where) == 1)
        await world.run(lambda: pods_in(world, "Held") == 1)
        world.annotate(PODS, pod, **{f"{OPERATION_PREFIX}ann": None})
        await world.run(lambda: value(world, "cafe_traffic_forced_pods", **where) == 0)
