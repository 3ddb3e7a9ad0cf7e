"""What befalls the controller's processes and the clocks of their machines."""

from datetime import timedelta
from typing import TYPE_CHECKING

from cafe_sim.harness.candidates import Candidate
from cafe_sim.harness.chance import Chance
from cafe_sim.harness.faults.kinds import Args, FaultKind, Undo, no_undo
from cafe_sim.harness.faults.requests import draw_target
from cafe_sim.harness.network import Mishap, Sent
from cafe_sim.harness.plan import Shape

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

POINTS = ("before", "applied", "answered")
"""A crash point of a write: it never left; it was applied and the answer is lost; the answer came, unused."""


def _draw_candidate(chance: Chance, shape: Shape) -> Args:
    return {"candidate": chance.below(shape.candidates)}


def _chosen(world: "World", args: Args) -> Candidate:
    """Return the candidate that is meant."""
    return world.candidates[int(args["candidate"]) % len(world.candidates)]


def _crash(world: "World", args: Args, _: Chance) -> Undo:
    _chosen(world, args).crash()
    world.met("controller loses power")
    return no_undo


def _draw_write(chance: Chance, shape: Shape) -> Args:
    return {
        "target": draw_target(chance, shape),
        "after": chance.below(6),
        "point": chance.one_of(POINTS),
    }


WORK = "work"
"""All writes but those of the election and of Events: what a crash sweep counts."""


def is_meant(sent: Sent, target: str) -> bool:
    """Whether a request is a write that goes for *target*: a resource, `WORK`, or empty for all of them."""
    if target == WORK:
        return sent.is_write and sent.target not in {"leases", "events"}
    return sent.is_write and (not target or sent.target == target)


class CrashAtWrite:
    """Cuts the power of whoever sends the chosen write, counted over all processes and lives."""

    def __init__(self, world: "World", target: str, after: int, point: str) -> None:
        self._world = world
        self._target = target
        self._left = after
        self._point = point
        self.is_done = False

    def befalls(self, sent: Sent) -> Mishap | None:
        """Let the chosen write be the process's last."""
        if self.is_done or not is_meant(sent, self._target):
            return None
        if self._left > 0:
            self._left -= 1
            return None
        self.is_done = True
        world, point = self._world, self._point
        name = "controller dies at a write"
        world.met(name)
        candidate = next(c for c in world.candidates if c.process is sent.process)
        if point == "before":
            candidate.crash()
            return Mishap(name, is_lost=True)
        if point == "applied":
            return Mishap(name, is_applied=True, is_lost=True, then=candidate.crash)
        # The answer arrives in the same instant in which the power goes.
        return Mishap(
            name, is_applied=True, is_lost=True, then=lambda: world.network.later(SOON, candidate.crash)
        )


SOON = timedelta(milliseconds=8)


def _crash_at_write(world: "World", args: Args, _: Chance) -> Undo:
    crash = CrashAtWrite(world, args["target"], args["after"], args["point"])
    world.network.nuisances.append(crash)
    return lambda: world.network.nuisances.remove(crash)


def _draw_pause(chance: Chance, shape: Shape) -> Args:
    return {"candidate": chance.below(shape.candidates), "target": chance.one_of(("", "pods", "pods/status"))}


class PauseBeforeWrite:
    """Freezes a process right before it sends something: the worst moment for a leader."""

    def __init__(self, world: "World", target: str) -> None:
        self._world = world
        self._target = target
        self.frozen: Candidate | None = None

    def befalls(self, sent: Sent) -> Mishap | None:
        """Freeze the sender; what it sent goes out, what follows waits."""
        if self.frozen is not None or not sent.is_write or (self._target and sent.target != self._target):
            return None
        candidate = next((c for c in self._world.candidates if c.process is sent.process), None)
        if candidate is not None and candidate.is_leading:
            self.frozen = candidate
            self._world.met("leader freezes")
            candidate.pause()
        return None


def _pause(world: "World", args: Args, _: Chance) -> Undo:
    pause = PauseBeforeWrite(world, args["target"])
    world.network.nuisances.append(pause)

    def undo() -> None:
        world.network.nuisances.remove(pause)
        if pause.frozen is not None:
            pause.frozen.resume()

    return undo


def _draw_skew(chance: Chance, shape: Shape) -> Args:
    seconds = chance.one_of((-3600, -600, -30, 30, 600, 3600))
    return {"candidate": chance.below(shape.candidates), "seconds": seconds}


def _skew(world: "World", args: Args, _: Chance) -> Undo:
    candidate = _chosen(world, args)
    candidate.set_clock(timedelta(seconds=args["seconds"]), candidate.rate)
    world.met("clock is wrong")
    return lambda: candidate.set_clock(timedelta(), candidate.rate)


def _draw_rate(chance: Chance, shape: Shape) -> Args:
    return {"candidate": chance.below(shape.candidates), "rate": chance.one_of((0.5, 0.8, 1.25, 2.0))}


def _rate(world: "World", args: Args, _: Chance) -> Undo:
    candidate = _chosen(world, args)
    candidate.set_clock(candidate.skew, args["rate"])
    world.met("clock runs wrongly")
    return lambda: candidate.set_clock(candidate.skew, 1.0)


PROCESS_FAULTS: tuple[FaultKind, ...] = (
    FaultKind("controller loses power", "process", _draw_candidate, _crash, longest=0.0),
    FaultKind("controller dies at a write", "process", _draw_write, _crash_at_write),
    FaultKind("leader freezes", "process", _draw_pause, _pause, longest=90.0),
    FaultKind("clock is wrong", "clock", _draw_skew, _skew, longest=300.0),
    FaultKind("clock runs wrongly", "clock", _draw_rate, _rate, longest=300.0),
)
