"""When a ready pod counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cafe.workloads.domain.facts import HOPE, PodFact


@dataclass(frozen=True, slots=True)
class Dwell:
    """The moment of judging, and how long a pod must have been ready to count."""

    now: datetime
    min_ready: timedelta

    def is_available(self, pod: PodFact) -> bool:
        """Whether *pod* serves."""
        return pod.is_available(self.now, self.min_ready)

    def is_done(self, pod: PodFact) -> bool:
        """Whether *pod* serves and nothing of its update is outstanding."""
        return pod.state is None and self.is_available(pod)

    def next_change(self, pods: Iterable[PodFact]) -> timedelta | None:
        """Return how long until the first ready pod has dwelt long enough; None if none is waiting."""
        if not self.min_ready:
            return None
        ages = [self.now - p.ready_since for p in pods if p.is_ready and p.ready_since]
        waits = [self.min_ready - age for age in ages if age < self.min_ready]
        return min(waits, default=None)

    def next_loss(self, pods: Iterable[PodFact]) -> timedelta | None:
        """Return how long until the first of those that don't serve is given up; None if none will be."""
        waits = [HOPE - (self.now - p.unready_since) for p in pods if p.unready_since is not None]
        return min((wait for wait in waits if wait > timedelta(0)), default=None)
