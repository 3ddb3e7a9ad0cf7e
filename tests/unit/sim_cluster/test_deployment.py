"""Deployments and ReplicaSets."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cafe_sim.contract import Json
from cafe_sim.controllers.rollout_arithmetic import Room, SetCount, new_set_size, room_of, shrink_old_sets
from cafe_sim.machinery.objects import annotations_of, controller_uid, owner_references
from cafe_sim.machinery.pods import is_active, is_ready
from tests.unit.sim_cluster.world import APP, World, build_world, container, pod_spec, template

DEPLOYMENTS, SETS = "deployments.apps", "replicasets.apps"
DEADLINE = {"progressDeadlineSeconds": 600}


def deploy(world: World, replicas: int = 4, **spec: object) -> Json:
    return world.create_apps("Deployment", "web", {"replicas": replicas, **DEADLINE, **spec})


def with_image(image: str) -> Json:
    return {"spec": {"template": template(pod_spec(container(image=image)))}}


def is_done(world: World, replicas: int = 4) -> Callable[[], bool]:
    def done() -> bool:
        deployment = world.one(DEPLOYMENTS, "web")
        status = deployment.get("status", {})
        wanted = {"updatedReplicas": replicas, "replicas": replicas, "availableReplicas": replicas}
        return bool(
            wanted.items() <= status.items()
            and status["observedGeneration"] == deployment["metadata"]["generation"]
        )

    return done


def sets_by_revision(world: World) -> dict[str, Json]:
    key = "deployment.kubernetes.io/revision"
    return {annotations_of(one)[key]: one for one in world.api.list(SETS, "default")}


def test_a_deployment_makes_a_set_and_the_set_makes_pods() -> None:
    world = build_world()
    deploy(world)
    world.timeline.run_until(is_done(world))
    (one,) = world.api.list(SETS, "default")
    assert one["metadata"]["labels"]["pod-template-hash"] in one["metadata"]["name"]
    assert owner_references(one)[0]["kind"] == "Deployment"
    assert one["status"]["availableReplicas"] == one["status"]["fullyLabeledReplicas"] == 4
    status = world.one(DEPLOYMENTS, "web")["status"]
    assert {c["type"]: c["reason"] for c in status["conditions"]} == {
        "Available": "MinimumReplicasAvailable",
        "Progressing": "NewReplicaSetAvailable",
    }
    told = [e["message"] for e in world.events("ScalingReplicaSet")]
    assert told == [f"Scaled up replica set {one['metadata']['name']} from 0 to 4"]
    assert len(world.events("SuccessfulCreate")) == 4


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 1), ("25%", "25%"), (2, 2), ("100%", 0)])
def test_a_rolling_update_keeps_to_its_room(surge: int | str, unavailable: int | str) -> None:
    world = build_world()
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    spec = {"replicas": 4, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}
    deploy(world, **spec)  # type: ignore[arg-type]
    world.timeline.run_until(is_done(world))
    room = room_of(spec)
    world.patch(DEPLOYMENTS, "web", with_image("web:2"))
    while not is_done(world)():
        world.run(0.1)
        live = [pod for pod in world.pods() if is_active(pod)]
        assert len(live) <= room.most
        assert sum(is_ready(pod) for pod in live) >= room.least
    images = {pod["spec"]["containers"][0]["image"] for pod in world.pods() if is_active(pod)}
    assert images == {"web:2"}
    assert sets_by_revision(world)["1"]["spec"]["replicas"] == 0


def test_a_bad_image_stops_the_rollout_and_in_time_it_is_called_late() -> None:
    world = build_world()
    deploy(world)
    world.timeline.run_until(is_done(world))
    world.patch(DEPLOYMENTS, "web", with_image("web:bad"))
    world.run(590)
    assert sum(is_ready(pod) for pod in world.pods()) == 3
    assert world.condition(world.one(DEPLOYMENTS, "web"), "Progressing")["status"] == "True"
    world.run(30)
    late = world.condition(world.one(DEPLOYMENTS, "web"), "Progressing")
    assert (late["status"], late["reason"]) == ("False", "ProgressDeadlineExceeded")
    world.patch(DEPLOYMENTS, "web", with_image("web:1"))
    world.timeline.run_until(is_done(world))
    assert world.condition(world.one(DEPLOYMENTS, "web"), "Progressing")["status"] == "True"


def test_going_back_reuses_the_old_set_with_a_new_number() -> None:
    world = build_world()
    deploy(world)
    world.timeline.run_until(is_done(world))
    first = world.api.list(SETS, "default")[0]["metadata"]["name"]
    for image in ("web:2", "web:1"):
        world.patch(DEPLOYMENTS, "web", with_image(image))
        world.timeline.run_until(is_done(world))
    assert len(world.api.list(SETS, "default")) == 2
    again = sets_by_revision(world)["3"]
    assert again["metadata"]["name"] == first
    assert annotations_of(again)["deployment.kubernetes.io/revision-history"] == "1"
    assert annotations_of(world.one(DEPLOYMENTS, "web"))["deployment.kubernetes.io/revision"] == "3"


def test_old_sets_beyond_the_limit_are_forgotten() -> None:
    world = build_world()
    deploy(world, revisionHistoryLimit=1)
    for number in range(1, 6):
        world.patch(DEPLOYMENTS, "web", with_image(f"web:{number}"))
        world.timeline.run_until(is_done(world))
        world.run(5)
    assert sorted(sets_by_revision(world)) == ["4", "5"]


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    world = build_world()
    deploy(world)
    world.timeline.run_until(is_done(world))
    world.patch(DEPLOYMENTS, "web", {"spec": {"paused": True}})
    world.run(1)
    assert world.condition(world.one(DEPLOYMENTS, "web"), "Progressing")["reason"] == "DeploymentPaused"
    world.patch(DEPLOYMENTS, "web", with_image("web:2"))
    world.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 6}})
    world.run(20)
    assert len(world.api.list(SETS, "default")) == 1
    assert len(world.pods()) == 6
    world.patch(DEPLOYMENTS, "web", {"spec": {"paused": None}})
    world.timeline.run_until(is_done(world, 6))
    assert len(world.api.list(SETS, "default")) == 2


def test_scaling_in_the_middle_of_a_rollout_grows_both_sides() -> None:
    world = build_world(cpu="32")
    deploy(world, 10, strategy={"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}})
    world.timeline.run_until(is_done(world, 10))
    world.patch(DEPLOYMENTS, "web", with_image("web:bad"))
    world.run(30)
    before = {k: s["spec"]["replicas"] for k, s in sets_by_revision(world).items()}
    assert before == {"1": 8, "2": 5}
    world.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 20}})
    world.run(30)
    assert {k: s["spec"]["replicas"] for k, s in sets_by_revision(world).items()} == {"1": 14, "2": 9}


def test_recreate_waits_until_the_old_pods_are_gone() -> None:
    world = build_world()
    deploy(world, strategy={"type": "Recreate"})
    world.timeline.run_until(is_done(world))
    world.patch(DEPLOYMENTS, "web", with_image("web:2"))
    while not is_done(world)():
        world.run(0.1)
        images = {pod["spec"]["containers"][0]["image"] for pod in world.pods()}
        assert len(images) <= 1
    assert len(world.pods()) == 4


def test_pods_count_as_available_only_after_min_ready_seconds() -> None:
    world = build_world()
    deploy(world, minReadySeconds=30)
    world.run(20)
    status = world.one(DEPLOYMENTS, "web")["status"]
    assert status["readyReplicas"] == 4
    assert "availableReplicas" not in status
    world.run(20)
    assert world.one(DEPLOYMENTS, "web")["status"]["availableReplicas"] == 4


def test_a_set_adopts_what_matches_and_releases_what_no_longer_does() -> None:
    world = build_world()
    orphan = world.create_pod("orphan", labels=APP)
    world.create_apps("ReplicaSet", "web", {"replicas": 3})
    world.run(10)
    owner = world.one(SETS, "web")
    assert len(world.pods()) == 3
    assert controller_uid(world.pod("orphan")) == owner["metadata"]["uid"]
    world.patch("pods", "orphan", {"metadata": {"labels": {"app": "other"}}})
    world.run(10)
    assert owner_references(world.pod("orphan")) == []
    assert world.pod("orphan")["metadata"]["uid"] == orphan["metadata"]["uid"]
    assert len(world.pods()) == 4


def test_a_pod_of_somebody_else_is_left_alone() -> None:
    world = build_world()
    world.create_apps("ReplicaSet", "other", {"replicas": 2})
    world.run(5)
    world.create_apps("ReplicaSet", "web", {"replicas": 2})
    world.run(5)
    owners = [controller_uid(pod) for pod in world.pods()]
    assert sorted(owners.count(uid) for uid in set(owners)) == [2, 2]


def test_a_failed_pod_is_replaced() -> None:
    world = build_world()
    world.create_apps("ReplicaSet", "web", {"replicas": 2})
    world.run(10)
    doomed = world.pods()[0]["metadata"]["name"]
    world.patch("pods", doomed, {"status": {"phase": "Failed", "reason": "Evicted"}}, "status")
    world.run(10)
    assert sum(is_ready(pod) for pod in world.pods() if is_active(pod)) == 2


def test_the_least_valuable_pods_go_first() -> None:
    world = build_world()
    world.create_apps("ReplicaSet", "web", {"replicas": 6})
    world.run(10)
    names = [pod["metadata"]["name"] for pod in world.pods()]
    cost = "controller.kubernetes.io/pod-deletion-cost"
    for name, value in ((names[0], "-5"), (names[1], "100")):
        world.patch("pods", name, {"metadata": {"annotations": {cost: value}}})
    world.set_image("web:bad", pod=names[1])
    world.run(5)
    world.patch(SETS, "web", {"spec": {"replicas": 4}})
    world.run(10)
    left = {pod["metadata"]["name"] for pod in world.pods()}
    assert left == set(names[2:]), "the sick one whatever its cost, then the cheapest"


def test_refused_creations_are_told_and_tried_again_with_patience() -> None:
    world = build_world(cpu="32")
    spec = pod_spec(priorityClassName="no-such-class")
    world.create_apps("ReplicaSet", "web", {"replicas": 50, "template": template(spec)})
    world.run(10)
    failure = world.condition(world.one(SETS, "web"), "ReplicaFailure")
    assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
    assert "no PriorityClass with name no-such-class was found" in failure["message"]
    tries = sum(event["count"] for event in world.events("FailedCreate"))
    assert 5 <= tries <= 40, "slow start: a refused batch is small, and retries back off"
    world.patch(SETS, "web", {"spec": {"template": {"spec": {"priorityClassName": None}}}})
    world.run(60)
    assert len(world.pods()) == 50
    assert "conditions" not in world.one(SETS, "web")["status"]


COUNTS = st.builds(SetCount, st.just("s"), st.integers(0, 20), st.integers(0, 20))


@given(
    replicas=st.integers(0, 20),
    surge=st.integers(0, 5),
    unavailable=st.integers(0, 5),
    new=COUNTS,
    old=st.lists(COUNTS, max_size=3),
)
def test_no_step_of_a_rollout_leaves_its_room(
    replicas: int, surge: int, unavailable: int, new: SetCount, old: list[SetCount]
) -> None:
    room = Room(replicas, surge, min(unavailable, replicas))
    new = SetCount("new", new.wanted, min(new.available, new.wanted))
    olds = [SetCount(f"old{i}", one.wanted, min(one.available, one.wanted)) for i, one in enumerate(old)]
    total = new.wanted + sum(one.wanted for one in olds)
    size = new_set_size(room, new, total)
    assert size <= replicas
    assert size <= new.wanted or total + size - new.wanted <= room.most
    sizes = shrink_old_sets(room, new, olds)
    available = new.available + sum(one.available for one in olds)
    left = new.available + sum(min(one.available, sizes.get(one.name, one.wanted)) for one in olds)
    assert left >= min(available, room.least)
    assert all(0 <= sizes[one.name] <= one.wanted for one in olds if one.name in sizes)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.integers(0, 7),
            st.tuples(st.sampled_from(["delete", "fail", "strip"]), st.integers(0, 9)),
        ),
        max_size=12,
    )
)
def test_a_set_converges_to_its_replicas_whatever_is_deleted(steps: list[int | tuple[str, int]]) -> None:
    world = build_world()
    world.create_apps("ReplicaSet", "web", {"replicas": 3})
    for number, step in enumerate(steps):
        world.run(number % 3)
        pods = world.pods()
        if isinstance(step, int):
            world.patch(SETS, "web", {"spec": {"replicas": step}})
        elif pods:
            name = pods[step[1] % len(pods)]["metadata"]["name"]
            if step[0] == "delete":
                world.delete("pods", name)
            elif step[0] == "fail":
                world.patch("pods", name, {"status": {"phase": "Failed"}}, "status")
            else:
                world.patch("pods", name, {"metadata": {"labels": {"app": None}}})
    world.run(120)
    owner = world.one(SETS, "web")
    mine = [p for p in world.pods() if controller_uid(p) == owner["metadata"]["uid"] and is_active(p)]
    assert len(mine) == owner["spec"]["replicas"]
    assert all(is_ready(pod) for pod in mine)
    assert owner["status"].get("readyReplicas", 0) == owner["spec"]["replicas"]
    commits = len(world.commits)
    world.run(3000)
    assert len(world.commits) == commits, "and then it is quiet"
