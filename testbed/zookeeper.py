"""A real ZooKeeper on loopback: Debian's package, as many servers as a test wants, gone afterwards.

Sizes are a test's, not an operator's: a heap of 128 MB, ticks of 200 ms so that a session ends soon after its
client, no waiting for the disk. Of the four-letter words only `srvr` is answered, as by default.
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

JARS: Final = ("zookeeper", "slf4j-log4j12", "log4j-1.2")
MAIN: Final = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
JVM: Final = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.forceSync=no")
START: Final = timedelta(seconds=30)
GRACE: Final = timedelta(seconds=3)
ANSWER: Final = 1.0
"""Seconds for an answer on loopback."""

SETTINGS: Final = """\
tickTime=200
initLimit=50
syncLimit=10
minSessionTimeout=400
maxSessionTimeout=40000
admin.enableServer=false
4lw.commands.whitelist=srvr
"""

LOGGING: Final = """\
log4j.rootLogger=WARN, OUT
log4j.appender.OUT=org.apache.log4j.ConsoleAppender
log4j.appender.OUT.layout=org.apache.log4j.PatternLayout
log4j.appender.OUT.layout.ConversionPattern=%d{ISO8601} %-5p %c{1} %m%n
"""


def requirements() -> list[str]:
    """Return what a ZooKeeper needs and the machine lacks; nothing lacking is an empty list."""
    lacking = [f"{p} (python -m testbed install)" for p in lacking_peers() if p == "zookeeper"]
    return lacking if find_tool("java") else [*lacking, "java"]


class ZooKeeper:
    """An ensemble; by itself, a server that is killed comes back on its data and port.

    Attributes:
        addresses: Host and port of each server, by its name: `zk-1` and so on.
        servers: The programs by the same names.
    """

    def __init__(self, count: int = 1) -> None:
        lacking = requirements()
        if lacking:
            raise Lacking(lacking)
        sweep()
        self._run = new_run()
        ports = free_ports(3 * count)
        clients, peers, elections = (ports[start::3] for start in range(3))
        names = [f"zk-{number}" for number in range(1, count + 1)]
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in zip(names, clients, strict=True)}
        quorum = [
            f"server.{number}=127.0.0.1:{peer}:{election}"
            for number, (peer, election) in enumerate(zip(peers, elections, strict=True), 1)
        ]
        members = quorum if count > 1 else []
        self.servers = {name: self._server(name, number, members) for number, name in enumerate(names, 1)}
        try:
            self.start(*names)
        except BaseException:
            self.close(keep_logs=True)
            raise

    def start(self, *names: str) -> None:
        """Start servers and wait until each serves; a majority must run or be started together."""
        for name in names:
            self.servers[name].start()
        for name in names:
            self.servers[name].wait_ready(functools.partial(self.is_serving, name), START)

    def kill(self, *names: str) -> None:
        """End servers as a power cut would."""
        for name in names:
            self.servers[name].kill()

    def stop(self, *names: str) -> None:
        """Have servers end in order."""
        stop_all([self.servers[name] for name in names], GRACE)

    def close(self, *, keep_logs: bool = False) -> None:
        """End all and remove every trace."""
        self.kill(*self.servers)
        clear_away(self._run, keep_logs=keep_logs)

    def is_serving(self, name: str) -> bool:
        """Tell whether a server takes clients: it is alone, leads, or follows."""
        host, _, port = self.addresses[name].rpartition(":")
        try:
            with socket.create_connection((host, int(port)), ANSWER) as talk:
                talk.sendall(b"srvr")
                return b"Mode: " in b"".join(iter(lambda: talk.recv(4096), b""))
        except OSError:
            return False

    def _server(self, name: str, number: int, members: Sequence[str]) -> Child:
        home = self._run.make(name)
        data = self._run.make(f"{name}/data")
        (data / "myid").write_text(f"{number}\n")
        (home / "log4j.properties").write_text(LOGGING)
        port = self.addresses[name].rpartition(":")[2]
        own = (f"dataDir={data}", f"clientPort={port}", "clientPortAddress=127.0.0.1")
        (home / "zoo.cfg").write_text(SETTINGS + "\n".join((*own, *members)) + "\n")
        path = ":".join([str(home), *(f"/usr/share/java/{jar}.jar" for jar in JARS)])
        command = (find_tool("java") or "java", *JVM, "-cp", path, MAIN, str(home / "zoo.cfg"))
        return Child(self._run, name, command)


@contextlib.contextmanager
def zookeeper(count: int = 1) -> Iterator[ZooKeeper]:
    """Yield an ensemble that serves; its logs are kept if the body fails."""
    ensemble = ZooKeeper(count)
    try:
        yield ensemble
    except BaseException:
        ensemble.close(keep_logs=True)
        raise
    ensemble.close()
