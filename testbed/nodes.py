"""Real nodes: a kubelet and a containerd each, running real containers on this host, as root.

    host network: 127.0.0.1 ── API server, kube-proxy (nftables)
                  cafe-x7k2-0 (bridge, 10.160.0.1) ── pods of the first node, 10.160.0.2 …
                  cafe-x7k2-1 (bridge, 10.160.1.1) ── pods of the second

A node's address is its bridge's; its kubelet listens there alone. Nodes never ask a registry: what
they run was imported, and a pull of anything else fails at once.
"""

import contextlib
import http.client
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from testbed import nodeconfig
from testbed.build import KUBE, build
from testbed.controlplane import ControlPlane, answers
from testbed.errors import Lacking
from testbed.images import PORT, STANDARD, Image, write_archive
from testbed.leftovers import (
    FORWARDING,
    PREFIX,
    control_groups,
    remove_bridge,
    remove_control_group,
    remove_proxy_tables,
)
from testbed.machine import Machine
from testbed.processes import Child, run_tool
from testbed.requirements import find_tool, requirements
from testbed.runs import live_runs, read_note, registry
from testbed.waiting import wait_for

CELLS: Final = ("cell-a", "cell-b")
START: Final = timedelta(seconds=60)
KUBELET_PORT: Final = 10250
KUBELET_HEALTH_PORT: Final = 10248


class RealNode:
    """One node that runs containers.

    Attributes:
        name: Its name in the cluster.
        cell: Its cell, which is its zone too.
        address: Its address, that of its bridge.
        kubelet: The kubelet; a test may kill it and start it again, containers run on.
        containerd: The container runtime.
    """

    def __init__(self, plane: ControlPlane, index: int, cell: str) -> None:
        self.name = f"node-{index}"
        self.cell = cell
        self._plane = plane
        self._run = plane.run
        self.subnet = plane.run.pod_network.replace(".0.0/16", f".{index}.0/24")
        self.address = self.subnet.replace(".0/24", ".1")
        self.bridge = f"{PREFIX}{plane.run.name}-{index}"
        self.group = f"{PREFIX}{plane.run.name}-{index}"
        self.directory = plane.run.make(self.name)
        self.socket = self.directory / "containerd.sock"
        self._make_bridge()
        self._machine = Machine(plane.run, self.name)
        self.containerd = self._make_containerd()
        self.kubelet = self._make_kubelet()

    def start(self, archive: Path, images: Sequence[Image]) -> None:
        """Start the runtime, give it the images, start the kubelet."""
        self.containerd.start()
        self.containerd.wait_ready(self._runtime_answers, START)
        self.load(archive, images)
        self.kubelet.start()

    def wait_ready(self) -> None:
        """Wait until the cluster holds the node Ready."""
        self.kubelet.wait_ready(
            lambda: answers(KUBELET_HEALTH_PORT, "/healthz", tls=False, host=self.address), START
        )
        wait_for(f"{self.name} is Ready", self._is_ready, START)

    def load(self, archive: Path, images: Sequence[Image]) -> None:
        """Import a docker-archive of these images."""
        import_images(self.socket, archive, images)

    def images(self) -> list[str]:
        """Return the references of the images that the node has."""
        return self._ctr("images", "list", "-q").splitlines()

    def stop(self) -> None:
        """End the node as a power cut does, and remove its bridge and control groups."""
        self._machine.stop()
        for child in (self.kubelet, self.containerd):
            child.wait_end(timedelta(seconds=5))
        remove_bridge(self.bridge)
        for group in control_groups(self._run):
            if group.name == self.group:
                remove_control_group(group)

    def _ctr(self, *arguments: str | Path) -> str:
        ctr = find_tool("ctr") or "ctr"
        return run_tool(ctr, "--address", self.socket, "--namespace", "k8s.io", *arguments)

    def _runtime_answers(self) -> bool:
        ctr = find_tool("ctr") or "ctr"
        command = (ctr, "--address", self.socket, "--connect-timeout=1s", "version")
        return self.socket.exists() and "Server:" in run_tool(*command, check=False)

    def _is_ready(self) -> bool:
        if not self._plane.client.exists(f"/api/v1/nodes/{self.name}"):
            return False
        node = self._plane.client.get(f"/api/v1/nodes/{self.name}")
        ready = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}.get("Ready")
        return ready == "True" and not node["spec"].get("taints")

    def _make_bridge(self) -> None:
        ip = find_tool("ip") or "ip"
        run_tool(ip, "link", "add", self.bridge, "type", "bridge")
        run_tool(ip, "address", "add", f"{self.address}/24", "dev", self.bridge)
        run_tool(ip, "link", "set", self.bridge, "up")

    def _make_containerd(self) -> Child:
        config = nodeconfig.write_containerd(self.directory, self.socket)
        nodeconfig.write_network(self.directory, self.bridge, self.subnet)
        return self._machine.child(
            "containerd", [find_tool("containerd") or "containerd", f"--config={config}"]
        )

    def _make_kubelet(self) -> Child:
        authority = self._plane.authority
        nodeconfig.make_control_group(self.group)
        settings = nodeconfig.KubeletSettings(
            address=self.address,
            ports=(KUBELET_PORT, KUBELET_HEALTH_PORT),
            socket=self.socket,
            control_group=self.group,
            authority=authority.certificate,
            pair=authority.server(self.name, [self.address]),
        )
        config = nodeconfig.write_kubelet(self.directory, settings)
        kubeconfig = self._plane.kubeconfig_for(f"system:node:{self.name}", "system:nodes")
        labels = {
            "cafe.sofastack.io/cell": self.cell,
            "topology.kubernetes.io/zone": self.cell,
            "topology.kubernetes.io/region": "testbed",
            "cafe.test/node": "real",
        }
        return self._machine.child(
            "kubelet",
            [
                *(str(build(KUBE)), "kubelet", f"--config={config}", f"--kubeconfig={kubeconfig}"),
                *(f"--hostname-override={self.name}", f"--node-ip={self.address}"),
                f"--root-dir={self.directory / 'kubelet'}",
                f"--cert-dir={self.directory / 'kubelet-pki'}",
                f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
            ],
        )


class RealNodes:
    """The real nodes of one cluster.

    Attributes:
        nodes: One per cell.
        proxy: kube-proxy, which serves all of them; None if another testbed on this host has it,
            since its table in the kernel has one name. Services have no addresses then.
    """

    def __init__(
        self, plane: ControlPlane, cells: Sequence[str] = CELLS, images: Sequence[Image] = STANDARD
    ) -> None:
        lacking = requirements(real_nodes=True)
        if lacking:
            raise Lacking(lacking)
        self._plane = plane
        self.nodes: list[RealNode] = []
        self.proxy: Child | None = None
        plane.on_stop(self.stop)
        self._remember_forwarding()
        archive = write_archive(plane.run.directory / "images.tar", images)
        for index, cell in enumerate(cells):
            self.nodes.append(RealNode(plane, index, cell))
        for node in self.nodes:
            node.start(archive, images)
        self._start_proxy()
        for node in self.nodes:
            node.wait_ready()

    def load(self, *images: Image) -> None:
        """Give every node further images, under any name and tag."""
        archive = write_archive(self._plane.run.directory / "images.tar", images)
        for node in self.nodes:
            node.load(archive, images)

    def stop(self) -> None:
        """End all nodes and remove what they had on this host. Their Node objects stay."""
        if self.proxy is not None:
            self.proxy.stop()
            remove_proxy_tables()
            self._plane.run.note(proxy=False)
            self.proxy = None
        while self.nodes:
            self.nodes.pop().stop()

    def _remember_forwarding(self) -> None:
        """The network plugin turns forwarding on; the run that found it off turns it off again."""
        with registry():
            before = FORWARDING.read_text().strip()
            self._plane.run.note(real=True, **({"ip_forward": before} if before == "0" else {}))
            FORWARDING.write_text("1")

    def _start_proxy(self) -> None:
        with registry():
            if any(read_note(directory).get("proxy") for directory in live_runs()):
                return
            self._plane.run.note(proxy=True)
        first = self.nodes[0]
        # Connections from this host to a cluster IP need a route before they are translated.
        ip = find_tool("ip") or "ip"
        run_tool(ip, "route", "add", self._plane.run.service_network, "dev", first.bridge)
        kubeconfig = self._plane.kubeconfig_for("system:kube-proxy")
        config = nodeconfig.write_proxy(
            self._plane.run.make("kube-proxy"), kubeconfig, first.address, self._plane.run.pod_network
        )
        command = [str(build(KUBE)), "kube-proxy", f"--config={config}", f"--hostname-override={first.name}"]
        self.proxy = self._plane.spawn("kube-proxy", command)


def import_images(socket: Path, archive: Path, images: Sequence[Image]) -> None:
    """Import a docker-archive of these images into the containerd that listens at *socket*."""
    ctr = (find_tool("ctr") or "ctr", "--address", socket, "--namespace", "k8s.io", "images")
    run_tool(*ctr, "import", archive)
    for image in images:
        if image.names is not None:
            # The digest is that of somebody's real image; nobody checks it once the name is there.
            run_tool(*ctr, "tag", "--force", *image.names)


def ask(address: str, path: str = "/", port: int = PORT) -> dict[str, str]:
    """GET *path* of a pod or service and return the JSON it answers with.

    Raises:
        OSError: No answer.
    """
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", path)
        answer: dict[str, str] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer


@contextlib.contextmanager
def real_nodes(
    plane: ControlPlane, cells: Sequence[str] = CELLS, images: Sequence[Image] = STANDARD
) -> Iterator[RealNodes]:
    """Add a real node per cell, with these images, and remove them afterwards.

    Raises:
        Lacking: Not root, or a program is missing; nothing was started.
    """
    nodes = RealNodes(plane, cells, images)
    try:
        yield nodes
    finally:
        nodes.stop()
