"""Images that can't be pulled, processes that crash, nodes that die."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cafe_sim.cluster import ClusterOptions
from cafe_sim.contract import Json
from cafe_sim.kubelet.registry import Image, Registry, default_pull_policy, normalised
from cafe_sim.machinery.objects import time_of
from cafe_sim.machinery.pods import is_ready
from tests.unit.sim_cluster.world import World, build_world, container, pod_spec


def app_of(world: World) -> Json:
    found: Json = world.pod()["status"]["containerStatuses"][0]
    return found


def waiting_of(world: World) -> Json:
    found: Json = app_of(world)["state"]["waiting"]
    return found


def test_a_missing_image_is_an_error_and_then_patience() -> None:
    world = build_world(1)
    world.create_pod(spec=pod_spec(container(image="web:missing")))
    world.run(1)
    first = waiting_of(world)
    assert first["reason"] == "ErrImagePull"
    assert first["message"].endswith("docker.io/library/web:missing: not found")
    world.run(3)
    then = waiting_of(world)
    assert then["reason"] == "ImagePullBackOff"
    assert then["message"].startswith('Back-off pulling image "web:missing": ErrImagePull: rpc error')
    assert world.pod()["status"]["phase"] == "Pending"
    world.run(3600)
    pulls = world.events("Pulling")
    assert len(pulls) == 1
    assert 12 <= pulls[0]["count"] <= 20, "10, 20, 40, 80, 160 s, then every 5 minutes"


def test_a_bad_image_in_place_stops_the_container_and_a_good_one_brings_it_back() -> None:
    world = build_world(1)
    world.create_pod()
    world.until_ready("p")
    address = world.pod()["status"]["podIP"]
    world.set_image("web:bad")
    world.run(10)
    assert waiting_of(world)["reason"] == "ImagePullBackOff"
    assert app_of(world)["lastState"]["terminated"]["exitCode"] == 0
    assert app_of(world)["restartCount"] == 0
    assert world.pod()["status"]["phase"] == "Running"
    world.set_image("web:2")
    world.run(4)
    assert is_ready(world.pod())
    assert app_of(world)["restartCount"] == 1
    assert world.pod()["status"]["podIP"] == address


def test_a_crashing_image_is_restarted_with_growing_patience() -> None:
    world = build_world(1)
    world.create_pod(spec=pod_spec(container(image="web:crash")))
    starts = []
    for _ in range(1200):
        world.run(1)
        running = app_of(world)["state"].get("running")
        if running and running["startedAt"] not in starts:
            starts.append(running["startedAt"])
    gaps = [(time_of(b) - time_of(a)).total_seconds() for a, b in itertools.pairwise(starts)]
    assert [round(gap / 10) * 10 for gap in gaps[:7]] == [0, 10, 20, 40, 80, 160, 300]
    waiting = waiting_of(world)
    assert waiting["reason"] == "CrashLoopBackOff"
    uid = world.pod()["metadata"]["uid"]
    assert waiting["message"] == f"back-off 5m0s restarting failed container=app pod=p_default({uid})"
    assert app_of(world)["lastState"]["terminated"]["reason"] == "Error"
    assert app_of(world)["restartCount"] == len(starts) - 1


def test_a_crash_loop_ends_at_once_when_the_image_is_mended() -> None:
    world = build_world(1)
    world.create_pod(spec=pod_spec(container(image="web:crash")))
    world.run(120)
    assert waiting_of(world)["reason"] == "CrashLoopBackOff"
    world.set_image("web:2")
    world.run(3)
    assert is_ready(world.pod())


def test_a_killed_process_comes_back_in_the_same_sandbox() -> None:
    world = build_world(1)
    world.create_pod()
    world.until_ready("p")
    address = world.pod()["status"]["podIP"]
    world.cluster.kubelets["node-0"].runtime.kill(world.pod()["metadata"]["uid"], "app", reason="OOMKilled")
    world.run(2)
    assert is_ready(world.pod())
    assert app_of(world)["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert world.pod()["status"]["podIP"] == address


def test_a_hung_process_loses_readiness_but_lives() -> None:
    world = build_world(1)
    probe = {"periodSeconds": 5, "failureThreshold": 2}
    world.create_pod(spec=pod_spec(container(readinessProbe=probe)))
    world.until_ready("p")
    world.run(12)
    world.cluster.kubelets["node-0"].hang(world.pod()["metadata"]["uid"], "app")
    world.run(11)
    assert not is_ready(world.pod())
    assert "running" in app_of(world)["state"]


def test_containers_outlive_their_kubelet_and_are_found_again() -> None:
    world = build_world(1)
    world.create_pod()
    world.until_ready("p")
    kubelet = world.cluster.kubelets["node-0"]
    before = app_of(world)
    kubelet.crash()
    world.set_image("web:2")
    world.run(5)
    assert app_of(world) == before
    kubelet.restart()
    world.run(5)
    assert app_of(world)["restartCount"] == 1
    assert is_ready(world.pod())


def test_a_reboot_restarts_containers_in_a_new_sandbox() -> None:
    world = build_world(1)
    world.create_pod()
    world.until_ready("p")
    uid, address = world.pod()["metadata"]["uid"], world.pod()["status"]["podIP"]
    world.cluster.kubelets["node-0"].reboot(timedelta(seconds=20))
    world.run(30)
    assert is_ready(world.pod())
    assert world.pod()["metadata"]["uid"] == uid
    assert world.pod()["status"]["podIP"] != address
    assert app_of(world)["restartCount"] == 1
    assert world.events("SandboxChanged")
    assert world.events("Rebooted")


def test_a_node_that_is_cut_off_goes_on_and_reports_later() -> None:
    world = build_world(1)
    world.create_pod()
    world.until_ready("p")
    kubelet, uid = world.cluster.kubelets["node-0"], world.pod()["metadata"]["uid"]
    before = world.pod()
    kubelet.cut_off()
    kubelet.runtime.kill(uid, "app")
    world.run(10)
    assert world.pod() == before
    assert kubelet.runtime.sandboxes[uid].running()
    kubelet.reconnect()
    world.run(1)
    assert app_of(world)["restartCount"] == 1


def test_references_are_written_in_full() -> None:
    assert normalised("nginx") == "docker.io/library/nginx:latest"
    assert normalised("istio/app:1") == "docker.io/istio/app:1"
    assert normalised("localhost:5000/app:1") == "localhost:5000/app:1"
    assert default_pull_policy("nginx") == "Always"
    assert default_pull_policy("nginx:1") == "IfNotPresent"


IMAGES = ("web:1", "web:2", "web:same", "web:bad", "web:crash", "web:slow")


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(IMAGES), st.integers(0, 1), st.floats(0, 40)), max_size=8))
def test_address_and_sandbox_survive_any_sequence_of_image_changes(
    changes: list[tuple[str, int, float]],
) -> None:
    registry = Registry(
        images={"web:slow": Image("sha256:slow", pull_time=timedelta(seconds=9))},
        aliases={"web:same": "web:1"},
    )
    world = build_world(1, ClusterOptions(registry=registry))
    world.create_pod(spec=pod_spec(container("a"), container("b", "side:1")))
    world.until_ready("p")
    uid, address = world.pod()["metadata"]["uid"], world.pod()["status"]["podIP"]
    runtime = world.cluster.kubelets["node-0"].runtime
    sandbox = runtime.sandboxes[uid].id
    for image, index, wait in changes:
        world.set_image(image, index=index)
        world.run(wait)
        assert world.pod()["status"]["podIP"] == address
        assert runtime.sandboxes[uid].id == sandbox
    world.set_image("web:9", index=0)
    world.set_image("web:9", index=1)
    world.run(20)
    assert is_ready(world.pod())
    assert world.pod()["status"]["observedGeneration"] == world.pod()["metadata"]["generation"]
    assert all(s["image"] == "docker.io/library/web:9" for s in world.pod()["status"]["containerStatuses"])
