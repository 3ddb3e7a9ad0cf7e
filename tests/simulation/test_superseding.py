"""A → B → C ends where A → C does, whatever fails. More: `python -m cafe_sim.harness.superseding`."""

import msgspec
import pytest

from cafe_sim.harness.names import SETS_OF
from cafe_sim.harness.superseding import amiss, plans_of, told

SEEDS = range(8)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SETS_OF)
def test_a_release_that_is_superseded_leaves_no_trace(kind: str) -> None:
    assert {seed: how for seed in SEEDS if (how := amiss(kind, seed))} == {}


@pytest.mark.slow
def test_ends_of_different_stories_differ() -> None:
    detoured, straight = plans_of("ReplicaSet", 0)
    halted = msgspec.structs.replace(straight, steps=straight.steps[:1])
    ends = [told(plan) for plan in (detoured, halted)]
    assert [one.broken for one in ends] == [(), ()]
    assert ends[0].end != ends[1].end


def test_the_straight_way_meets_no_faults_and_the_detour_leads_to_the_same_release() -> None:
    for seed in range(50):
        detoured, straight = plans_of("StatefulSet", seed)
        assert straight.faults == ()
        assert detoured.shape == straight.shape
        assert detoured.steps[0] == straight.steps[0]
        assert (detoured.steps[-1].do, straight.steps[-1].do) == ("release", "release")
