"""What befalls load balancers: they forget, can't be reached, tell late what they are, and are told late."""

from datetime import timedelta
from typing import TYPE_CHECKING

from cafe.traffic.domain.facts import Member, Pool
from cafe_sim.harness.carriers import POOL, PORT
from cafe_sim.harness.chance import Chance
from cafe_sim.harness.faults.kinds import Args, FaultKind, Undo, no_undo
from cafe_sim.harness.plan import Shape
from cafe_sim.traffic.balancer import Process

if TYPE_CHECKING:
    from cafe_sim.harness.world import World


def _draw(chance: Chance, shape: Shape) -> Args:
    return {"process": chance.below(max(1, shape.carriers))}


def _draw_lag(chance: Chance, shape: Shape) -> Args:
    return {"process": chance.below(max(1, shape.carriers)), "seconds": chance.one_of((0.3, 1.0, 5.0))}


def _process(world: "World", args: Args) -> Process | None:
    if world.balancer is None:
        return None
    found = list(world.balancer.processes.values())
    number = int(args["process"])
    return found[number % len(found)]


def _lose(world: "World", args: Args, _: Chance) -> Undo:
    """It serves on, and nobody can speak with it."""
    if (process := _process(world, args)) is None:
        return no_undo
    process.is_reachable = False
    world.met("balancer out of reach")

    def undo() -> None:
        process.is_reachable = True

    return undo


def _forget(world: "World", args: Args, _: Chance) -> Undo:
    """It is reloaded, and its configuration has all pods that there are as members."""
    if (process := _process(world, args)) is None or world.balancer is None:
        return no_undo
    world.balancer.restart(process.name)
    for pod in world.pods():
        ip = (pod.get("status") or {}).get("podIP")
        if ip and "deletionTimestamp" not in pod["metadata"]:
            member = Member(pod["metadata"]["name"], ip, PORT)
            world.balancer.configure(process.name, Pool(POOL, PORT), member)
    world.met("balancer forgets")
    return no_undo


def _lag(world: "World", args: Args, _: Chance) -> Undo:
    """What it tells of itself is old."""
    if (process := _process(world, args)) is None:
        return no_undo
    process.lag = timedelta(seconds=args["seconds"])
    world.met("balancer tells late")

    def undo() -> None:
        process.lag = timedelta(0)

    return undo


BALANCER_FAULTS = (
    FaultKind("balancer out of reach", "load balancer", _draw, _lose, is_usual=False),
    FaultKind("balancer forgets", "load balancer", _draw, _forget, longest=0.0, is_usual=False),
    FaultKind("balancer tells late", "load balancer", _draw_lag, _lag, is_usual=False),
)
"""All of them; in worlds without a balancer they do nothing."""
