"""CPU and memory of living pods on real kubelets: asked for, given, refused for lack of room."""

from collections import Counter
from typing import Any

import pytest

from testbed.client import MERGE
from testbed.waiting import wait_for
from tests.real.cluster import SOON, Object
from tests.real.rollouts import V1, V2, App, history_of, image_of, release

pytestmark = [pytest.mark.real, pytest.mark.slow]

MEMORY_RESTARTS = [
    {"resourceName": "cpu", "restartPolicy": "NotRequired"},
    {"resourceName": "memory", "restartPolicy": "RestartContainer"},
]


def resize(app: App, cpu: str, memory: str = "32Mi", image: str = V1) -> None:
    """Ask for other amounts, and an image, in the application's template."""
    template = app.get()["spec"]["template"]
    container = template["spec"]["containers"][0]
    container["image"] = image
    container["resizePolicy"] = MEMORY_RESTARTS
    container["resources"] = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": "512Mi"}}
    app.client.patch(app.path, {"spec": {"template": template}}, MERGE)


def given(pod: Object) -> tuple[str, str]:
    """Return the CPU and memory that the kubelet says the container has."""
    requests: Any = pod["status"]["containerStatuses"][0]["resources"]["requests"]
    return requests["cpu"], requests["memory"]


def live(app: App) -> list[Any]:
    return [pod for pod in app.pods() if "deletionTimestamp" not in pod["metadata"]]


def pending(app: App) -> list[Any]:
    return [pod for pod in live(app) if "nodeName" not in pod["spec"]]


def identity(pod: Object) -> tuple[str, str, str]:
    return pod["metadata"]["uid"], pod["status"]["podIP"], pod["spec"]["nodeName"]


def restarts(app: App) -> list[int]:
    return sorted(pod["status"]["containerStatuses"][0]["restartCount"] for pod in live(app))


def confirm_all(app: App) -> None:
    app.confirm(app.wait_waiting("WaitingForConfirm", 0))
    app.confirm(app.wait_waiting("WaitingForConfirm", 1))
    app.wait_complete()


@pytest.mark.usefixtures("real_nodes", "controller")
def test_pods_get_other_sizes_in_groups_without_moving_and_one_too_large_costs_one_pod(app: App) -> None:
    with history_of(app) as history:
        app.create("real")
        release(app, V1)
        # Adding resources changes the quality of service: these pods are new ones.
        resize(app, "10m")
        confirm_all(app)
        before = sorted(map(identity, live(app)))
        assert Counter(map(given, live(app))) == {("10m", "32Mi"): 10}

        history.begin()
        resize(app, "20m")
        waiting = app.wait_waiting("WaitingForConfirm", 0)
        assert Counter(map(given, live(app))) == {("20m", "32Mi"): 2, ("10m", "32Mi"): 8}
        app.confirm(waiting)
        app.confirm(app.wait_waiting("WaitingForConfirm", 1))
        app.wait_complete()
        assert Counter(map(given, live(app))) == {("20m", "32Mi"): 10}
        assert sorted(map(identity, live(app))) == before
        assert restarts(app) == [0] * 10
        assert min(history.lowest.values()) == 5  # Nobody left traffic.

        history.begin()
        resize(app, "20m", "48Mi", V2)
        confirm_all(app)
        assert sorted(map(identity, live(app))) == before
        assert Counter(map(given, live(app))) == {("20m", "48Mi"): 10}
        assert {image_of(pod) for pod in live(app)} == {V2}
        assert min(history.lowest.values()) >= 4

        # No node has so much. It costs one pod of all, as a bad image would; the others serve on.
        history.begin()
        resize(app, "4000", "48Mi", V2)
        wait_for("a pod without a node", lambda: len(pending(app)) == 1, SOON)
        kept = [pod for pod in live(app) if "nodeName" in pod["spec"]]
        assert {identity(pod) for pod in kept} < set(before)
        assert Counter(map(given, kept)) == {("20m", "48Mi"): 9}
        resize(app, "20m", "48Mi", V2)
        app.wait_complete()
        assert Counter(map(given, live(app))) == {("20m", "48Mi"): 10}
        assert history.fewest >= 9
