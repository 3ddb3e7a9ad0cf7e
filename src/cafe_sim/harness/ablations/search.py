"""Looks for a seed that misses a safeguard, and makes its plan small. Runs in the process that lacks it."""

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct

from cafe_sim.harness.ablations import Ablation
from cafe_sim.harness.draw import draw_plan
from cafe_sim.harness.names import IN_PLACE
from cafe_sim.harness.plan import Plan, PlannedFault
from cafe_sim.harness.run import run

GLIMPSE = 60.0
"""Seconds of silence at the end of a run: half an hour of it would be half of all the time spent."""


class Find(Struct, frozen=True, kw_only=True):
    """A seed that misses the safeguard.

    Attributes:
        rule: What it breaks.
        how: In one line.
        faults: How many its plan had.
        plan: What is left of it once all needless faults are gone.
    """

    seed: int
    rule: str
    how: str
    faults: int
    plan: Plan


def plan_of(ablation: Ablation | None, seed: int) -> Plan:
    """Return the plan that a seed stands for where *ablation* is looked for."""
    if ablation is None:
        return draw_plan(seed)
    plan = draw_plan(
        seed,
        kinds=ablation.kinds,
        steps=ablation.steps,
        shape={"kind": IN_PLACE, **ablation.shape},
        has_demands=False,
    )
    focused = (
        msgspec.structs.replace(fault, args={**fault.args, **ablation.args.get(fault.kind, {})})
        for fault in plan.faults
    )
    return msgspec.structs.replace(plan, faults=tuple(focused))


def finds(ablation: Ablation, seeds: range) -> Iterator[Find]:
    """Yield what breaks, seed by seed."""
    for seed in seeds:
        plan = plan_of(ablation, seed)
        verdict = run(plan, silence=GLIMPSE)
        if not verdict.is_good:
            broken = verdict.violations[0]
            small = without_needless_faults(plan, _breaks(broken.rule))
            yield Find(seed=seed, rule=broken.rule, how=broken.how, faults=len(plan.faults), plan=small)


def _breaks(rule: str) -> Callable[[Plan], bool]:
    return lambda plan: run(plan, silence=GLIMPSE).broken == rule


def without_needless_faults(plan: Plan, is_broken: Callable[[Plan], bool]) -> Plan:
    """Leave out faults for as long as the plan still breaks: in halves first, then one by one."""
    size = max(1, len(plan.faults) // 2)
    while plan.faults:
        for start in range(0, len(plan.faults), size):
            kept: tuple[PlannedFault, ...] = plan.faults[:start] + plan.faults[start + size :]
            smaller = msgspec.structs.replace(plan, faults=kept)
            if is_broken(smaller):
                plan = smaller
                size = min(size, max(1, len(kept)))
                break
        else:
            if size == 1:
                break
            size //= 2
    return plan
