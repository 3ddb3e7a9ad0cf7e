"""CPU and memory of living pods: changed through `resize`, proven by what the node reports."""

from collections import Counter
from datetime import timedelta

import pytest

from cafe.kube.transport import Request, Response
from cafe_sim.contract import Json
from tests.simulation.world import (
    SETS,
    Fragile,
    World,
    a_set,
    a_template,
    a_world,
    gate,
    image,
    is_available,
    lowest,
    place,
    restarts,
)
from tests.worlds.clock import in_virtual_time

RESTART_FOR_MEMORY = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]


def sized(cpu: str, memory: str = "64Mi", image: str = "web:1", **more: object) -> Json:
    """Return a template whose container requests so much, and may use twice the memory at most."""
    amounts = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": "1Gi"}}
    return a_template(image, resources=amounts, **more)


def asked(pod: Json, name: str = "cpu") -> str:
    return str(pod["spec"]["containers"][0]["resources"]["requests"][name])


def given(pod: Json, name: str = "cpu") -> str:
    return str(pod["status"]["containerStatuses"][0]["resources"]["requests"][name])


def sizes(world: World) -> Counter[tuple[str, str]]:
    return Counter((asked(pod), given(pod)) for pod in world.pods())


def places(world: World) -> list[tuple[str, str, str]]:
    return sorted(place(pod) for pod in world.pods())


def told(world: World) -> tuple[str, str]:
    found = world.condition(SETS, "web", "Progressing")
    return str(found.get("reason")), str(found.get("message"))


async def settled(world: World, template: Json, **strategy: object) -> None:
    world.apply(a_set(template=template, strategy=strategy))
    await world.run(lambda: world.is_settled("web"))


@in_virtual_time
async def test_more_cpu_comes_to_pods_that_serve_on() -> None:
    async with a_world() as world:
        await settled(world, sized("100m"))
        before, since = places(world), len(world.commits)
        world.edit(SETS, "web", template=sized("250m"))
        await world.run(lambda: world.is_settled("web"))
        assert sizes(world) == {("250m", "250m"): 3}
        assert places(world) == before
        assert sum(map(restarts, world.pods())) == 0
        assert lowest(world, since) == 3
        assert world.status(SETS, "web")["updatedAvailableReplicas"] == 3


@in_virtual_time
async def test_pods_are_resized_no_more_at_a_time_than_the_budget_says() -> None:
    async with a_world() as world:
        await settled(world, sized("100m"), maxUnavailable=1)
        since = len(world.commits)
        world.edit(SETS, "web", template=sized("250m"))
        await world.run(lambda: world.is_settled("web"))

        def is_given(pod: Json) -> bool:
            return asked(pod) == given(pod)

        assert lowest(world, since, is_given) == 2


@in_virtual_time
async def test_a_resize_that_restarts_its_container_takes_the_pod_out_of_traffic_first() -> None:
    async with a_world() as world:
        await settled(world, sized("100m", resizePolicy=RESTART_FOR_MEMORY))
        before, since = places(world), len(world.commits)
        world.edit(SETS, "web", template=sized("100m", "128Mi", resizePolicy=RESTART_FOR_MEMORY))
        await world.run(lambda: world.is_settled("web"))
        assert places(world) == before
        assert [restarts(pod) for pod in world.pods()] == [1, 1, 1]
        assert lowest(world, since) == 2
        for pod in world.pods():
            assert given(pod, "memory") == "128Mi"
            states = [(asked(old, "memory"), gate(old)) for old in world.history(pod["metadata"]["uid"])]
            assert ("128Mi", "False") in states
            first = next(n for n, (memory, _) in enumerate(states) if memory == "128Mi")
            assert states[first - 1][1] == "False"


@in_virtual_time
async def test_image_and_size_change_with_one_restart() -> None:
    async with a_world() as world:
        await settled(world, sized("100m"))
        before = places(world)
        world.edit(SETS, "web", template=sized("250m", image="web:2"))
        await world.run(lambda: world.is_settled("web"))
        assert places(world) == before
        assert [restarts(pod) for pod in world.pods()] == [1, 1, 1]
        assert sizes(world) == {("250m", "250m"): 3}
        assert {image(pod) for pod in world.pods()} == {"web:2"}


@in_virtual_time
async def test_a_size_for_which_there_is_no_room_stops_after_the_first_pod() -> None:
    async with a_world() as world:
        world.apply(a_set(8, template=sized("100m"), strategy={"maxUnavailable": 1}))
        await world.run(lambda: world.is_settled("web"))
        since = len(world.commits)
        world.edit(SETS, "web", template=sized("3950m"))
        await world.rest()
        assert sizes(world) == {("3950m", "100m"): 1, ("100m", "100m"): 7}
        assert lowest(world, since) == 8
        reason, message = told(world)
        assert reason == "BudgetSpent"
        assert "resize deferred: Node didn't have enough resource: cpu" in message
        assert "requested" not in message
        assert world.status(SETS, "web")["updatedAvailableReplicas"] == 0

        world.edit(SETS, "web", template=sized("100m"))
        await world.run(lambda: world.is_settled("web"))
        assert sizes(world) == {("100m", "100m"): 8}
        assert sum(map(restarts, world.pods())) == 0


@in_virtual_time
async def test_a_size_that_no_node_has_costs_one_pod_at_most_and_is_taken_back() -> None:
    """Its own node will never have it, another might: so it is replaced, within the budget."""
    async with a_world() as world:
        await settled(world, sized("100m"), maxUnavailable=1)
        since = len(world.commits)
        world.edit(SETS, "web", template=sized("64"))
        await world.rest()
        assert Counter(map(asked, world.pods())) == {"64": 1, "100m": 2}
        assert lowest(world, since) == 2
        world.edit(SETS, "web", template=sized("100m"))
        await world.run(lambda: world.is_settled("web"))
        assert sizes(world) == {("100m", "100m"): 3}
        assert lowest(world, since) == 2


def labelled(template: Json) -> Json:
    template["metadata"]["labels"]["tier"] = "front"
    return template


@in_virtual_time
async def test_a_size_that_is_outstanding_is_waited_for_although_the_target_moves() -> None:
    """The next template has the same size, so that its own change says nothing of it."""
    async with a_world() as world:
        world.apply(a_set(1, template=sized("100m")))
        await world.run(lambda: world.is_settled("web"))
        world.cluster.timing.resize = timedelta(minutes=2)
        world.edit(SETS, "web", template=sized("250m"))
        await world.run(lambda: ("250m", "100m") in sizes(world))
        world.edit(SETS, "web", template=labelled(sized("250m")))
        await world.run(lambda: world.is_settled("web"))
        assert sizes(world) == {("250m", "250m"): 1}
        assert world.pods()[0]["metadata"]["labels"]["tier"] == "front"


@in_virtual_time
async def test_a_size_that_is_outstanding_outlives_an_update_that_is_called_off() -> None:
    async with a_world() as world:
        world.apply(a_set(1, template=sized("100m"), strategy={"gracePeriodSeconds": 20}))
        await world.run(lambda: world.is_settled("web"))
        world.cluster.timing.resize = timedelta(minutes=2)
        world.edit(SETS, "web", template=sized("250m"))
        await world.run(lambda: ("250m", "100m") in sizes(world))
        world.edit(SETS, "web", template=sized("250m", image="web:2"))
        await world.run(lambda: any(gate(pod) == "False" for pod in world.pods()))
        world.edit(SETS, "web", template=sized("250m"))
        await world.run(lambda: world.is_settled("web"))
        assert sizes(world) == {("250m", "250m"): 1}
        assert [(image(pod), restarts(pod)) for pod in world.pods()] == [("web:1", 0)]


@in_virtual_time
async def test_a_size_is_not_taken_for_given_before_the_node_says_so() -> None:
    async with a_world() as world:
        await settled(world, sized("100m"), maxUnavailable=3)
        world.cluster.timing.resize = timedelta(minutes=2)
        world.edit(SETS, "web", template=sized("250m"))
        await world.rest()
        assert sizes(world) == {("250m", "100m"): 3}
        assert world.status(SETS, "web")["updatedReplicas"] == 3
        assert world.status(SETS, "web")["updatedAvailableReplicas"] == 0
        assert world.status(SETS, "web")["availableReplicas"] == 3
        assert told(world)[0] == "WaitingForPods"
        await world.run(lambda: world.is_settled("web"))


@in_virtual_time
async def test_a_change_of_the_quality_of_service_needs_new_pods() -> None:
    async with a_world() as world:
        await settled(world, sized("100m"))
        before = places(world)
        equal = {"cpu": "100m", "memory": "64Mi"}
        world.edit(SETS, "web", template=a_template(resources={"requests": equal, "limits": equal}))
        await world.run(lambda: world.is_settled("web"))
        assert not set(before) & set(places(world))


@in_virtual_time
async def test_a_limit_alone_is_requested_too_as_when_the_pod_was_made() -> None:
    async with a_world() as world:
        await settled(world, a_template(resources={"limits": {"cpu": "100m", "memory": "64Mi"}}))
        before = places(world)
        world.edit(SETS, "web", template=a_template(resources={"limits": {"cpu": "0.25", "memory": "64Mi"}}))
        await world.run(lambda: world.is_settled("web"))
        assert sizes(world) == {("250m", "250m"): 3}
        assert places(world) == before
        assert {pod["status"]["qosClass"] for pod in world.pods()} == {"Guaranteed"}


@in_virtual_time
async def test_the_same_amount_written_otherwise_changes_nothing() -> None:
    async with a_world() as world:
        await settled(world, sized("100m"))
        before, since = places(world), len(world.commits)
        world.edit(SETS, "web", template=sized("0.1"))
        await world.run(lambda: world.is_settled("web"))
        assert (places(world), lowest(world, since)) == (before, 3)
        assert sizes(world) == {("100m", "100m"): 3}


def without_resize(monkeypatch: pytest.MonkeyPatch, status: int, reason: str) -> None:
    """Let the API server answer each resize with an error."""
    send = Fragile.send

    async def refusing(self: Fragile, request: Request) -> Response:
        if not request.path.endswith("/resize"):
            return await send(self, request)
        body = b'{"kind":"Status","status":"Failure","code":%d,"reason":"%s","message":"no"}'
        return Response(status, body % (status, reason.encode()))

    monkeypatch.setattr(Fragile, "send", refusing)


@in_virtual_time
async def test_where_the_server_cannot_resize_pods_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    without_resize(monkeypatch, 404, "NotFound")
    async with a_world() as world:
        await settled(world, sized("100m"), maxUnavailable=1)
        before, since = places(world), len(world.commits)
        world.edit(SETS, "web", template=sized("250m"))
        await world.run(lambda: world.is_settled("web"))
        assert not set(before) & set(places(world))
        assert sizes(world) == {("250m", "250m"): 3}
        assert lowest(world, since) == 2


@pytest.mark.parametrize(
    ("status", "reason", "policy"),
    [(404, "NotFound", "InPlaceOnly"), (403, "Forbidden", "InPlaceIfPossible")],
    ids=["no-resize-and-no-replacing", "a-quota"],
)
@in_virtual_time
async def test_a_refused_resize_is_told_and_touches_no_pod(
    monkeypatch: pytest.MonkeyPatch, status: int, reason: str, policy: str
) -> None:
    """A quota would refuse a new pod of that size too: the old one would be missed."""
    without_resize(monkeypatch, status, reason)
    async with a_world() as world:
        await settled(world, sized("100m"), podUpgradePolicy=policy)
        before, since = places(world), len(world.commits)
        world.edit(SETS, "web", template=sized("250m"))
        await world.run(lambda: told(world)[0] == "ResizeRefused")
        await world.clock.sleep(timedelta(minutes=1))
        assert world.condition(SETS, "web", "Progressing")["status"] == "False"
        assert (places(world), lowest(world, since)) == (before, 3)
        assert sizes(world) == {("100m", "100m"): 3}

        world.edit(SETS, "web", template=sized("100m"))
        await world.run(lambda: world.is_settled("web"))
        assert places(world) == before


@pytest.mark.slow
@pytest.mark.parametrize("is_applied", [False, True], ids=["not-applied", "answer-lost"])
@pytest.mark.parametrize("writes", range(1, 7))
@in_virtual_time
async def test_a_death_at_any_write_of_a_resize_loses_and_doubles_nothing(
    writes: int, *, is_applied: bool
) -> None:
    async with a_world(is_controlled=False) as world:
        world.apply(a_set(template=sized("100m", resizePolicy=RESTART_FOR_MEMORY)))
        await lived(world, writes, is_applied=is_applied)
        before, since = places(world), len(world.commits)
        for template, restarted in (
            (sized("250m", resizePolicy=RESTART_FOR_MEMORY), 0),
            (sized("100m", "128Mi", "web:2", resizePolicy=RESTART_FOR_MEMORY), 1),
        ):
            world.edit(SETS, "web", template=template)
            await lived(world, writes, is_applied=is_applied)
            assert places(world) == before
            # Image and memory: the node may take them up together or one after the other.
            assert all(restarted <= restarts(pod) <= 2 * restarted for pod in world.pods())
        assert {given(pod, "memory") for pod in world.pods()} == {"128Mi"}
        assert sizes(world) == {("100m", "100m"): 3}
        assert all(map(is_available, world.pods()))
        assert lowest(world, since) >= 2


async def lived(world: World, writes: int, *, is_applied: bool) -> None:
    """Run life after life, each of which dies at its write number *writes*, until the set is settled."""
    for _ in range(100):
        life = world.start_controller(writes, is_applied=is_applied)
        broken = life.transport.broken
        await world.run(lambda broken=broken: broken.is_set() or world.is_settled("web"))  # type: ignore[misc]
        await life.end()
        if world.is_settled("web"):
            return
    raise AssertionError(f"100 lives were not enough: {world.told()}")
