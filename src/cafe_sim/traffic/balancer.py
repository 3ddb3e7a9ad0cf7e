"""A load balancer of several processes, as CAFE's port sees it, with the faults that real ones have.

Nothing happens while nobody looks: how busy a member is follows from the time. A member that gets requests is
always busy; one that gets none any more is busy for as long as its last request takes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cafe.kernel import Clock
from cafe.traffic.domain.facts import Member, MemberState, MemberView, Pool, ReplicaView

ZERO = timedelta(0)
EXCUSED = timedelta(seconds=10)
"""After a process has forgotten what it was told: it is told again within a second or so, or, if it tells
late of itself, within that time more."""


@dataclass(slots=True)
class Entry:
    """One member in one process.

    Attributes:
        since: When it came into its state.
        arrived: Requests that it had been sent by then.
        held: Requests in flight that a test holds open.
        last: How long the request takes that was sent last.
        configured: When it came back by its process' configuration, whatever it was told.
    """

    member: Member
    state: MemberState
    since: timedelta
    arrived: int = 0
    held: int = 0
    last: timedelta = ZERO
    configured: timedelta | None = None


@dataclass(slots=True)
class Process:
    """One process of the balancer.

    Attributes:
        pools: The pools that it is configured with; members by address.
        is_up: Whether it answers. One that is down serves nobody.
        is_reachable: Whether it can be spoken with. One that can't goes on serving.
        lag: How old what it tells is.
    """

    name: str
    pools: dict[str, dict[str, Entry]] = field(default_factory=dict)
    is_up: bool = True
    is_reachable: bool = True
    lag: timedelta = ZERO
    past: list[tuple[timedelta, dict[str, dict[str, MemberState]]]] = field(default_factory=list)


class Balancer:
    """The double; it is a `TrafficAdapter` itself.

    Args:
        clock: The world's.
        names: Of its processes.
        pools: That each process is configured with.
    """

    rate = 20.0
    """Requests a second to each member and process."""

    def __init__(self, clock: Clock, names: Sequence[str], pools: Collection[str]) -> None:
        self._clock = clock
        self.processes = {n: Process(n, {pool: {} for pool in pools}) for n in names}
        self.is_busy = False
        self.last_request = ZERO
        self.answers_after = ZERO

    # The port.

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        """Tell how each process stands, or stood a while ago."""
        await self._travel()
        return {pool.name: [self._view(p, pool) for p in self.processes.values()] for pool in pools}

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Send no new requests to *members*."""
        await self._travel()
        for entries in self._reachable(pool):
            for member in members:
                entry = entries.get(member.address)
                if entry is not None and entry.state is not MemberState.DRAINING:
                    self._turn(entry, MemberState.DRAINING)
                    entry.configured = None

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Send requests to *members*."""
        await self._travel()
        for entries in self._reachable(pool):
            for member in members:
                self._drop_namesakes(entries, member)
                fresh = Entry(member, MemberState.DOWN, self._clock.monotonic())
                entry = entries.setdefault(member.address, fresh)
                if entry.state is not MemberState.SERVING:
                    self._turn(entry, MemberState.SERVING)

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Forget *members*."""
        await self._travel()
        for entries in self._reachable(pool):
            for member in members:
                entries.pop(member.address, None)

    async def close(self) -> None:
        """Give up nothing: there are no connections."""

    # Faults.

    def restart(self, name: str) -> None:
        """Have a process forget all members, as HAProxy does without a file of its servers' state."""
        process = self.processes[name]
        process.pools = {pool: {} for pool in process.pools}
        process.past.clear()

    def configure(self, name: str, pool: Pool, member: Member) -> None:
        """Have a process send requests to a member, as its configuration says, whatever it was told."""
        fresh = Entry(member, MemberState.DOWN, self._clock.monotonic())
        entry = self.processes[name].pools[pool.name].setdefault(member.address, fresh)
        self._turn(entry, MemberState.SERVING)
        entry.configured = entry.since

    # The truth, for whoever judges.

    def serving(self, address: str) -> list[str]:
        """Return the processes that send an address new requests, or wait for its answer.

        One that has just forgotten what it was told is left out for a while: nobody can know of it at once.
        """
        return [
            process.name
            for process in self.processes.values()
            if process.is_up
            for entries in process.pools.values()
            if (entry := entries.get(address)) is not None
            and self._active(entry)
            and not self._is_excused(entry)
        ]

    def _is_excused(self, entry: Entry) -> bool:
        return entry.configured is not None and self._clock.monotonic() - entry.configured < EXCUSED

    def entry(self, process: str, pool: str, address: str) -> Entry | None:
        """Return what a process knows of a member."""
        return self.processes[process].pools.get(pool, {}).get(address)

    # Inside.

    async def _travel(self) -> None:
        if self.answers_after:
            await self._clock.sleep(self.answers_after)

    def _reachable(self, pool: Pool) -> list[dict[str, Entry]]:
        found = [p for p in self.processes.values() if p.is_up and p.is_reachable]
        for process in found:
            self._remember(process)
        return [process.pools[pool.name] for process in found if pool.name in process.pools]

    def _drop_namesakes(self, entries: dict[str, Entry], member: Member) -> None:
        for address in [
            a for a, e in entries.items() if e.member.name == member.name and a != member.address
        ]:
            del entries[address]

    def _turn(self, entry: Entry, state: MemberState) -> None:
        entry.arrived = self._arrived(entry)
        entry.state, entry.since = state, self._clock.monotonic()
        entry.last = self.last_request if self.is_busy else ZERO

    def _arrived(self, entry: Entry) -> int:
        if entry.state is not MemberState.SERVING or not self.is_busy:
            return entry.arrived
        return entry.arrived + int((self._clock.monotonic() - entry.since).total_seconds() * self.rate)

    def _active(self, entry: Entry) -> int:
        if entry.state is MemberState.SERVING:
            return entry.held + self.is_busy
        return entry.held + (self._clock.monotonic() < entry.since + entry.last)

    def _remember(self, process: Process) -> None:
        """Keep how a process stands, for those who will be told of it late."""
        if process.lag:
            states = {p: {a: e.state for a, e in es.items()} for p, es in process.pools.items()}
            process.past.append((self._clock.monotonic(), states))

    def _view(self, process: Process, pool: Pool) -> ReplicaView:
        if not process.is_up or not process.is_reachable:
            return ReplicaView(process.name, problem="no answer")
        entries = process.pools.get(pool.name)
        if entries is None:
            return ReplicaView(process.name, problem=f"it has no pool {pool.name}")
        states = {address: entry.state for address, entry in entries.items()}
        due = self._clock.monotonic() - process.lag
        while process.past and process.past[0][0] <= due:
            process.past.pop(0)
        if process.lag and process.past:
            states = process.past[0][1].get(pool.name, {})
        views = {
            address: MemberView(
                address,
                state,
                active=self._active(entry) if (entry := entries.get(address)) is not None else 0,
                arrivals=self._arrived(entry) if entry is not None else 0,
            )
            for address, state in states.items()
        }
        return ReplicaView(process.name, views)
