"""What people ask beside releases: other sizes, other bounds, patience with a pod; and who takes room."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from cafe.api.names import SKIP_ANNOTATION, SPECIFIED_DELETE_LABEL
from cafe_sim.contract import DeleteOptions, Json
from cafe_sim.harness.names import APP, PODS, SCALERS, SPACE
from cafe_sim.harness.oracle.reading import is_leaving, serves
from cafe_sim.machinery.pods import is_finished
from cafe_sim.machinery.quantities import milli

if TYPE_CHECKING:
    from cafe_sim.harness.people import Manager
    from cafe_sim.harness.world import World

ELSEWHERE = "kube-system"
"""Where the pods of others live that take room."""


def resize(manager: "Manager", args: dict[str, Any]) -> None:
    """Ask for another amount of CPU; where none was asked for at first, none is."""
    if manager.wishes.cpu:
        manager.wishes.cpu = manager.wishes.fitting = args["cpu"]
        manager.submit()


def outgrow(manager: "Manager", args: dict[str, Any]) -> None:
    """Ask for more CPU than any node has; where some fit, their own budget may lock others out."""
    if manager.wishes.cpu:
        manager.wishes.cpu = args["cpu"]
        manager.submit()


def _failing(world: "World", args: dict[str, Any]) -> str:
    """Return the name of a pod that doesn't serve; empty if all do."""
    found = [pod["metadata"]["name"] for pod in world.pods() if not is_leaving(pod) and not serves(pod)]
    return str(found[args["which"] % len(found)]) if found else ""


def skip(manager: "Manager", args: dict[str, Any]) -> None:
    """Let the release go on without a pod that fails, as `cafe app skip` does."""
    if name := _failing(manager.world, args):
        body = {"metadata": {"annotations": {SKIP_ANNOTATION: "its disk is broken"}}}
        manager.world.server.patch(PODS, SPACE, name, body)


def retry(manager: "Manager", args: dict[str, Any]) -> None:
    """Have a pod that fails made anew, as `cafe app retry` does."""
    if name := _failing(manager.world, args):
        manager.world.server.patch(
            PODS, SPACE, name, {"metadata": {"labels": {SPECIFIED_DELETE_LABEL: "true"}}}
        )


def autoscale(manager: "Manager", args: dict[str, Any]) -> None:
    """Have the number of pods kept within bounds by a HorizontalPodAutoscaler.

    No pod tells what it uses, so it is by the bounds alone that it acts.
    """
    world = manager.world
    least, most = args["least"], args["least"] + args["room"]
    spec = {
        "scaleTargetRef": {
            "apiVersion": "apps.cafe.sofastack.io/v1alpha1",
            "kind": "CafeDeployment",
            "name": APP,
        },
        "minReplicas": least,
        "maxReplicas": most,
    }
    manager.wishes.bounds = (least, most)
    if world.server.get(SCALERS, SPACE, APP) is None:
        body: Json = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
        world.server.create(SCALERS, SPACE, {**body, "metadata": {"name": APP}, "spec": spec})
    else:
        world.server.patch(SCALERS, SPACE, APP, {"spec": spec})


def fill_cell(manager: "Manager", args: dict[str, Any]) -> None:
    """Take all the CPU that the nodes of a cell have left, but for *room* on the first of them."""
    world = manager.world
    cells = sorted(world.cells)
    cell, room = cells[args["cell"] % len(cells)], args["room"]
    for kubelet in world.kubelets():
        name = kubelet.spec.name
        if not name.startswith(f"{cell}-") or not manager.wishes.cpu:
            continue
        left, room = _left_on(world, name) - room, 0
        if left > 0 and world.server.get(PODS, ELSEWHERE, f"hog-{name}") is None:
            _settle(world, name, left)


def _settle(world: "World", node: str, cpu: int) -> None:
    container = {"name": "hog", "image": "hog:1", "resources": {"requests": {"cpu": f"{cpu}m"}}}
    spec = {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0}
    world.server.create(PODS, ELSEWHERE, {"metadata": {"name": f"hog-{node}"}, "spec": spec})


def _left_on(world: "World", node: str) -> int:
    """Return the thousandths of a CPU that a node has left by what its pods ask for, or still have."""
    found = world.server.get("nodes", "", node)
    held = [p for p in world.server.list(PODS) if p["spec"].get("nodeName") == node and not is_finished(p)]
    taken = sum(_cpu(c) for pod in held for c in pod["spec"]["containers"])
    return 0 if found is None else milli(found["status"]["allocatable"]["cpu"]) - taken


def _cpu(container: Json) -> int:
    return milli(((container.get("resources") or {}).get("requests") or {}).get("cpu", "0"))


def clear(world: "World") -> None:
    """Have everybody go who took room."""
    for pod in world.server.list(PODS, ELSEWHERE):
        if pod["metadata"]["name"].startswith("hog-"):
            options = DeleteOptions(grace_period=timedelta())
            world.act(
                "somebody else",
                partial(world.server.delete, PODS, ELSEWHERE, pod["metadata"]["name"], options),
            )


DEMANDS: dict[str, Callable[["Manager", dict[str, Any]], None]] = {
    "resize": resize,
    "outgrow": outgrow,
    "skip pod": skip,
    "retry pod": retry,
    "autoscale": autoscale,
    "fill cell": fill_cell,
}
"""Beside `people.ACTIONS`; each leaves `Wishes` as they are then."""
