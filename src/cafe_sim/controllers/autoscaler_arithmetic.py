"""How many pods a metric asks for.

The law: as many as bring the average to the target, unless the average is within the tolerance of it. Pods
whose use is not known must not make the answer bolder: they count as idle when it is about more pods, and as
busy when it is about fewer; and if they turn the direction around, nothing is changed.

Ratios are floats, as they are in kube-controller-manager, so that what is rounded up is the same here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import ceil
from typing import NamedTuple, Protocol


class Unmeasurable(Exception):
    """Nothing can be said; the text tells why in the words of kube-controller-manager."""


class Standing(Enum):
    """What a pod's sample is good for."""

    COUNTED = "counted"
    UNREADY = "unready"
    """It runs not yet, or is still starting up: what it uses says nothing."""
    MISSING = "missing"
    """It runs, and nobody knows what it uses."""
    IGNORED = "ignored"
    """It fails, or goes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One pod: *used* and *requested* in thousandths of the resource's unit."""

    standing: Standing
    used: int = 0
    requested: int = 0


class Measure(NamedTuple):
    """What pods use: *ratio* to the target, *average* in thousandths a pod, *percent* of their requests."""

    ratio: float
    average: int
    percent: int | None = None


class Goal(Protocol):
    """What is wanted of the average."""

    def measure(self, samples: Sequence[Sample]) -> Measure:
        """Return what *samples* use.

        Raises:
            Unmeasurable: They ask for nothing, so that there are no percents of it.
        """

    def busy(self, sample: Sample) -> int:
        """Return what a pod of unknown use counts for when it is about fewer pods."""


@dataclass(frozen=True, slots=True)
class Utilization:
    """So many *percent* of what the pods request."""

    percent: int

    def measure(self, samples: Sequence[Sample]) -> Measure:
        """Return what *samples* use.

        Raises:
            Unmeasurable: They request nothing.
        """
        requested = sum(sample.requested for sample in samples)
        if requested == 0:
            raise Unmeasurable("no metrics returned matched known pods")
        used = sum(sample.used for sample in samples)
        percent = used * 100 // requested
        return Measure(percent / self.percent, used // len(samples), percent)

    def busy(self, sample: Sample) -> int:
        """All that it requests, or the target if that is more."""
        return sample.requested * max(100, self.percent) // 100


@dataclass(frozen=True, slots=True)
class AverageUse:
    """So much a pod, in thousandths."""

    amount: int

    def measure(self, samples: Sequence[Sample]) -> Measure:
        """Return what *samples* use."""
        average = sum(sample.used for sample in samples) // len(samples)
        return Measure(average / self.amount, average)

    def busy(self, sample: Sample) -> int:
        """Exactly the target."""
        del sample
        return self.amount


class Tolerance(NamedTuple):
    """How far a ratio may lie from 1 before anything is done."""

    down: float = 0.1
    up: float = 0.1

    def holds(self, ratio: float) -> bool:
        """Tell whether a ratio is near enough."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Proposal(NamedTuple):
    """How many pods are proposed, and why: the use of the pods that count."""

    replicas: int
    measure: Measure


def propose(pods: Sequence[Sample], current: int, goal: Goal, tolerance: Tolerance) -> Proposal:
    """Return how many pods a metric asks for.

    Args:
        pods: All that the target's selector selects.
        current: How many are wanted now.
        goal: What is wanted of their average.
        tolerance: When nothing is done.

    Raises:
        Unmeasurable: No pod counts.
    """
    if not pods:
        raise Unmeasurable("no pods returned by selector while calculating replica count")
    counted = [pod for pod in pods if pod.standing is Standing.COUNTED]
    if not counted:
        raise Unmeasurable("did not receive metrics for targeted pods (pods might be unready)")
    first = goal.measure(counted)
    missing = [pod for pod in pods if pod.standing is Standing.MISSING]
    unready = [pod for pod in pods if pod.standing is Standing.UNREADY] if first.ratio > 1.0 else []
    if not missing and not unready:
        stays = tolerance.holds(first.ratio)
        return Proposal(current if stays else ceil(first.ratio * len(counted)), first)
    filled = [*counted, *_guessed(missing, first.ratio, goal), *(replace(pod, used=0) for pod in unready)]
    ratio = goal.measure(filled).ratio
    proposed = ceil(ratio * len(filled))
    turns = (first.ratio < 1.0 < ratio) or (ratio < 1.0 < first.ratio)
    against = (ratio < 1.0 and proposed > current) or (ratio > 1.0 and proposed < current)
    return Proposal(current if turns or against or tolerance.holds(ratio) else proposed, first)


def _guessed(missing: Sequence[Sample], ratio: float, goal: Goal) -> list[Sample]:
    if ratio < 1.0:
        return [replace(pod, used=goal.busy(pod)) for pod in missing]
    return [replace(pod, used=0) for pod in missing] if ratio > 1.0 else []
