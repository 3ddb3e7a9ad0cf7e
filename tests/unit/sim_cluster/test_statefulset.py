"""StatefulSets: names that stay, in order."""

from cafe_sim.contract import Json
from cafe_sim.machinery.objects import is_deleting, labels_of
from cafe_sim.machinery.pods import is_ready
from tests.unit.sim_cluster.world import APP, World, build_world, container, pod_spec, template

SETS, REVISIONS = "statefulsets.apps", "controllerrevisions.apps"
VOLUME = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def stateful(world: World, replicas: int = 3, **spec: object) -> Json:
    return world.create_apps("StatefulSet", "db", {"replicas": replicas, "serviceName": "db", **spec})


def names(world: World) -> list[str]:
    return [pod["metadata"]["name"] for pod in world.pods()]


def until_ready(world: World, replicas: int = 3) -> None:
    def all_ready() -> bool:
        status = world.one(SETS, "db").get("status", {})
        return bool(status.get("readyReplicas") == status.get("updatedReplicas") == replicas)

    world.timeline.run_until(all_ready)


def images(world: World) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in world.pods()}


def new_image(image: str) -> Json:
    return {"spec": {"template": template(pod_spec(container(image=image)))}}


def test_pods_come_one_after_the_other() -> None:
    world = build_world()
    stateful(world)
    seen = []
    while len(seen) < 3:
        world.run(0.1)
        if names(world) != seen:
            assert all(is_ready(pod) for pod in world.pods()[:-1])
            seen = names(world)
    assert seen == ["db-0", "db-1", "db-2"]
    until_ready(world)
    pod = world.pod("db-1")
    assert labels_of(pod)["statefulset.kubernetes.io/pod-name"] == "db-1"
    assert labels_of(pod)["apps.kubernetes.io/pod-index"] == "1"
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")
    status = world.one(SETS, "db")["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert status["availableReplicas"] == status["currentReplicas"] == 3


def test_a_sick_pod_holds_the_next_one_back() -> None:
    world = build_world()
    stateful(world, template=template(pod_spec(container(image="db:bad"))))
    world.run(60)
    assert names(world) == ["db-0"]


def test_parallel_sets_make_all_at_once() -> None:
    world = build_world()
    stateful(world, podManagementPolicy="Parallel")
    world.run(0.1)
    assert names(world) == ["db-0", "db-1", "db-2"]


def test_scaling_down_goes_from_the_highest() -> None:
    world = build_world()
    stateful(world)
    until_ready(world)
    world.patch(SETS, "db", {"spec": {"replicas": 1}})
    world.run(0.1)
    assert [pod["metadata"]["name"] for pod in world.pods() if is_deleting(pod)] == ["db-2"]
    world.run(10)
    assert names(world) == ["db-0"]


def test_an_update_goes_from_the_highest_one_at_a_time() -> None:
    world = build_world()
    stateful(world)
    until_ready(world)
    world.patch(SETS, "db", new_image("db:2"))
    order: list[str] = []
    while len(order) < 3:
        world.run(0.1)
        assert sum(is_ready(pod) and not is_deleting(pod) for pod in world.pods()) >= 2
        order += [name for name, image in images(world).items() if image == "db:2" and name not in order]
    assert order == ["db-2", "db-1", "db-0"]
    until_ready(world)
    status = world.one(SETS, "db")["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert len(world.api.list(REVISIONS, "default")) == 2


def test_pods_below_the_partition_keep_and_regain_the_old_revision() -> None:
    world = build_world()
    stateful(world, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
    until_ready(world)
    world.patch(SETS, "db", new_image("db:2"))
    world.run(30)
    assert images(world) == {"db-0": "web:1", "db-1": "web:1", "db-2": "db:2"}
    world.delete("pods", "db-0")
    world.delete("pods", "db-2")
    world.run(30)
    assert images(world) == {"db-0": "web:1", "db-1": "web:1", "db-2": "db:2"}
    status = world.one(SETS, "db")["status"]
    assert (status["updatedReplicas"], status["currentReplicas"]) == (1, 2)


def test_on_delete_waits_for_the_user() -> None:
    world = build_world()
    stateful(world, updateStrategy={"type": "OnDelete"})
    until_ready(world)
    world.patch(SETS, "db", new_image("db:2"))
    world.run(30)
    assert set(images(world).values()) == {"web:1"}
    world.delete("pods", "db-1")
    world.run(30)
    assert images(world) == {"db-0": "web:1", "db-1": "db:2", "db-2": "web:1"}


def test_going_back_reuses_the_revision_with_a_new_number() -> None:
    world = build_world()
    stateful(world, 1)
    until_ready(world, 1)
    first = world.one(SETS, "db")["status"]["currentRevision"]
    for image in ("web:2", "web:1"):
        world.patch(SETS, "db", new_image(image))
        world.run(20)
    assert world.one(SETS, "db")["status"]["currentRevision"] == first
    assert {r["revision"] for r in world.api.list(REVISIONS, "default")} == {2, 3}


def test_volumes_are_bound_and_outlive_their_pods() -> None:
    world = build_world()
    stateful(world, 2, volumeClaimTemplates=[VOLUME])
    until_ready(world, 2)
    claims = world.api.list("persistentvolumeclaims", "default")
    assert [c["metadata"]["name"] for c in claims] == ["data-db-0", "data-db-1"]
    assert {c["status"]["phase"] for c in claims} == {"Bound"}
    assert claims[0]["spec"]["volumeName"] == f"pvc-{claims[0]['metadata']['uid']}"
    volume = world.pod("db-0")["spec"]["volumes"][0]
    assert volume["persistentVolumeClaim"]["claimName"] == "data-db-0"
    world.delete(SETS, "db")
    world.run(10)
    assert world.pods() == []
    assert len(world.api.list("persistentvolumeclaims", "default")) == 2
    world.delete("persistentvolumeclaims", "data-db-0")
    world.run(1)
    left = [v["spec"]["claimRef"]["name"] for v in world.api.list("persistentvolumes")]
    assert left == ["data-db-1"]


def test_a_pod_keeps_its_name_when_it_fails() -> None:
    world = build_world()
    stateful(world)
    until_ready(world)
    uid = world.pod("db-1")["metadata"]["uid"]
    world.patch("pods", "db-1", {"status": {"phase": "Failed"}}, "status")
    world.run(20)
    until_ready(world)
    assert world.pod("db-1")["metadata"]["uid"] != uid
    assert labels_of(world.pod("db-1")).items() >= APP.items()
