"""The stage: a control plane, two real nodes, CAFE's controller, and an application of ten pods."""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cafe.api.names import API_VERSION, CONTROLLER_NAMESPACE, PROTECTION_PREFIX, SPECIFIED_DELETE_LABEL
from cafe.api.trafficmarks import employer_name, protection_of
from testbed import ControlPlane, control_plane, real_nodes
from testbed.client import MERGE, Client, RequestFailed
from testbed.controlplane import free_ports
from testbed.envoy import PROVIDER
from testbed.images import PORT, PRODUCTPAGE
from testbed.waiting import wait_for
from testbed.watching import watching

NAME: Final = "web"
PODS: Final = 10
CELLS: Final = ("cell-a", "cell-b")
V1, V2 = (f"{PRODUCTPAGE}:{tag}" for tag in ("v1", "v2"))
SPACE: Final = "/api/v1/namespaces/default"
OURS: Final = f"/apis/{API_VERSION}/namespaces/default"
PROVIDERS: Final = f"/apis/{API_VERSION}/namespaces/{CONTROLLER_NAMESPACE}/trafficproviders"
PATIENCE: Final = timedelta(minutes=5)


class Controller:
    """CAFE's controller in a process of its own; it may be killed and started again."""

    def __init__(self, plane: ControlPlane, discovery_port: int, log: int) -> None:
        here = ("--webhook-host=127.0.0.1", "--webhook-bind=127.0.0.1", "--webhook-port=0")
        discovery = (f"--discovery-port={discovery_port}", "--discovery-bind=127.0.0.1")
        module = ("-m", "cafe.processes.controller", f"--kubeconfig={plane.kubeconfig}")
        self._command = [sys.executable, *module, "--install-crds", "--no-leader-elect", *here, *discovery]
        self._log = log
        self.start()

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            self._command, stdout=self._log, stderr=self._log, env=dict(os.environ)
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait(30)

    def stop(self) -> None:
        """Have it end in order."""
        self._process.terminate()
        self._process.wait(30)


@dataclass
class Stage:
    """Where it happens.

    Attributes:
        account: Directory in which applications write down what they worked on.
        discovery_port: Where the controller serves discovery, on loopback.
        controller: CAFE's.
        pods: As a watch shows them, by UID.
    """

    plane: ControlPlane
    account: Path
    discovery_port: int
    controller: Controller
    pods: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def client(self) -> Client:
        """Return the way to the API."""
        return self.plane.client

    def app(self) -> Any:  # noqa: ANN401 -- a CafeDeployment
        """Return the application as it is now."""
        return self.client.get(f"{OURS}/cafedeployments/{NAME}")

    def service_address(self) -> str:
        """Return the cluster IP of the application's Service."""
        return str(self.client.get(f"{SPACE}/services/{NAME}")["spec"]["clusterIP"])

    def deploy(self) -> None:
        """Make the Service and the application."""
        spec = {"selector": {"app": NAME}, "ports": [{"port": PORT, "targetPort": PORT}]}
        self.client.create(f"{SPACE}/services", {"metadata": {"name": NAME}, "spec": spec})
        container = {
            "name": "app",
            "image": V1,
            "imagePullPolicy": "IfNotPresent",
            "env": [{"name": "ACCOUNT", "value": "/account"}],
            "volumeMounts": [{"name": "account", "mountPath": "/account"}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": PORT}, "periodSeconds": 1},
        }
        template = {
            "metadata": {"labels": {"app": NAME}},
            "spec": {
                "nodeSelector": {"cafe.test/node": "real"},
                "terminationGracePeriodSeconds": 1,
                "containers": [container],
                "volumes": [{"name": "account", "hostPath": {"path": str(self.account)}}],
            },
        }
        strategy = {"upgradeType": "Batch", "batchSize": PODS, "maxUnavailable": 1}
        body = {
            "apiVersion": API_VERSION,
            "kind": "CafeDeployment",
            "metadata": {"name": NAME},
            "spec": {
                "replicas": PODS,
                "selector": {"matchLabels": {"app": NAME}},
                "topology": {"unitType": "Cell", "values": list(CELLS)},
                "strategy": strategy,
                "template": template,
            },
        }
        self.client.create(f"{OURS}/cafedeployments", body)
        self.wait_complete()

    def bind(self, provider: Mapping[str, Any] | None, pool: Mapping[str, Any] | None) -> None:
        """Declare what carries the application."""
        if provider is not None:
            self._create(PROVIDERS, "TrafficProvider", PROVIDER, provider)
        spec = {"app": NAME, "pools": [pool] if pool is not None else [], "services": pool is None}
        self._create(f"{OURS}/trafficbindings", "TrafficBinding", NAME, spec)
        name = f"{PROVIDER}/{pool['pool']}" if pool is not None else NAME
        employer = employer_name("Pool" if pool is not None else "Service", "default", name)
        self.wait_published(protection_of(employer))

    def _create(self, path: str, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.client.create(path, body)

    def leave_alone(self) -> None:
        """Declare that nothing carries it: no pod is guarded."""
        spec = {"app": NAME, "pools": [], "services": False}
        self._create(f"{OURS}/trafficbindings", "TrafficBinding", NAME, spec)
        self.wait_published()

    def unbind(self) -> None:
        """Take both back."""
        for path in (f"{OURS}/trafficbindings/{NAME}", f"{PROVIDERS}/{PROVIDER}"):
            try:
                self.client.delete(path)
            except RequestFailed as failed:
                if failed.reason != "NotFound":
                    raise
            self._wait_gone(path)

    def _wait_gone(self, path: str) -> None:
        def is_gone() -> bool:
            try:
                self.client.get(path)
            except RequestFailed as failed:
                return failed.reason == "NotFound"
            return False

        wait_for(f"{path} is gone", is_gone, PATIENCE)

    def wait_published(self, *protections: str) -> None:
        """Wait until each pod has exactly these protections."""

        def look() -> bool:
            found = list(self.pods.values())
            return len(found) >= 1 and all(_protections(pod) == set(protections) for pod in found)

        wait_for(f"the protections of each pod: {protections}", look, PATIENCE)

    def wait_complete(self) -> None:
        """Wait until the newest spec is released whole."""

        def look() -> bool:
            found = self.app()
            status = found.get("status") or {}
            is_new = status.get("observedGeneration") == found["metadata"]["generation"]
            return is_new and status.get("phase") == "Complete"

        wait_for("the release is whole", look, PATIENCE)

    # Operations.

    def release(self, image: str) -> None:
        """Have all pods run another image."""
        self.begin_release(image)
        self.wait_complete()

    def begin_release(self, image: str) -> None:
        """Ask for another image; don't wait."""
        template = self.app()["spec"]["template"]
        template["spec"]["containers"][0]["image"] = image
        self.client.patch(f"{OURS}/cafedeployments/{NAME}", {"spec": {"template": template}}, MERGE)

    def scale(self, replicas: int) -> None:
        """Have that many pods."""
        self.client.patch(f"{OURS}/cafedeployments/{NAME}", {"spec": {"replicas": replicas}}, MERGE)
        wait_for(f"{replicas} pods", lambda: len(self.pods) == replicas, PATIENCE)
        self.wait_complete()

    def replace(self, count: int) -> None:
        """Have pods made anew, elsewhere or where they were."""
        chosen = sorted(self.pods.values(), key=lambda p: str(p["metadata"]["name"]))[:count]
        for pod in chosen:
            body = {"metadata": {"labels": {SPECIFIED_DELETE_LABEL: "true"}}}
            self.client.patch(f"{SPACE}/pods/{pod['metadata']['name']}", body, MERGE)
        gone = {pod["metadata"]["uid"] for pod in chosen}
        wait_for("they are gone", lambda: not gone & self.pods.keys(), PATIENCE)
        wait_for("others serve", lambda: len(self.pods) == PODS, PATIENCE)
        self.wait_complete()

    def drain(self) -> None:
        """Have a node emptied by `kubectl drain`, and take it back into service."""
        self._allow(PODS // 2)
        nodes = sorted({str(pod["spec"]["nodeName"]) for pod in self.pods.values()})
        gone = {uid for uid, pod in self.pods.items() if pod["spec"]["nodeName"] == nodes[0]}
        words = ("drain", nodes[0], "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s")
        self.kubectl(*words, f"--pod-selector=app={NAME}")
        wait_for("its pods are gone", lambda: not gone & self.pods.keys(), PATIENCE)
        self.kubectl("uncordon", nodes[0])
        self.wait_complete()
        self._allow(1)

    def _allow(self, count: int) -> None:
        body = {"spec": {"strategy": {"maxUnavailable": count}}}
        self.client.patch(f"{OURS}/cafedeployments/{NAME}", body, MERGE)

    def kubectl(self, *words: str) -> str:
        """Run kubectl; return all that it says.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        command = [str(Path(sys.executable).with_name("kubectl")), "--kubeconfig", str(self.plane.kubeconfig)]
        done = subprocess.run([*command, *words], text=True, capture_output=True, timeout=240, check=False)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
        return done.stdout + done.stderr


@contextmanager
def stage() -> Iterator[Stage]:
    """Build the stage, and take it down."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cafe-lossless-")))
        folder.chmod(0o777)
        plane = stack.enter_context(control_plane())
        stack.enter_context(real_nodes(plane, CELLS))
        log = stack.enter_context((folder / "controller.log").open("wb"))
        (discovery_port,) = free_ports(1)
        controller = Controller(plane, discovery_port, log.fileno())
        stack.callback(controller.stop)
        account = folder / "account"
        account.mkdir(mode=0o777)
        made = Stage(plane, account, discovery_port, controller)
        wait_for("the kinds", lambda: _has_kinds(plane.client), PATIENCE)
        stack.enter_context(watching(plane.client, f"{SPACE}/pods", lambda e, p: _saw(made, e, p)))
        made.deploy()
        yield made


def _protections(pod: Mapping[str, Any]) -> set[str]:
    return {f for f in pod["metadata"].get("finalizers") or [] if f.startswith(PROTECTION_PREFIX)}


def _has_kinds(client: Client) -> bool:
    try:
        client.get(PROVIDERS)
    except RequestFailed:
        return False
    return True


def _saw(made: Stage, event: str, pod: Mapping[str, Any]) -> None:
    uid = pod["metadata"]["uid"]
    known = dict(made.pods)
    if event == "DELETED":
        known.pop(uid, None)
    else:
        known[uid] = pod
    made.pods = known


async def in_thread(work: Callable[[], None]) -> None:
    """Do blocking work while the loop goes on."""
    done = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 -- told to who waits
            loop.call_soon_threadsafe(done.set_exception, error)
        else:
            loop.call_soon_threadsafe(done.set_result, None)

    threading.Thread(target=run, daemon=True).start()
    await done
