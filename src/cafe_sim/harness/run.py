"""One run: a plan goes in, a verdict comes out. Equal plans give equal verdicts, in every process.

build ──▶ steps and faults ──▶ heal ──▶ all promises kept? ──▶ silence
                    every commit is judged all the time
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final, Protocol

from msgspec import Struct

from cafe_sim.apiserver.store import Commit
from cafe_sim.harness.chance import Chance
from cafe_sim.harness.faults.catalogue import CATALOGUE
from cafe_sim.harness.faults.kinds import Undo
from cafe_sim.harness.fences import fenced
from cafe_sim.harness.journal import Entry
from cafe_sim.harness.logs import recorded_logs
from cafe_sim.harness.loop import Deadlock, Livelock
from cafe_sim.harness.names import APPS, EVENTS, LEASES
from cafe_sim.harness.oracle.liveness import ENDS, LIVENESS, NO_BUGS, QUIET
from cafe_sim.harness.oracle.watch import Oracle, Violation
from cafe_sim.harness.people import Manager, Operator, Wishes
from cafe_sim.harness.plan import Plan, PlannedFault
from cafe_sim.harness.world import World

PATIENCE: Final = 1800.0
"""Seconds after healing within which all promises must be kept."""
SETTLING: Final = 30.0
"""Seconds without a write after which what was under way has come to rest, and silence is demanded."""
GLANCE: Final = 5.0
"""Seconds between two looks at the promises."""


class Guest(Protocol):
    """Somebody who looks at a world from outside, without a part in what happens."""

    def comes(self, world: World) -> None:
        """Look at the world before anything happened."""

    def leaves(self, world: World) -> None:
        """Look at it in the end, before it is taken down."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What came of a run.

    Attributes:
        trace: Hash over everything that happened.
        violations: What was broken.
        labels: Which faults were met, in which phase.
        simulated: Seconds of the world's time.
        steps: Callbacks that ran.
        commits: What was stored.
        journal: What happened, for people.
    """

    trace: str
    violations: list[Violation]
    labels: list[str]
    simulated: float
    steps: int
    commits: int
    journal: list[Entry]

    @property
    def is_good(self) -> bool:
        """Whether nothing was broken."""
        return not self.violations

    @property
    def broken(self) -> str:
        """Return the name of the rule that was broken first; empty if none."""
        return self.violations[0].rule if self.violations else ""


def run(
    plan: Plan, *, stops_early: bool = True, silence: float | None = None, guest: Guest | None = None
) -> Verdict:
    """Carry out *plan*.

    Args:
        plan: What is to happen.
        stops_early: End as soon as a rule is broken.
        silence: Seconds for which nothing may happen in the end; None for as long as the plan says.
        guest: Is shown the world at both ends; may watch, and must not touch.
    """
    world = World(plan)
    if guest is not None:
        guest.comes(world)
    oracle = Oracle(world)
    how_long = plan.shape.silence if silence is None else silence
    story = Story(world, oracle, stops_early=stops_early, silence=how_long)
    with _collector_off(), recorded_logs(world), fenced():
        try:
            world.loop.run_until_complete(story.tell())
        except (Deadlock, Livelock) as error:
            oracle.broke(ENDS, f"{type(error).__name__}: {error}")
        if guest is not None:
            guest.leaves(world)
        world.stop()
    for bug in world.bugs:
        oracle.broke(NO_BUGS, bug)
    for failure in world.loop.errors:
        oracle.broke(NO_BUGS, str(failure.get("exception") or failure.get("message")))
    world.loop.bury()
    return Verdict(
        trace=world.journal.trace,
        violations=oracle.violations,
        labels=sorted(world.labels),
        simulated=world.loop.now,
        steps=world.loop.steps,
        commits=world.journal.commits,
        journal=world.journal.entries,
    )


@contextmanager
def _collector_off() -> Iterator[None]:
    """Collect no garbage within a run: when it happens would depend on what ran before."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Story:
    """Tells one world's story."""

    def __init__(self, world: World, oracle: Oracle, *, stops_early: bool, silence: float) -> None:
        self._world = world
        self._oracle = oracle
        self._stops_early = stops_early
        self._silence = silence
        self._manager = Manager(world, Wishes())
        self._operator = Operator(world)
        self._undo: list[Undo] = []
        self._last_write = 0.0
        world.watchers.append(self._saw)

    def _saw(self, resource: str, _: Commit, __: str) -> None:
        if resource == APPS:
            self._operator.look()
        if resource not in {LEASES, EVENTS}:
            self._last_write = self._world.loop.now

    @property
    def _is_over(self) -> bool:
        return self._stops_early and bool(self._oracle.violations)

    async def tell(self) -> None:
        """Let everything happen."""
        world, plan = self._world, self._world.plan
        world.build()
        await self._wait(1.0)
        world.start_controllers()
        began = world.loop.now
        for place, fault in enumerate(plan.faults):
            number = place if fault.number is None else fault.number
            chance = Chance(plan.seed, f"fault {number} {fault.kind}")
            delay = timedelta(seconds=fault.at)
            world.network.later(delay, partial(self._begin, fault, chance))
        for step in plan.steps:
            await self._wait(step.after)
            if self._is_over:
                return
            self._manager.do(step.do, step.args)
        last = max((fault.at + fault.lasts for fault in plan.faults), default=0.0)
        await self._wait(began + last + 0.001 - world.loop.now)
        if not self._is_over:
            await self._end_well()

    def _begin(self, fault: PlannedFault, chance: Chance) -> None:
        world = self._world
        world.tell("fault", f"{fault.kind} {fault.args or ''} for {fault.lasts:.1f} s".replace("  ", " "))
        undo = CATALOGUE[fault.kind].begin(world, fault.args, chance)
        is_undone: list[bool] = []

        def end() -> None:
            if not is_undone:
                is_undone.append(True)
                world.tell("fault", f"{fault.kind} is over")
                undo()

        self._undo.append(end)
        world.network.later(timedelta(seconds=fault.lasts), end)

    async def _end_well(self) -> None:
        """Heal the world, and hold it to its promises."""
        world = self._world
        for undo in self._undo:
            undo()
        world.tell("world", "is healed")
        self._manager.come_to_an_end()
        deadline = world.loop.now + PATIENCE
        while not self._is_over and not (self._is_settled and not self._amiss()):
            if world.loop.now > deadline:
                for rule, how in self._amiss() or [(QUIET, "writes never cease")]:
                    self._oracle.broke(rule, how)
                return
            await self._wait(GLANCE)
        world.tell("world", "is as it should be")
        await self._be_silent()

    async def _be_silent(self) -> None:
        """Demand that nothing more is written."""
        world = self._world
        since = world.loop.now
        await self._wait(self._silence)
        if self._last_write > since:
            self._oracle.broke(QUIET, f"something was written at {self._last_write:.1f} s")
        for rule, how in self._amiss():
            self._oracle.broke(rule, f"later: {how}")

    @property
    def _is_settled(self) -> bool:
        """Whether what was under way has come to rest, and everybody has noticed whom they no longer hear."""
        is_heard = not any(stream.is_silent for stream in self._world.network.streams.values())
        return is_heard and self._world.loop.now - self._last_write >= SETTLING

    def _amiss(self) -> list[tuple[str, str]]:
        found = ((promise.name, promise.test(self._world, self._manager.wishes)) for promise in LIVENESS)
        return [(name, how) for name, how in found if how is not None]

    async def _wait(self, seconds: float) -> None:
        await self._world.clock.sleep(timedelta(seconds=seconds))
