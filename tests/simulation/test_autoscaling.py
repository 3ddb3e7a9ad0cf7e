"""An autoscaler and our controllers on one application: the one says how many, the others where."""

from datetime import timedelta

from cafe_sim.contract import Json
from tests.simulation.world import (
    APP_SERVICES,
    APPS,
    World,
    a_service,
    a_template,
    a_world,
    an_app,
    is_available,
    released,
)
from tests.worlds.clock import in_virtual_time

USAGE = "cafe.test/usage"
SCALERS = "horizontalpodautoscalers.autoscaling"


def busy_template(usage: str) -> Json:
    template = a_template(resources={"requests": {"cpu": "100m"}})
    return {**template, "metadata": {**template["metadata"], "annotations": {USAGE: usage}}}


def autoscale(world: World, kind: str) -> None:
    """Half of what the pods request, between 2 and 12 pods; a calm is believed at once."""
    target = {"apiVersion": "apps.cafe.sofastack.io/v1alpha1", "kind": kind, "name": "web"}
    goal = {"type": "Utilization", "averageUtilization": 50}
    spec = {
        "scaleTargetRef": target,
        "minReplicas": 2,
        "maxReplicas": 12,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": goal}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    }
    body = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}}
    world.api.create(SCALERS, "default", {**body, "spec": spec})


def use(world: World, usage: str) -> None:
    for pod in world.pods():
        world.annotate("pods", pod["metadata"]["name"], **{USAGE: usage})


def has(world: World, count: int) -> bool:
    pods = world.pods()
    return len(pods) == count and all(is_available(pod) for pod in pods)


@in_virtual_time
async def test_an_application_grows_and_shrinks_with_its_load() -> None:
    async with a_world() as world:
        app = an_app(4)
        app["spec"]["template"] = busy_template("cpu=50m")
        await released(world, app)
        autoscale(world, "CafeDeployment")
        await world.stays(lambda: has(world, 4), timedelta(minutes=1))
        use(world, "cpu=100m")
        # The new pods take their share: their template says that they use what is wanted.
        await world.run(lambda: has(world, 8))
        assert world.one(APPS, "web")["spec"]["replicas"] == 8
        use(world, "cpu=5m")
        await world.run(lambda: has(world, 2))
        cells = [pod["spec"]["nodeName"].partition("-node")[0] for pod in world.pods()]
        assert sorted(cells) == ["cell-a", "cell-b"]


@in_virtual_time
async def test_an_application_service_that_says_how_many_it_wants_grows_with_its_load() -> None:
    async with a_world() as world:
        service = a_service(publish={"revision": 1, "replicas": 4})
        template = service["spec"]["template"]
        template["metadata"] = busy_template("cpu=50m")["metadata"]
        template["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
        world.apply(service)
        await world.run(lambda: world.status(APP_SERVICES, "web").get("phase") == "Complete")
        autoscale(world, "CafeAppService")
        use(world, "cpu=100m")
        await world.run(lambda: has(world, 8))
        assert world.one(APP_SERVICES, "web")["spec"]["publish"]["replicas"] == 8
