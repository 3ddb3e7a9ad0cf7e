"""What a seed draws is the same for ever: committed plans and tapes depend on it."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cafe_sim.harness.chance import Chance, SeededEntropy

SEEDS = st.integers(min_value=0, max_value=1 << 40)


def test_draws_stay_as_they_were() -> None:
    chance = Chance(7, "plan")
    assert [chance.below(1000) for _ in range(5)] == [786, 516, 343, 675, 947]
    assert SeededEntropy(Chance(7, "world")).suffix(5) == "pllzr"


@given(SEEDS, st.integers(-50, 50), st.integers(0, 100))
def test_draws_lie_between_their_bounds(seed: int, low: int, width: int) -> None:
    chance = Chance(seed, "bounds")
    assert low <= chance.between(low, low + width) <= low + width
    assert timedelta(0) <= chance.span(timedelta(0), timedelta(seconds=width)) <= timedelta(seconds=width)


@given(SEEDS)
def test_streams_do_not_disturb_each_other(seed: int) -> None:
    alone = Chance(seed, "plan").stream("faults")
    beside = Chance(seed, "plan")
    for _ in range(10):
        beside.fraction()
    assert alone.fraction() == beside.stream("faults").fraction()
