"""A power cut at any write of the story leaves no trace. The whole: `python -m cafe_sim.harness.sweep`."""

import pytest

from cafe_sim.harness.run import run
from cafe_sim.harness.sweep import Onlooker, clean_run, differences, plan_of, sweep

EVERY = 31


@pytest.mark.slow
def test_a_power_cut_at_any_write_leads_to_the_same_end() -> None:
    cuts = sweep(EVERY)
    assert len(cuts) >= 18
    assert {(cut.number, cut.write, cut.point): cut.amiss for cut in cuts if cut.amiss} == {}


@pytest.mark.slow
def test_a_cut_can_be_told_again_by_its_plan() -> None:
    writes, clean = clean_run()
    onlooker = Onlooker()
    verdict = run(plan_of(40, "applied"), guest=onlooker)
    assert verdict.is_good
    assert onlooker.end is not None
    assert onlooker.writes[:41] == list(writes[:41])
    assert differences(clean, onlooker.end) == []
