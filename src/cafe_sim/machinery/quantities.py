"""Kubernetes quantities, exactly: `100m`, `1.5Gi`, `2e3`."""

import re
from fractions import Fraction
from functools import lru_cache
from math import ceil

_FORM = re.compile(r"^([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


@lru_cache(maxsize=4096)
def quantity(text: str | float) -> Fraction:
    """Read a quantity without losing anything.

    Raises:
        ValueError: *text* is not a quantity.
    """
    found = _FORM.match(str(text))
    if found is None:
        raise ValueError(f"quantities must match the regular expression of resource.Quantity: {text!r}")
    sign, digits, exponent, suffix = found.groups()
    value = Fraction(digits if not digits.startswith(".") else f"0{digits}")
    if exponent:
        value *= Fraction(10) ** int(exponent[1:])
    elif suffix in _BINARY:
        value *= 2 ** _BINARY[suffix]
    elif suffix:
        value *= Fraction(10) ** _DECIMAL[suffix]
    return -value if sign == "-" else value


@lru_cache(maxsize=4096)
def milli(text: str | float) -> int:
    """Return thousandths, rounded up as the scheduler does: CPU in millicores."""
    return ceil(quantity(text) * 1000)


@lru_cache(maxsize=4096)
def whole(text: str | float) -> int:
    """Return units, rounded up as the scheduler does: memory in bytes, pods."""
    return ceil(quantity(text))


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """Resolve an int-or-percent against *total*.

    Raises:
        ValueError: *value* is neither a number nor a percentage.
    """
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise ValueError(f"invalid value for IntOrString: {value!r}")
    exact = Fraction(int(value[:-1]) * total, 100)
    return ceil(exact) if round_up else int(exact)
