"""A power cut at any write of a story leaves no trace. The whole: `python -m cafe_sim.harness.sweep`."""

import pytest

from cafe_sim.harness.ends import differences
from cafe_sim.harness.run import run
from cafe_sim.harness.sweep import STORIES, Onlooker, clean_run, plan_of, sweep

EVERY = 31


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_a_power_cut_at_any_write_leads_to_the_same_end(name: str) -> None:
    cuts = sweep(STORIES[name], EVERY)
    assert len(cuts) >= 9
    assert {(cut.number, cut.write, cut.point): cut.amiss for cut in cuts if cut.amiss} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_a_cut_can_be_told_again_by_its_plan(name: str) -> None:
    writes, clean = clean_run(STORIES[name])
    onlooker = Onlooker()
    verdict = run(plan_of(STORIES[name], 40, "applied"), guest=onlooker)
    assert verdict.is_good
    assert onlooker.end is not None
    assert onlooker.writes[:41] == list(writes[:41])
    assert differences(clean, onlooker.end) == []


@pytest.mark.slow
def test_a_cell_that_has_not_heard_of_the_way_back_takes_no_further_pod_to_the_bad_revision() -> None:
    story = STORIES["cold-resize"]
    writes, _ = clean_run(story)
    both_are_told = ["PATCH inplacesets"] * 2
    first = max(at for at in range(len(writes)) if writes[at : at + 2] == both_are_told)
    cuts = sweep(story, len(writes), first)
    assert [(cut.point, cut.amiss) for cut in cuts] == [("before", ()), ("applied", ()), ("answered", ())]
