"""The testbed is what it claims to be: a real Kubernetes that goes away without a trace."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from testbed import ControlPlane, FakeNodes, Image, RealNodes, control_plane, fake_nodes, real_nodes
from testbed.build import kubernetes_version
from testbed.images import image_id
from testbed.leftovers import bridges, control_groups, sweep
from testbed.nodes import ask
from testbed.runs import ProcessId, Run, directories
from testbed.waiting import wait_for
from tests.conftest import need
from tests.real.cluster import (
    GATE,
    SOON,
    Object,
    Space,
    condition,
    container,
    is_running,
    is_waiting,
    make_space,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
V1, V2, V2_SAME = (f"cafe.test/bookinfo/productpage:{tag}" for tag in ("v1", "v2", "v2-same"))


@pytest.fixture
def space(control_plane: ControlPlane) -> Iterator[Space]:
    yield from make_space(control_plane.client)


def version_answered(pod_ip: str) -> str | None:
    try:
        return ask(pod_ip)["version"]
    except OSError:
        return None


def test_an_unmodified_kubectl_reaches_the_api_server(kubeconfig: Path) -> None:
    command = [str(Path(sys.executable).parent / "kubectl"), f"--kubeconfig={kubeconfig}", "version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"Server Version: {kubernetes_version()}" in said


def test_a_user_without_roles_may_do_nothing(control_plane: ControlPlane) -> None:
    stranger = control_plane.kubeconfig_for("stranger")
    command = [str(Path(sys.executable).parent / "kubectl"), f"--kubeconfig={stranger}", "get", "pods"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 'pods is forbidden: User "stranger" cannot list' in done.stderr


@pytest.mark.usefixtures("real_nodes")
def test_a_pod_on_a_real_node_answers_with_the_version_of_its_image(space: Space) -> None:
    pod = space.run_pod("web", V1, "real")
    address = pod["status"]["podIP"]
    assert wait_for("an answer", lambda: version_answered(address), SOON) == "v1"
    assert ask(address)["name"] == "productpage"
    log = f"{space.pods}/web/log"
    wait_for("a log", lambda: "GET /" in space.client.text("GET", log), SOON)


@pytest.mark.usefixtures("real_nodes")
def test_a_new_image_restarts_the_container_once_in_the_same_pod(space: Space) -> None:
    before = space.run_pod("web", V1, "real")
    space.set_image("web", V2)
    wait_for("the new version", lambda: version_answered(before["status"]["podIP"]) == "v2", SOON)
    after = space.wait_pod("web", lambda pod: container(pod)["imageID"] != container(before)["imageID"])
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert after["spec"]["nodeName"] == before["spec"]["nodeName"]
    assert container(after)["restartCount"] == 1
    assert container(after)["containerID"] != container(before)["containerID"]
    assert after["metadata"]["generation"] == after["status"]["observedGeneration"] == 2


@pytest.mark.usefixtures("real_nodes")
def test_a_new_tag_of_the_same_content_is_a_new_container_of_the_same_image(space: Space) -> None:
    before = space.run_pod("web", V2, "real")
    space.set_image("web", V2_SAME)
    after = space.wait_pod("web", lambda pod: container(pod)["restartCount"] == 1 and is_running(pod))
    assert container(after)["imageID"] == container(before)["imageID"]
    assert container(after)["containerID"] != container(before)["containerID"]


@pytest.mark.usefixtures("real_nodes")
def test_a_pod_is_ready_only_while_its_readiness_gate_is_open(space: Space) -> None:
    space.run_pod("web", V1, "real", readinessGates=[{"conditionType": GATE}])
    closed = space.wait_pod("web", lambda pod: condition(pod, "ContainersReady") == "True")
    assert condition(closed, "Ready") == "False"
    for status in ("True", "False"):
        space.set_gate("web", status)
        space.wait_condition("web", "Ready", status)


def test_a_service_reaches_a_pod_once_its_gate_is_open(space: Space, real_nodes: RealNodes) -> None:
    if real_nodes.proxy is None:
        need_no_other_testbed()
    services = f"/api/v1/namespaces/{space.name}/services"
    body = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 9080}]}}
    address = space.client.create(services, body)["spec"]["clusterIP"]
    space.run_pod("web", V1, "real", readinessGates=[{"conditionType": GATE}])
    assert version_answered(address) is None
    space.set_gate("web", "True")
    assert wait_for("the service answers", lambda: version_answered(address), SOON) == "v1"


def need_no_other_testbed() -> None:
    reason = "another testbed on this machine has kube-proxy: python -m testbed status"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def test_an_image_that_no_node_has_is_refused_and_the_pod_can_be_mended(
    space: Space, real_nodes: RealNodes
) -> None:
    late = Image.of("registry.example/late:v3")
    before = space.run_pod("web", V1, "real")
    space.set_image("web", late.reference)
    space.wait_pod("web", lambda pod: is_waiting(pod, "ErrImagePull", "ImagePullBackOff"))
    real_nodes.load(late)
    space.wait_pod("web", is_running)
    after = space.pod("web")
    assert container(after)["imageID"] == image_id(late)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_containers_outlive_their_kubelet(space: Space, real_nodes: RealNodes) -> None:
    pod = space.run_pod("web", V1, "real")
    address = pod["status"]["podIP"]
    started = wait_for("an answer", lambda: version_answered(address) and ask(address)["started"], SOON)
    node = next(node for node in real_nodes.nodes if node.name == pod["spec"]["nodeName"])
    node.kubelet.kill()
    space.set_image("web", V2)
    assert ask(address)["started"] == started
    node.kubelet.start()
    wait_for("the new version", lambda: version_answered(address) == "v2", SOON)


@pytest.mark.usefixtures("fake_nodes")
def test_fake_nodes_run_fifty_pods_and_follow_a_new_image(space: Space) -> None:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "nodeSelector": {"cafe.test/node": "fake"},
            "containers": [{"name": "app", "image": "x/web:v1"}],
        },
    }
    selector = {"matchLabels": {"app": "web"}}
    deployment = {
        "metadata": {"name": "web"},
        "spec": {"replicas": 50, "selector": selector, "template": template},
    }
    space.client.create(f"/apis/apps/v1/namespaces/{space.name}/deployments", deployment)

    def ready() -> dict[str, Object] | None:
        pods = space.client.get(space.pods)["items"]
        by_name = {p["metadata"]["name"]: p for p in pods if condition(p, "Ready") == "True"}
        return by_name if len(by_name) == 50 else None

    before = wait_for("50 pods are ready", ready, SOON)
    assert len({pod["status"]["podIP"] for pod in before.values()}) == 50
    for name in before:
        space.set_image(name, "x/web:v2")
    for name, old in before.items():
        new = space.wait_pod(name, lambda pod: container(pod)["image"] == "x/web:v2")
        assert new["metadata"]["uid"] == old["metadata"]["uid"]
        assert new["status"]["podIP"] == old["status"]["podIP"]
        assert container(new)["restartCount"] == 1
        assert container(new)["imageID"] != container(old)["imageID"]
        assert new["status"]["observedGeneration"] == new["metadata"]["generation"] == 2


@pytest.mark.usefixtures("fake_nodes")
def test_a_fake_node_respects_readiness_gates(space: Space) -> None:
    space.run_pod("web", "x/web:v1", "fake", readinessGates=[{"conditionType": GATE}])
    assert condition(space.pod("web"), "Ready") == "False"
    for status in ("True", "False"):
        space.set_gate("web", status)
        space.wait_condition("web", "Ready", status)
        assert condition(space.pod("web"), GATE) == status


@pytest.mark.usefixtures("fake_nodes")
@pytest.mark.parametrize("image", ["x/web:bad", "x/missing:v1"])
def test_a_fake_node_refuses_a_bad_image_and_goes_on_with_a_good_one(space: Space, image: str) -> None:
    before = space.run_pod("web", "x/web:v1", "fake")
    space.set_image("web", image)
    space.wait_pod("web", lambda pod: is_waiting(pod, "ErrImagePull"))
    stuck = space.wait_pod("web", lambda pod: is_waiting(pod, "ImagePullBackOff"))
    assert condition(stuck, "Ready") == "False"
    assert container(stuck)["imageID"] == container(before)["imageID"]
    space.set_image("web", "x/web:v1")
    after = space.wait_pod("web", lambda pod: condition(pod, "Ready") == "True")
    assert container(after)["restartCount"] == 1
    assert container(after)["imageID"] == container(before)["imageID"]


@pytest.mark.usefixtures("fake_nodes")
def test_a_fake_node_lets_a_deleted_pod_go_once_its_finalizer_is_cleared(space: Space) -> None:
    space.run_pod("web", "x/web:v1", "fake")
    space.client.patch(f"{space.pods}/web", {"metadata": {"finalizers": ["cafe.test/hold"]}})
    space.client.delete(f"{space.pods}/web")
    assert space.pod("web")["metadata"]["deletionTimestamp"]
    clear = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["cafe.test/hold"]}}
    space.client.patch(f"{space.pods}/web", clear)
    space.wait_gone("web")


def test_fake_nodes_played_again_find_their_pods_running(
    space: Space, control_plane: ControlPlane, fake_nodes: FakeNodes
) -> None:
    before = space.run_pod("web", "x/web:v1", "fake")
    fake_nodes.child.kill()
    space.set_image("web", "x/web:v2")
    fake_nodes.child.start()
    after = space.wait_pod("web", lambda pod: container(pod)["image"] == "x/web:v2")
    assert container(after)["restartCount"] == 1
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert control_plane.client.get("/api/v1/nodes/fake-0")["metadata"]["name"] == fake_nodes.names[0]


def test_an_api_server_that_was_killed_comes_back_with_its_data(control_plane: ControlPlane) -> None:
    for space in make_space(control_plane.client):
        before = control_plane.client.get(f"/api/v1/namespaces/{space.name}")
        server = control_plane.children["kube-apiserver"]
        server.kill()
        assert not control_plane.client.exists("/readyz")
        server.start()
        control_plane.wait_ready()
        assert control_plane.client.get(f"/api/v1/namespaces/{space.name}") == before


def traces(run: Run) -> dict[str, object]:
    """Everything on the machine that bears a run's mark."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    named = Path("/run/netns")
    return {
        "directory": [d for d in directories() if d == run.directory],
        "bridges": bridges(run),
        "control groups": control_groups(run),
        "mounts": [line for line in mounts if str(run.directory) in line],
        "network namespaces": sorted(p.name for p in named.iterdir()) if named.is_dir() else [],
        "processes": processes_of(run),
    }


def processes_of(run: Run) -> list[ProcessId]:
    """Those with the run's directory in their command, or in its control groups."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            marks = (process / "cmdline").read_text() + (process / "cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        identity = ProcessId.of(int(process.name))
        if identity is not None and (f"/{run.name}/" in marks or f"cafe-{run.name}-" in marks):
            found.append(identity)
    return found


def test_a_stopped_testbed_leaves_no_trace() -> None:
    need(real_nodes=True)
    with control_plane() as plane:
        clean = traces(Run("none", 0, plane.run.directory.parent / "none"))
        with real_nodes(plane, ["cell-a"]), fake_nodes(plane, 2):
            for space in make_space(plane.client):
                space.run_pod("web", V1, "real")
                up = traces(plane.run)
                assert up["bridges"]
                assert up["control groups"]
                assert isinstance(up["processes"], list)
                assert len(up["processes"]) >= 9  # six programs, a machine, two containers
    assert traces(plane.run) == clean


def test_the_next_run_clears_away_what_a_killed_one_left() -> None:
    need(real_nodes=True)
    script = (
        "import testbed, sys, threading\n"
        "plane = testbed.ControlPlane()\n"
        "nodes = testbed.RealNodes(plane, ['cell-a'])\n"
        "print(plane.run.name, flush=True)\n"
        "threading.Event().wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        name = victim.stdout.readline().strip()
        victim.kill()
    left = next(Run(d.name, 0, d) for d in directories() if d.name == name)
    assert processes_of(left)
    assert name in sweep()
    assert not bridges(left)
    assert not control_groups(left)
    wait_for("its processes end", lambda: not processes_of(left), timedelta(seconds=5))
