"""How much of a simulated world's time a minute of CPU buys, and how many small seeds a second.

    python -m bench.simulation [--pods 200] [--nodes 50] [--hours 1] [--seeds 40]

The large world has a release every ten minutes; the small ones are those of `make simulate`.
"""

import argparse
import time
from typing import Final

from bench.machine import machine
from cafe_sim.harness.draw import draw_plan
from cafe_sim.harness.plan import Plan, PlannedStep, Shape
from cafe_sim.harness.run import run

CELLS: Final = 2
EVERY: Final = 600.0
"""Seconds between two releases."""


def large_plan(pods: int, nodes: int, hours: float) -> Plan:
    """Return the plan of a large, calm world with a release every ten minutes."""
    shape = Shape(
        lease=60, cells=CELLS, nodes=nodes // CELLS, replicas=pods, batch=pods // 4, unavailable=pods // 10
    )
    releases = tuple(PlannedStep(do="release", after=EVERY) for _ in range(round(hours * 3600 / EVERY)))
    return Plan(seed=1, shape=shape, steps=(PlannedStep(do="deploy"), *releases))


def main() -> None:
    """Measure both, and print them beside their goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=40)
    options = parser.parse_args()
    print(machine())
    run(draw_plan(0))  # What is made once is not measured.
    start = time.process_time()
    verdict = run(large_plan(options.pods, options.nodes, options.hours))
    took = time.process_time() - start
    hours = verdict.simulated / 3600
    print(
        f"{options.pods} pods on {options.nodes} nodes, a release every ten minutes: "
        f"{hours:.2f} h in {took:.1f} s of CPU, {hours / took * 60:.0f} h per CPU-minute (goal 20); "
        f"{verdict.commits} commits, {verdict.violations or 'no rule broken'}"
    )
    start = time.process_time()
    for seed in range(1, 1 + options.seeds):
        run(draw_plan(seed))
    took = time.process_time() - start
    print(f"{options.seeds} seeds: {options.seeds / took:.1f} per CPU-second (goal 8)")


if __name__ == "__main__":
    main()
