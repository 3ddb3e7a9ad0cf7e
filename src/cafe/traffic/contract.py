"""What traffic offers to whoever would touch a pod: how it stands, and how to ask.

    begin ─▶ gate down, operation written ─▶ … adapters drain … ─▶ is_drained_for(id) ─▶ touch ─▶ end
                                                                        gate up ─▶ … ─▶ is_published

All of it is read from the pod and written to the pod, so that a new leader simply goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from msgspec.structs import replace

from cafe.api.names import EXPECTED_ANNOTATION, OPERATION_PREFIX, PROTECTION_PREFIX
from cafe.api.trafficmarks import (
    Ack,
    Operation,
    employer_id,
    read_acks,
    read_expected,
    read_operations,
    write_mark,
)
from cafe.kernel import ObjectKey

STUCK = "DrainStuck"
"""The reason that is told when a drain has taken longer than its deadline."""

DEADLINE = timedelta(seconds=120)
"""After so long a drain is stuck, unless the application declares another."""


class Phase(StrEnum):
    """Where a pod stands between serving and serving again."""

    SERVING = "Serving"
    DRAINING = "Draining"
    DRAINED = "Drained"
    ATTACHING = "Attaching"
    HELD = "Held"


@dataclass(frozen=True, slots=True)
class Marks:
    """What a pod carries, as far as traffic is concerned.

    Attributes:
        restarts: Of its containers, added up.
        has_gate: Whether it was made with the readiness gate; one that wasn't can't leave Services alive.
        is_gate_on: Whether the gate's condition is True.
    """

    uid: str
    restarts: int
    annotations: Mapping[str, str]
    finalizers: Sequence[str]
    has_gate: bool = True
    is_gate_on: bool = True


@dataclass(frozen=True, slots=True)
class TrafficFact:
    """How a pod's traffic stands.

    Attributes:
        holders: Employers from which it may still receive requests; the bare id of one that is unknown.
        missing: Employers that it should receive requests from and doesn't yet.
        operations: By id, who wants it out of traffic.
        acknowledged: Ids of operations for which every employer has proven that the traffic is gone, but for
            those that the operation skips.
        is_gate_on: Whether its gate lets it serve. A pod without the gate has it on as long as no operation
            stands on it: there is nothing to wait for.
        is_guarded: Whether anybody is known to send it requests.
        stuck: By employer, what a drain that has taken too long waits for.
        proofs: By employer's id, the operations for which it has proven that its traffic is gone.
    """

    holders: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    operations: Mapping[str, Operation] = field(default_factory=dict)
    acknowledged: frozenset[str] = frozenset()
    is_gate_on: bool = True
    is_guarded: bool = False
    stuck: Mapping[str, str] = field(default_factory=dict)
    proofs: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def told_stuck(self) -> str:
        """Return what drains wait for that have taken too long, for people; empty if none has."""
        return "; ".join(f"{employer}: {evidence}" for employer, evidence in self.stuck.items())

    def proven_by(self, employer: str) -> frozenset[str]:
        """Return the operations for which *employer* has proven that its traffic is gone."""
        return self.proofs.get(employer_id(employer), frozenset())

    @property
    def is_published(self) -> bool:
        """Whether its traffic is proven back, and nobody wants it gone."""
        return not self.missing and not self.operations and self.is_gate_on

    def is_drained_for(self, operation: str) -> bool:
        """Whether it may be touched by whoever holds that operation."""
        found = self.operations.get(operation)
        if found is None:
            return False
        if not self.is_guarded or found.force >= 3:
            return True
        is_held = bool(set(self.holders) - _skipped(found))
        return not self.is_gate_on and operation in self.acknowledged and not is_held

    @property
    def phase(self) -> Phase:
        """Return where it stands, in one word."""
        if self.operations:
            if not all(map(self.is_drained_for, self.operations)):
                return Phase.DRAINING
            is_held = all(op.type == "Offline" for op in self.operations.values())
            return Phase.HELD if is_held else Phase.DRAINED
        return Phase.SERVING if self.is_published else Phase.ATTACHING

    def oldest(self) -> datetime | None:
        """Return since when somebody has wanted it out of traffic."""
        return min((op.start for op in self.operations.values()), default=None)


UNGUARDED = TrafficFact()
"""A pod that nobody is known to send requests to."""


def stand_of(marks: Marks) -> TrafficFact:
    """Return how a pod's traffic stands, by what it carries."""
    expected = read_expected(marks.annotations)
    operations = read_operations(marks.annotations)
    protections = [f for f in marks.finalizers if f.startswith(PROTECTION_PREFIX)]
    if not expected and not operations and not protections:
        return UNGUARDED
    names = {finalizer: employer for employer, finalizer in expected.items()}
    acks = read_acks(marks.annotations)
    proofs = {
        employer: frozenset(name for name, op in operations.items() if _covers(ack, name, op, marks))
        for employer, ack in acks.items()
    }
    return TrafficFact(
        holders=tuple(sorted(names.get(f, f.removeprefix(PROTECTION_PREFIX)) for f in protections)),
        missing=tuple(sorted(e for e, finalizer in expected.items() if finalizer not in protections)),
        operations=operations,
        acknowledged=frozenset(
            name
            for name, op in operations.items()
            if all(name in proofs.get(employer_id(e), ()) for e in expected.keys() - _skipped(op))
        ),
        is_gate_on=marks.is_gate_on if marks.has_gate else not operations,
        is_guarded=bool(expected or protections),
        stuck=_stuck(expected, acks, marks) if operations else {},
        proofs=proofs,
    )


def _stuck(expected: Mapping[str, str], acks: Mapping[str, Ack], marks: Marks) -> dict[str, str]:
    """Return by employer what a drain that has taken too long waits for."""
    told = {employer: acks.get(employer_id(employer)) for employer in sorted(expected)}
    return {
        employer: ack.evidence
        for employer, ack in told.items()
        if ack is not None and ack.is_stuck and ack.uid == marks.uid
    }


def _skipped(operation: Operation) -> set[str]:
    """Return the employers that are not waited for: a person said so, with a reason that stays."""
    return set(operation.skip) if operation.force == 2 else set()


def _covers(ack: Ack, name: str, operation: Operation, marks: Marks) -> bool:
    """Whether an acknowledgement is of this pod, as it runs now, and of this very operation."""
    return (
        ack.uid == marks.uid
        and ack.restarts == marks.restarts
        and ack.operations.get(name) == operation.start
    )


class Expecting(Protocol):
    """Knows who sends requests to pods."""

    def expected_text(self, namespace: str, labels: Mapping[str, str]) -> str:
        """Return what a pod with these labels is to carry as its `expected` annotation; empty for nothing."""


class Confirming(Protocol):
    """Has looked at the traffic itself, and lately."""

    def is_confirmed(self, key: ObjectKey) -> bool:
        """Whether every employer of a pod was read back a moment ago, and had no traffic for it.

        What the pod's marks say may be old: they may have been written in another leader's time, and since
        then a load balancer may have forgotten what it was told.
        """


class TrafficWatch(Expecting, Confirming, Protocol):
    """What whoever makes and touches pods needs to know of their traffic."""


class Unemployed:
    """Nobody sends requests to anybody: where traffic is nobody's concern."""

    def expected_text(self, namespace: str, labels: Mapping[str, str]) -> str:
        """Return nothing."""
        del namespace, labels
        return ""

    def is_confirmed(self, key: ObjectKey) -> bool:
        """Return that there is nothing to look at."""
        del key
        return True


EVICTION = "evict"
"""Name of the operation that an eviction asks for."""

RETIREMENT = "retire"
"""Name of the one that is asked for before a native set's controller deletes a pod."""

LOWERED = "replicas was lowered"
"""The reason of a deletion that nobody comes after: who asked for no pods was told that nobody answers."""


class Drains(Confirming, Protocol):
    """Takes pods out of traffic for those who ask again and again until it is done."""

    def ask(self, key: ObjectKey, uid: str, name: str, reason: str = "") -> None:
        """Have a pod drained, since that is asked for now; given up if nobody asks any more.

        Args:
            key: Of the pod.
            uid: Of the pod.
            name: `EVICTION` or `RETIREMENT`.
            reason: For people.
        """


@dataclass(frozen=True, slots=True)
class Asking:
    """What is to be written into a pod, together with whatever its writer writes.

    Attributes:
        annotations: To set, or to take away where the value is None.
        gate: What the traffic gate's condition becomes; None leaves it as it is.
    """

    annotations: Mapping[str, str | None] = field(default_factory=dict)
    gate: bool | None = None


def begin(name: str, operation: Operation, expected: str = "") -> Asking:
    """Return what asks for a pod to be taken out of traffic; written again it only renews the wish.

    Args:
        name: Of the wish: `update`, or whatever tells one party from the other.
        operation: The wish.
        expected: Who sends the pod requests by now, as its annotation says it: what has been declared since
            the pod was made guards it, too. Empty leaves what the pod says.
    """
    told: dict[str, str | None] = {OPERATION_PREFIX + name: write_mark(operation)}
    return Asking(told | ({EXPECTED_ANNOTATION: expected} if expected else {}), gate=False)


def operating(name: str, operation: Operation) -> Asking:
    """Return what says that the pod is being touched now: written together with the touch."""
    return Asking({OPERATION_PREFIX + name: write_mark(replace(operation, is_operating=True))})


def end(fact: TrafficFact, name: str) -> Asking:
    """Return what gives a pod back: to traffic, unless somebody else still wants it gone."""
    others = fact.operations.keys() - {name}
    mine: dict[str, str | None] = {OPERATION_PREFIX + name: None} if name in fact.operations else {}
    return Asking(mine, gate=None if others else True)
