"""Which instance of a set is which pod: numbers that outlive pods.

A pod that is evicted comes back under another name, on another node, but as the same instance: with its
number in a label, by which monitoring and inventories know it, and at its revision. Living pods tell both
themselves; the roster, an object of its own, is for those that are gone. It follows the pods as a status
does, and may lag: what it lacks costs a number its continuity, nothing else.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from cafe.workloads.domain.facts import PodFact


@dataclass(frozen=True, slots=True)
class InstanceFact:
    """One instance.

    Attributes:
        number: Of the instance in its set, from 0.
        pod: Name of its pod, or of its last one.
        revision: Hash of the revision that the pod runs, or ran.
    """

    number: int
    pod: str
    revision: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a new pod.

    Attributes:
        number: Of the instance.
        revision: At which it was seen last; empty for a new one.
    """

    number: int
    revision: str = ""


def take_stock(
    stored: Sequence[InstanceFact], pods: Collection[PodFact], replicas: int
) -> tuple[InstanceFact, ...]:
    """Return the roster by what is seen: living pods, and as many vacancies as pods are missing.

    A pod without a number, made before there were any or adopted, keeps the one that the roster gave it.
    Where two pods have the same number (somebody copied a label), the first by name keeps it.

    Args:
        stored: The roster as it is.
        pods: All of the set.
        replicas: How many there should be; vacancies beyond that are given up, the highest number first.
    """
    known = {one.pod: one.number for one in stored}
    living = sorted((p for p in pods if not p.is_deleting and not p.is_over), key=lambda p: p.name)
    held: dict[int, InstanceFact] = {}
    unnumbered: list[PodFact] = []
    for pod in living:
        number = pod.instance if pod.instance is not None else known.get(pod.name)
        if number is None or number in held:
            unnumbered.append(pod)
        else:
            held[number] = InstanceFact(number, pod.name, pod.revision)
    gone = sorted((one for one in stored if one.number not in held), key=lambda one: one.number)
    vacant = gone[: max(0, replicas - len(living))]
    free = _unused({*held, *(one.number for one in vacant)})
    held |= {number: InstanceFact(number, p.name, p.revision) for number, p in zip(free, unnumbered)}  # noqa: B905 -- endless
    return tuple(sorted((*held.values(), *vacant), key=lambda one: one.number))


def slots(stock: Sequence[InstanceFact], pods: Collection[PodFact], missing: int) -> list[Slot]:
    """Return places for *missing* new pods: vacancies first, then new numbers."""
    living = {p.name for p in pods if not p.is_deleting and not p.is_over}
    vacant = [Slot(one.number, one.revision) for one in stock if one.pod not in living][:missing]
    fresh = _unused({one.number for one in stock})
    return vacant + [Slot(next(fresh)) for _ in range(missing - len(vacant))]


def revisions_for(places: Sequence[Slot], fresh: int, update: str, current: str) -> list[str]:
    """Return at which revision a pod is made in each place.

    Args:
        places: To be filled.
        fresh: How many must be at the update revision, so that the partition is full.
        update: The update revision.
        current: What the others keep. An instance that ran a third one, which was left half-way, comes back
            at this: what was left is often bad.
    """
    ranked = sorted(
        range(len(places)), key=lambda n: (places[n].revision != update, bool(places[n].revision), n)
    )
    chosen = {*ranked[:fresh]}
    return [update if n in chosen else current for n in range(len(places))]


def _unused(taken: set[int]) -> Iterator[int]:
    return (number for number in count() if number not in taken)
