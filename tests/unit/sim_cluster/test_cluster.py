"""The cluster as a whole: the same seed is the same world, and faults leave nothing behind."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cafe.kube.transport import Request
from cafe_sim.apiserver.logs import LogStream
from cafe_sim.cluster import ClusterOptions
from cafe_sim.contract import ApiError, Json
from cafe_sim.machinery.objects import is_deleting
from cafe_sim.machinery.pods import is_active, is_ready
from tests.unit.sim_cluster.world import APP, World, build_world, container, pod_spec, template

TOLERANT = [{"operator": "Exists"}]


def canonical_run(seed: int) -> list[tuple[str, str, str, str, str]]:
    world = build_world(3, seed=seed)
    world.create_apps("Deployment", "web", {"replicas": 5})
    world.run(10)
    world.cluster.kubelets["node-1"].cut_off()
    image = template(pod_spec(container(image="web:2")))
    world.patch("deployments.apps", "web", {"spec": {"template": image}})
    world.run(900)
    world.cluster.kubelets["node-1"].reconnect()
    world.delete("deployments.apps", "web")
    world.run(7200)
    return [
        (resource, event.type, meta["name"], meta["uid"], meta["resourceVersion"])
        for resource, event in world.commits
        for meta in (event.new["metadata"],)
    ]


@pytest.mark.slow
def test_the_same_seed_is_the_same_world_to_the_last_commit() -> None:
    first = canonical_run(7)
    assert first == canonical_run(7)
    assert [uid for _, _, _, uid, _ in first] != [uid for _, _, _, uid, _ in canonical_run(8)]


def test_after_everything_is_deleted_only_the_system_is_left() -> None:
    world = build_world(2)
    before = {kind: len(world.api.list(kind)) for kind in ("pods", "replicasets.apps", "configmaps")}
    world.create_apps("Deployment", "web", {"replicas": 3})
    world.run(10)
    world.delete("deployments.apps", "web")
    world.run(2 * 3600)
    assert {kind: len(world.api.list(kind)) for kind in before} == before
    assert world.events() == [], "events are forgotten after an hour"
    assert all(not kubelet.runtime.sandboxes for kubelet in world.cluster.kubelets.values())


def test_an_event_that_happens_again_lives_on_and_counts() -> None:
    world = build_world(1)
    world.create_pod(spec=pod_spec(container(image="web:missing")))
    world.run(5 * 3600)
    (pulling,) = world.events("Pulling")
    assert pulling["count"] > 50


def test_a_world_without_events_is_otherwise_the_same() -> None:
    world = build_world(1, ClusterOptions(has_events=False))
    world.create_pod()
    world.until_ready("p")
    assert world.events() == []


def evict(world: World, name: str) -> int:
    """Return the status with which the server answers."""
    body: Json = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    try:
        world.api.create_subresource("pods", "default", name, "eviction", body)
    except ApiError as error:
        return error.status
    return 201


def test_a_drain_goes_no_faster_than_the_budget() -> None:
    world = build_world(2)
    selector = {"selector": {"matchLabels": APP}, "maxUnavailable": 1}
    world.api.create(
        "poddisruptionbudgets.policy", "default", {"metadata": {"name": "web"}, "spec": selector}
    )
    world.create_apps("Deployment", "web", {"replicas": 3})
    world.run(10)
    old = {pod["metadata"]["name"] for pod in world.pods()}
    answers = []
    for name in sorted(old):
        while not answers or answers[-1] != 201:
            answers.append(evict(world, name))
            world.run(0.5)
            assert len(answers) < 100
            assert sum(is_ready(pod) and not is_deleting(pod) for pod in world.pods()) >= 2
        answers.append(0)
    assert set(answers) == {201, 429, 0}
    world.run(20)
    now = {pod["metadata"]["name"] for pod in world.pods()}
    assert len(now) == 3
    assert not now & old


def test_the_api_server_serves_the_containers_logs() -> None:
    world = build_world(1)
    world.api.dispatcher.log_source = world.cluster.logs
    world.create_pod()
    world.until_ready("p")
    answer = world.api.dispatch(Request("GET", "/api/v1/namespaces/default/pods/p/log"))
    assert isinstance(answer, LogStream)
    assert answer.take() == [b"starting web:1"]


FAULTS = st.sampled_from(["crash", "restart", "cut_off", "reconnect", "kill", "reboot", "image", "hang"])


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(faults=st.lists(st.tuples(FAULTS, st.integers(0, 1), st.floats(0, 90)), max_size=8))
def test_once_the_faults_are_over_every_pod_runs_again(faults: list[tuple[str, int, float]]) -> None:
    world = build_world(2)
    pods = template(pod_spec(tolerations=TOLERANT))
    world.create_apps("ReplicaSet", "web", {"replicas": 4, "template": pods})
    world.run(10)
    for number, (fault, node, wait) in enumerate(faults):
        kubelet = world.cluster.kubelets[f"node-{node}"]
        uids = list(kubelet.runtime.sandboxes)
        if fault == "reboot":
            kubelet.reboot(timedelta(seconds=5))
        elif fault == "image":
            world.set_image(f"web:{number}", pod=world.pods()[0]["metadata"]["name"])
        elif fault == "kill" and uids:
            kubelet.runtime.kill(uids[0], "app")
        elif fault == "hang" and uids:
            kubelet.hang(uids[0], "app")
        elif fault in {"crash", "restart", "cut_off", "reconnect"}:
            getattr(kubelet, fault)()
        world.run(wait)
    for kubelet in world.cluster.kubelets.values():
        kubelet.reconnect()
        kubelet.restart()
    world.run(900)
    live = [pod for pod in world.pods() if is_active(pod)]
    assert len(live) == 4
    assert all(is_ready(pod) for pod in live)
    for pod in live:
        status = pod["status"]
        kubelet = world.cluster.kubelets[pod["spec"]["nodeName"]]
        sandbox = kubelet.runtime.sandboxes[pod["metadata"]["uid"]]
        assert status["podIP"] == sandbox.ip
        current = sandbox.current("app")
        assert current is not None
        assert status["containerStatuses"][0]["containerID"] == f"containerd://{current.id}"
        assert status["containerStatuses"][0]["restartCount"] == current.restart_count
    commits = len(world.commits)
    world.run(2000)
    assert len(world.commits) == commits
