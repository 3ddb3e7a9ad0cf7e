"""From a seed to a plan: sizes, what people do, what fails and how often.

Each seed draws a subset of the faults and a rate of its own, so that some worlds are nearly calm and others
nearly hopeless: one rate for all would find only the bugs of that rate.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cafe_sim.harness.chance import Chance
from cafe_sim.harness.faults.balancers import BALANCER_FAULTS
from cafe_sim.harness.faults.catalogue import CATALOGUE
from cafe_sim.harness.faults.kinds import FaultKind
from cafe_sim.harness.names import IN_PLACE, REPLICA, STATEFUL
from cafe_sim.harness.plan import Plan, PlannedFault, PlannedStep, Shape

STEPS = (
    ("release", 6), ("scale", 3), ("break", 2), ("go back", 2), ("pause", 1), ("resume", 2), ("rebatch", 1),
    ("annotate", 1), ("set environment", 1), ("delete pod", 1), ("replace pod", 1),
)  # fmt: skip
"""What release managers do after the first deployment, and how often."""
DEMANDS = (
    ("resize", 3), ("outgrow", 1), ("skip pod", 2), ("retry pod", 2), ("autoscale", 2), ("fill cell", 2),
)  # fmt: skip
"""What they ask beside, and how often."""
USUAL_DEMANDS = tuple(name for name, weight in DEMANDS for _ in range(weight))
KINDS = (IN_PLACE, IN_PLACE, REPLICA, STATEFUL)
"""Kinds of pod set, and how often: that which has controllers of our own more often."""
USUAL = tuple(name for name, weight in STEPS for _ in range(weight))


def draw_plan(
    seed: int,
    *,
    only_contract: bool = True,
    kinds: Sequence[str] = (),
    steps: Sequence[str] = (),
    shape: Mapping[str, Any] | None = None,
    has_demands: bool = True,
) -> Plan:
    """Return the plan of a seed.

    Args:
        seed: Any number.
        only_contract: Draw no faults beyond what Kubernetes and machines are known to do.
        kinds: Names of the faults to draw from; empty for all.
        steps: Names of what people do, to draw from; empty for all, the likely ones more often.
        shape: Parts of the shape that are not drawn.
        has_demands: Whether people may ask for more than releases, in some worlds.
    """
    chance = Chance(seed, "plan")
    # Renewals are most of what a small world does; only one in three is as hasty as the default.
    lease = chance.stream("lease").one_of((15, 60, 60))
    kind = (shape or {}).get("kind") or chance.stream("kind").one_of(KINDS)
    sized = _of_kind(kind, _draw_shape(chance.stream("shape")), chance.stream("surge"))
    drawn = msgspec.structs.replace(sized, **{"lease": lease, **(shape or {})})
    story = _draw_steps(chance.stream("steps"), drawn, steps or USUAL)
    if not steps and has_demands:
        drawn, story = _with_demands(chance.stream("demands"), drawn, story)
    length = sum(step.after for step in story) + 60.0
    is_free = not kinds and not steps and kind == IN_PLACE and has_demands
    carried = chance.stream("carriers")
    if is_free and carried.is_so(0.3):
        drawn = msgspec.structs.replace(drawn, carriers=carried.one_of((1, 2, 2, 3)))
    pool = [k for k in CATALOGUE.values() if k.is_usual and (k.is_contract or not only_contract)]
    if kinds:
        pool = [CATALOGUE[name] for name in kinds]
    faults = _draw_faults(chance.stream("faults"), drawn, pool, length)
    if is_free and drawn.carriers and carried.is_so(0.7):
        faults += _draw_faults(carried, drawn, BALANCER_FAULTS, length)
        faults = tuple(sorted(faults, key=lambda fault: fault.at))
    return Plan(
        seed=seed,
        shape=drawn,
        steps=story,
        faults=faults,
        disorder=chance.stream("disorder").one_of((0.0, 0.2, 0.5, 1.0)),
    )


def _draw_shape(chance: Chance) -> Shape:
    replicas = chance.between(1, 8)
    return Shape(
        cells=chance.between(1, 3),
        nodes=chance.between(1, 3),
        replicas=replicas,
        batch=chance.between(1, 4),
        unavailable=chance.one_of((1, 1, 1, 2)),
        beta=chance.is_so(0.7),
        confirm=chance.is_so(0.5),
        grace=chance.one_of((0, 0, 10, 30)),
        dwell=chance.one_of((0, 0, 0, 10)),
        policy=chance.one_of(("InPlaceIfPossible", "InPlaceIfPossible", "InPlaceOnly", "Recreate")),
        candidates=chance.one_of((1, 2, 2, 3)),
        servers=chance.between(1, 3),
        slowest=chance.one_of((2, 8, 60, 400)),
        history=chance.one_of((10_000, 10_000, 50)),
        mind=float(chance.one_of((1, 5, 30))),
        silence=1800.0 if chance.is_so(1 / 16) else 330.0,
    )


def _of_kind(kind: str, shape: Shape, chance: Chance) -> Shape:
    """Return a shape as an application of that kind may have it: only InPlaceSets update in place."""
    if kind == IN_PLACE:
        return shape
    policy = "InPlaceIfPossible" if shape.policy == "InPlaceOnly" else shape.policy
    surge = chance.one_of((0, 0, 1, 2)) if kind == REPLICA else 0
    unavailable = 0 if surge and chance.is_so(0.5) else shape.unavailable
    return msgspec.structs.replace(
        shape, kind=kind, grace=0, policy=policy, surge=surge, unavailable=unavailable
    )


def _draw_steps(chance: Chance, shape: Shape, names: Sequence[str]) -> tuple[PlannedStep, ...]:
    steps = [PlannedStep(do="deploy")]
    for _ in range(chance.between(1, 5)):
        after = float(chance.one_of((2, 10, 30, 60, 120)))
        steps.append(draw_step(chance, chance.one_of(names), after, shape))
    return tuple(steps)


def _with_demands(
    chance: Chance, shape: Shape, story: tuple[PlannedStep, ...]
) -> tuple[Shape, tuple[PlannedStep, ...]]:
    """Return a story with further steps in every second world; those that there are keep their times."""
    if chance.is_so(0.5):
        return shape, story
    sized = msgspec.structs.replace(
        shape, cpu=100, cold=chance.is_so(0.3), moves=chance.is_so(0.5), tolerance=chance.one_of((0, 0, 0, 1))
    )
    steps = list(story)
    for _ in range(chance.between(1, 3)):
        place, share = chance.between(1, len(steps)), chance.fraction()
        demand = draw_step(chance, chance.one_of(USUAL_DEMANDS), 0.0, sized)
        gap = steps[place].after if place < len(steps) else 60.0
        before = round(gap * share, 3)
        if place < len(steps):
            steps[place] = msgspec.structs.replace(steps[place], after=round(gap - before, 3))
        steps.insert(place, msgspec.structs.replace(demand, after=before))
    if any(step.do == "fill cell" for step in steps):
        # Who finds no room is moved only after a while, and only more pods find none.
        more = {"replicas": chance.between(shape.replicas + 1, 2 * shape.replicas + 2)}
        steps.append(PlannedStep(do="scale", after=5.0, args=more))
        steps.append(PlannedStep(do="resume", after=float(chance.one_of((40, 120, 240)))))
    return sized, tuple(steps)


def draw_step(chance: Chance, name: str, after: float, shape: Shape) -> PlannedStep:
    """Return a step with arguments of its kind."""
    args: dict[str, int] = {}
    if name == "scale":
        args = {"replicas": chance.between(1, 2 * shape.replicas)}
    elif name == "rebatch":
        args = {"batch": chance.between(1, 5)}
    elif name == "break":
        args = {"which": chance.below(3)}
    elif name == "resize":
        args = {"cpu": chance.one_of((100, 150, 200, 250))}
    elif name == "outgrow":
        args = {"cpu": chance.one_of((5000, 7000))}
    elif name == "autoscale":
        args = {"least": chance.between(1, shape.replicas + 4), "room": chance.between(0, 4)}
    elif name == "fill cell":
        args = {"cell": chance.below(shape.cells), "room": chance.one_of((0, 100, 200))}
    elif name in {"delete pod", "replace pod", "skip pod", "retry pod"}:
        args = {"which": chance.below(100)}
    return PlannedStep(do=name, after=after, args=args)


def _draw_faults(
    chance: Chance, shape: Shape, pool: Sequence[FaultKind], length: float
) -> tuple[PlannedFault, ...]:
    chosen = chance.some_of(pool, chance.one_of((0.05, 0.15, 0.5))) or [chance.one_of(pool)]
    found: list[PlannedFault] = []
    for _ in range(chance.one_of((1, 3, 8, 20))):
        kind = chance.one_of(chosen)
        lasts = round(chance.fraction() * kind.longest, 3)
        at = round(chance.fraction() * length, 3)
        found.append(PlannedFault(kind=kind.name, at=at, lasts=lasts, args=kind.draw(chance, shape)))
    return tuple(sorted(found, key=lambda fault: fault.at))
