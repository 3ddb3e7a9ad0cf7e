"""The real controllers under seeded faults: each seed is a world of its own, and the same one each time."""

import pytest

from cafe_sim.harness.draw import draw_plan
from cafe_sim.harness.plan import Plan, PlannedFault, PlannedStep, Shape
from cafe_sim.harness.run import run

SEEDS = 200
BLOCK = 25
CALM = Plan(seed=1, steps=(PlannedStep(do="deploy"), PlannedStep(do="release", after=60.0)))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_no_seed_breaks_a_rule(first: int) -> None:
    verdicts = {seed: run(draw_plan(seed)) for seed in range(first, first + BLOCK)}
    assert {seed: v.violations for seed, v in verdicts.items() if not v.is_good} == {}


@pytest.mark.slow
def test_a_calm_release_keeps_all_rules() -> None:
    assert run(CALM).violations == []


@pytest.mark.slow
def test_a_gate_that_fell_late_is_dated_late() -> None:
    """The grace period counted from when the write was first tried, while the server asked for patience."""
    args = {"target": "pods/status", "share": 1.0, "most": 1000}
    throttled = PlannedFault(kind="write throttled", at=59.0, lasts=9.0, args=args)
    shape = Shape(replicas=2, grace=15, candidates=1)
    plan = Plan(seed=2, shape=shape, steps=CALM.steps, faults=(throttled,))
    assert run(plan).violations == []


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_successor_with_another_clock_neither_skips_nor_stretches_the_grace(seconds: int) -> None:
    """What one leader dated by its machine's clock, the next one compared with its own."""
    clocks = tuple(
        PlannedFault(
            kind="clock is wrong",
            at=0.0,
            lasts=600.0,
            args={"candidate": n, "seconds": seconds * (1 - 2 * n)},
        )
        for n in range(2)
    )
    cuts = tuple(
        PlannedFault(kind="controller loses power", at=65.0 + n, args={"candidate": n}) for n in range(2)
    )
    shape = Shape(replicas=2, grace=30, candidates=2)
    verdict = run(Plan(seed=3, shape=shape, steps=CALM.steps, faults=(*clocks, *cuts)))
    assert verdict.violations == []
    assert verdict.simulated < 1500, "nobody waited for an hour"


@pytest.mark.slow
def test_equal_plans_give_equal_traces() -> None:
    plan = draw_plan(7)
    assert run(plan).trace == run(plan).trace


@pytest.mark.slow
def test_other_seeds_give_other_traces() -> None:
    assert run(draw_plan(7)).trace != run(draw_plan(8)).trace
