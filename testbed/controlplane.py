"""A control plane of one run: etcd, API server, controllers and scheduler, on loopback.

    etcd ── ready ──▶ API server ── ready ──▶ controllers, scheduler ── healthy ──▶ up

Data is thrown away with the run, so etcd does not wait for the disk unless a test is about that.
"""

import contextlib
import http.client
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from testbed.build import KUBE, build
from testbed.certificates import Authority, write_kubeconfig
from testbed.client import Client
from testbed.leftovers import clear_away, sweep
from testbed.processes import Child, stop_all
from testbed.runs import Run, new_run

LOOPBACK: Final = "127.0.0.1"
START: Final = timedelta(seconds=90)
"""How long a program may take; on two idle cores the slowest takes four seconds."""
GRACE: Final = timedelta(seconds=1)
"""The API server would wait longer for its watchers; its data is thrown away anyhow."""
FRONT_PROXY: Final = "front-proxy-client"
QPS, BURST = 1000, 2000
"""Above what a small machine can do: the default of 20/30 would be measured instead of the code."""
CLIENT_LIMITS: Final = (f"--kube-api-qps={QPS}", f"--kube-api-burst={BURST}")


@dataclass(frozen=True)
class Options:
    """How to start a control plane.

    Attributes:
        durable: etcd waits for the disk; for tests that kill it.
        apiserver: Further flags; a flag given here wins over ours.
        controller_manager: As above, e.g. "--kube-api-qps=20".
        scheduler: As above.
    """

    durable: bool = False
    apiserver: tuple[str, ...] = ()
    controller_manager: tuple[str, ...] = ()
    scheduler: tuple[str, ...] = ()


class ControlPlane:
    """A running control plane.

    Attributes:
        run: Its run: directory, networks.
        server: URL of the API server.
        kubeconfig: An administrator's kubeconfig with everything inline.
        authority: Signs certificates for nodes and for users a test wants.
        front_proxy: Signs what the API server shows to the APIs that it aggregates.
        client: A small administrator's client.
        children: The programs by name, to be killed and started again by tests.
    """

    def __init__(self, options: Options = Options()) -> None:
        sweep()
        binary = build(KUBE)
        self.run: Run = new_run()
        self.children: dict[str, Child] = {}
        self._before_stop: list[Callable[[], None]] = []
        self._options = options
        self._kube = str(binary)
        try:
            self._start()
        except BaseException as problem:
            kept = self.stop(keep_logs=isinstance(problem, Exception))
            if kept is not None:
                print(f"the testbed did not start; logs: {kept}", file=sys.stderr)
            raise

    def on_stop(self, action: Callable[[], None]) -> None:
        """Do *action* before the control plane stops; the last one given is done first."""
        self._before_stop.append(action)

    def stop(self, *, keep_logs: bool = False) -> Path | None:
        """Stop everything that runs on this control plane, and it, and leave nothing behind.

        Returns:
            Where the logs are kept, if they are.
        """
        if not self.run.directory.exists():
            return None
        try:
            while self._before_stop:
                self._before_stop.pop()()
        finally:
            order = ("kube-controller-manager", "kube-scheduler", "kube-apiserver", "etcd")
            stop_all([self.children[name] for name in order[:2] if name in self.children], GRACE)
            stop_all([self.children[name] for name in order[2:] if name in self.children], GRACE)
            kept = clear_away(self.run, keep_logs=keep_logs)
        return kept

    def kubeconfig_for(self, user: str, *groups: str) -> Path:
        """Write a kubeconfig for a user of that name and groups; RBAC says what it may do."""
        path = self.run.make("kubeconfigs") / f"{user.replace(':', '-')}.yaml"
        pair = self.authority.client(user, *groups)
        return write_kubeconfig(path, self.server, self.authority.certificate, pair)

    def wait_ready(self) -> None:
        """Wait until the API server is ready, also after a test has killed it and started it again."""
        self.children["kube-apiserver"].wait_ready(lambda: self.client.exists("/readyz"), START)

    def spawn(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> Child:
        """Start a program of this run."""
        child = Child(self.run, name, command, environment)
        self.children[name] = child
        return child.start()

    def _start(self) -> None:
        etcd, peer, api, controllers, scheduler = free_ports(5)
        self.authority = Authority(self.run.make("pki"))
        self.front_proxy = Authority(self.run.make("pki-front-proxy"))
        self.server = f"https://{LOOPBACK}:{api}"
        admin = self.authority.client("admin", "system:masters")
        self.kubeconfig = write_kubeconfig(
            self.run.directory / "kubeconfig", self.server, self.authority.certificate, admin
        )
        self.client = Client(self.server, self.authority.certificate, admin)
        self._start_etcd(etcd, peer)
        self._start_apiserver(api, etcd)
        self._start_controllers(controllers, scheduler)
        for path in ("kube-node-lease", "default/serviceaccounts/default"):
            self.client.wait_exists(f"/api/v1/namespaces/{path}", START)
        self.run.note(server=self.server, kubeconfig=str(self.kubeconfig))

    def _start_etcd(self, port: int, peer: int) -> None:
        url, peer_url = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{peer}"
        command = [
            *(self._kube, "etcd", "--name=testbed", f"--data-dir={self.run.make('etcd')}"),
            *(f"--listen-client-urls={url}", f"--advertise-client-urls={url}"),
            *(f"--listen-peer-urls={peer_url}", f"--initial-advertise-peer-urls={peer_url}"),
            *(f"--initial-cluster=testbed={peer_url}", "--log-level=warn"),
        ]
        if not self._options.durable:
            command.append("--unsafe-no-fsync")
        child = self.spawn("etcd", command)
        child.wait_ready(lambda: answers(port, "/health", tls=False), START)

    def _start_apiserver(self, port: int, etcd: int) -> None:
        first_service_address = self.run.service_network.replace(".0/16", ".1")
        pair = self.authority.server("kube-apiserver", [LOOPBACK, first_service_address])
        accounts = self.authority.signing_keys("service-accounts")
        self._accounts = accounts
        self.spawn(
            "kube-apiserver",
            [
                *(self._kube, "kube-apiserver", f"--bind-address={LOOPBACK}", f"--secure-port={port}"),
                *(f"--etcd-servers=http://{LOOPBACK}:{etcd}", "--endpoint-reconciler-type=none"),
                *(f"--tls-cert-file={pair.certificate}", f"--tls-private-key-file={pair.key}"),
                *(f"--client-ca-file={self.authority.certificate}", "--authorization-mode=Node,RBAC"),
                f"--service-account-key-file={accounts.certificate}",
                f"--service-account-signing-key-file={accounts.key}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-cluster-ip-range={self.run.service_network}",
                *("--kubelet-preferred-address-types=InternalIP", "--allow-privileged=true"),
                f"--kubelet-certificate-authority={self.authority.certificate}",
                *self._kubelet_client(),
                *self._aggregator(),
                f"--cert-dir={self.run.make('apiserver')}",
                *("--anonymous-auth=false", "--profiling=false", *self._options.apiserver),
            ],
        )
        self.wait_ready()

    def _kubelet_client(self) -> tuple[str, str]:
        pair = self.authority.client("kube-apiserver-kubelet-client", "system:masters")
        return (
            f"--kubelet-client-certificate={pair.certificate}",
            f"--kubelet-client-key={pair.key}",
        )

    def _aggregator(self) -> Iterator[str]:
        """Yield how the API server proves to the APIs behind it who it is, and whom it speaks for."""
        pair = self.front_proxy.client(FRONT_PROXY)
        yield f"--proxy-client-cert-file={pair.certificate}"
        yield f"--proxy-client-key-file={pair.key}"
        yield f"--requestheader-client-ca-file={self.front_proxy.certificate}"
        yield f"--requestheader-allowed-names={FRONT_PROXY}"
        yield "--requestheader-username-headers=X-Remote-User"
        yield "--requestheader-group-headers=X-Remote-Group"
        yield "--requestheader-extra-headers-prefix=X-Remote-Extra-"

    def _start_controllers(self, controllers_port: int, scheduler_port: int) -> None:
        # An administrator, not system:kube-controller-manager: that user is meant to work through a
        # service account per controller, which costs a second and a client each at start.
        controllers = self.kubeconfig_for("kube-controller-manager", "system:masters")
        scheduler = self.kubeconfig_for("system:kube-scheduler")
        serve = [f"--bind-address={LOOPBACK}", "--leader-elect=false", *CLIENT_LIMITS]
        first = self.spawn(
            "kube-controller-manager",
            [
                *(self._kube, "kube-controller-manager", f"--kubeconfig={controllers}", *serve),
                f"--secure-port={controllers_port}",
                f"--cert-dir={self.run.make('controller-manager')}",
                f"--root-ca-file={self.authority.certificate}",
                f"--service-account-private-key-file={self._accounts.key}",
                *self._options.controller_manager,
            ],
        )
        second = self.spawn(
            "kube-scheduler",
            [
                *(self._kube, "kube-scheduler", f"--kubeconfig={scheduler}", *serve),
                f"--secure-port={scheduler_port}",
                *(f"--cert-dir={self.run.make('scheduler')}", "--authentication-tolerate-lookup-failure"),
                *self._options.scheduler,
            ],
        )
        first.wait_ready(lambda: answers(controllers_port, "/healthz", tls=True), START)
        second.wait_ready(lambda: answers(scheduler_port, "/healthz", tls=True), START)


@contextlib.contextmanager
def control_plane(options: Options = Options()) -> Iterator[ControlPlane]:
    """Start a control plane and stop it afterwards; logs are kept if the block raises."""
    plane = ControlPlane(options)
    try:
        yield plane
    except BaseException as problem:
        kept = plane.stop(keep_logs=isinstance(problem, Exception))
        if kept is not None:
            print(f"logs of the testbed: {kept}", file=sys.stderr)
        raise
    plane.stop()


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


def answers(port: int, path: str, *, tls: bool, host: str = LOOPBACK) -> bool:
    """Tell whether GET *path* is answered with 200; certificates are not looked at."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=5, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
