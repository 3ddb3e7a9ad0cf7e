"""Kubernetes quantities, exactly."""

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
QUANTITY = re.compile(r"^([0-9.]+(?:[eE][-+]?[0-9]+)?)([a-zA-Z]{0,2})$")


def quantity(value: Any) -> Decimal | None:  # noqa: ANN401 -- a number, or text from a manifest
    """Return a Kubernetes quantity (`500m`, `1Gi`) as a number; None if it is none."""
    return _read(str(value))


@lru_cache(maxsize=4096)
def _read(text: str) -> Decimal | None:
    match = QUANTITY.match(text)
    if match is None or match[2] not in SUFFIXES:
        return None
    try:
        return Decimal(match[1]) * SUFFIXES[match[2]]
    except InvalidOperation:
        return None
