"""Chance that a seed decides, the same on every Python and under every hash seed.

Only `random()` of a Mersenne Twister seeded by text is used: Python promises both to stay as they are, while
`choice` and `randrange` have changed their ways of drawing between versions.
"""

import random  # noqa: TID251 -- seeded by name, see above
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

from cafe.kernel.entropy import NAME_ALPHABET, uuid4_from

T = TypeVar("T")


class Chance:
    """One stream of draws. Streams of different names don't disturb each other.

    So a fault more or less leaves the workload as it was, and a run can be shrunk part by part.

    Args:
        seed: Of the run.
        name: What the stream is for: `schedule`, `faults`, `user`.
    """

    def __init__(self, seed: int, name: str) -> None:
        self._seed = seed
        self._name = name
        self._draw = random.Random(f"{seed}/{name}").random  # noqa: S311 -- a simulation, no secret

    def stream(self, name: str) -> "Chance":
        """Return another stream of the same seed."""
        return Chance(self._seed, f"{self._name}/{name}")

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return self._draw()

    def below(self, limit: int) -> int:
        """Return a number in [0, *limit*)."""
        return int(self._draw() * limit)

    def between(self, low: int, high: int) -> int:
        """Return a number in [*low*, *high*]."""
        return low + self.below(high - low + 1)

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of *options*."""
        return options[self.below(len(options))]

    def some_of(self, options: Sequence[T], probability: float) -> list[T]:
        """Return those of *options* that a coin of *probability* chooses, in their order."""
        return [option for option in options if self._draw() < probability]

    def is_so(self, probability: float) -> bool:
        """Throw a coin."""
        return self._draw() < probability

    def span(self, low: timedelta, high: timedelta) -> timedelta:
        """Return a time between *low* and *high*, to the millisecond."""
        milliseconds = self.between(int(low / MILLISECOND), int(high / MILLISECOND))
        return milliseconds * MILLISECOND


MILLISECOND = timedelta(milliseconds=1)


class SeededEntropy:
    """The product's `Entropy`, drawn from a stream."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return self._chance.fraction()

    def suffix(self, length: int) -> str:
        """Return *length* characters of Kubernetes' name alphabet."""
        return "".join(self._chance.one_of(NAME_ALPHABET) for _ in range(length))

    def uid(self) -> str:
        """Return a version 4 UUID."""
        bits = 0
        for _ in range(4):
            bits = bits << 32 | self._chance.below(1 << 32)
        return uuid4_from(bits)
