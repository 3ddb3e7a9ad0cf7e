"""Quantities are read without losing anything."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe_sim.machinery.quantities import milli, quantity, scaled, whole

DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


@given(st.integers(0, 10**12), st.sampled_from(sorted(DECIMAL)))
def test_a_decimal_suffix_is_a_power_of_ten(number: int, suffix: str) -> None:
    assert quantity(f"{number}{suffix}") == Fraction(10) ** DECIMAL[suffix] * number
    assert quantity(f"-{number}{suffix}") == -quantity(f"{number}{suffix}")


@given(st.decimals(0, 10**6, places=3), st.sampled_from(sorted(BINARY)))
def test_a_binary_suffix_is_a_power_of_1024(number: object, suffix: str) -> None:
    assert quantity(f"{number}{suffix}") == Fraction(str(number)) * 1024 ** BINARY[suffix]


@given(st.integers(0, 10**6), st.integers(-6, 6))
def test_an_exponent_is_a_power_of_ten(number: int, exponent: int) -> None:
    assert quantity(f"{number}e{exponent}") == Fraction(10) ** exponent * number


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1gi", "1K", "0x10", "1.2.3", "--1", "1e", "."])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantit"):
        quantity(text)


def test_units_are_rounded_up_as_the_scheduler_does() -> None:
    assert milli("100m") == 100
    assert milli("0.0001") == 1
    assert milli(2) == 2000
    assert whole("1Ki") == 1024
    assert whole("1500m") == 2


def test_percentages_round_as_asked() -> None:
    assert scaled("25%", 10, round_up=True) == 3
    assert scaled("25%", 10, round_up=False) == 2
    assert scaled(7, 10, round_up=True) == 7
    with pytest.raises(ValueError, match="IntOrString"):
        scaled("7", 10, round_up=True)
