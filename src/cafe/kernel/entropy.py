"""Chance is an argument too: a seed decides everything in the simulated world."""

import random  # noqa: TID251 -- the one place that may
from typing import Protocol

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' alphabet for generated names: no vowels, so no words; no 0, 1 or 3, so no doubt."""


class Entropy(Protocol):
    """Where a part of CAFE gets chance from."""

    def fraction(self) -> float:
        """Return a number in [0, 1): for jitter."""

    def suffix(self, length: int) -> str:
        """Return *length* characters that are safe in an object's name."""

    def uid(self) -> str:
        """Return a fresh RFC 4122 version 4 identifier, in lower case."""


class SystemEntropy:
    """Chance from the operating system."""

    def __init__(self) -> None:
        self._source = random.SystemRandom()

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return self._source.random()

    def suffix(self, length: int) -> str:
        """Return *length* characters of Kubernetes' name alphabet."""
        return "".join(self._source.choice(NAME_ALPHABET) for _ in range(length))

    def uid(self) -> str:
        """Return a random version 4 UUID."""
        return uuid4_from(self._source.getrandbits(128))


def uuid4_from(bits: int) -> str:
    """Format 128 random *bits* as a version 4 UUID (RFC 4122 §4.4), in lower case."""
    fixed = (bits & ~(0xF << 76) & ~(0x3 << 62)) | (0x4 << 76) | (0x2 << 62)
    text = f"{fixed:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
