"""Fake nodes: any number of them, played by one program against the real API server.

Pods on them start and restart their containers in the time given, follow image changes in place,
and get Ready from containers and readiness gates. An image with the tag "bad" or with "/missing"
in its name is never pulled. A tag ending in "-same" has the digest of the tag without that ending.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from testbed.build import FAKE_NODES, build
from testbed.controlplane import ControlPlane
from testbed.processes import Child, stop_all

CELLS: Final = ("cell-a", "cell-b")
READY: Final = timedelta(seconds=30)


@dataclass(frozen=True)
class Pace:
    """How long the simulated work takes.

    Attributes:
        start: From a pod's binding to its containers running.
        restart: From an image's change to the new container running.
    """

    start: timedelta = timedelta(milliseconds=300)
    restart: timedelta = timedelta(milliseconds=500)


class FakeNodes:
    """Fake nodes that are up.

    Attributes:
        names: Their names: <prefix>-0, <prefix>-1 and so on, dealt out to the cells in turn.
        child: The program that plays them.
    """

    def __init__(
        self,
        plane: ControlPlane,
        count: int,
        cells: Sequence[str] = CELLS,
        pace: Pace = Pace(),
        prefix: str = "fake",
    ) -> None:
        self.names = tuple(f"{prefix}-{number}" for number in range(count))
        self.child: Child = plane.spawn(
            f"fakenodes-{prefix}",
            [
                *(str(build(FAKE_NODES)), f"--kubeconfig={plane.kubeconfig}", f"--prefix={prefix}"),
                *(f"--count={count}", f"--cells={','.join(cells)}"),
                f"--start={pace.start.total_seconds()}s",
                f"--restart={pace.restart.total_seconds()}s",
            ],
        )
        plane.on_stop(self.stop)
        self.child.wait_ready(lambda: "ready:" in self.child.log.read_text(), READY)

    def stop(self) -> None:
        """Stop playing: to the cluster, the machines are lost. Their Node objects stay."""
        stop_all([self.child], timedelta(seconds=2))


@contextlib.contextmanager
def fake_nodes(
    plane: ControlPlane,
    count: int,
    cells: Sequence[str] = CELLS,
    pace: Pace = Pace(),
    prefix: str = "fake",
) -> Iterator[FakeNodes]:
    """Add *count* fake nodes over *cells*, and stop playing them afterwards."""
    nodes = FakeNodes(plane, count, cells, pace, prefix)
    try:
        yield nodes
    finally:
        nodes.stop()
