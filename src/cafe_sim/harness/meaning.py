"""Whether a plan means anything here: names, arguments and sizes that a run can carry out.

A tape may come from another version, another project, or an editor. What a kind of fault draws tells what it
understands, so arguments are held against a few hundred draws and need no schema of their own.
"""

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from cafe_sim.harness.badinput import BadInput, demand_known
from cafe_sim.harness.chance import Chance
from cafe_sim.harness.draw import draw_step
from cafe_sim.harness.faults.catalogue import CATALOGUE
from cafe_sim.harness.names import IN_PLACE, REPLICA, SETS_OF
from cafe_sim.harness.people import ACTIONS
from cafe_sim.harness.plan import Plan, Shape

SAMPLES: Final = 400
"""Draws that show nearly every value that an argument may have."""
FEW: Final = 5
"""An argument with no more values than that has bounds; others are numbers of something, taken modulo."""
LARGE: Final = Shape(cells=8, nodes=3, candidates=3, servers=3, replicas=8, carriers=3)
SMALLEST: Final[Mapping[str, int]] = {
    "cells": 1, "nodes": 1, "replicas": 0, "batch": 1, "unavailable": 0, "grace": 0, "dwell": 0,
    "candidates": 1, "servers": 1, "slowest": 1, "history": 1, "mind": 0, "lease": 1, "surge": 0, "cpu": 0,
    "tolerance": 0, "carriers": 0,
}  # fmt: skip
LARGEST: Final[Mapping[str, int]] = {"cells": 8}
POLICIES: Final = ("InPlaceIfPossible", "InPlaceOnly", "Recreate")
REMEDY: Final = "Correct the plan, or take a tape that `run` wrote."


def demand_meaning(plan: Plan, where: str) -> None:
    """Refuse a plan that no run can carry out.

    Args:
        plan: From a tape.
        where: Its file, for the message.

    Raises:
        BadInput: It names something unknown, or asks for something impossible.
    """
    for fault in plan.faults:
        demand_known("fault", fault.kind, CATALOGUE, where)
    for step in plan.steps:
        demand_known("step", step.do, ACTIONS, where)
    amiss = next(_amiss(plan), None)
    if amiss is not None:
        raise BadInput("The plan can't be carried out.", f"{where}: {amiss}.", REMEDY)


def _amiss(plan: Plan) -> Iterator[str]:
    yield from _amiss_with_shape(plan.shape)
    if not 0 <= plan.disorder <= 1:
        yield f"disorder is {plan.disorder}, no share"
    for number, step in enumerate(plan.steps):
        yield from _amiss_with_times(f"step {number}", step.after, 0.0)
        yield from _amiss_with_args(f'step {number} "{step.do}"', step.args, _step_args(step.do))
    for number, fault in enumerate(plan.faults):
        yield from _amiss_with_times(f"fault {number}", fault.at, fault.lasts)
        name = f'fault {number} "{fault.kind}"'
        yield from _amiss_with_args(name, fault.args, _fault_args(fault.kind))
        if int(fault.args.get("replica", 0)) >= plan.shape.servers:
            yield f"{name} befalls API server {fault.args['replica']} of {plan.shape.servers}"


def _amiss_with_shape(shape: Shape) -> Iterator[str]:
    for name, least in SMALLEST.items():
        value = getattr(shape, name)
        if not least <= value <= LARGEST.get(name, math.inf):
            yield f"shape.{name} is {value}"
    if shape.policy not in POLICIES:
        yield f'shape.policy is "{shape.policy}", none of {", ".join(POLICIES)}'
    if shape.kind not in SETS_OF:
        yield f'shape.kind is "{shape.kind}", none of {", ".join(SETS_OF)}'
    elif shape.kind != IN_PLACE and (shape.grace or shape.policy == "InPlaceOnly"):
        yield f"shape.kind is {shape.kind}, whose pods are not updated in place"
    if shape.surge and shape.kind != REPLICA:
        yield f"shape.surge is {shape.surge}, which only ReplicaSets have"
    if not shape.unavailable and not shape.surge:
        yield "shape.unavailable is 0: nothing could ever be updated"


def _amiss_with_times(name: str, *times: float) -> Iterator[str]:
    if any(not 0 <= time < math.inf for time in times):
        yield f"{name} has a time of {min(times)} s"


def _amiss_with_args(name: str, args: dict[str, Any], usual: Mapping[str, frozenset[Any]]) -> Iterator[str]:
    if args.keys() != usual.keys():
        yield f"{name} has the arguments {sorted(args)}, it needs {sorted(usual)}"
        return
    for key, value in args.items():
        known = usual[key]
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            yield f"{name} has {key} {value!r}"
        elif any(isinstance(each, str) for each in known):
            if value not in known:
                yield f'{name} has {key} "{value}", none of {", ".join(sorted(map(repr, known)))}'
        elif isinstance(value, str) or value < 0 <= min(known):
            yield f"{name} has {key} {value!r}"
        elif len(known) <= FEW and not min(known) <= value <= max(known):
            yield f"{name} has {key} {value!r}, it knows {sorted(known)}"


def _seen(drawn: list[dict[str, Any]]) -> Mapping[str, frozenset[Any]]:
    return {key: frozenset(args[key] for args in drawn) for key in drawn[0]}


@cache
def _fault_args(name: str) -> Mapping[str, frozenset[Any]]:
    chance = Chance(0, f"meaning of {name}")
    shapes = [msgspec.structs.replace(LARGE, kind=kind) for kind in SETS_OF]
    return _seen([CATALOGUE[name].draw(chance, shape) for _ in range(SAMPLES) for shape in shapes])


@cache
def _step_args(name: str) -> Mapping[str, frozenset[Any]]:
    chance = Chance(0, f"meaning of {name}")
    return _seen([draw_step(chance, name, 0.0, LARGE).args for _ in range(SAMPLES)])
