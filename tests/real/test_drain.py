"""`kubectl drain` on a real control plane: evictions share one budget, with each other and with a release."""

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from testbed import ControlPlane
from testbed.client import MERGE, RequestFailed
from testbed.waiting import wait_for
from tests.real.cluster import SOON, Object, condition
from tests.real.rollouts import V1, V2, App, history_of, image_of
from tests.real.test_elasticity import live, service

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("fake_nodes", "controller")]

KUBECTL = str(Path(sys.executable).with_name("kubectl"))


def kubectl(plane: ControlPlane, *words: str) -> subprocess.CompletedProcess[str]:
    command = [KUBECTL, "--kubeconfig", str(plane.kubeconfig), *words]
    return subprocess.run(command, check=False, text=True, capture_output=True, timeout=120)


def nodes(app: App) -> Counter[str]:
    return Counter(pod["spec"]["nodeName"] for pod in live(app))


def fullest(app: App) -> tuple[str, set[str]]:
    """Return the node with the most of the application's pods, and their UIDs."""
    name, _ = nodes(app).most_common(1)[0]
    return name, {p["metadata"]["uid"] for p in live(app) if p["spec"]["nodeName"] == name}


def is_whole(app: App, image: str) -> bool:
    ready = [p for p in live(app) if condition(p, "Ready") == "True" and image_of(p) == image]
    return len(ready) == len(live(app)) == 10


def knows_pods(app: App) -> bool:
    """Whether the budget counts all pods; wake its controller, which learns of new kinds every 30 s.

    Until then it calls the pods' owner unknown, and it looks again only when a pod or the budget changes.
    """
    path = f"/apis/policy/v1/namespaces/{app.core.rpartition('/')[2]}/poddisruptionbudgets/{app.name}"
    found = app.client.get(path)
    if found["status"].get("currentHealthy") == 10:
        return True
    awoken = {"metadata": {"annotations": {"test/woken": str(found["metadata"]["resourceVersion"])}}}
    app.client.patch(path, awoken, MERGE)
    return False


def ten_pods(app: App) -> Object:
    body = service(app)
    body["spec"]["elasticity"] = {"replicas": 10}
    body["spec"]["deploy"]["disruption"] = {"maxUnavailable": 1}
    body["spec"]["deploy"]["strategy"]["maxUnavailable"] = 1
    return body


def test_a_node_is_drained_pod_by_pod_also_while_a_release_is_under_way(
    app: App, control_plane: ControlPlane
) -> None:
    services = app.apps.replace("cafedeployments", "cafeappservices")
    path = f"{services}/{app.name}"
    app.client.create(services, ten_pods(app))
    wait_for("ten pods", lambda: is_whole(app, V1), SOON)
    assert max(nodes(app).values()) <= 2, "pods crowd on one node"
    wait_for("the budget knows its pods", lambda: knows_pods(app), SOON * 2, every=timedelta(seconds=1))
    for wanted in (V1, V2):
        node, gone = fullest(app)
        with history_of(app) as history:
            wait_for("the watch has begun", lambda: len(history.now) >= 10, SOON)
            history.begin()
            if wanted == V2:
                edited = app.client.get(path)["spec"]
                edited["template"]["spec"]["containers"][0]["image"] = V2
                edited["publish"]["revision"] = 2
                app.client.patch(path, {"spec": edited}, MERGE)
            try:
                drained = kubectl(
                    control_plane, "drain", node, "--ignore-daemonsets", "--timeout=100s", "--force"
                )
                assert drained.returncode == 0, drained.stderr
                wait_for("ten pods", lambda wanted=wanted: is_whole(app, wanted), SOON)  # type: ignore[misc]
            finally:
                kubectl(control_plane, "uncordon", node)
            assert not gone & {p["metadata"]["uid"] for p in live(app)}
            assert history.fewest >= 9, (wanted, history.lowest)


def test_the_controller_judges_evictions_before_any_budget_object_does(app: App) -> None:
    app.create("fake", needWaitingForConfirm=False)
    wait_for("ten pods", lambda: is_whole(app, V1), SOON)
    names = sorted(p["metadata"]["name"] for p in live(app))
    wait_for("the guard is asked", lambda: is_guarded(app), SOON)
    assert evict(app, names[0]) == ""
    why = evict(app, names[1])
    assert why.startswith('429 TooManyRequests: admission webhook "evictions.cafe.sofastack.io" denied')
    assert "no further pod of productpage may become unavailable (maxUnavailable 1 of 10 pods)" in why
    wait_for("ten pods", lambda: is_whole(app, V1), SOON)
    assert evict(app, names[1]) == ""
    wait_for("ten pods", lambda: is_whole(app, V1), SOON)


def test_evictions_at_any_moment_of_a_release_take_no_more_than_it_leaves(app: App) -> None:
    app.create("fake", needWaitingForConfirm=False, maxUnavailable=2)
    wait_for("ten pods", lambda: is_whole(app, V1), SOON)
    wait_for("the guard is asked", lambda: is_guarded(app), SOON)
    taken = refused = 0
    with history_of(app) as history:
        wait_for("the watch has begun", lambda: len(history.now) >= 10, SOON)
        history.begin()
        app.set_image(V2)
        while not is_whole(app, V2):
            for pod in live(app):
                if taken < 20 and condition(pod, "Ready") == "True":
                    is_taken = evict(app, pod["metadata"]["name"]) == ""
                    taken, refused = taken + is_taken, refused + (not is_taken)
    assert taken
    assert refused
    assert history.fewest >= 8


def evict(app: App, name: str, **options: object) -> str:
    """Ask for a pod's eviction; return why it is refused, or nothing."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **options}
    try:
        app.client.create(f"{app.core}/pods/{name}/eviction", body)
    except RequestFailed as error:
        return str(error)
    return ""


def is_guarded(app: App) -> bool:
    """Whether the API server asks the controller of this test: it learns of the configuration by watching."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/cafe-evictions"
    try:
        url = app.client.get(path)["webhooks"][0]["clientConfig"]["url"]
    except RequestFailed:
        return False
    asked = answers(app)
    name = live(app)[0]["metadata"]["name"]
    return url.startswith("https://127.0.0.1:") and not evict(app, name, **REHEARSED) and answers(app) > asked


def answers(app: App) -> float:
    """Return how often the guard has answered the API server, as that counts it."""
    counts = [
        float(line.rpartition(" ")[2])
        for line in app.client.text("GET", "/metrics").splitlines()
        if line.startswith("apiserver_admission_webhook_request_total{")
        and 'code="200"' in line
        and 'name="evictions.cafe.sofastack.io"' in line
    ]
    return sum(counts)


REHEARSED = {"deleteOptions": {"dryRun": ["All"]}}
