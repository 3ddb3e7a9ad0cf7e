"""One replica of the controller: it stands for election and works while it leads.

The same in a pod, in `cafe up` and in the simulated world.
"""

from dataclasses import replace

from cafe.kernel import ObjectKey
from cafe.kube.client import Client
from cafe.kube.fencing import FencedTransport
from cafe.kube.leadership import Leadership
from cafe.kube.servertime import ClockReadingTransport, ServerClock
from cafe.kube.transport import Transport
from cafe.observe.metrics import ClientMetrics
from cafe.processes.workloads import Surroundings, WorkloadControllers


class Replica:
    """A candidate for the lease, and what it does as the leader.

    Args:
        transport: To the API server.
        around: What the controllers live in.
        lease: Which Lease elects the leader; None lets it work without an election, for a replica that is
            surely alone.
        identity: Unique among all replicas, also those of the past.
        metrics: Where requests are counted.
    """

    def __init__(
        self,
        transport: Transport,
        around: Surroundings,
        lease: ObjectKey | None,
        identity: str,
        metrics: ClientMetrics | None = None,
    ) -> None:
        self._leadership: Leadership | None = None
        self._fence: FencedTransport | None = None
        clock = ServerClock(around.clock)
        transport, around = ClockReadingTransport(transport, clock), replace(around, clock=clock)
        client = Client(transport, clock, around.entropy, metrics=metrics)
        if lease is not None:
            leadership = self._leadership = Leadership(client, lease, identity, around.election)
            self._fence = FencedTransport(
                transport, clock, lambda: leadership.is_leading, leadership.settings.write_deadline
            )
            client = Client(self._fence, clock, around.entropy, metrics=metrics)
        self.controllers = WorkloadControllers(client, around, identity, lambda: self.is_leading)

    @property
    def is_leading(self) -> bool:
        """Whether it may work now: it is elected, or needs no election."""
        return self._leadership is None or self._leadership.is_leading

    @property
    def is_ready(self) -> bool:
        """Whether it works, or stands by: a standby reads nothing until it leads."""
        return self.controllers.is_ready or not self.is_leading

    async def run(self) -> None:
        """Wait to be elected, and work until leadership is lost or `controllers.drain` was called."""
        if self._leadership is None or self._fence is None:
            await self.controllers.run()
            return
        fence = self._fence
        await self._leadership.lead(self.controllers.run, may_release=lambda: fence.is_settled)
