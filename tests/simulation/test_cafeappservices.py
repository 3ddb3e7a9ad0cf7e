"""An application service from its first edit to its end, on the simulated cluster."""

from datetime import timedelta

import pytest

from cafe_sim.contract import ApiError, DeleteOptions, Json
from tests.simulation.world import (
    APP_REVISIONS,
    APP_SERVICES,
    APPS,
    World,
    a_service,
    a_world,
    image,
    is_available,
    lowest,
)
from tests.worlds.clock import in_virtual_time

CONFIGS = "configmaps"
BUDGETS = "poddisruptionbudgets.policy"
DEPLOY: Json = a_service()["spec"]["deploy"]
SERVICES = "services"


def said(world: World) -> Json:
    """Return what the service says of itself."""
    return world.status(APP_SERVICES, "web")


def is_seen(world: World) -> bool:
    """Whether the status speaks of the newest spec."""
    generation = world.one(APP_SERVICES, "web")["metadata"]["generation"]
    return said(world).get("observedGeneration") == generation


def has_phase(world: World, phase: str) -> bool:
    """Whether the service says of its newest spec that it is in that phase."""
    return is_seen(world) and said(world).get("phase") == phase


def numbers(world: World) -> list[int]:
    """Return the numbers of the stored revisions."""
    return sorted(r["spec"]["number"] for r in world.api.list(APP_REVISIONS, "default"))


def configs(world: World) -> dict[str, Json]:
    """Return the ConfigMaps of the namespace that were rendered from a service."""
    found = world.api.list(CONFIGS, "default")
    return {c["metadata"]["name"]: c for c in found if "ownerReferences" in c["metadata"]}


def edit_image(world: World, wanted: str) -> None:
    """Edit the service's image, and publish nothing."""
    world.set_image(APP_SERVICES, "web", wanted)


def publish(world: World, number: int | None, **more: object) -> None:
    """Publish a revision."""
    world.edit(APP_SERVICES, "web", publish={"revision": number, **more})


async def live(world: World, body: Json | None = None) -> None:
    """Bring up a service at its first revision."""
    world.apply(body or a_service(publish={"revision": 1}))
    await world.run(lambda: has_phase(world, "Complete"))


@in_virtual_time
async def test_an_edit_makes_a_revision_and_changes_nothing_that_runs() -> None:
    async with a_world() as world:
        world.apply(a_service())
        await world.run(lambda: has_phase(world, "Unpublished"))
        assert numbers(world) == [1]
        assert said(world)["message"] == "Nothing runs; to make it live: cafe app publish web 1"
        await world.rest()
        assert (world.api.list(APPS, "default"), world.pods(), configs(world)) == ([], [], {})


@in_virtual_time
async def test_publishing_renders_services_configs_and_the_application() -> None:
    async with a_world() as world:
        await live(world)
        status = said(world)
        assert (status["liveRevision"], status["lastGoodRevision"], status["replicas"]) == (1, 1, 10)
        (name,) = configs(world)
        assert name.startswith("web-settings-")
        assert configs(world)[name]["data"] == {"COLOUR": "blue"}
        pod = world.pods()[0]
        assert pod["spec"]["containers"][0]["envFrom"] == [{"configMapRef": {"name": name}}]
        assert world.one(SERVICES, "web")["spec"]["selector"] == {"app": "web"}
        ready = world.condition(APP_SERVICES, "web", "Ready")
        assert (ready["status"], ready["reason"]) == ("True", "Complete")
        assert not world.condition(APP_SERVICES, "web", "Reconciling")


@in_virtual_time
async def test_a_second_edit_waits_until_it_is_published_and_then_goes_out_in_groups() -> None:
    async with a_world() as world:
        await live(world)
        since = len(world.commits)
        edit_image(world, "web:2")
        await world.run(lambda: numbers(world) == [1, 2] and is_seen(world))
        await world.rest()
        assert {image(pod) for pod in world.pods()} == {"web:1"}
        assert (said(world)["specRevision"], said(world)["liveRevision"]) == (2, 1)
        publish(world, 2)
        await world.run(lambda: has_phase(world, "Complete"))
        assert {image(pod) for pod in world.pods()} == {"web:2"}
        assert lowest(world, since) >= 8
        plan = world.status(APPS, "web")["plan"]
        assert [sum(g["units"].values()) for g in plan["groups"]] == [2, 4, 4]


@in_virtual_time
async def test_going_back_uses_the_old_revision_again() -> None:
    async with a_world() as world:
        await live(world)
        edit_image(world, "web:2")
        await world.run(lambda: numbers(world) == [1, 2])
        publish(world, 2)
        await world.run(lambda: has_phase(world, "Complete"))
        publish(world, 1)
        await world.run(lambda: has_phase(world, "Complete") and said(world)["liveRevision"] == 1)
        assert {image(pod) for pod in world.pods()} == {"web:1"}
        assert numbers(world) == [1, 2]
        edit_image(world, "web:1")
        await world.run(lambda: is_seen(world) and said(world)["specRevision"] == 1)
        assert numbers(world) == [1, 2]


@in_virtual_time
async def test_a_config_is_released_in_groups_and_the_old_one_stays_until_nobody_uses_it() -> None:
    async with a_world() as world:
        await live(world)
        (old,) = configs(world)
        world.edit(APP_SERVICES, "web", configs=[{"name": "settings", "data": {"COLOUR": "red"}}])
        await world.run(lambda: numbers(world) == [1, 2])
        world.edit(APP_SERVICES, "web", publish={"revision": 2, "pause": True})
        await world.run(lambda: has_phase(world, "Paused"))
        await world.rest()
        assert old in configs(world)
        assert len(configs(world)) == 2
        world.edit(APP_SERVICES, "web", publish={"pause": False})
        await world.run(lambda: has_phase(world, "Complete") and len(configs(world)) == 1)
        (new,) = configs(world)
        used = {pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"] for pod in world.pods()}
        assert used == {new} != {old}


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        (9, "RevisionUnknown", "Revision 9 doesn't exist."),
        (2, "RevisionHeld", "The reason is: orders were lost"),
        (None, "NothingPublished", "Revision 1 stays live"),
    ],
)
@in_virtual_time
async def test_what_can_not_be_published_is_refused_and_nothing_moves(
    asked: int | None, code: str, words: str
) -> None:
    async with a_world() as world:
        await live(world)
        edit_image(world, "web:2")
        await world.run(lambda: numbers(world) == [1, 2])
        world.edit(APP_REVISIONS, "web-2", hold={"reason": "orders were lost"})
        await world.rest()
        before = {pod["metadata"]["uid"]: pod["metadata"]["resourceVersion"] for pod in world.pods()}
        publish(world, asked)
        await world.run(lambda: has_phase(world, "Refused"))
        assert words in said(world)["message"]
        stalled = world.condition(APP_SERVICES, "web", "Stalled")
        assert (stalled["status"], stalled["reason"]) == ("True", code)
        assert said(world)["liveRevision"] == 1
        await world.rest()
        assert {p["metadata"]["uid"]: p["metadata"]["resourceVersion"] for p in world.pods()} == before
        assert len(world.events(code)) == 1
        publish(world, 1)
        await world.run(lambda: has_phase(world, "Complete"))


@in_virtual_time
async def test_a_revision_whose_content_was_changed_behind_its_digest_is_never_made_live() -> None:
    async with a_world() as world:
        await live(world)
        revision = world.one(APP_REVISIONS, "web-1")
        evil = {**revision["spec"], "number": 2, "digest": "0123456789ab"}
        metadata = {"name": "web-2", "ownerReferences": revision["metadata"]["ownerReferences"]}
        world.api.create(APP_REVISIONS, "default", {**revision, "metadata": metadata, "spec": evil})
        publish(world, 2)
        await world.run(lambda: has_phase(world, "Refused"))
        assert "Revision 2 is not what it was when it was made." in said(world)["message"]
        assert said(world)["liveRevision"] == 1


@in_virtual_time
async def test_a_draft_is_kept_by_no_revision() -> None:
    async with a_world() as world:
        world.apply(a_service(draft=True))
        await world.run(lambda: has_phase(world, "Draft"))
        edit_image(world, "web:2")
        await world.rest()
        assert numbers(world) == []
        world.edit(APP_SERVICES, "web", draft=False)
        await world.run(lambda: has_phase(world, "Unpublished"))
        (only,) = world.api.list(APP_REVISIONS, "default")
        assert only["spec"]["content"]["template"]["spec"]["containers"][0]["image"] == "web:2"


@in_virtual_time
async def test_what_was_changed_by_hand_is_brought_back_or_reported() -> None:
    async with a_world() as world:
        await live(world)
        world.patch(SERVICES, "web", {"spec": {"ports": [{"name": "http", "port": 81}]}})
        world.patch(APPS, "web", {"spec": {"replicas": 3}})
        await world.run(lambda: world.one(SERVICES, "web")["spec"]["ports"][0]["port"] == 80)
        await world.run(
            lambda: has_phase(world, "Complete") and world.one(APPS, "web")["spec"]["replicas"] == 10
        )
        told = {"Service web: spec.ports[http].port", "CafeDeployment web: spec.replicas"}
        await world.run(lambda: {e["note"] for e in world.events("DriftRepaired")} == told)
        world.edit(APP_SERVICES, "web", driftPolicy="Report")
        await world.rest()
        world.patch(APPS, "web", {"spec": {"replicas": 3}})
        await world.run(lambda: bool(said(world).get("drifted")))
        await world.rest()
        assert said(world)["drifted"] == ["CafeDeployment web: spec.replicas"]
        assert world.one(APPS, "web")["spec"]["replicas"] == 3
        assert world.condition(APP_SERVICES, "web", "Drifted")["status"] == "True"


@in_virtual_time
async def test_somebody_elses_object_is_not_taken_over() -> None:
    async with a_world() as world:
        ports = [{"name": "http", "port": 8080}]
        service = {"metadata": {"name": "web"}, "spec": {"ports": ports, "selector": {"app": "other"}}}
        world.api.create(SERVICES, "default", service)
        world.apply(a_service(publish={"revision": 1}))
        await world.run(lambda: has_phase(world, "Refused"))
        assert "Service web exists already. It belongs to nobody." in said(world)["message"]
        assert world.one(SERVICES, "web")["spec"]["selector"] == {"app": "other"}
        assert (world.api.list(APPS, "default"), configs(world)) == ([], {})
        world.api.delete(SERVICES, "default", "web")
        await world.run(lambda: has_phase(world, "Complete"))


@in_virtual_time
async def test_what_the_api_server_refuses_is_told_and_nothing_of_it_is_written() -> None:
    async with a_world() as world:
        await live(world)
        bad = [{"name": "web", "spec": {"ports": [{"name": "http", "port": 0}]}}]
        configs_now = [{"name": "settings", "data": {"COLOUR": "red"}}]
        world.edit(APP_SERVICES, "web", services=bad, configs=configs_now)
        await world.run(lambda: numbers(world) == [1, 2])
        before = (configs(world), world.one(APPS, "web")["spec"])
        publish(world, 2)
        await world.run(lambda: has_phase(world, "Refused"))
        assert "spec.ports[0].port" in said(world)["message"]
        await world.rest(timedelta(seconds=70))
        assert (configs(world), world.one(APPS, "web")["spec"]) == before
        publish(world, 1)
        await world.run(lambda: has_phase(world, "Complete"))


@in_virtual_time
async def test_a_deleted_service_is_drained_before_it_goes() -> None:
    async with a_world() as world:
        await live(world)
        world.api.delete(APP_SERVICES, "default", "web")
        await world.run(lambda: world.api.get(APP_SERVICES, "default", "web") is None)
        assert world.pods() == []
        await world.run(lambda: world.api.list(APPS, "default") == [] and configs(world) == {})
        await world.run(lambda: world.api.get(SERVICES, "default", "web") is None)


@in_virtual_time
async def test_a_service_that_is_deleted_without_its_dependants_leaves_them_serving() -> None:
    async with a_world() as world:
        await live(world)
        before, since = {pod["metadata"]["uid"] for pod in world.pods()}, len(world.commits)
        world.api.delete(APP_SERVICES, "default", "web", DeleteOptions(propagation="Orphan"))
        await world.run(lambda: world.api.get(APP_SERVICES, "default", "web") is None)
        await world.rest(timedelta(minutes=2))
        assert {pod["metadata"]["uid"] for pod in world.pods()} == before
        assert lowest(world, since) == 10
        assert "ownerReferences" not in world.one(APPS, "web")["metadata"]


@in_virtual_time
async def test_a_service_that_waits_for_a_confirmation_can_be_deleted_all_the_same() -> None:
    async with a_world() as world:
        body = a_service(publish={"revision": 1})
        body["spec"]["deploy"]["strategy"]["needWaitingForConfirm"] = True
        world.apply(body)
        await world.run(lambda: has_phase(world, "WaitingForConfirm"))
        world.api.delete(APP_SERVICES, "default", "web")
        await world.run(lambda: world.api.get(APP_SERVICES, "default", "web") is None)
        assert world.pods() == []


@in_virtual_time
async def test_old_revisions_go_but_never_one_that_is_live_good_or_held() -> None:
    async with a_world() as world:
        await live(world, a_service(publish={"revision": 1}, historyLimit=1))
        for number in range(2, 6):
            edit_image(world, f"web:{number}")
            await world.run(lambda number=number: number in numbers(world))  # type: ignore[misc]
            if number == 2:
                world.edit(APP_REVISIONS, "web-2", hold={"reason": "lost orders"})
        await world.rest()
        assert numbers(world) == [1, 2, 4, 5]


@in_virtual_time
async def test_scaling_needs_no_revision() -> None:
    async with a_world() as world:
        await live(world)
        world.edit(APP_SERVICES, "web", publish={"replicas": 12})
        await world.run(lambda: has_phase(world, "Complete") and said(world)["replicas"] == 12)
        assert numbers(world) == [1]
        assert sum(is_available(p) for p in world.pods()) == 12


def evict(world: World, name: str) -> int:
    """Ask for a pod's eviction; return the status of the answer."""
    try:
        world.api.create_subresource("pods", "default", name, "eviction", {"metadata": {"name": name}})
    except ApiError as error:
        return error.status
    return 201


@in_virtual_time
async def test_one_budget_over_all_cells_is_shared_by_evictions_and_releases() -> None:
    async with a_world() as world:
        await live(
            world, a_service(publish={"revision": 1}, deploy={**DEPLOY, "disruption": {"maxUnavailable": 2}})
        )
        await world.run(lambda: world.status(BUDGETS, "web").get("disruptionsAllowed") == 2)
        names = [pod["metadata"]["name"] for pod in world.pods()]
        assert [evict(world, name) for name in names[:3]] == [201, 201, 429]
        await world.run(lambda: has_phase(world, "Complete") and len(world.pods()) == 10)
        edit_image(world, "web:missing")
        await world.run(lambda: numbers(world) == [1, 2])
        publish(world, 2)
        await world.run(lambda: world.status(BUDGETS, "web").get("disruptionsAllowed") == 0)
        serving = next(p for p in world.pods() if is_available(p))
        assert evict(world, serving["metadata"]["name"]) == 429


@in_virtual_time
async def test_a_service_may_go_without_a_budget() -> None:
    async with a_world() as world:
        await live(world, a_service(publish={"revision": 1}))
        assert world.one(BUDGETS, "web")["spec"]["maxUnavailable"] == "25%"
        world.edit(APP_SERVICES, "web", deploy={"disruption": {"guarded": False}})
        await world.run(lambda: numbers(world) == [1, 2])
        publish(world, 2)
        await world.run(lambda: has_phase(world, "Complete") and world.api.list(BUDGETS, "default") == [])


@pytest.mark.slow
@in_virtual_time
async def test_a_controller_killed_at_any_write_ends_where_an_undisturbed_one_does() -> None:
    ends = []
    for breaks_at in [None, *range(14)]:
        for is_applied in (False, True):
            async with a_world(is_controlled=False) as world:
                world.start_controller(breaks_at, is_applied=is_applied)
                world.apply(a_service(publish={"revision": 1}, replicas=4))
                await world.run(
                    lambda world=world: (
                        world.lives[0].transport.broken.is_set()  # type: ignore[misc]
                        or has_phase(world, "Complete")
                    )
                )
                if breaks_at is not None:
                    await world.crash_controller()
                    world.start_controller()
                await world.run(lambda world=world: has_phase(world, "Complete"))  # type: ignore[misc]
                spec = world.one(APPS, "web")["spec"]
                ends.append((numbers(world), sorted(configs(world)), spec, len(world.pods())))
    assert all(end == ends[0] for end in ends)
