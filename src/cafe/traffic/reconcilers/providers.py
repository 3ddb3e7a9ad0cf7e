"""One provider's loop: read all its processes back, decide for each pod that is on its way, tell, mark.

    wake ─▶ read all processes, all pools, once ─▶ judge each pod that isn't settled ─▶ detach, attach, remove
      ▲                                                                             └─▶ release, publish
      └──── every 0.2 s while anything is on its way; now and then otherwise, for what was forgotten ◀──┘

Nothing that was seen is kept as evidence but for how long it has been so: a new leader waits all times anew.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from cafe.kernel import CafeError, Clock, Conflict, ObjectKey, Unavailable
from cafe.traffic.domain.draining import (
    TELLS_WITHIN,
    Command,
    Memory,
    Verdict,
    Want,
    doubt_absence,
    judge_attached,
    judge_detached,
    judge_forgotten,
    want_of,
)
from cafe.traffic.domain.facts import Employer, Member, MemberState, PodTraffic, Pool, ReplicaView
from cafe.traffic.ports import PodTrafficStore, ProviderObserver, TrafficAdapter

log = structlog.get_logger(__name__)

PACE = timedelta(milliseconds=200)
"""Between two looks while a pod is on its way."""
HOLDING = timedelta(seconds=1)
"""The same while pods are only kept away: what was told may be forgotten, or a client register again."""
ROUND = timedelta(seconds=10)
"""Between two looks at everything."""

Mark = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """One pod and one employer that must come to agree."""

    key: ObjectKey
    pod: PodTraffic
    employer: Employer
    want: Want

    @property
    def place(self) -> tuple[str, str]:
        """Return under which its memory is kept."""
        return (self.pod.uid, self.employer.name)


@dataclass(slots=True)
class Cycle:
    """What one look leads to."""

    commands: dict[tuple[Command, Pool], list[Member]] = field(default_factory=lambda: defaultdict(list))
    marks: list[Mark] = field(default_factory=list)


class ProviderLoop:
    """Keeps the members of one provider's pools and the pods' marks agreed.

    Args:
        name: Of the provider; empty for Services.
        adapter: To its processes.
        store: Pods and their marks.
        clock: Measures.
        may_act: Whether we lead: asked before anything is told to a process.
        observer: Is told what happens.
    """

    def __init__(
        self,
        name: str,
        adapter: TrafficAdapter,
        store: PodTrafficStore,
        clock: Clock,
        may_act: Callable[[], bool] = lambda: True,
        observer: ProviderObserver | None = None,
    ) -> None:
        self.name = name
        self._observer = observer
        self._attaching: dict[tuple[str, str], timedelta] = {}
        self._adapter = adapter
        self._store = store
        self._clock = clock
        self._may_act = may_act
        self._known: dict[ObjectKey, None] = {}
        self._restless: dict[ObjectKey, None] = {}
        self._holding: dict[ObjectKey, None] = {}
        self._memory: dict[tuple[str, str], Memory] = {}
        self._told_stuck: dict[tuple[str, str], str] = {}
        self._told: dict[ObjectKey, dict[Pool, Member]] = {}
        self._debts: dict[tuple[Pool, str], ObjectKey] = {}
        self._holders: dict[tuple[Pool, str], ObjectKey] = {}
        self._woken = asyncio.Event()
        self._sent: dict[tuple[str, str], timedelta] = {}
        self._begun = clock.monotonic()

    def wake(self, key: ObjectKey) -> None:
        """Look at a pod soon."""
        self._restless[key] = None
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled."""
        last_round = self._clock.monotonic()
        try:
            while True:
                await self._rest()
                due = dict(self._restless)
                now = self._clock.monotonic()
                if now - last_round >= ROUND:
                    last_round, due = now, {**due, **self._known}
                due |= self._holding
                self._woken.clear()
                try:
                    await self.look(due)
                except Exception:  # A bug must not end the protection of everything else.
                    log.exception("traffic.bug", provider=self.name)
                    self._restless |= due
        finally:
            await self._adapter.close()

    async def _rest(self) -> None:
        """Wait for the next look: a pace while pods are on their way, else until something happens."""
        if self._restless and not self._woken.is_set():
            await self._clock.sleep(PACE)
            return
        if self._woken.is_set():
            return
        pause = HOLDING if self._holding or self._debts else ROUND
        waiting = asyncio.ensure_future(self._woken.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(pause))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()

    async def look(self, keys: Iterable[ObjectKey]) -> None:
        """Look once at all processes, and bring these pods one step on."""
        jobs: list[Job] = []
        cycle = Cycle()
        for key in tuple(keys):
            self._restless.pop(key, None)
            self._holding.pop(key, None)
            jobs += self._jobs(key)
            if self._store.is_gone(key):
                self._owe(key)
        pools = {job.employer.pool: None for job in jobs} | {pool: None for pool, _ in self._debts}
        if not pools:
            return
        now = self._clock.monotonic()
        self._sent = {place: at for place, at in self._sent.items() if now - at < TELLS_WITHIN}
        views = await self._observe(pools)
        if self._observer is not None:
            self._observer.seen(views)
        self._pay(views, cycle)
        standing = self._standing(jobs, views)
        for job in sorted(jobs, key=_turn):
            self._judge(job, views.get(job.employer.pool.name, ()), now, standing, cycle)
        await self._tell_all(cycle)
        await asyncio.gather(*(self._mark(mark) for mark in cycle.marks))

    async def _tell_all(self, cycle: Cycle) -> None:
        if self._may_act():
            await asyncio.gather(*(self._tell(told, members) for told, members in cycle.commands.items()))

    def _owe(self, key: ObjectKey) -> None:
        """Remember to have a pod forgotten that went before that was done, however it went."""
        for pool, member in self._told.pop(key, {}).items():
            if self._holders.get((pool, member.address)) == key:
                self._debts[pool, member.address] = key

    def _pay(self, views: Mapping[str, Sequence[ReplicaView]], cycle: Cycle) -> None:
        """Have those forgotten that are gone, until every process has been seen to have forgotten them."""
        for (pool, address), key in list(self._debts.items()):
            seen = views.get(pool.name, ())
            is_known = any(view.problem or address in view.members for view in seen)
            if not is_known or self._holders.get((pool, address)) != key:
                # Nobody knows it any more, or somebody else has the address by now.
                del self._debts[pool, address]
                continue
            ip, _, port = address.rpartition(":")
            cycle.commands[Command.REMOVE, pool].append(Member(key.name, ip.strip("[]"), int(port)))

    def _jobs(self, key: ObjectKey) -> list[Job]:
        view = self._store.view(key)
        if view is None:
            self._known.pop(key, None)
            return []
        mine = [e for e in view.employers if e.provider == self.name]
        if mine:
            self._known[key] = None
        return [Job(key, view.pod, employer, want_of(view.pod, employer)) for employer in mine]

    async def _observe(self, pools: Iterable[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        wanted = tuple(pools)
        try:
            return await self._adapter.observe(wanted)
        except CafeError as error:
            return {pool.name: [ReplicaView(self.name, problem=str(error))] for pool in wanted}

    def _standing(
        self, jobs: Sequence[Job], views: Mapping[str, Sequence[ReplicaView]]
    ) -> dict[str, dict[str, None]]:
        """Return by employer the addresses that answer: those attached, and not on their way out."""
        found: dict[str, dict[str, None]] = {}
        for job in jobs:
            if job.want is not Want.DETACHED or job.employer.name in found:
                continue
            pool = job.employer.pool
            serving = {
                m.address
                for view in views.get(pool.name, ())
                for m in view.members.values()
                if m.state is MemberState.SERVING
            }
            stands: dict[str, None] = {}
            for key in self._store.mates(job.key):
                mate = self._store.view(key)
                address = mate.pod.member(pool).address if mate is not None else ""
                if mate is not None and not mate.pod.is_leaving and mate.pod.is_ready | (key == job.key):
                    stands |= {address: None} if address in serving else {}
            found[job.employer.name] = stands
        return found

    def _verdict(
        self, job: Job, views: Sequence[ReplicaView], now: timedelta, stands: dict[str, None]
    ) -> Verdict:
        """Judge one pod and employer; who is about to be detached stands for its pool no more."""
        pod, employer = job.pod, job.employer
        if job.want is Want.ATTACHED:
            return judge_attached(pod, employer, views)
        address = pod.member(employer.pool).address
        # Who led before us may have told the processes of it until we began.
        views = doubt_absence(views, address, self._sent.get(job.place, self._begun), now)
        if job.want is Want.FORGOTTEN:
            return judge_forgotten(pod, employer, views)
        is_last = not stands.keys() - {address}
        memory = self._memory.get(job.place)
        verdict = judge_detached(pod, employer, views, memory, now, is_last=is_last)
        if verdict.command is Command.DETACH:
            stands.pop(address, None)
        return verdict

    def _judge(
        self,
        job: Job,
        views: Sequence[ReplicaView],
        now: timedelta,
        standing: dict[str, dict[str, None]],
        cycle: Cycle,
    ) -> None:
        is_owed = self._is_owed(job, views)
        if job.want is Want.AS_IT_IS:
            return
        pod, employer = job.pod, job.employer
        verdict = self._verdict(job, views, now, standing.get(employer.name, {}))
        if is_owed and job.want is not Want.DETACHED:
            verdict = replace(verdict, is_proven=False)
        self._remember(job, verdict)
        if verdict.command is not None:
            cycle.commands[verdict.command, employer.pool].append(pod.member(employer.pool))
        is_marked = self._is_marked(job)
        if job.want is Want.DETACHED:
            self._store.confirm(pod, employer, is_gone=verdict.is_proven)
        if job.want is Want.ATTACHED and not is_marked:
            self._attaching.setdefault(job.place, now)
        if verdict.is_proven and not is_marked:
            cycle.marks.append(self._mark_of(job, verdict, now))
        elif verdict.is_stuck and not is_marked and self._told_stuck.get(job.place) != verdict.evidence:
            self._told_stuck[job.place] = verdict.evidence
            cycle.marks.append(lambda: self._store.tell_stuck(pod, employer, verdict.evidence))
        if not verdict.is_proven or not is_marked:
            self._restless[job.key] = None
        elif job.want is Want.DETACHED:
            self._holding[job.key] = None

    def _is_owed(self, job: Job, views: Sequence[ReplicaView]) -> bool:
        """Whether a process may still send requests to an address that the pod had; if so, have it forgotten.

        Not if a mate has the address by now. In other applications nobody is a member of this pool.
        """
        former = job.pod.former(job.employer)
        if former is None or not any(v.problem or former.address in v.members for v in views):
            return False
        for key in self._store.mates(job.key):
            mate = self._store.view(key)
            if key != job.key and mate is not None and mate.pod.ip == former.ip and not mate.pod.is_over:
                return False
        place = (job.employer.pool, former.address)
        if self._holders.setdefault(place, job.key) == job.key:
            self._debts[place] = job.key
        return place in self._debts

    def _remember(self, job: Job, verdict: Verdict) -> None:
        pool = job.employer.pool
        member = job.pod.member(pool)
        if verdict.command is Command.ATTACH:
            self._sent[job.place] = self._clock.monotonic()
        elif verdict.is_proven and job.want is Want.ATTACHED:
            self._sent.pop(job.place, None)  # All processes have told of it since.
        if verdict.command is not None:
            self._told.setdefault(job.key, {})[pool] = member
            self._holders[pool, member.address] = job.key
        elif verdict.is_proven and job.want is Want.FORGOTTEN:
            self._told.get(job.key, {}).pop(pool, None)
        if job.want is not Want.ATTACHED:
            self._attaching.pop(job.place, None)
        if verdict.memory is not None:
            self._memory[job.place] = verdict.memory
        else:
            self._memory.pop(job.place, None)
            self._told_stuck.pop(job.place, None)

    @staticmethod
    def _is_marked(job: Job) -> bool:
        """Whether the pod's marks say already what is proven."""
        pod, employer = job.pod, job.employer
        is_protected = employer.finalizer in pod.protections
        if job.want is Want.ATTACHED:
            return is_protected and employer.name in pod.expected and pod.former(employer) is None
        if job.want is Want.FORGOTTEN:
            return not is_protected
        proven = pod.fact.proven_by(employer.name)
        asked = {name for name, op in pod.fact.operations.items() if not op.is_operating}
        return not is_protected and asked <= proven and employer.name not in pod.fact.stuck

    def _mark_of(self, job: Job, verdict: Verdict, now: timedelta) -> Mark:
        """Return what writes what is proven, and takes note of how long that took."""
        pod, employer, observer = job.pod, job.employer, self._observer

        async def publish() -> None:
            await self._store.publish(pod, employer)
            since = self._attaching.pop(job.place, now)
            if observer is not None:
                observer.attached(now - since)

        async def release() -> None:
            await self._store.release(pod, employer, verdict.evidence)
            if observer is not None and verdict.memory is not None and employer.finalizer in pod.protections:
                observer.drained(now - verdict.memory.asked)

        return publish if job.want is Want.ATTACHED else release

    async def _tell(self, told: tuple[Command, Pool], members: Sequence[Member]) -> None:
        command, pool = told
        does = {
            Command.ATTACH: self._adapter.attach,
            Command.DETACH: self._adapter.detach,
            Command.REMOVE: self._adapter.remove,
        }
        is_done = False
        try:
            await does[command](pool, members)
            is_done = True
        except CafeError as error:
            log.info("traffic.not_told", provider=self.name, pool=pool.name, what=command, why=str(error))
        if self._observer is not None:
            self._observer.told(command, is_done=is_done)

    async def _mark(self, mark: Mark) -> None:
        try:
            await mark()
        except (Conflict, Unavailable) as error:
            log.debug("traffic.mark_later", provider=self.name, why=str(error))


def _turn(job: Job) -> tuple[object, ...]:
    """Put first what has waited the longest: of two last members, one must stay, and always the same."""
    oldest = job.pod.fact.oldest()
    return (oldest is None, oldest.isoformat() if oldest is not None else "", job.pod.name, job.employer.name)
