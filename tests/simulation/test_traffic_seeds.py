"""Worlds with load balancers that forget, can't be reached or tell late: seeds that found something once."""

import pytest

from cafe_sim.harness.draw import draw_plan
from cafe_sim.harness.run import run

FOUND = {
    64: "a process out of reach went on sending requests to pods that were gone",
    250: "the same, of a pod that had not been protected yet",
    332: "a drain that had been stuck held the release when it was over",
    1012: "pods that had not been ready for long were counted as serving",
    1104: "a process forgot a drain while no controller led, and the next one believed the old proof",
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", FOUND)
def test_what_a_seed_found_once_stays_mended(seed: int) -> None:
    plan = draw_plan(seed)
    assert plan.shape.carriers, "the seed has a balancer"
    verdict = run(plan)
    assert verdict.violations == [], FOUND[seed]
