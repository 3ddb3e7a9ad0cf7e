"""One replica of the controller: life after life of the same program, as a kubelet restarts it."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from cafe.api.names import CONTROLLER_LEASE, CONTROLLER_NAMESPACE
from cafe.kernel import ObjectKey
from cafe.kube.leadership import LeadershipSettings
from cafe.processes.replica import Replica
from cafe.processes.workloads import WORKLOADS, Surroundings
from cafe_sim.harness.carriers import Wire
from cafe_sim.harness.processes import SimProcess

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

RESTART = timedelta(seconds=1)
"""How long the kubelet takes to start the program again."""


def election_of(lease: int) -> LeadershipSettings:
    """Return an election's times in the proportions of the usual ones."""
    usual = LeadershipSettings()
    scale = timedelta(seconds=lease) / usual.lease_duration
    return LeadershipSettings(
        *(scale * time for time in (usual.lease_duration, usual.renew_deadline, usual.retry_period))
    )


class Candidate:
    """Starts the controller's program, and starts it again whenever it ended.

    Attributes:
        process: The present life; None before the first.
        skew: What its machine's wall clock is wrong by; survives the program.
        rate: How fast its machine's clock runs.
    """

    def __init__(self, world: "World", name: str) -> None:
        self.name = name
        self.process: SimProcess | None = None
        self.skew = timedelta()
        self.rate = 1.0
        self.lives = 0
        self.is_off = False
        self._world = world
        self._is_leading: Callable[[], bool] = lambda: False

    @property
    def is_alive(self) -> bool:
        """Whether its program runs."""
        return self.process is not None and not self.process.is_dead

    @property
    def is_leading(self) -> bool:
        """Whether it thinks that it leads."""
        return self.is_alive and self._is_leading()

    def start(self) -> None:
        """Begin a life."""
        world = self._world
        self.lives += 1
        name = f"{self.name}.{self.lives}"
        process = self.process = SimProcess(world.loop, name, world.chance.stream(name))
        process.skew = self.skew
        process.run_at(self.rate)
        process.when_over(self._ended)
        process.start(self._program(process))
        world.tell(name, "starts")

    def _program(self, process: SimProcess) -> Callable[[], Awaitable[None]]:
        clock, entropy, world = process.clock, process.entropy, self._world
        balancer = world.balancer
        around = Surroundings(
            clock,
            entropy,
            CollectorRegistry(),
            collector=nullcontext,
            controllers=WORKLOADS if world.balancer is None else WORKLOADS | {"traffic"},
            election=election_of(world.plan.shape.lease),
            make_adapter=None if balancer is None else lambda _: Wire(world, balancer),
        )
        lease = ObjectKey(CONTROLLER_NAMESPACE, CONTROLLER_LEASE)
        transport = self._world.network.transport(process)
        replica = Replica(transport, around, lease, f"{process.name}_{entropy.uid()}")
        self._is_leading = lambda: replica.is_leading
        return replica.run

    def crash(self) -> None:
        """Cut its power; the kubelet starts it again."""
        if self.process is None or self.process.is_dead:
            return
        self._world.tell(self.process.name, "loses power")
        self.process.crash()
        self._world.network.drop(self.process)
        self._plan_restart()

    def pause(self) -> None:
        """Freeze it."""
        if self.process is not None and not self.process.is_dead:
            self._world.tell(self.process.name, "freezes")
            self.process.pause()

    def resume(self) -> None:
        """Let it go on."""
        if self.process is not None and self.process.is_paused:
            self._world.tell(self.process.name, "goes on")
            self.process.resume()

    def stop(self) -> None:
        """End with the world."""
        self.is_off = True
        if self.process is not None:
            self.process.crash()

    def set_clock(self, skew: timedelta, rate: float) -> None:
        """Set its machine's clock wrongly."""
        self.skew, self.rate = skew, rate
        if self.process is not None:
            self.process.skew = skew
            self.process.run_at(rate)

    def _ended(self, process: SimProcess) -> None:
        failure = process.failure
        self._world.tell(process.name, f"ends: {failure!r}" if failure else "ends, no longer the leader")
        self._world.network.drop(process)
        self._plan_restart()

    def _plan_restart(self) -> None:
        def restart() -> None:
            if not self.is_off and not self.is_alive:
                self.start()

        self._world.network.later(RESTART, restart)
