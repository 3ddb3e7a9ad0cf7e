"""Nodes that fall silent, are drained, removed, or never renew a lease that anybody sees."""

from datetime import timedelta

import pytest

from cafe_sim.cluster import CELL_LABEL, ClusterOptions
from cafe_sim.contract import DeleteOptions, Json
from cafe_sim.machinery.objects import is_deleting, labels_of, time_of
from cafe_sim.machinery.pods import is_active, is_ready, node_of
from tests.unit.sim_cluster.timeline import START
from tests.unit.sim_cluster.world import World, build_world, pod_spec

UNREACHABLE = "node.kubernetes.io/unreachable"
PATIENT = {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
LEASES = "leases.coordination.k8s.io"


def node_of_world(world: World, name: str = "node-0") -> Json:
    return world.one("nodes", name, "")


def ready_of(world: World, name: str = "node-0") -> str:
    return str(world.condition(node_of_world(world, name), "Ready")["status"])


def taints(world: World, name: str = "node-0") -> list[tuple[str, str]]:
    return [(t["key"], t["effect"]) for t in node_of_world(world, name)["spec"].get("taints", ())]


def test_cells_and_zones_are_labels() -> None:
    world = build_world(0)
    world.cluster.build_cells({"cell-a": "zone-1", "cell-b": "zone-2"}, 2)
    world.run(1)
    nodes = world.api.list("nodes")
    assert [n["metadata"]["name"] for n in nodes] == [
        "cell-a-node-1",
        "cell-a-node-2",
        "cell-b-node-1",
        "cell-b-node-2",
    ]
    assert labels_of(nodes[0])[CELL_LABEL] == "cell-a"
    assert labels_of(nodes[3])["topology.kubernetes.io/zone"] == "zone-2"
    assert nodes[0]["status"]["allocatable"]["cpu"] == "4"
    assert len({a["address"] for n in nodes for a in n["status"]["addresses"]}) == 8
    with pytest.raises(ValueError, match="cell-a-node-1"):
        world.cluster.add_node("cell-a-node-1")


def test_healthy_nodes_cost_nothing_for_days() -> None:
    world = build_world(5)
    world.run(10)
    steps = world.timeline.steps
    world.run(7 * 24 * 3600)
    assert world.timeline.steps == steps
    assert ready_of(world) == "True"


def test_leases_are_renewed_for_those_who_want_to_see_it() -> None:
    world = build_world(1, ClusterOptions(renews_leases=True))
    world.run(300)
    renewed = time_of(world.one(LEASES, "node-0", "kube-node-lease")["spec"]["renewTime"])
    assert world.timeline.now() - renewed <= timedelta(seconds=10)
    assert ready_of(world) == "True"
    world.cluster.kubelets["node-0"].crash()
    world.run(70)
    assert ready_of(world) == "Unknown"


def test_a_silent_node_is_unknown_after_the_grace_and_its_pods_leave_service() -> None:
    world = build_world(2)
    world.create_pod(spec=pod_spec(tolerations=[PATIENT]))
    world.until_ready("p")
    world.run(100)
    world.cluster.kubelets["node-0"].cut_off()
    world.run(1)
    renewed = time_of(world.one(LEASES, "node-0", "kube-node-lease")["spec"]["renewTime"])
    assert renewed == START + timedelta(seconds=100)
    world.run(38)
    assert ready_of(world) == "True"
    world.run(15)
    assert ready_of(world) == "Unknown"
    assert (UNREACHABLE, "NoExecute") in taints(world)
    assert world.condition(node_of_world(world), "Ready")["reason"] == "NodeStatusUnknown"
    assert not is_ready(world.pod())
    world.cluster.kubelets["node-0"].reconnect()
    world.run(1)
    assert ready_of(world) == "True"
    assert taints(world) == []
    assert is_ready(world.pod())


def test_pods_are_evicted_when_their_toleration_runs_out_and_replaced_elsewhere() -> None:
    world = build_world(2)
    spec = {"template": {"metadata": {"labels": {"app": "web"}}, "spec": pod_spec(tolerations=[PATIENT])}}
    world.create_apps("ReplicaSet", "web", {"replicas": 2, **spec})
    world.run(10)
    world.cluster.kubelets["node-0"].cut_off()
    world.run(300)
    assert not any(is_deleting(pod) for pod in world.pods())
    world.run(70)
    stuck = [pod for pod in world.pods() if is_deleting(pod)]
    assert [node_of(pod) for pod in stuck] == ["node-0"]
    assert world.condition(stuck[0], "DisruptionTarget")["reason"] == "DeletionByTaintManager"
    live = [pod for pod in world.pods() if is_active(pod)]
    assert {node_of(pod) for pod in live} == {"node-1"}
    assert len(live) == 2
    assert world.cluster.kubelets["node-0"].runtime.sandboxes, "nobody told the node"
    world.cluster.kubelets["node-0"].reconnect()
    world.run(40)
    assert len(world.pods()) == 2
    assert world.cluster.kubelets["node-0"].runtime.sandboxes == {}


def test_a_pod_that_tolerates_nothing_goes_at_once_and_one_that_tolerates_all_stays() -> None:
    world = build_world(1)
    world.create_pod("frail")
    world.create_pod("stout", pod_spec(tolerations=[{"operator": "Exists"}]))
    world.until_ready("frail", "stout")
    taint = {"key": "maintenance", "effect": "NoExecute"}
    world.api.patch("nodes", "", "node-0", {"spec": {"taints": [taint]}})
    world.run(5)
    assert [pod["metadata"]["name"] for pod in world.pods()] == ["stout"]


def test_pods_of_a_removed_node_are_collected_after_its_quarantine() -> None:
    world = build_world(2)
    world.create_apps("ReplicaSet", "web", {"replicas": 2})
    world.run(10)
    world.cluster.remove_node("node-0")
    world.api.delete("nodes", "", "node-0")
    world.run(30)
    assert any(node_of(pod) == "node-0" for pod in world.pods())
    world.run(30)
    assert {node_of(pod) for pod in world.pods()} == {"node-1"}
    assert sum(is_ready(pod) for pod in world.pods()) == 2
    assert world.api.get(LEASES, "kube-node-lease", "node-0") is None


def test_an_out_of_service_node_lets_its_terminating_pods_go() -> None:
    world = build_world(1)
    world.create_pod()
    world.until_ready("p")
    world.cluster.kubelets["node-0"].power_off()
    world.run(120)
    world.delete("pods", "p", options=DeleteOptions(grace_period=timedelta(seconds=1)))
    world.run(120)
    assert is_deleting(world.pod())
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
    kept = node_of_world(world)["spec"]["taints"]
    world.api.patch("nodes", "", "node-0", {"spec": {"taints": [*kept, taint]}})
    world.run(30)
    assert world.pods() == []


def test_a_stopped_cluster_does_nothing_more() -> None:
    world = build_world(1)
    world.create_pod("a")
    world.run(10)
    world.cluster.stop()
    world.create_pod("b")
    world.timeline.settle()
    commits = len(world.commits)
    world.run(3600 * 2)
    assert len(world.commits) == commits
    assert not node_of(world.pod("b"))
