"""An application leaves CAFE on the cluster where it runs, and serves all the time."""

from datetime import timedelta

import pytest

from cafe.api.names import CELL_LABEL, UNIT_LABEL
from cafe_sim.contract import DeleteOptions, Json
from tests.simulation.world import (
    APP_REVISIONS,
    APP_SERVICES,
    APPS,
    CELLS,
    World,
    a_service,
    a_world,
    an_app,
    is_ready,
    lowest,
)
from tests.unit.workloads.applications import CLAIM, exported
from tests.worlds.clock import in_virtual_time

DEPLOYMENTS, STATEFUL_SETS = "deployments.apps", "statefulsets.apps"
CLAIMS = "persistentvolumeclaims"
BUDGETS = "poddisruptionbudgets.policy"
RESOURCES = {
    "ConfigMap": "configmaps",
    "Service": "services",
    "PodDisruptionBudget": BUDGETS,
    "Deployment": DEPLOYMENTS,
}
ORPHANING = DeleteOptions(propagation="Orphan")

pytestmark = pytest.mark.slow


def serves(pod: Json) -> bool:
    return is_ready(pod) and "deletionTimestamp" not in pod["metadata"]


def cells_of(world: World) -> dict[str, int]:
    nodes = {n["metadata"]["name"]: n["metadata"]["labels"][CELL_LABEL] for n in world.api.list("nodes")}
    found = [nodes[pod["spec"]["nodeName"]] for pod in world.pods() if serves(pod)]
    return {cell: found.count(cell) for cell in sorted(set(found))}


def is_rolled(world: World, resource: str, name: str) -> bool:
    found = world.one(resource, name)
    status, wanted = found.get("status") or {}, found["spec"]["replicas"]
    return (
        status.get("observedGeneration") == found["metadata"]["generation"]
        and status.get("updatedReplicas") == wanted
        and status.get("readyReplicas") == wanted
    )


@in_virtual_time
async def test_a_deployment_takes_over_beside_what_still_serves() -> None:
    async with a_world() as world:
        world.apply(an_app(replicas=6))
        await world.run(lambda: world.is_complete("web"))
        since = len(world.commits)
        (plain,) = exported(world.one(APPS, "web"), is_live=True)
        world.api.create(DEPLOYMENTS, "default", plain)
        await world.run(lambda: is_rolled(world, DEPLOYMENTS, "web"))
        world.api.delete(APPS, "default", "web")
        await world.run(lambda: len(world.pods()) == 6)
        await world.rest()
        assert lowest(world, since, serves) >= 6
        assert {p["metadata"]["ownerReferences"][0]["kind"] for p in world.pods()} == {"ReplicaSet"}
        assert cells_of(world) == dict.fromkeys(CELLS, 3)


@in_virtual_time
async def test_the_stateful_sets_of_units_keep_pods_names_and_claims() -> None:
    async with a_world() as world:
        app = an_app(replicas=5)
        app["spec"] |= {"podSetType": "StatefulSet", "serviceName": "web", "volumeClaimTemplates": [CLAIM]}
        world.apply(app)
        await world.run(lambda: world.is_complete("web"))
        since = len(world.commits)
        names = {pod["metadata"]["name"] for pod in world.pods()}
        claims = {c["metadata"]["uid"] for c in world.api.list(CLAIMS)}
        sets = exported(world.one(APPS, "web"), is_live=True)
        assert {s["metadata"]["name"] for s in sets} == {
            s["metadata"]["name"] for s in world.api.list(STATEFUL_SETS)
        }
        world.api.delete(APPS, "default", "web", ORPHANING)
        await world.run(lambda: world.api.get(APPS, "default", "web") is None)
        for body in sets:
            name = body["metadata"]["name"]
            world.api.delete(STATEFUL_SETS, "default", name, ORPHANING)
            await world.run(lambda name=name: world.api.get(STATEFUL_SETS, "default", name) is None)
            world.api.create(STATEFUL_SETS, "default", body)
        for body in sets:
            await world.run(lambda body=body: is_rolled(world, STATEFUL_SETS, body["metadata"]["name"]))
        await world.stays(lambda: len(world.pods()) >= 3, timedelta(minutes=1))
        assert {pod["metadata"]["name"] for pod in world.pods()} == names
        assert {c["metadata"]["uid"] for c in world.api.list(CLAIMS)} == claims
        assert lowest(world, since, serves) >= 3  # One of each unit at a time.
        assert {p["metadata"]["labels"][UNIT_LABEL] for p in world.pods()} == set(CELLS)


def apply(world: World, body: Json) -> None:
    """Do what `kubectl apply` does with an object that it has not applied before: merge it in."""
    resource, name = RESOURCES[body["kind"]], body["metadata"]["name"]
    if world.api.get(resource, "default", name) is None:
        world.api.create(resource, "default", body)
    else:
        world.patch(resource, name, body)


@in_virtual_time
async def test_a_service_leaves_with_all_that_its_pods_need() -> None:
    async with a_world() as world:
        world.apply(a_service(replicas=4, publish={"revision": 1}))
        await world.run(lambda: world.status(APP_SERVICES, "web").get("phase") == "Complete")
        since = len(world.commits)
        kept = {
            r: {o["metadata"]["uid"] for o in world.api.list(r, "default")}
            for r in ("services", "configmaps")
        }
        documents = [*world.api.list(APP_SERVICES), *world.api.list(APP_REVISIONS)]
        plain = exported(*documents, is_live=True)
        for body in plain:
            apply(world, body)
        await world.run(lambda: is_rolled(world, DEPLOYMENTS, "web"))
        world.api.delete(APP_SERVICES, "default", "web", ORPHANING)
        await world.run(lambda: world.api.get(APP_SERVICES, "default", "web") is None)
        world.api.delete(APPS, "default", "web")
        world.api.delete(BUDGETS, "default", "web")
        for body in plain:
            apply(world, body)
        await world.run(lambda: len(world.pods()) == 4)
        await world.rest()
        assert lowest(world, since, serves) >= 4
        for resource, uids in kept.items():
            assert uids <= {o["metadata"]["uid"] for o in world.api.list(resource, "default")}
        assert world.status(BUDGETS, "web")["expectedPods"] == 4
        assert {p["metadata"]["ownerReferences"][0]["kind"] for p in world.pods()} == {"ReplicaSet"}


@in_virtual_time
async def test_a_paused_deployment_that_is_new_makes_no_pod_as_its_warning_says() -> None:
    async with a_world(is_controlled=False) as world:
        (plain,) = exported(an_app(replicas=2, values=(), pause=True))
        world.api.create(DEPLOYMENTS, "default", plain)
        await world.rest()
        assert world.pods() == []
        world.patch(DEPLOYMENTS, "web", {"spec": {"paused": False}})
        await world.run(lambda: is_rolled(world, DEPLOYMENTS, "web"))
