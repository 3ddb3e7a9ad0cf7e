"""`resource.Quantity`: how much of something, in the one canonical spelling of Kubernetes."""

import re
from decimal import ROUND_UP, Decimal
from functools import lru_cache

_PATTERN = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]+)?")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FORM = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"


class BadQuantityError(ValueError):
    """The text is no quantity."""

    def __init__(self) -> None:
        super().__init__(f"quantities must match the regular expression '{_FORM}'")


def amount(text: str) -> Decimal:
    """Return the number that a quantity means.

    Raises:
        BadQuantityError: *text* is no quantity.
    """
    found = _PATTERN.fullmatch(text)
    if not found:
        raise BadQuantityError
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in _BINARY[1:]:
        return number * 1024 ** _BINARY.index(suffix)
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    return number.scaleb(int(suffix[1:]))


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return *text* as the API server stores it: no fraction, the largest suffix that keeps it whole.

    Raises:
        BadQuantityError: *text* is no quantity.
    """
    value = amount(text)
    suffix = (_PATTERN.fullmatch(text) or {2: None})[2] or ""
    if suffix in _BINARY[1:] and value == value.to_integral_value() and abs(value) >= 1024:
        power = 0
        while power < 6 and value and value % 1024 == 0:
            value, power = value / 1024, power + 1
        return f"{int(value)}{_BINARY[power]}"
    # Finer than nano can't be said; the real server rounds away from zero.
    nano = int((value.scaleb(9)).to_integral_value(rounding=ROUND_UP))
    if nano == 0:
        return "0"
    power = -9
    while nano % 1000 == 0 and power < 18:
        nano, power = nano // 1000, power + 3
    if suffix[:1] in {"e", "E"} and len(suffix) > 1:
        return f"{nano}e{power}" if power else str(nano)
    return f"{nano}{next(name for name, exponent in _DECIMAL.items() if exponent == power)}"
