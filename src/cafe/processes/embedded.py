"""The embedded cluster of `cafe up`: a simulated Kubernetes in this process, on a real port.

The one module of the product that knows the simulator.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cafe.kernel import Clock, Entropy
from cafe.kube.transport import Transport
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.context import User
from cafe_sim.apiserver.http import Listen, serve
from cafe_sim.cluster import ClusterOptions, SimCluster
from cafe_sim.timeline import LoopTimeline
from cafe_sim.transport import SimTransport

CELLS = ("cell-a", "cell-b")
NODES_PER_CELL = 3


@dataclass(frozen=True, slots=True)
class Embedded:
    """A running embedded cluster.

    Attributes:
        kubeconfig: For kubectl and for us.
        server: Its URL.
        transport: The way to it without a socket, for the controllers in this process.
    """

    kubeconfig: Path
    server: str
    transport: Transport


@asynccontextmanager
async def embedded_cluster(
    home: Path, clock: Clock, entropy: Entropy, cells: Sequence[str], nodes_per_cell: int, port: int
) -> AsyncIterator[Embedded]:
    """Run a cluster until the context is left. Each cell is a zone of its own.

    Args:
        home: Directory for its kubeconfig and keys, both readable for their owner alone.
        clock: The world's time.
        entropy: UIDs, names, and the administrator's token.
        cells: Their names; empty for two.
        nodes_per_cell: 0 for three.
        port: 0 for any.

    Raises:
        OSError: The port is taken.
    """
    timeline = LoopTimeline(clock)
    server = ApiServer(timeline, entropy)
    folder = home / "pki"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    listen = Listen(port=port, folder=folder, tokens={entropy.uid(): User()})
    async with serve(server, listen) as address:
        options = ClusterOptions(renews_leases=True, certificate=(address.authority or b"").decode())
        cluster = SimCluster(server, timeline, entropy, options)
        server.dispatcher.log_source = cluster.logs
        zones = {cell: f"zone-{number}" for number, cell in enumerate(cells or CELLS, start=1)}
        cluster.build_cells(zones, nodes_per_cell or NODES_PER_CELL)
        cluster.start()
        kubeconfig = home / "kubeconfig"
        address.write_kubeconfig(kubeconfig)
        try:
            yield Embedded(kubeconfig, address.url, SimTransport(server))
        finally:
            cluster.stop()
            kubeconfig.unlink(missing_ok=True)
