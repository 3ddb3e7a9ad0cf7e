"""Which faults were met in which phase of a release, and which must be in a long run.

A fault that is drawn but never met tests nothing: it may come too late, miss its target, or be undone before
anybody notices. `REQUIRED` is the one place that says what a long run must have met.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from cafe_sim.harness.faults.catalogue import CATALOGUE

SEPARATOR: Final = " while "
PHASES: Final = {
    "starting": "start", "updating": "update", "waiting": "wait", "paused": "pause", "at rest": "rest",
    "refused": "refuse",
}  # fmt: skip
"""As `World.phase` tells them, and the heads of their columns."""
EVERYWHERE: Final = frozenset({"updating", "waiting", "at rest"})
"""What a release spends its time with; each fault must be met there."""
IN_MOTION: Final = frozenset({"updating"})
"""For what needs watch events, or a pod in the middle of its update."""
REQUIRED: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(CATALOGUE, EVERYWHERE),
    "watch drops events": IN_MOTION,
    "watch doubles events": IN_MOTION,
    "watch swaps events": IN_MOTION,
    "watch goes back in time": IN_MOTION,
    "own write never shows": IN_MOTION,
    "state of an update is corrupted": IN_MOTION,
    "somebody raises a gate": IN_MOTION,
}
"""By fault, in which phases it must be met."""


class Coverage:
    """Counts runs by what they met.

    Attributes:
        runs: How many were counted.
    """

    def __init__(self) -> None:
        self.runs = 0
        self._met: Counter[tuple[str, str]] = Counter()

    def add(self, labels: Iterable[str]) -> None:
        """Count one run."""
        self.runs += 1
        for label in labels:
            fault, _, phase = label.rpartition(SEPARATOR)
            self._met[fault, phase] += 1

    def count(self, fault: str, phase: str) -> int:
        """Return how many runs met *fault* in *phase*."""
        return self._met[fault, phase]

    def lacking(self, kinds: Collection[str]) -> list[str]:
        """Return the required labels of *kinds* that no run met."""
        return [
            f"{fault}{SEPARATOR}{phase}"
            for fault in kinds
            for phase in PHASES
            if phase in REQUIRED[fault] and not self._met[fault, phase]
        ]

    def table(self, kinds: Collection[str]) -> list[str]:
        """Return fault × phase: how many runs met it; `-` where none did though one must."""
        width = max((len(fault) for fault in kinds), default=0)
        lines = [" " * width + "".join(f" {head:>6}" for head in PHASES.values())]
        for fault in kinds:
            cells = "".join(f" {self._cell(fault, phase):>6}" for phase in PHASES)
            lines.append(f"{fault:{width}}{cells}".rstrip())
        return lines

    def _cell(self, fault: str, phase: str) -> str:
        count = self._met[fault, phase]
        return str(count) if count else ("-" if phase in REQUIRED[fault] else "")
