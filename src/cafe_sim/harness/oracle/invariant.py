"""What a rule of the oracle is."""

from collections.abc import Callable
from dataclasses import dataclass

from cafe_sim.harness.oracle.truth import Change, Truth

Check = Callable[[Truth, Change], str | None]


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that must hold.

    Attributes:
        name: For tapes, reports and `--only`.
        sentence: What must hold.
        source: Where the rule comes from.
        resource: Commits of which it judges.
        check: Returns how it is broken, or None. It sees the truth *before* the commit.
    """

    name: str
    sentence: str
    source: str
    resource: str
    check: Check
