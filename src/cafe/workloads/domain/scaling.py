"""Which pods of a set are made and which are deleted."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cafe.kernel.entropy import NAME_ALPHABET
from cafe.traffic.contract import LOWERED
from cafe.workloads.domain.budget import Budget, aims_at
from cafe.workloads.domain.crowd import Crowd, by_name
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.roster import InstanceFact, revisions_for, slots, take_stock
from cafe.workloads.domain.withdrawing import is_withdrawn, may_go

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SUFFIX_LENGTH = 5


@dataclass(frozen=True, slots=True)
class SetGoal:
    """What a set should look like.

    Attributes:
        uid: Of the set; part of what names its pods.
        partition: Pods that should run *update_revision*.
        current_revision: Hash of the revision the others keep.
    """

    name: str
    uid: str
    replicas: int
    partition: int
    max_unavailable: int
    update_revision: str
    current_revision: str


@dataclass(frozen=True, slots=True)
class Creation:
    """A pod to make: its name is a pure function of what was seen, so a repeated create meets itself.

    Attributes:
        instance: Number of the instance that it is.
    """

    name: str
    revision: str
    instance: int = 0


@dataclass(frozen=True, slots=True)
class Deletion:
    """A pod to delete, and why."""

    pod: PodFact
    reason: str


@dataclass(frozen=True, slots=True)
class Scale:
    """What to make and delete now; all empty if the number is right, or nothing can be done yet.

    Attributes:
        withdraw: Pods that are to be deleted, whose traffic must go first.
        leaving: UIDs of all pods that are on their way out of traffic for that.
    """

    create: tuple[Creation, ...] = ()
    delete: tuple[Deletion, ...] = ()
    withdraw: tuple[Deletion, ...] = ()
    leaving: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.create or self.delete or self.withdraw)

    @classmethod
    def of(cls, gone: Sequence[Deletion], create: Sequence[Creation] = ()) -> "Scale":
        """Return what is done about pods that are to go: each first leaves traffic, then it is deleted."""
        waiting = [d for d in gone if not may_go(d.pod)]
        return cls(
            create=tuple(create),
            delete=tuple(d for d in gone if may_go(d.pod)),
            withdraw=tuple(d for d in waiting if not is_withdrawn(d.pod)),
            leaving=frozenset(d.pod.uid for d in waiting),
        )


def nobody(_name: str) -> bool:
    """Say that no other pod has the name."""
    return False


def decide_scale(
    goal: SetGoal,
    pods: Collection[PodFact],
    budget: Budget,
    dwell: Dwell,
    is_taken: Callable[[str], bool] = nobody,
    stored: Sequence[InstanceFact] = (),
) -> Scale:
    """Bring the number of pods to `replicas`.

    Pods that ended (failed, evicted) and pods marked for deletion are deleted first, the latter within the
    budget unless they serve nobody. What then lacks is made: at the update revision until the partition is
    full, so that a pod lost from an open group comes back as a member of that group, and one lost from a
    waiting group comes back as it was.

    Args:
        goal: What the set should look like.
        pods: All pods of the set, those being deleted included: their names are not free yet.
        budget: What availability allows now.
        dwell: The moment of judging.
        is_taken: Whether another pod of the namespace has a name. A pod that left the set (its labels were
            changed) keeps its name, and the set, which sees what it saw before that pod was made, would
            choose it again.
        stored: The roster: which numbers pods had that are gone.
    """
    crowd = Crowd.of(pods, dwell)
    due = due_to_go(crowd.restless, budget.healthy, dwell)
    # One whose traffic must go first still counts: its replacement is made when it is deleted.
    gone = [d for d in due if may_go(d.pod)]
    leaving, called = {d.pod.uid for d in gone}, {d.pod.uid: d for d in due}
    staying = [p for p in crowd.unsettled() if p.uid not in leaving]
    missing = goal.replicas - len(staying) - crowd.calm_count()
    if missing < 0:
        # A ready pod that has not dwelt long enough serves nobody yet: it goes before any that does.
        ranked = sorted(deletion_order([*staying, *crowd.all_calm()]), key=dwell.is_available)
        # Who is out of traffic for it already goes first of all: else the choice would wander.
        ranked.sort(key=lambda pod: pod.uid not in called and not is_withdrawn(pod))
        chosen = [called.pop(p.uid, Deletion(p, LOWERED)) for p in ranked[:-missing]]
        return Scale.of([*gone, *chosen, *(d for uid, d in called.items() if uid not in leaving)])
    # A pod asked to go is replaced once it is gone from the count, so that replicas is never exceeded.
    updated = sum(aims_at(p, goal.update_revision) for p in staying) + crowd.calm_at(goal.update_revision)
    fresh = max(0, min(missing, goal.partition - updated))
    if not missing:
        return Scale.of(due)
    # Who goes in this pass leaves its number to who comes in its stead.
    stock = take_stock(stored, pods, goal.replicas)
    places = slots(stock, [p for p in pods if p.uid not in leaving], missing)
    revisions = revisions_for(places, fresh, goal.update_revision, goal.current_revision)
    names = fresh_names(goal, pods, is_taken)
    made = zip(places, revisions, strict=True)
    return Scale.of(due, [Creation(next(names), rev, place.number) for place, rev in made])


def due_to_go(pods: Iterable[PodFact], healthy: int, dwell: Dwell) -> list[Deletion]:
    """Return the pods that go whatever the number is, by name: first those that ended, then those marked.

    Of the marked, idle ones go freely, and at most *healthy* serving ones.
    """
    live = sorted((p for p in pods if not p.is_deleting), key=by_name)
    wanted = [p for p in live if p.is_delete_wanted and not p.is_over]
    idle = [p for p in wanted if not dwell.is_available(p)]
    serving = [p for p in wanted if dwell.is_available(p)]
    return [
        *(Deletion(p, f"it has {p.phase.lower()}") for p in live if p.is_over),
        *(Deletion(p, "its replacement was asked for") for p in (*idle, *serving[: max(0, healthy)])),
    ]


def deletion_order(pods: Sequence[PodFact]) -> list[PodFact]:
    """Rank pods for deletion, first to go first.

    As the ReplicaSet controller does (k8s `ActivePodsWithRanks`): unassigned, Pending, Unknown, not ready,
    lowest deletion cost, most crowded node, shortest ready, most restarts, newest.
    """
    crowd = Counter(p.node for p in pods if p.node)
    phases = {"Pending": 0, "Unknown": 1}

    def rank(pod: PodFact) -> tuple[object, ...]:
        return (
            bool(pod.node),
            phases.get(pod.phase, 2),
            pod.is_ready,
            pod.deletion_cost,
            -crowd[pod.node],
            -_seconds(pod.ready_since),
            -pod.restarts,
            -_seconds(pod.created_at),
            pod.name,
        )

    return sorted(pods, key=rank)


def _seconds(moment: datetime | None) -> float:
    return ((moment or EPOCH) - EPOCH).total_seconds()


def fresh_names(
    goal: SetGoal, pods: Collection[PodFact], is_taken: Callable[[str], bool] = nobody
) -> Iterator[str]:
    """Yield names for new pods, none of them taken, the same ones for the same view of the world.

    A create whose answer was lost is repeated under the same name and refused as existing, instead of
    doubling the pod (reliability rule 1: names are deterministic).
    """
    seen = hashlib.sha256(goal.uid.encode())
    for uid in sorted(p.uid for p in pods):
        seen.update(uid.encode())
    used = {p.name for p in pods}
    number = 0
    while True:
        draw = seen.copy()
        draw.update(str(number).encode())
        number += 1
        name = f"{goal.name}-{_suffix(draw.digest())}"
        if name not in used and not is_taken(name):
            used.add(name)
            yield name


def _suffix(digest: bytes) -> str:
    return "".join(NAME_ALPHABET[byte % len(NAME_ALPHABET)] for byte in digest[:SUFFIX_LENGTH])


def slow_start(count: int) -> Iterator[int]:
    """Yield batch sizes 1, 2, 4… that add up to *count*.

    A create that must fail (quota, a bad template) then fails once, not a thousand times.
    """
    size = 1
    while count > 0:
        batch = min(size, count)
        yield batch
        count -= batch
        size *= 2
