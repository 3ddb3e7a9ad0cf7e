"""No pod is touched before its traffic is proven gone, and none counts before it is proven back."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from cafe.api.names import CONTROLLER_NAMESPACE, OPERATION_PREFIX, PROTECTION_PREFIX
from cafe.traffic.domain.facts import Member, Pool
from cafe_sim.contract import Json, StoreEvent
from cafe_sim.traffic.balancer import Balancer, Entry
from tests.simulation.test_podset_kinds import app_of
from tests.simulation.world import (
    APP_SERVICES,
    APPS,
    PODS,
    World,
    a_service,
    a_world,
    an_app,
    image,
    is_ready,
    released,
)
from tests.worlds.clock import in_virtual_time

PROVIDERS = "trafficproviders.apps.cafe.sofastack.io"
BINDINGS = "trafficbindings.apps.cafe.sofastack.io"
SERVICES = "services"
LONG_REQUEST = timedelta(seconds=3)


class Witness:
    """Sees each pod that is touched while somebody may still send it requests."""

    def __init__(self, world: World, balancer: Balancer) -> None:
        self.world = world
        self.balancer = balancer
        self.touched = 0
        self.lost: list[str] = []
        self._images: dict[str, str] = {}
        world.api.subscribe(PODS, self._saw)

    def _saw(self, event: StoreEvent) -> None:
        pod = event.new
        uid, ip = pod["metadata"]["uid"], (pod.get("status") or {}).get("podIP", "")
        before = self._images.get(uid)
        is_gone = "deletionTimestamp" in pod["metadata"] and before is not None
        is_changed = before is not None and before != image(pod)
        if is_gone or is_changed:
            self.touched += 1
            if at := [*self.balancer.serving(f"{ip}:8080"), *endpoints_of(self.world, ip)]:
                self.lost.append(f"{pod['metadata']['name']} was touched while {', '.join(at)} served it")
        if is_gone:
            self._images.pop(uid)
        elif event.type != "DELETED" and "deletionTimestamp" not in pod["metadata"]:
            self._images[uid] = image(pod)


def endpoints_of(world: World, ip: str) -> list[str]:
    """Return the Services that have an address among their ready endpoints."""
    return [
        "a Service"
        for body in world.api.list("endpointslices.discovery.k8s.io", "default")
        for endpoint in body["endpoints"] or []
        if ip in endpoint["addresses"] and endpoint["conditions"]["ready"]
    ]


def a_provider(name: str = "edge", kind: str = "HAProxy") -> Json:
    replicas = [{"name": "left", "address": "10.9.0.1:9999"}, {"name": "right", "address": "10.9.0.2:9999"}]
    return {
        "metadata": {"name": name, "namespace": CONTROLLER_NAMESPACE},
        "spec": {"type": kind, "replicas": replicas},
    }


def a_binding(name: str = "web", provider: str = "edge", **spec: object) -> Json:
    pool = {"name": "main", "provider": provider, "pool": "web", "port": 8080}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"app": "web", "pools": [pool], **spec},
    }


def a_plain_service(name: str = "web") -> Json:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def carried(world: World) -> Balancer:
    """Put a busy balancer of two processes, and a Service, in front of the application."""
    balancer = world.balancers["edge"] = Balancer(world.clock, ["left", "right"], ["web"])
    balancer.is_busy, balancer.last_request = True, LONG_REQUEST
    world.api.create(PROVIDERS, CONTROLLER_NAMESPACE, a_provider())
    world.api.create(BINDINGS, "default", a_binding())
    world.api.create(SERVICES, "default", a_plain_service())
    return balancer


def protections(pod: Json) -> list[str]:
    return [f for f in pod["metadata"].get("finalizers") or [] if f.startswith(PROTECTION_PREFIX)]


def operations(pod: Json) -> list[str]:
    return [a for a in pod["metadata"].get("annotations") or {} if a.startswith(OPERATION_PREFIX)]


def all_published(world: World, count: int = 10) -> Callable[[], bool]:
    return lambda: (
        len(found := world.pods()) == count
        and all(is_ready(p) and len(protections(p)) == 2 and not operations(p) for p in found)
    )


@in_virtual_time
async def test_a_new_pod_counts_once_everybody_sends_it_requests() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(4, batchSize=2))
        assert all_published(world, 4)()
        for pod in world.pods():
            assert balancer.serving(f"{pod['status']['podIP']}:8080") == ["left", "right"]
            assert endpoints_of(world, pod["status"]["podIP"])


@in_virtual_time
async def test_no_image_changes_before_the_traffic_is_gone_and_no_group_is_done_before_it_is_back() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(10, maxUnavailable=2))
        witness = Witness(world, balancer)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web"))
        assert {image(p) for p in world.pods()} == {"web:2"}
        assert witness.touched == 10
        assert witness.lost == []
        assert all_published(world)()


@in_virtual_time
async def test_scale_in_takes_pods_from_traffic_before_it_deletes_them() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(10))
        witness = Witness(world, balancer)
        world.edit(APPS, "web", replicas=4)
        await world.run(lambda: len(world.pods()) == 4)
        assert witness.touched == 6
        assert witness.lost == []
        await world.run(all_published(world, 4))
        assert {a for p in balancer.processes.values() for a in p.pools["web"]} == {
            f"{p['status']['podIP']}:8080" for p in world.pods()
        }


@pytest.mark.slow
@in_virtual_time
async def test_pods_that_must_be_made_anew_leave_traffic_first() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(6, maxUnavailable=2))
        witness = Witness(world, balancer)
        template = world.one(APPS, "web")["spec"]["template"]
        first = {**template["spec"]["containers"][0], "env": [{"name": "A", "value": "b"}]}
        world.edit(APPS, "web", template={"spec": {"containers": [first]}})
        await world.run(lambda: world.is_complete("web"))
        assert witness.touched == 6
        assert witness.lost == []


@pytest.mark.slow
@in_virtual_time
async def test_a_service_that_says_who_carries_it_is_bound_as_its_revision_says() -> None:
    async with a_world() as world:
        balancer = world.balancers["edge"] = Balancer(world.clock, ["left", "right"], ["web"])
        balancer.is_busy, balancer.last_request = True, LONG_REQUEST
        world.api.create(PROVIDERS, CONTROLLER_NAMESPACE, a_provider())
        pool = {"name": "main", "provider": "edge", "pool": "web", "port": 8080, "drain": {"floorSeconds": 4}}
        world.apply(a_service(4, publish={"revision": 1}, traffic={"pools": [pool]}))
        await world.run(all_published(world, 4))
        binding = world.one(BINDINGS, "web")
        assert binding["spec"]["pools"][0]["drain"]["floorSeconds"] == 4
        assert [e["name"] for e in binding["status"]["employers"]] == ["Pool/default/edge/web"]
        # A revision without it unbinds: nobody is left behind in the pool.
        world.edit(APP_SERVICES, "web", traffic={"pools": None})
        await world.run(lambda: world.status(APP_SERVICES, "web").get("specRevision") == 2)
        world.edit(APP_SERVICES, "web", publish={"revision": 2})
        await world.run(lambda: world.api.get(BINDINGS, "default", "web") is None)
        assert not any(process.pools["web"] for process in balancer.processes.values())
        await world.run(lambda: all(len(protections(p)) == 1 for p in world.pods()))


@in_virtual_time
async def test_a_binding_that_cannot_be_followed_says_why_and_holds_nothing_up() -> None:
    async with a_world() as world:
        world.balancers["edge"] = Balancer(world.clock, ["left"], ["web"])
        world.api.create(PROVIDERS, CONTROLLER_NAMESPACE, a_provider())
        world.api.create(BINDINGS, "default", a_binding(provider="egde"))
        await released(world, an_app(2))
        accepted = world.condition(BINDINGS, "web", "Accepted")
        assert accepted["status"] == "False"
        assert accepted["reason"] == "ProviderMissing"
        assert "egde" in accepted["message"]
        assert "There are: edge" in accepted["message"]
        world.api.create(BINDINGS, "default", a_binding("right"))
        await world.run(lambda: all(len(protections(p)) == 1 for p in world.pods()))
        world.api.create(BINDINGS, "default", a_binding("late"))
        await world.run(lambda: world.condition(BINDINGS, "late", "Accepted").get("reason") == "PoolTaken")


@in_virtual_time
async def test_the_last_member_of_a_pool_stays_unless_it_is_said_otherwise() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(1, values=()))
        witness = Witness(world, balancer)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: any("last member" in e["note"] for e in world.events("DrainStuck")))
        await world.stays(lambda: witness.touched == 0, timedelta(minutes=10))
        assert "last member" in told(world)
        world.edit(BINDINGS, "web", mayDrainLast=True)
        await world.run(lambda: world.is_complete("web"))
        assert witness.touched == 1
        assert witness.lost == []


@in_virtual_time
async def test_a_process_that_cannot_be_reached_holds_the_release_and_is_named() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(4, maxUnavailable=1))
        witness = Witness(world, balancer)
        balancer.processes["right"].is_reachable = False
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: "right: no answer" in told(world))
        assert "DrainStuck" in told(world)
        await world.stays(lambda: witness.touched == 0, timedelta(minutes=10))
        balancer.processes["right"].is_reachable = True
        await world.run(lambda: world.is_complete("web"))
        assert witness.lost == []


@in_virtual_time
async def test_what_a_process_forgot_is_told_again_before_anything_is_touched() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(4, maxUnavailable=1))
        witness = Witness(world, balancer)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: any(operations(p) for p in world.pods()))
        address = next(f"{p['status']['podIP']}:8080" for p in world.pods() if operations(p))
        await world.run(lambda: all(a.state == "draining" for a in entries(balancer, address)))
        for name in balancer.processes:
            balancer.restart(name)
        # It comes back by its own configuration, with all members in traffic.
        for pod in world.pods():
            member = Member(pod["metadata"]["name"], pod["status"]["podIP"], 8080)
            await balancer.attach(Pool("web", 8080), [member])
        await world.run(lambda: world.is_complete("web"))
        assert witness.lost == []


def told(world: World) -> str:
    """Return what the application says it waits for."""
    return str((world.status(APPS, "web").get("waiting") or {}).get("message", ""))


def entries(balancer: Balancer, address: str) -> list[Entry]:
    """Return what the processes know of an address."""
    found = (balancer.entry(name, "web", address) for name in balancer.processes)
    return [entry for entry in found if entry is not None]


NATIVES = pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet"])


@NATIVES
@pytest.mark.slow
@in_virtual_time
async def test_pods_of_native_sets_leave_traffic_before_their_controllers_delete_them(kind: str) -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, app_of(kind, maxUnavailable=2))
        assert all_published(world)()
        witness = Witness(world, balancer)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web") and all_published(world)(), timedelta(minutes=30))
        assert {image(p) for p in world.pods()} == {"web:2"}
        assert witness.touched >= 10
        world.edit(APPS, "web", replicas=4)
        await world.run(lambda: len(world.pods()) == 4 and all_published(world, 4)(), timedelta(minutes=30))
        assert witness.lost == []


@in_virtual_time
async def test_who_asks_for_no_pods_at_all_gets_none_though_nobody_answers_then() -> None:
    async with a_world() as world:
        balancer = carried(world)
        await released(world, an_app(2))
        witness = Witness(world, balancer)
        world.edit(APPS, "web", replicas=0)
        await world.run(lambda: not world.pods())
        assert witness.touched == 2
        assert witness.lost == []
