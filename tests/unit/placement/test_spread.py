"""Pods are shared out over units: pins first, the rest evenly, moving the fewest."""

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.kernel import Refusal
from cafe.placement.domain.spread import pinned_size, spread

UNITS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True)


@st.composite
def wishes(draw: st.DrawFn) -> tuple[int, list[str], dict[str, int | str]]:
    units = draw(UNITS)
    pinned = draw(st.lists(st.sampled_from(units), max_size=len(units) - 1, unique=True))
    pins: dict[str, int | str] = {u: draw(st.integers(0, 8)) for u in pinned}
    replicas = sum(int(p) for p in pins.values()) + draw(st.integers(0, 30))
    return replicas, units, pins


@given(wishes(), st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)))
def test_quotas_add_up_to_replicas_and_pins_are_served_exactly(
    wish: tuple[int, list[str], dict[str, int | str]], ready: dict[str, int]
) -> None:
    replicas, units, pins = wish
    found = spread(replicas, units, pins, ready)
    assert list(found) == units
    assert sum(found.values()) == replicas
    assert {u: found[u] for u in pins} == pins
    free = [n for u, n in found.items() if u not in pins]
    assert max(free) - min(free) <= 1


@given(UNITS, st.integers(0, 20))
def test_odd_pods_of_many_applications_load_all_units_alike(units: list[str], replicas: int) -> None:
    total = Counter[str]()
    for turn in range(len(units)):
        total.update(spread(replicas, units, {}, {}, turn))
    assert {total[unit] for unit in units} == {replicas}


def test_an_application_begins_at_its_own_unit_and_passes_over_pinned_ones() -> None:
    assert spread(5, list("abc"), {}, {}, 1) == {"a": 1, "b": 2, "c": 2}
    assert spread(5, list("abc"), {}, {}, 5) == {"a": 2, "b": 1, "c": 2}
    assert spread(6, list("abc"), {"b": 1}, {}, 1) == {"a": 2, "b": 1, "c": 3}
    assert spread(5, list("abc"), {}, {"a": 2}, 1) == {"a": 2, "b": 2, "c": 1}, "pods stay where they are"


@given(UNITS, st.integers(0, 20), st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)))
def test_no_even_spread_moves_fewer_pods(units: list[str], replicas: int, has: dict[str, int]) -> None:
    found = spread(replicas, units, {}, has)
    share, remainder = divmod(replicas, len(units))

    def moved(quotas: dict[str, int]) -> int:
        return sum(abs(n - has.get(u, 0)) for u, n in quotas.items())

    others = ({u: share + (u in lucky) for u in units} for lucky in combinations(units, remainder))
    assert moved(found) == min(moved(other) for other in others)


@given(UNITS, st.integers(0, 20), st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)))
def test_a_spread_that_is_followed_is_not_changed_again(
    units: list[str], replicas: int, has: dict[str, int]
) -> None:
    found = spread(replicas, units, {}, has)
    assert spread(replicas, units, {}, found) == found


@pytest.mark.parametrize(
    ("replicas", "units", "pins", "ready", "expected"),
    [
        (10, "ab", {}, {}, {"a": 5, "b": 5}),
        (5, "ab", {}, {}, {"a": 3, "b": 2}),
        (5, "ab", {}, {"b": 1}, {"a": 2, "b": 3}),
        (10, "abc", {"a": 2}, {}, {"a": 2, "b": 4, "c": 4}),
        (10, "ab", {"a": "30%"}, {}, {"a": 3, "b": 7}),
        (5, "ab", {"a": "50%"}, {}, {"a": 3, "b": 2}),
        (5, "ab", {"a": "49%"}, {}, {"a": 2, "b": 3}),
        (0, "ab", {}, {}, {"a": 0, "b": 0}),
        (7, "a", {}, {}, {"a": 7}),
        (4, "ab", {"a": 1, "b": 3}, {}, {"a": 1, "b": 3}),
        (3, "ab", {"a": "100%"}, {}, {"a": 3, "b": 0}),
    ],
)
def test_spreads_that_a_person_would_write_down(
    replicas: int, units: str, pins: dict[str, int | str], ready: dict[str, int], expected: dict[str, int]
) -> None:
    assert spread(replicas, list(units), pins, ready) == expected


@pytest.mark.parametrize(
    ("replicas", "units", "pins", "code"),
    [
        (4, ["a"], {"b": 1}, "UnknownUnit"),
        (4, ["a", "b"], {"a": 5}, "PinsExceedReplicas"),
        (5, ["a", "b"], {"a": "50%", "b": "50%"}, "PinsExceedReplicas"),
        (4, ["a", "b"], {"a": 1, "b": 2}, "PinsShort"),
        (4, ["a", "b"], {"a": -1}, "InvalidPin"),
        (4, ["a", "b"], {"a": "101%"}, "InvalidPin"),
        (4, ["a", "b"], {"a": "1.5%"}, "InvalidPin"),
        (4, ["a", "b"], {"a": "three"}, "InvalidPin"),
        (4, ["a", "b", "a"], {}, "RepeatedUnit"),
        (4, ["rz00a", "RZ00A"], {}, "RepeatedUnit"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_with_a_way_out(
    replicas: int, units: list[str], pins: dict[str, int | str], code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        spread(replicas, units, pins, {})
    assert refused.value.code == code
    assert refused.value.remedy


@given(st.integers(0, 100), st.integers(0, 1000))
def test_a_percentage_rounds_half_up(percent: int, replicas: int) -> None:
    exact = replicas * percent / 100
    assert -0.5 <= exact - pinned_size("a", f"{percent}%", replicas) < 0.5
