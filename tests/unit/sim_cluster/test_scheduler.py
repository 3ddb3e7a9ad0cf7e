"""Where pods go, and what is said when they go nowhere."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cafe_sim.contract import Json
from cafe_sim.machinery.pods import node_of
from cafe_sim.machinery.quantities import quantity
from tests.unit.sim_cluster.world import World, build_world, container, pod_spec

ZONE = "topology.kubernetes.io/zone"


def asking(cpu: str = "1", memory: str = "1Gi", **more: object) -> Json:
    return pod_spec(container(resources={"requests": {"cpu": cpu, "memory": memory}}), **more)


def why(world: World, name: str = "p") -> str:
    condition = world.condition(world.pod(name), "PodScheduled")
    assert condition["status"] == "False"
    return str(condition["message"])


def label_nodes(world: World, **labels: str) -> None:
    for name, value in labels.items():
        world.api.patch("nodes", "", name.replace("_", "-"), {"metadata": {"labels": {"tier": value}}})
    world.timeline.settle()


def affinity(*expressions: Json) -> Json:
    terms = [{"matchExpressions": list(expressions)}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"nodeAffinity": required}


def test_pods_spread_to_the_least_allocated_node() -> None:
    world = build_world(4)
    for number in range(8):
        world.create_pod(f"p{number}", asking())
    world.run(1)
    assert Counter(node_of(pod) for pod in world.pods()) == {f"node-{n}": 2 for n in range(4)}


def test_it_says_why_in_the_words_of_the_real_scheduler() -> None:
    world = build_world(4)
    label_nodes(world, node_0="gold", node_1="gold")
    world.create_pod("big", asking("3"))
    world.run(1)
    here = node_of(world.pod("big"))
    assert here == "node-0"
    world.create_pod("p", asking("5", nodeSelector={"tier": "gold"}))
    world.run(1)
    assert why(world) == (
        "0/4 nodes are available: 2 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector. "
        "no new claims to deallocate, preemption: 0/4 nodes are available: "
        "4 Preemption is not helpful for scheduling."
    )
    condition = world.condition(world.pod(), "PodScheduled")
    assert condition["reason"] == "Unschedulable"
    assert world.pod()["status"]["phase"] == "Pending"
    event = world.events("FailedScheduling")[0]
    assert event["message"] == condition["message"]
    assert event["reportingComponent"] == "default-scheduler"


def test_what_evictions_could_help_is_told_apart() -> None:
    world = build_world(2)
    for name in ("a", "b"):
        world.create_pod(name, asking("3"))
    world.run(1)
    world.create_pod("p", asking("2", "20Gi"))
    world.create_pod("q", asking("2"))
    world.run(1)
    assert why(world, "p").startswith("0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory.")
    assert why(world, "q").endswith("2 No preemption victims found for incoming pod.")


def test_a_waiting_pod_goes_when_room_is_made() -> None:
    world = build_world(1)
    world.create_pod("a", asking("3"))
    world.run(5)
    world.create_pod("b", asking("3"))
    world.run(60)
    assert not node_of(world.pod("b"))
    told = len(world.events("FailedScheduling"))
    world.run(600)
    assert len(world.events("FailedScheduling")) == told, "nothing changed, so nothing is said again"
    world.delete("pods", "a")
    world.run(2)
    assert node_of(world.pod("b")) == "node-0"


def test_a_waiting_pod_goes_when_a_node_comes() -> None:
    world = build_world(0)
    world.create_pod("p", asking())
    world.run(5)
    assert why(world) == "no nodes available to schedule pods"
    world.cluster.add_node("late")
    world.run(15)
    assert node_of(world.pod()) == "late"


def test_every_operator_of_node_affinity() -> None:
    world = build_world(3)
    label_nodes(world, node_0="1", node_1="5")
    cases = {
        "in": ({"key": "tier", "operator": "In", "values": ["1", "9"]}, {"node-0"}),
        "notin": ({"key": "tier", "operator": "NotIn", "values": ["1"]}, {"node-1", "node-2"}),
        "exists": ({"key": "tier", "operator": "Exists"}, {"node-0", "node-1"}),
        "absent": ({"key": "tier", "operator": "DoesNotExist"}, {"node-2"}),
        "gt": ({"key": "tier", "operator": "Gt", "values": ["3"]}, {"node-1"}),
        "lt": ({"key": "tier", "operator": "Lt", "values": ["3"]}, {"node-0"}),
    }
    for name, (expression, nodes) in cases.items():
        for number in range(4):
            world.create_pod(f"{name}-{number}", asking("100m", affinity=affinity(expression)))
        world.run(1)
        found = {node_of(pod) for pod in world.pods() if pod["metadata"]["name"].startswith(f"{name}-")}
        assert found == nodes, name


def test_a_preferred_node_wins_while_it_has_room() -> None:
    world = build_world(3)
    label_nodes(world, node_2="gold")
    term = {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold"]}]}
    wish = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": term}]}
    for number in range(3):
        world.create_pod(f"p{number}", asking("1500m", affinity={"nodeAffinity": wish}))
    world.run(1)
    assert Counter(node_of(pod) for pod in world.pods())["node-2"] == 2


def test_taints_keep_out_whoever_does_not_tolerate_them() -> None:
    world = build_world(0)
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    world.cluster.add_node("gpu", taints=[taint])
    world.create_pod("p")
    toleration = {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
    world.create_pod("q", pod_spec(tolerations=[toleration]))
    world.create_pod("r", pod_spec(tolerations=[{"operator": "Exists"}]))
    world.run(1)
    assert why(world).startswith("0/1 nodes are available: 1 node(s) had untolerated taint(s).")
    assert node_of(world.pod("q")) == node_of(world.pod("r")) == "gpu"


def test_a_cordoned_node_takes_no_pods_until_it_is_uncordoned() -> None:
    world = build_world(1)
    world.api.patch("nodes", "", "node-0", {"spec": {"unschedulable": True}})
    world.run(1)
    world.create_pod()
    world.run(1)
    assert why(world).startswith("0/1 nodes are available: 1 node(s) were unschedulable.")
    taints = world.one("nodes", "node-0", "")["spec"]["taints"]
    assert [t["key"] for t in taints] == ["node.kubernetes.io/unschedulable"]
    world.api.patch("nodes", "", "node-0", {"spec": {"unschedulable": None}})
    world.run(15)
    assert node_of(world.pod()) == "node-0"
    assert "taints" not in world.one("nodes", "node-0", "")["spec"]


def spread(action: str) -> Json:
    selector = {"matchLabels": {"app": "web"}}
    return {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": action, "labelSelector": selector}


def test_topology_spread_holds_the_skew() -> None:
    world = build_world(2, cpu="2")
    for number in range(5):
        spec = asking("1", topologySpreadConstraints=[spread("DoNotSchedule")])
        world.create_pod(f"p{number}", spec, labels={"app": "web"})
    world.run(2)
    assert Counter(node_of(pod) for pod in world.pods() if node_of(pod)) == {"node-0": 2, "node-1": 2}
    world.cluster.add_node("more", {ZONE: "z0"})
    world.cluster.add_node("unlabelled")
    world.run(15)
    assert node_of(world.pod("p4")) == "more"
    world.create_pod(
        "p5", asking("1", topologySpreadConstraints=[spread("DoNotSchedule")]), labels={"app": "web"}
    )
    world.run(2)
    reasons = why(world, "p5")
    assert "2 node(s) didn't match pod topology spread constraints" not in reasons
    assert "1 node(s) didn't match pod topology spread constraints (missing required label)" in reasons


def test_a_soft_spread_gives_way() -> None:
    world = build_world(2)
    world.api.patch("nodes", "", "node-1", {"spec": {"unschedulable": True}})
    world.run(1)
    for number in range(3):
        spec = asking("1", topologySpreadConstraints=[spread("ScheduleAnyway")])
        world.create_pod(f"p{number}", spec, labels={"app": "web"})
    world.run(1)
    assert {node_of(pod) for pod in world.pods()} == {"node-0"}


def pod_affinity(kind: str) -> Json:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_anti_affinity_keeps_pods_apart_in_both_directions() -> None:
    world = build_world(2)
    for number in range(3):
        world.create_pod(
            f"p{number}", asking("1", affinity=pod_affinity("podAntiAffinity")), labels={"app": "web"}
        )
    world.create_pod("plain", asking("1"), labels={"app": "web"})
    world.run(1)
    assert {node_of(world.pod("p0")), node_of(world.pod("p1"))} == {"node-0", "node-1"}
    assert "2 node(s) didn't match pod anti-affinity rules" in why(world, "p2")
    assert "2 node(s) didn't satisfy existing pods anti-affinity rules" in why(world, "plain")


def test_affinity_brings_pods_together_beginning_with_the_first() -> None:
    world = build_world(3)
    for number in range(3):
        world.create_pod(
            f"p{number}", asking("1", affinity=pod_affinity("podAffinity")), labels={"app": "web"}
        )
    world.create_pod("stranger", asking("1", affinity=pod_affinity("podAffinity")))
    world.run(1)
    assert len({node_of(pod) for pod in world.pods()}) == 1


def test_a_gated_pod_waits_for_its_gates() -> None:
    world = build_world(1)
    world.create_pod(spec=pod_spec(schedulingGates=[{"name": "example.com/quota"}]))
    world.run(5)
    assert world.condition(world.pod(), "PodScheduled")["reason"] == "SchedulingGated"
    world.patch("pods", "p", {"spec": {"schedulingGates": None}})
    world.run(5)
    assert node_of(world.pod()) == "node-0"


def test_the_number_of_pods_and_host_ports_are_resources_too() -> None:
    world = build_world(1, pods="3")
    port = container(ports=[{"containerPort": 80, "hostPort": 8080}])
    world.create_pod("a", pod_spec(port))
    world.create_pod("b", pod_spec(port))
    world.create_pod("c")
    world.create_pod("d")
    world.create_pod("e")
    world.run(1)
    assert "1 node(s) didn't have free ports for the requested pod ports" in why(world, "b")
    assert "1 Too many pods" in why(world, "e")


REQUESTS = st.tuples(
    st.sampled_from(["100m", "500m", "1", "2500m", "5"]), st.sampled_from(["64Mi", "3Gi", "9Gi"])
)
ACTIONS = st.lists(st.one_of(REQUESTS, st.integers(0, 20)), max_size=25)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(actions=ACTIONS)
def test_no_node_is_ever_over_committed_whatever_comes_and_goes(
    actions: list[tuple[str, str] | int],
) -> None:
    world = build_world(3)
    for number, action in enumerate(actions):
        if isinstance(action, int):
            if f"p{action}" in {pod["metadata"]["name"] for pod in world.pods()}:
                world.delete("pods", f"p{action}")
        else:
            world.create_pod(f"p{number}", asking(*action))
        world.run(number % 3)
        for resource, limit in (("cpu", Fraction(4)), ("memory", quantity("16Gi"))):
            used: Counter[str] = Counter()
            for pod in world.pods():
                for one in pod["spec"]["containers"]:
                    asked = quantity(one["resources"]["requests"][resource])
                    used[node_of(pod)] += asked  # type: ignore[assignment]
            used.pop("", None)
            assert all(amount <= limit for amount in used.values())
    world.run(60)
    fits = [pod for pod in world.pods() if not node_of(pod)]
    assert all(why(world, pod["metadata"]["name"]) for pod in fits)
