"""The crash sweep: a story, a power cut at each of its writes, and always the same end.

    clean run ──▶ N writes ──▶ for each: cut before it is sent │ applied, reply lost │ reply there, unused
                                  └──▶ the same pods, plan and restarts as in the clean run, no rule broken

`python -m cafe_sim.harness.sweep [EVERY] [STORY…]` runs the whole, or each EVERY-th write, or these stories.
"""

import os
import sys
from asyncio import events
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from cafe_sim.harness.ends import End, differences, end_of
from cafe_sim.harness.faults.processes import POINTS, WORK, CrashAtWrite, is_meant
from cafe_sim.harness.names import IN_PLACE, REPLICA, STATEFUL
from cafe_sim.harness.network import Mishap, Sent
from cafe_sim.harness.plan import Plan, PlannedFault, PlannedStep, Shape
from cafe_sim.harness.run import Verdict, run
from cafe_sim.harness.world import World

PAUSE = 60.0
"""Between two steps: enough for a release in all its groups, a restart and a new election among them."""
GLIMPSE = 60.0
"""Seconds of silence at the end of each run."""

SHAPE = Shape(cells=2, nodes=1, replicas=4, batch=2, confirm=True, candidates=1, servers=1, mind=1.0)


def _story(kind: str) -> Plan:
    return Plan(
        seed=1,
        shape=msgspec.structs.replace(SHAPE, kind=kind),
        steps=(
            PlannedStep(do="deploy"),
            PlannedStep(do="release", after=PAUSE),
            PlannedStep(do="break", after=PAUSE, args={"which": 0}),
            PlannedStep(do="go back", after=PAUSE),
            PlannedStep(do="scale", after=PAUSE, args={"replicas": 6}),
            PlannedStep(do="scale", after=PAUSE, args={"replicas": 4}),
        ),
        disorder=0.0,
    )


def _resizing(*, is_cold: bool) -> Plan:
    """Return a story of pods that get more CPU, with or without a restart, and then more than there is."""
    return Plan(
        seed=1,
        shape=msgspec.structs.replace(SHAPE, cpu=100, cold=is_cold),
        steps=(
            PlannedStep(do="deploy"),
            PlannedStep(do="resize", after=PAUSE, args={"cpu": 200}),
            PlannedStep(do="outgrow", after=PAUSE, args={"cpu": 5000}),
            PlannedStep(do="go back", after=PAUSE),
        ),
        disorder=0.0,
    )


def _carried() -> Plan:
    """Return a story of pods with a balancer and a Service before them."""
    story = _story(IN_PLACE)
    return msgspec.structs.replace(
        story, shape=msgspec.structs.replace(story.shape, carriers=2, unavailable=2)
    )


STORIES = {
    **{kind: _story(kind) for kind in (IN_PLACE, REPLICA, STATEFUL)},
    "resize": _resizing(is_cold=False),
    "cold-resize": _resizing(is_cold=True),
    "traffic": _carried(),
}
"""For each kind: first deployment, Beta, groups, confirmations, a bad image, way back, scale out and in."""


class Onlooker:
    """Counts the controller's writes, and keeps the end.

    Attributes:
        writes: What was written, in order: `PATCH pods/status`.
    """

    def __init__(self) -> None:
        self.writes: list[str] = []
        self.end: End | None = None

    def comes(self, world: World) -> None:
        """Listen to the network."""
        world.network.observer = self

    def leaves(self, world: World) -> None:
        """Keep how the world ended."""
        self.end = end_of(world)

    def sent(self, sent: Sent, mishap: Mishap | None) -> None:
        """Count a write."""
        del mishap
        if is_meant(sent, WORK):
            self.writes.append(f"{sent.request.method} {sent.target}")

    def answered(self, sent: Sent, status: int) -> None:
        """Leave it: what matters is what was sent."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One run with a power cut.

    Attributes:
        write: What was under way.
        amiss: What is wrong; empty if all is well.
        is_renamed: Whether other pods stand at the end, of other names.
    """

    number: int
    write: str
    point: str
    amiss: tuple[str, ...]
    is_renamed: bool


def clean_run(story: Plan) -> tuple[Sequence[str], End]:
    """Tell the story without a power cut; return its writes and its end.

    Raises:
        RuntimeError: The story itself breaks a rule.
    """
    onlooker = Onlooker()
    verdict = run(story, silence=GLIMPSE, guest=onlooker)
    if not verdict.is_good or onlooker.end is None:
        raise RuntimeError(f"the story breaks a rule without any power cut: {verdict.violations}")
    return onlooker.writes, onlooker.end


def plan_of(story: Plan, number: int, point: str) -> Plan:
    """Return a story with a power cut at its write *number*, from 0."""
    length = sum(step.after for step in story.steps) + PAUSE
    cut = PlannedFault(
        kind="controller dies at a write",
        at=0.0,
        lasts=length,
        args={"target": WORK, "after": number, "point": point},
    )
    return msgspec.structs.replace(story, faults=(cut,))


def sweep(story: Plan, every: int = 1, first: int = 0) -> list[Cut]:
    """Tell a story, and cut the power at each *every*-th write, in all three ways.

    Up to its cut each run is the clean one. So that one is told once, and the process forks at its writes:
    each child cuts the power and goes on to an end of its own, which it sends home.

    Raises:
        RuntimeError: The story itself breaks a rule, or a child died.
    """
    forks = Forks(every, first)
    verdict = run(story, silence=GLIMPSE, guest=forks)
    if forks.home is not None:
        forks.send_home(verdict)
    if not verdict.is_good or forks.end is None:
        raise RuntimeError(f"the story breaks a rule without any power cut: {verdict.violations}")
    return [_judged(told, forks.end) for told in forks.ends]


class Told(msgspec.Struct, frozen=True):
    """What a child sends home: which cut, what was broken, and how its world ended."""

    number: int
    write: str
    point: str
    broken: list[str]
    end: End


def _judged(told: Told, clean: End) -> Cut:
    amiss = (*told.broken, *differences(clean, told.end))
    return Cut(told.number, told.write, told.point, amiss, told.end.names != clean.names)


class Forks(Onlooker):
    """Forks at the chosen writes of the clean run. A child is told from its parent by `home`.

    Attributes:
        home: Where a child sends its end.
        ends: What the children sent.
    """

    def __init__(self, every: int, first: int) -> None:
        super().__init__()
        self.home: int | None = None
        self.ends: list[Told] = []
        self._every, self._first = every, first
        self._count = 0
        self._which = (0, "", "")
        self._world: World | None = None

    def comes(self, world: World) -> None:
        """Stand in the way of all requests."""
        super().comes(world)
        self._world = world
        world.network.nuisances.append(self)

    def befalls(self, sent: Sent) -> Mishap | None:
        """Let a write pass in the clean run, after children have cut the power at it."""
        if self._world is None or self.home is not None or not is_meant(sent, WORK):
            return None
        number, self._count = self._count, self._count + 1
        if number < self._first or (number - self._first) % self._every:
            return None
        for point in POINTS:
            reading, writing = os.pipe()
            if child := os.fork():
                os.close(writing)
                self.ends.append(_received(reading, child))
                continue
            os.close(reading)
            self.home = writing
            events._set_running_loop(self._world.loop)  # noqa: SLF001 -- asyncio forgets it in a child
            self._which = (number, f"{sent.request.method} {sent.target}", point)
            return CrashAtWrite(self._world, WORK, 0, point).befalls(sent)
        return None

    def send_home(self, verdict: Verdict) -> NoReturn:
        """Send the end of this child's world, and end the child: the rest is its parent's."""
        broken = [f"{v.rule}: {v.how}" for v in verdict.violations]
        if self.end is not None and self.home is not None:
            told = Told(*self._which, broken, self.end)
            with os.fdopen(self.home, "wb") as home:
                home.write(msgspec.msgpack.encode(told))
        os._exit(0)


def _received(reading: int, child: int) -> Told:
    with os.fdopen(reading, "rb") as pipe:
        sent = pipe.read()
    os.waitpid(child, 0)
    if not sent:
        raise RuntimeError("a run with a power cut ended without a word")
    return msgspec.msgpack.decode(sent, type=Told)


def main() -> int:
    """Run the sweeps and tell; 1 if an end is another one, 2 if there is no such story."""
    words = sys.argv[1:]
    every = int(words.pop(0)) if words and words[0].isdecimal() else 1
    if strangers := [word for word in words if word not in STORIES]:
        print(f"no story is called {' or '.join(strangers)}; there are {', '.join(STORIES)}")  # noqa: T201 -- a command
        return 2
    return max([_tell(name, sweep(STORIES[name], every)) for name in words or STORIES])


def _tell(name: str, cuts: Sequence[Cut]) -> int:
    for cut in cuts:
        for how in cut.amiss:
            print(f"{name}, write {cut.number} ({cut.write}), {cut.point}: {how}")  # noqa: T201 -- as above
    bad, renamed = sum(bool(cut.amiss) for cut in cuts), sum(cut.is_renamed for cut in cuts)
    took = os.times()
    seconds = took.user + took.system + took.children_user + took.children_system
    print(  # noqa: T201 -- as above
        f"{name:11} {len(cuts)} power cuts at {len({c.number for c in cuts})} writes: {bad} end otherwise; "
        f"{renamed} with pods of other names; {seconds:.0f} s of CPU time by now",
        flush=True,
    )
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
