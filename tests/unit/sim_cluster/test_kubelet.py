"""A pod's life on a simulated node, as `kubectl get` would see it."""

from datetime import UTC, datetime, timedelta

import pytest

from cafe_sim.apiserver.logs import LogOptions
from cafe_sim.cluster import ClusterOptions
from cafe_sim.contract import ApiError, DeleteOptions, Json
from cafe_sim.kubelet.conditions import pod_conditions
from cafe_sim.kubelet.registry import Image, Registry
from cafe_sim.machinery.objects import is_deleting
from cafe_sim.machinery.pods import is_ready
from tests.unit.sim_cluster.world import World, build_world, container, pod_spec

GATE = "InPlaceUpdateReady"


def status_of_container(world: World, pod: str = "p", index: int = 0) -> Json:
    found: Json = world.pod(pod)["status"]["containerStatuses"][index]
    return found


def reasons(world: World) -> list[str]:
    return [e["reason"] for e in world.events() if e["involvedObject"]["kind"] == "Pod"]


def world_with(**images: Image) -> World:
    named = {name.replace("_", ":"): image for name, image in images.items()}
    return build_world(1, ClusterOptions(registry=Registry(images=named)))


def test_a_pod_is_scheduled_pulled_created_started_and_ready() -> None:
    world = build_world()
    world.create_pod()
    world.run(0.1)
    waiting = status_of_container(world)["state"]["waiting"]
    assert world.pod()["status"]["phase"] == "Pending"
    assert waiting == {"reason": "ContainerCreating"}
    assert world.condition(world.pod(), "PodReadyToStartContainers")["status"] == "False"
    assert world.condition(world.pod(), "Ready")["message"] == "containers with unready status: [app]"
    world.until_ready("p")
    status = world.pod()["status"]
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("10.")
    assert status["observedGeneration"] == 1
    assert {c["type"]: c["status"] for c in status["conditions"]} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    assert all(c["observedGeneration"] == 1 for c in status["conditions"])
    assert reasons(world) == ["Scheduled", "Pulling", "Pulled", "Created", "Started"]


def test_a_second_pod_finds_the_image_on_the_node() -> None:
    world = build_world(1)
    world.create_pod("a")
    world.until_ready("a")
    world.create_pod("b")
    world.until_ready("b")
    told = [e["message"] for e in world.events("Pulled") if e["involvedObject"]["name"] == "b"]
    assert told == ['Container image "web:1" already present on machine and can be accessed by the pod']


def test_a_status_is_written_once_a_change() -> None:
    world = build_world()
    world.create_pod()
    world.until_ready("p")
    world.run(3600)
    writes = [e for r, e in world.commits if r == "pods" and e.type == "MODIFIED"]
    assert len(writes) == 4  # Bound, seen by the kubelet, sandbox, running.


def test_a_kubelet_finds_in_the_api_what_it_would_write_and_writes_nothing() -> None:
    """Else every look at a pod would cost a request that changes nothing."""
    world = build_world()
    world.create_pod()
    world.until_ready("p")
    pod = world.pod()
    status = pod["status"]
    new = pod_conditions(pod, status, status, datetime(2030, 1, 1, tzinfo=UTC), has_sandbox=True)
    assert sorted(new, key=_type) == sorted(status["conditions"], key=_type)


def _type(condition: Json) -> str:
    return str(condition["type"])


def test_a_new_image_restarts_only_that_container_in_the_same_sandbox() -> None:
    world = build_world()
    world.create_pod(spec=pod_spec(container("app"), container("side", "side:1")))
    world.until_ready("p")
    before, side = world.pod(), status_of_container(world, index=1)
    world.set_image("web:2")
    world.run(0.1)
    assert is_ready(world.pod()), "the old process still ends gracefully"
    world.run(1)
    assert not is_ready(world.pod())
    world.until_ready("p")
    after = world.pod()
    for field in ("podIP", "hostIP", "startTime"):
        assert after["status"][field] == before["status"][field]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    app = status_of_container(world)
    old = before["status"]["containerStatuses"][0]
    assert app["restartCount"] == 1
    assert app["imageID"] != old["imageID"]
    assert app["containerID"] != old["containerID"]
    assert app["lastState"]["terminated"]["containerID"] == old["containerID"]
    assert status_of_container(world, index=1) == side
    assert after["status"]["observedGeneration"] == after["metadata"]["generation"] == 2
    told = [e["message"] for e in world.events("Killing")]
    assert told == ["Container app definition changed, will be restarted"]


def test_labels_and_annotations_restart_nothing_and_cost_no_status_write() -> None:
    world = build_world()
    world.create_pod()
    world.until_ready("p")
    status = world.pod()["status"]
    commits = len(world.commits)
    world.patch("pods", "p", {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})
    world.run(60)
    assert world.pod()["status"] == status
    assert len(world.commits) == commits + 1


def test_a_tag_with_the_same_digest_restarts_but_keeps_the_image_id() -> None:
    registry = Registry(aliases={"web:same": "web:1"})
    world = build_world(1, ClusterOptions(registry=registry))
    world.create_pod()
    world.until_ready("p")
    before = status_of_container(world)
    world.set_image("web:same")
    world.run(5)
    after = status_of_container(world)
    assert after["restartCount"] == 1
    assert after["imageID"] == before["imageID"]
    assert after["containerID"] != before["containerID"]
    assert after["image"] == "docker.io/library/web:1", "containerd reports the content's first name"


def test_readiness_waits_for_the_gates() -> None:
    world = build_world()
    world.create_pod(spec=pod_spec(readinessGates=[{"conditionType": GATE}]))
    world.run(10)
    ready = world.condition(world.pod(), "Ready")
    assert ready["reason"] == "ReadinessGatesNotReady"
    assert ready["message"] == f'corresponding condition of pod readiness gate "{GATE}" does not exist.'
    for value in ("True", "False", "True"):
        others = [c for c in world.pod()["status"]["conditions"] if c["type"] != GATE]
        gate = {"type": GATE, "status": value, "lastTransitionTime": "2026-01-01T00:00:00Z"}
        world.patch("pods", "p", {"status": {"conditions": [*others, gate]}}, "status")
        world.run(1)
        assert is_ready(world.pod()) == (value == "True")
        assert world.condition(world.pod(), "ContainersReady")["status"] == "True"
        assert world.condition(world.pod(), GATE)["status"] == value


def test_init_containers_run_one_by_one_before_the_others() -> None:
    world = build_world()
    inits = [container("one", "setup:1"), container("two", "setup:1")]
    world.create_pod(spec=pod_spec(initContainers=inits))
    world.run(2.6)
    first, second = world.pod()["status"]["initContainerStatuses"]
    assert "running" in first["state"]
    assert second["state"]["waiting"]["reason"] == "PodInitializing"
    assert status_of_container(world)["state"]["waiting"]["reason"] == "PodInitializing"
    condition = world.condition(world.pod(), "Initialized")
    assert condition["reason"] == "ContainersNotInitialized"
    assert condition["message"] == "containers with incomplete status: [one two]"
    world.until_ready("p")
    ends = [s["state"]["terminated"]["reason"] for s in world.pod()["status"]["initContainerStatuses"]]
    assert ends == ["Completed", "Completed"]
    assert world.condition(world.pod(), "Initialized")["status"] == "True"


def test_a_sidecar_runs_beside_the_containers_that_it_was_started_before() -> None:
    world = build_world()
    side = container("side", "proxy:1", restartPolicy="Always")
    world.create_pod(spec=pod_spec(initContainers=[side]))
    world.until_ready("p")
    assert "running" in world.pod()["status"]["initContainerStatuses"][0]["state"]
    assert "running" in status_of_container(world)["state"]


def test_an_image_that_is_never_ready_keeps_the_pod_unready_without_polling() -> None:
    world = build_world()
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
    world.create_pod(spec=pod_spec(container(image="web:unready", readinessProbe=probe)))
    world.run(5)
    steps = world.timeline.steps
    world.run(3000)
    assert not is_ready(world.pod())
    assert world.pod()["status"]["phase"] == "Running"
    assert world.timeline.steps == steps
    assert "Unhealthy" in reasons(world)


def test_readiness_comes_with_the_first_probe_after_the_image_answers() -> None:
    world = world_with(web_1=Image("sha256:a", ready_after=timedelta(seconds=7)))
    probe = {"periodSeconds": 5, "initialDelaySeconds": 1, "successThreshold": 2}
    world.create_pod(spec=pod_spec(container(readinessProbe=probe)))
    world.until_ready("p")
    started = world.cluster.kubelets["node-0"].runtime.sandboxes[world.pod()["metadata"]["uid"]]
    passed = world.timeline.now() - started.containers["app"][0].started_at
    assert passed == timedelta(seconds=11 + 5)  # Ticks at 1, 6, 11; and one more success.


def test_a_failing_liveness_probe_restarts_the_container() -> None:
    world = world_with(web_1=Image("sha256:a", hangs_after=timedelta(seconds=30)))
    probe = {"periodSeconds": 10, "failureThreshold": 3}
    world.create_pod(spec=pod_spec(container(livenessProbe=probe)))
    world.run(60)
    assert status_of_container(world)["restartCount"] == 1
    assert "Container app failed liveness probe, will be restarted" in [
        e["message"] for e in world.events("Killing")
    ]


def test_a_startup_probe_holds_readiness_back_and_kills_in_the_end() -> None:
    world = world_with(web_1=Image("sha256:a", ready_after=None))
    probe = {"periodSeconds": 2, "failureThreshold": 5}
    world.create_pod(spec=pod_spec(container(startupProbe=probe)))
    world.run(9)
    assert status_of_container(world)["started"] is False
    assert not is_ready(world.pod())
    world.run(10)
    assert status_of_container(world)["restartCount"] == 1


def test_deletion_is_graceful_and_the_kubelet_has_the_last_word() -> None:
    world = world_with(web_1=Image("sha256:a", stops_after=timedelta(seconds=5)))
    hook = {"preStop": {"sleep": {"seconds": 3}}}
    world.create_pod(spec=pod_spec(container(lifecycle=hook)))
    world.until_ready("p")
    world.delete("pods", "p")
    world.run(7.5)
    assert is_deleting(world.pod())
    assert "running" in status_of_container(world)["state"]
    world.run(1)
    assert world.pods() == []
    last = [e.new for r, e in world.commits if r == "pods" and e.type == "DELETED"][-1]
    assert last["status"]["phase"] == "Succeeded"
    assert last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert [e["message"] for e in world.events("Killing")] == ["Stopping container app"]


def test_a_process_that_ignores_the_signal_is_killed_when_the_grace_ends() -> None:
    world = world_with(web_1=Image("sha256:a", stops_after=timedelta(hours=1)))
    world.create_pod(spec=pod_spec(terminationGracePeriodSeconds=10))
    world.until_ready("p")
    world.delete("pods", "p")
    world.run(9.9)
    assert is_deleting(world.pod())
    world.run(0.2)
    last = [e.new for r, e in world.commits if r == "pods" and e.type == "DELETED"][-1]
    assert last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    assert last["status"]["phase"] == "Failed"


def test_a_second_delete_can_shorten_the_grace() -> None:
    world = world_with(web_1=Image("sha256:a", stops_after=timedelta(hours=1)))
    world.create_pod(spec=pod_spec(terminationGracePeriodSeconds=600))
    world.until_ready("p")
    world.delete("pods", "p")
    world.run(5)
    world.delete("pods", "p", options=DeleteOptions(grace_period=timedelta(seconds=2)))
    world.run(2.1)
    assert world.pods() == []


def test_a_pod_with_a_finalizer_stays_until_it_is_cleared_though_nothing_runs() -> None:
    world = build_world(1)
    world.create_pod(finalizers=["example.com/guard"])
    world.until_ready("p")
    world.delete("pods", "p")
    world.run(60)
    assert world.pod()["status"]["phase"] == "Succeeded"
    assert world.cluster.kubelets["node-0"].runtime.sandboxes == {}
    world.patch("pods", "p", {"metadata": {"finalizers": None}})
    world.run(1)
    assert world.pods() == []


def test_a_forced_delete_leaves_containers_that_the_kubelet_then_ends() -> None:
    world = build_world(1)
    world.create_pod()
    world.until_ready("p")
    world.delete("pods", "p", options=DeleteOptions(grace_period=timedelta()))
    assert world.pods() == []
    assert world.cluster.kubelets["node-0"].runtime.sandboxes
    world.run(5)
    assert world.cluster.kubelets["node-0"].runtime.sandboxes == {}


def test_a_pod_that_is_not_to_restart_ends() -> None:
    job = Image("sha256:a", exits_after=timedelta(seconds=3))
    for image, phase in (
        (job, "Succeeded"),
        (Image("sha256:b", exits_after=timedelta(0), exit_code=3), "Failed"),
    ):
        world = world_with(web_1=image)
        world.create_pod(spec=pod_spec(restartPolicy="Never"))
        world.run(60)
        assert world.pod()["status"]["phase"] == phase
        assert status_of_container(world)["restartCount"] == 0
        assert (
            world.condition(world.pod(), "Ready")["reason"]
            == {
                "Succeeded": "PodCompleted",
                "Failed": "PodFailed",
            }[phase]
        )


def test_logs_are_kept_per_container_and_for_the_previous_one() -> None:
    world = build_world()
    logs = world.cluster.logs
    world.create_pod()
    world.run(0.1)
    with pytest.raises(ApiError, match="is waiting to start: ContainerCreating"):
        logs.lines(world.pod(), LogOptions("app"))
    world.until_ready("p")
    with pytest.raises(ApiError, match="previous terminated container"):
        logs.lines(world.pod(), LogOptions("app", is_previous=True))
    heard: list[str | None] = []
    logs.follow(world.pod(), LogOptions("app"), heard.append)
    world.set_image("web:2")
    world.run(5)
    ended = ["stopping on request", "exited with code 0"]
    assert heard == [*ended, None]
    assert logs.lines(world.pod(), LogOptions("app")) == ["starting web:2"]
    assert logs.lines(world.pod(), LogOptions("app", is_previous=True)) == ["starting web:1", *ended]
    assert logs.lines(world.pod(), LogOptions("app", is_previous=True, tail=1)) == ended[1:]
    (stamped,) = logs.lines(world.pod(), LogOptions("app", has_timestamps=True))
    assert stamped.startswith("2026-01-01T00:00:")
    world.cluster.kubelets["node-0"].crash()
    with pytest.raises(ApiError, match="connection refused"):
        logs.lines(world.pod(), LogOptions("app"))
