"""How many pods metrics ask for, how fast and how far: tables and laws."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe_sim.controllers.autoscaler_arithmetic import (
    AverageUse,
    Goal,
    Sample,
    Standing,
    Tolerance,
    Unmeasurable,
    Utilization,
    propose,
)
from cafe_sim.controllers.autoscaler_limits import (
    TOO_FAST_DOWN,
    TOO_FAST_UP,
    TOO_FEW,
    TOO_MANY,
    WITHIN,
    Behavior,
    History,
    Past,
    Policy,
    ScalingRules,
    Sizes,
    rate_limit,
    settle,
    settle_by,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
HALF = Utilization(50)


def busy(used: int, requested: int = 100) -> Sample:
    return Sample(Standing.COUNTED, used, requested)


MISSING = Sample(Standing.MISSING, 0, 100)
UNREADY = Sample(Standing.UNREADY, 0, 100)
IGNORED = Sample(Standing.IGNORED, 90, 100)


@pytest.mark.parametrize(
    ("pods", "goal", "current", "wanted", "why"),
    [
        ([busy(100)] * 2, HALF, 2, 4, "twice the target takes twice the pods"),
        ([busy(10)] * 4, HALF, 4, 1, "a fifth of the target takes a fifth, rounded up"),
        ([busy(55)] * 4, HALF, 4, 4, "a tenth above is within the tolerance"),
        ([busy(45)] * 4, HALF, 4, 4, "a tenth below is within the tolerance"),
        ([busy(56)] * 4, HALF, 4, 5, "a little more is not"),
        ([busy(44)] * 9, HALF, 9, 8, "a little less is not"),
        ([busy(300)] * 2, AverageUse(100), 2, 6, "an average value needs no requests"),
        ([busy(7)] * 100, AverageUse(100), 100, 8, "floats round up as those of the real controller"),
        ([busy(100), busy(100), MISSING], HALF, 3, 4, "more pods: who is missing is idle"),
        ([busy(60), MISSING, MISSING], HALF, 3, 3, "more pods: too many are missing to tell"),
        ([busy(10), MISSING], HALF, 2, 2, "fewer pods: who is missing uses all that it requests"),
        ([busy(0)] * 9 + [MISSING], HALF, 10, 2, "fewer pods: enough is known"),
        ([busy(10), MISSING], AverageUse(50), 2, 2, "fewer pods: who is missing uses the target"),
        ([busy(100)] * 2 + [UNREADY] * 2, HALF, 4, 4, "who is still starting will help"),
        ([busy(10)] * 2 + [UNREADY] * 2, HALF, 4, 1, "fewer pods: who is still starting isn't counted"),
        ([busy(100)] * 2 + [IGNORED], HALF, 2, 4, "who goes isn't counted"),
    ],
)
def test_pods_are_proposed(pods: list[Sample], goal: Goal, current: int, wanted: int, why: str) -> None:
    assert propose(pods, current, goal, Tolerance()).replicas == wanted, why


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        ([], "no pods returned by selector"),
        ([MISSING, UNREADY, IGNORED], "did not receive metrics for targeted pods"),
        ([busy(10, requested=0)], "no metrics returned matched known pods"),
    ],
)
def test_without_samples_nothing_is_proposed(pods: list[Sample], words: str) -> None:
    with pytest.raises(Unmeasurable, match=words):
        propose(pods, 1, HALF, Tolerance())


SAMPLES = st.builds(
    Sample, st.sampled_from(Standing), used=st.integers(0, 500), requested=st.integers(1, 500)
)
GOALS = st.one_of(st.builds(Utilization, st.integers(1, 200)), st.builds(AverageUse, st.integers(1, 500)))


@given(st.lists(SAMPLES, min_size=1, max_size=12), GOALS)
def test_a_proposal_never_goes_against_what_is_measured(pods: list[Sample], goal: Goal) -> None:
    if not any(pod.standing is Standing.COUNTED for pod in pods):
        return
    current = sum(pod.standing is not Standing.IGNORED for pod in pods)
    found = propose(pods, current, goal, Tolerance())
    if found.measure.ratio > 1:
        assert found.replicas >= current
    if found.measure.ratio < 1:
        assert found.replicas <= current


@given(st.lists(st.integers(90, 110), min_size=1, max_size=20), st.integers(0, 40))
def test_an_average_within_the_tolerance_changes_nothing(loads: list[int], current: int) -> None:
    pods = [busy(load) for load in loads]
    for goal in (AverageUse(100), Utilization(100)):
        assert propose(pods, current, goal, Tolerance()).replicas == current


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 50))
def test_more_pods_than_proposed_are_never_needed_for_a_steady_load(
    load: int, amount: int, current: int
) -> None:
    found = propose([busy(load)] * current, current, AverageUse(amount), Tolerance()).replicas
    assert found * amount * 1.1 >= load * current


def rules(*policies: Policy, window: int = 0, select: str = "Max") -> ScalingRules:
    return ScalingRules(timedelta(seconds=window), select, policies)


def pods_in(value: int, seconds: int = 60) -> Policy:
    return Policy(is_percent=False, value=value, period=timedelta(seconds=seconds))


def percent_in(value: int, seconds: int = 60) -> Policy:
    return Policy(is_percent=True, value=value, period=timedelta(seconds=seconds))


def ago(number: int, seconds: float) -> Past:
    return Past(number, NOW - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("proposed", "sizes", "past", "wanted", "reason"),
    [
        (5, Sizes(3, 1, 10), (), 5, WITHIN),
        (20, Sizes(8, 1, 10), (), 10, TOO_MANY),
        (20, Sizes(3, 1, 100), (), 6, TOO_FAST_UP),
        (20, Sizes(1, 1, 100), (), 4, TOO_FAST_UP),
        (0, Sizes(3, 2, 10), (), 2, TOO_FEW),
        (1, Sizes(5, 1, 10), (ago(5, 299),), 5, WITHIN),
        (1, Sizes(5, 1, 10), (ago(5, 300),), 5, WITHIN),
        (1, Sizes(5, 1, 10), (ago(5, 301),), 1, WITHIN),
        (1, Sizes(5, 1, 10), (ago(5, 301), ago(3, 10)), 3, WITHIN),
    ],
)
def test_without_a_behavior_it_is_settled(
    proposed: int, sizes: Sizes, past: tuple[Past, ...], wanted: int, reason: tuple[str, str]
) -> None:
    verdict = settle(proposed, sizes, History(past), NOW, FIVE_MINUTES)
    assert (verdict.replicas, verdict.limited) == (wanted, reason)
    assert verdict.is_limited == (reason is not WITHIN)


@pytest.mark.parametrize(
    ("current", "history", "chosen", "way", "limit"),
    [
        (10, History(), rules(pods_in(4), percent_in(100)), "up", 20),
        (10, History(), rules(pods_in(4), percent_in(100), select="Min"), "up", 14),
        (10, History(), rules(pods_in(4), select="Disabled"), "up", 10),
        (1, History(), rules(percent_in(10)), "up", 2),
        (10, History(grown=(ago(4, 30),)), rules(pods_in(4)), "up", 10),
        (10, History(grown=(ago(4, 60),)), rules(pods_in(4)), "up", 14),
        (10, History(grown=(ago(6, 30),)), rules(pods_in(4)), "up", 8),
        (10, History(), rules(pods_in(4), percent_in(10)), "down", 6),
        (10, History(), rules(pods_in(4), percent_in(10), select="Min"), "down", 9),
        (10, History(shrunk=(ago(4, 30),)), rules(pods_in(4)), "down", 10),
        (3, History(), rules(percent_in(50)), "down", 1),
    ],
)
def test_policies_limit_how_far_it_goes_in_a_while(
    current: int, history: History, chosen: ScalingRules, way: str, limit: int
) -> None:
    assert rate_limit(current, history, NOW, chosen, is_up=way == "up") == limit


def test_a_behavior_limits_both_directions() -> None:
    behavior = Behavior(rules(pods_in(2)), rules(pods_in(1)))
    up = settle_by(9, Sizes(3, 1, 10), History(), NOW, behavior)
    assert (up.replicas, up.limited) == (5, TOO_FAST_UP)
    down = settle_by(1, Sizes(3, 1, 10), History(), NOW, behavior)
    assert (down.replicas, down.limited) == (2, TOO_FAST_DOWN)


def test_a_behavior_waits_in_both_directions() -> None:
    behavior = Behavior(rules(pods_in(9), window=60), rules(pods_in(9), window=60))
    up = settle_by(9, Sizes(3, 1, 10), History((ago(4, 30),)), NOW, behavior)
    assert (up.replicas, up.able[0]) == (4, "ScaleUpStabilized")
    down = settle_by(1, Sizes(5, 1, 10), History((ago(4, 30),)), NOW, behavior)
    assert (down.replicas, down.able[0]) == (4, "ScaleDownStabilized")


PASTS = st.lists(st.builds(ago, st.integers(0, 40), st.integers(0, 900)), max_size=6).map(tuple)
HISTORIES = st.builds(History, PASTS, PASTS, PASTS)
POLICIES = st.builds(
    Policy,
    st.booleans(),
    st.integers(1, 200),
    st.integers(1, 1800).map(lambda seconds: timedelta(seconds=seconds)),
)
RULES = st.builds(
    ScalingRules,
    st.integers(0, 3600).map(lambda seconds: timedelta(seconds=seconds)),
    st.sampled_from(["Max", "Min", "Disabled"]),
    st.lists(POLICIES, min_size=1, max_size=3).map(tuple),
)
BEHAVIORS = st.none() | st.builds(Behavior, RULES, RULES)


@st.composite
def bounded(draw: st.DrawFn) -> Sizes:
    least = draw(st.integers(1, 20))
    most = draw(st.integers(least, 40))
    return Sizes(draw(st.integers(least, most)), least, most)


@given(st.integers(0, 100), bounded(), HISTORIES, BEHAVIORS)
def test_what_is_wanted_lies_within_the_bounds(
    proposed: int, sizes: Sizes, history: History, behavior: Behavior | None
) -> None:
    if behavior is None:
        wanted = settle(proposed, sizes, history, NOW, FIVE_MINUTES).replicas
    else:
        wanted = settle_by(proposed, sizes, history, NOW, behavior).replicas
    assert sizes.least <= wanted <= sizes.most


@given(bounded(), BEHAVIORS)
def test_who_proposes_what_there_is_changes_nothing(sizes: Sizes, behavior: Behavior | None) -> None:
    quiet = History((Past(sizes.current, NOW),))
    if behavior is None:
        verdict = settle(sizes.current, sizes, quiet, NOW, FIVE_MINUTES)
    else:
        verdict = settle_by(sizes.current, sizes, quiet, NOW, behavior)
    assert (verdict.replicas, verdict.limited, verdict.is_limited) == (sizes.current, WITHIN, False)


@given(st.integers(0, 100), st.integers(1, 2000), HISTORIES)
def test_what_is_forgotten_was_of_no_use(number: int, seconds: int, history: History) -> None:
    keep = timedelta(seconds=seconds)
    remembered = history.proposed(number, NOW, keep).proposals
    assert remembered[-1] == Past(number, NOW)
    assert all(past.at >= NOW - keep for past in remembered)
    assert [past for past in history.proposals if past.at >= NOW - keep] == list(remembered[:-1])
