"""The pods of a set, parted into those to be looked at one by one and those of which the number is enough.

Nearly all pods of a large set just serve. A pass costs what the others cost: decisions loop over the
restless; of the calm they take the count, or the first few by name.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter

from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import DOOMED, PodFact

SHELF = 128
"""Pods that a shelf of a `Roll` begins with: near the square root of the 10,000 pods of a large set, where
copying one shelf and copying the list of shelves cost the same."""

by_name = attrgetter("name")


@dataclass(frozen=True, slots=True)
class Roll(Collection[PodFact]):
    """Pods in the order of their names. A change copies one shelf and the list of shelves, not all pods.

    Attributes:
        shelves: None of them empty; one after the other they are the roll.
        size: Pods on all shelves.
    """

    shelves: tuple[tuple[PodFact, ...], ...] = ()
    size: int = 0

    @classmethod
    def of(cls, pods: Iterable[PodFact]) -> "Roll":
        """Put *pods* in order."""
        ordered = sorted(pods, key=by_name)
        starts = range(0, len(ordered), SHELF)
        return cls(tuple(tuple(ordered[at : at + SHELF]) for at in starts), len(ordered))

    def plus(self, pod: PodFact) -> "Roll":
        """Return the roll with *pod*, whose name is not on it yet."""
        at = self._shelf_of(pod.name)
        shelf = self.shelves[at] if self.shelves else ()
        place = bisect_left(shelf, pod.name, key=by_name)
        grown = (*shelf[:place], pod, *shelf[place:])
        parts = (grown,) if len(grown) <= 2 * SHELF else (grown[:SHELF], grown[SHELF:])
        return Roll((*self.shelves[:at], *parts, *self.shelves[at + 1 :]), self.size + 1)

    def minus(self, name: str) -> "Roll":
        """Return the roll without the pod of that name; the same roll if there is none."""
        if not self.shelves:
            return self
        at = self._shelf_of(name)
        shelf = self.shelves[at]
        place = bisect_left(shelf, name, key=by_name)
        if place == len(shelf) or shelf[place].name != name:
            return self
        left = (*shelf[:place], *shelf[place + 1 :])
        return Roll((*self.shelves[:at], *((left,) if left else ()), *self.shelves[at + 1 :]), self.size - 1)

    def _shelf_of(self, name: str) -> int:
        return max(0, bisect_right(self.shelves, name, key=_first_name) - 1)

    def __iter__(self) -> Iterator[PodFact]:
        return chain.from_iterable(self.shelves)

    def __len__(self) -> int:
        return self.size

    def __contains__(self, pod: object) -> bool:
        return any(pod == one for one in self)


def _first_name(shelf: tuple[PodFact, ...]) -> str:
    return shelf[0].name


@dataclass(frozen=True, slots=True)
class Crowd(Collection[PodFact]):
    """All pods of a set at one moment; no two have the same name.

    Attributes:
        dwell: When, and by which rule, the calm were found calm.
        restless: Pods about which something may have to be decided, by name. One that has dwelt long enough
            since `dwell` may still be among them.
        calm: By revision, the pods that serve and of which nothing is wanted. No roll is empty.
    """

    dwell: Dwell
    restless: tuple[PodFact, ...] = ()
    calm: Mapping[str, Roll] = field(default_factory=dict)

    @classmethod
    def of(cls, pods: Collection[PodFact], dwell: Dwell) -> "Crowd":
        """Return *pods* parted: themselves, if they are a crowd whose calm are calm by *dwell* too."""
        if isinstance(pods, Crowd) and pods.is_valid(dwell):
            return pods
        restless, calm = _part(pods, dwell)
        return cls(dwell, restless, {revision: Roll.of(found) for revision, found in calm.items()})

    def is_valid(self, dwell: Dwell) -> bool:
        """Whether what is calm here is so by *dwell*: time only adds to it, unless a clock is set back."""
        if dwell.min_ready != self.dwell.min_ready:
            return False
        return not dwell.min_ready or dwell.now >= self.dwell.now

    def after(self, changes: Mapping[str, PodFact | None], dwell: Dwell) -> "Crowd":
        """Return the crowd after some pods changed and time went on; only these and the restless are judged.

        Args:
            changes: By name the new pod; None if it is gone.
            dwell: The new moment of judging.
        """
        if not changes and not dwell.min_ready and self.is_valid(dwell):
            return Crowd(dwell, self.restless, self.calm) if self.restless else self
        if not self.is_valid(dwell):
            everyone = {**{pod.name: pod for pod in self}, **changes}
            return Crowd.of([pod for pod in everyone.values() if pod is not None], dwell)
        judged = {pod.name: pod for pod in self.restless}
        calm = dict(self.calm)
        for name in changes.keys() - judged.keys():
            _remove(calm, name)
        restless, settled = _part((pod for pod in {**judged, **changes}.values() if pod is not None), dwell)
        for revision, pods in settled.items():
            roll = calm.get(revision)
            calm[revision] = Roll.of(pods) if roll is None else _join(roll, pods)
        return Crowd(dwell, restless, calm)

    def unsettled(self) -> list[PodFact]:
        """Return the restless that neither have ended nor are being deleted."""
        return [pod for pod in self.restless if not pod.is_deleting and not pod.is_over]

    def calm_count(self) -> int:
        """Return how many pods are calm."""
        return sum(map(len, self.calm.values()))

    def calm_at(self, revision: str) -> int:
        """Return how many pods of *revision* are calm."""
        return len(self.calm.get(revision, ()))

    def all_calm(self) -> Iterator[PodFact]:
        """Yield each calm pod."""
        return chain.from_iterable(self.calm.values())

    def revisions(self) -> Counter[str]:
        """Return how many pods, ended ones included, there are of each revision."""
        counts = Counter(pod.revision for pod in self.restless)
        counts.update({revision: len(roll) for revision, roll in self.calm.items()})
        return counts

    def __iter__(self) -> Iterator[PodFact]:
        return chain(self.restless, self.all_calm())

    def __len__(self) -> int:
        return len(self.restless) + self.calm_count()

    def __contains__(self, pod: object) -> bool:
        return any(pod == one for one in self)


def _part(pods: Iterable[PodFact], dwell: Dwell) -> tuple[tuple[PodFact, ...], Mapping[str, list[PodFact]]]:
    """Return the restless by name, and the calm by revision."""
    restless: list[PodFact] = []
    calm: dict[str, list[PodFact]] = {}
    for pod in pods:
        # What serves is Running and ready, has its gate up and no update under way, and stays.
        if dwell.is_done(pod) and not pod.is_delete_wanted and pod.deletion_cost != DOOMED:
            calm.setdefault(pod.revision, []).append(pod)
        else:
            restless.append(pod)
    return tuple(sorted(restless, key=by_name)), calm


def _join(roll: Roll, pods: Iterable[PodFact]) -> Roll:
    for pod in pods:
        roll = roll.plus(pod)
    return roll


def _remove(calm: dict[str, Roll], name: str) -> None:
    for revision, roll in calm.items():
        left = roll.minus(name)
        if left is not roll:
            if left:
                calm[revision] = left
            else:
                del calm[revision]
            return
