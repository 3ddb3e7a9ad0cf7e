"""Real HAProxy processes on loopback: a frontend, backends without servers, and a runtime API each.

The program is Debian's. Nothing is retried, and connections are reused on both sides, as in real life: that
is what loses requests.
"""

import contextlib
import functools
import socket
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from testbed.controlplane import free_ports
from testbed.errors import Lacking
from testbed.leftovers import clear_away, sweep
from testbed.processes import Child, stop_all
from testbed.requirements import find_tool, lacking_peers
from testbed.runs import new_run

START: Final = timedelta(seconds=10)
GRACE: Final = timedelta(seconds=1)
ANSWER: Final = 1.0
"""Seconds for an answer on loopback."""

CONFIG: Final = """\
global
    stats socket ipv4@127.0.0.1:{api} level admin
    nbthread 1
    maxconn 4096
defaults
    mode http
    retries 0
    http-reuse safe
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout queue 5s
frontend web
    bind 127.0.0.1:{port}
    default_backend {first}
"""
BACKEND: Final = """\
backend {name}
    balance roundrobin
"""


def requirements() -> list[str]:
    """Return what HAProxy needs and the machine lacks; nothing lacking is an empty list."""
    return [f"{p} (python -m testbed install)" for p in lacking_peers() if p == "haproxy"]


class HAProxy:
    """Some processes with the same configuration; one that is killed comes back on its ports, forgetful.

    Attributes:
        addresses: Of each process' runtime API, by its name: `haproxy-1` and so on.
        fronts: Host and port where each takes requests.
        servers: The programs.
    """

    def __init__(self, count: int = 1, backends: Sequence[str] = ("web",)) -> None:
        if lacking := requirements():
            raise Lacking(lacking)
        sweep()
        self._run = new_run()
        ports = free_ports(2 * count)
        names = [f"haproxy-{number}" for number in range(1, count + 1)]
        self.addresses = {n: f"127.0.0.1:{port}" for n, port in zip(names, ports[::2], strict=True)}
        self.fronts = {n: f"127.0.0.1:{port}" for n, port in zip(names, ports[1::2], strict=True)}
        self.servers = {name: self._server(name, backends) for name in names}
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
        """Tell whether a process answers at its runtime API."""
        host, _, port = self.addresses[name].rpartition(":")
        try:
            with socket.create_connection((host, int(port)), ANSWER) as talk:
                talk.sendall(b"show info\n")
                return b"Uptime" in b"".join(iter(lambda: talk.recv(4096), b""))
        except OSError:
            return False

    def _server(self, name: str, backends: Sequence[str]) -> Child:
        home = self._run.make(name)
        api, port = (where[name].rpartition(":")[2] for where in (self.addresses, self.fronts))
        text = CONFIG.format(api=api, port=port, first=backends[0])
        text += "".join(BACKEND.format(name=backend) for backend in backends)
        (home / "haproxy.cfg").write_text(text)
        command = (find_tool("haproxy") or "haproxy", "-db", "-f", str(home / "haproxy.cfg"))
        return Child(self._run, name, command)


@contextlib.contextmanager
def haproxy(count: int = 1, backends: Sequence[str] = ("web",)) -> Iterator[HAProxy]:
    """Yield processes that answer; their logs are kept if the body fails."""
    made = HAProxy(count, backends)
    try:
        yield made
    except BaseException:
        made.close(keep_logs=True)
        raise
    made.close()
