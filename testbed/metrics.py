"""A metrics server: `metrics.k8s.io/v1beta1` of what pods use, as their annotations say.

    HPA controller ──▶ API server ── aggregates, on loopback ──▶ this ── reads pods ──▶ API server

Nothing is measured: a pod's use is its annotation `cafe.test/usage`, read by the rule of the simulator, so
that a test sets a load in the same way on both. The API server finds us by a Service of type ExternalName,
which needs neither a cluster network nor endpoints, and proves itself by its front-proxy certificate.
"""

import base64
import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from cafe.kernel.clock import SystemClock
from cafe_sim.apiserver.usage import API_VERSION, GROUP, VERSION, pod_metrics
from testbed.client import Client, RequestFailed
from testbed.controlplane import LOOPBACK, ControlPlane
from testbed.waiting import wait_for

NAMESPACE: Final = "kube-system"
NAME: Final = "metrics"
SERVICES: Final = f"/api/v1/namespaces/{NAMESPACE}/services"
REGISTRATIONS: Final = "/apis/apiregistration.k8s.io/v1/apiservices"
AVAILABLE: Final = timedelta(seconds=60)
_PODS: Final = re.compile(rf"/apis/{GROUP}/{VERSION}(?:/namespaces/([^/]+))?/pods(?:/([^/]+))?")
_VERSION: Final = {"groupVersion": API_VERSION, "version": VERSION}
_DISCOVERY: Final[dict[str, dict[str, Any]]] = {
    f"/apis/{GROUP}": {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": [_VERSION],
        "preferredVersion": _VERSION,
    },
    f"/apis/{GROUP}/{VERSION}": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": API_VERSION,
        "resources": [
            {
                "name": "pods",
                "singularName": "",
                "namespaced": True,
                "kind": "PodMetrics",
                "verbs": ["get", "list"],
            }
        ],
    },
}


class _Handler(BaseHTTPRequestHandler):
    """One connection of the API server."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        """Answer discovery, a list, or one pod."""
        try:
            status, body = 200, self.server.answer(self.path)
        except RequestFailed as failure:
            status, body = failure.status, _refusal(failure)
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name http.server gives it
        """Say nothing: the API server asks every few seconds."""


class _Server(ThreadingHTTPServer):
    """Answers over TLS; each connection in a thread, its handshake included."""

    def __init__(self, client: Client, context: ssl.SSLContext) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self._client = client
        self._context = context

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take a connection; whoever dallies over the handshake holds up nobody else."""
        plain, address = super().get_request()
        return self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks is the API server's affair: it asks again."""

    def answer(self, target: str) -> dict[str, Any]:
        """Return what is at a path.

        Raises:
            RequestFailed: There is nothing, or the API server doesn't give the pods.
        """
        asked = urlsplit(target)
        known = _DISCOVERY.get(asked.path)
        if known is not None:
            return known
        found = _PODS.fullmatch(asked.path)
        if found is None:
            raise RequestFailed(404, "NotFound", "the server could not find the requested resource")
        namespace, name = found.groups()
        scope = f"/api/v1/namespaces/{namespace}" if namespace else "/api/v1"
        if name:
            metrics = pod_metrics(self._client.get(f"{scope}/pods/{name}"), SystemClock().now())
            if metrics is None:
                raise RequestFailed(404, "NotFound", f'pods.{GROUP} "{name}" not found')
            return metrics
        chosen = {k: v for k, v in parse_qs(asked.query).items() if k in {"labelSelector", "fieldSelector"}}
        listed = self._client.get(f"{scope}/pods?{urlencode(chosen, doseq=True)}")
        now = SystemClock().now()
        items = [metrics for pod in listed["items"] if (metrics := pod_metrics(pod, now)) is not None]
        meta = {"resourceVersion": listed["metadata"]["resourceVersion"]}
        return {"kind": "PodMetricsList", "apiVersion": API_VERSION, "metadata": meta, "items": items}


def _refusal(failure: RequestFailed) -> dict[str, Any]:
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    told = {"message": failure.message, "reason": failure.reason, "code": failure.status}
    return {**head, **told}


class MetricsApi:
    """The metrics server of a control plane, while it serves."""

    def __init__(self, plane: ControlPlane) -> None:
        self._client = plane.client
        self._server = _Server(plane.client, _context(plane))
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()
        self._is_stopped = False
        plane.on_stop(self.stop)
        port: int = self._server.server_address[1]
        self._register(port, plane.authority.certificate.read_bytes())
        wait_for(f"{API_VERSION} is available", self._is_available, AVAILABLE)

    def stop(self) -> None:
        """Take the API away again: one that doesn't answer would hold up every namespace's deletion."""
        if self._is_stopped:
            return
        self._is_stopped = True
        with contextlib.suppress(RequestFailed, OSError):
            self._client.delete(f"{REGISTRATIONS}/{VERSION}.{GROUP}")
            self._client.delete(f"{SERVICES}/{NAME}")
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _register(self, port: int, authority: bytes) -> None:
        service = {"type": "ExternalName", "externalName": "localhost"}
        self._client.create(SERVICES, {"metadata": {"name": NAME}, "spec": service})
        spec = {
            "group": GROUP,
            "version": VERSION,
            "service": {"name": NAME, "namespace": NAMESPACE, "port": port},
            "caBundle": base64.b64encode(authority).decode(),
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        }
        self._client.create(REGISTRATIONS, {"metadata": {"name": f"{VERSION}.{GROUP}"}, "spec": spec})

    def _is_available(self) -> bool:
        found = self._client.get(f"{REGISTRATIONS}/{VERSION}.{GROUP}")
        conditions = {c["type"]: c["status"] for c in (found.get("status") or {}).get("conditions") or []}
        # The path is served a moment after the condition says that it could be.
        return conditions.get("Available") == "True" and self._client.exists(f"/apis/{API_VERSION}/pods")


def _context(plane: ControlPlane) -> ssl.SSLContext:
    pair = plane.authority.server(f"{NAME}.{NAMESPACE}.svc", [LOOPBACK])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.load_verify_locations(plane.front_proxy.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextlib.contextmanager
def metrics_api(plane: ControlPlane) -> Iterator[MetricsApi]:
    """Serve metrics on a control plane, and take them away afterwards."""
    metrics = MetricsApi(plane)
    try:
        yield metrics
    finally:
        metrics.stop()
