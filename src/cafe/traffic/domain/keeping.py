"""What a pod's marks should say, whoever carries its traffic: the janitor's and the gatekeeper's work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cafe.api.trafficmarks import Operation, OperationType
from cafe.traffic.contract import EVICTION, RETIREMENT
from cafe.traffic.domain.facts import Employer, PodTraffic

HEARTBEAT = timedelta(minutes=3)
"""What is not asked for again for so long was given up: kubectl drain asks every five seconds."""

TYPES = {EVICTION: OperationType.EVICT, RETIREMENT: OperationType.DELETE}
"""The operations that are asked for again and again, as long as they are wanted."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asked for a pod to be drained.

    Attributes:
        age: How long ago they did so last.
        reason: For people.
    """

    age: timedelta
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """Take away what is no longer anybody's: the finalizers, and the employers from the expected ones."""

    finalizers: tuple[str, ...]
    employers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RaiseGate:
    """Let the pod serve: nobody wants it out of traffic."""


@dataclass(frozen=True, slots=True)
class LowerGate:
    """Keep the pod from serving: somebody wrote a wish, and couldn't write the gate."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Have the pod taken out of traffic."""

    name: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Drop an operation that nobody stands for any more."""

    name: str


Action = Drop | RaiseGate | LowerGate | Ask | GiveBack


def keep(
    pod: PodTraffic,
    employers: Sequence[Employer],
    now: datetime,
    *,
    asked: Mapping[str, Asked] | None = None,
    is_served: bool = True,
) -> tuple[Action, ...]:
    """Return what to write into a pod now; at most one thing at a time, the most urgent first.

    Args:
        pod: The pod.
        employers: Who sends it requests by now, retired ones included.
        now: When an operation that is asked for begins.
        asked: By operation, who asked for it last.
        is_served: Whether somebody else writes the pod's gate when it is new.
    """
    known = {employer.finalizer for employer in employers}
    finalizers = tuple(sorted(pod.protections - known))
    names = {e.name for e in employers if not e.is_retired}
    stale = tuple(sorted(e for e in pod.expected if e not in names and pod.expected[e] not in known))
    if finalizers or stale:
        return (Drop(finalizers, stale),)
    if pod.is_leaving or pod.is_over:
        return ()
    action = _of_operations(pod, now, asked or {}) or _of_gate(pod, is_served=is_served)
    return (action,) if action is not None else ()


def _of_operations(pod: PodTraffic, now: datetime, asked: Mapping[str, Asked]) -> Ask | GiveBack | None:
    """Return what to do about operations that last as long as somebody asks for them."""
    for name, kind in TYPES.items():
        held, wish = pod.fact.operations.get(name), asked.get(name)
        is_wanted = wish is not None and wish.age < HEARTBEAT
        if wish is not None and is_wanted and held is None:
            return Ask(name, Operation(type=kind, actor=name, start=now, reason=wish.reason))
        if held is not None and not is_wanted and now - held.start >= HEARTBEAT:
            return GiveBack(name)
    return None


def _of_gate(pod: PodTraffic, *, is_served: bool) -> LowerGate | RaiseGate | None:
    """Return how the gate must change for the operations that stand."""
    if pod.fact.operations:
        return LowerGate() if pod.fact.is_gate_on else None
    return RaiseGate() if not pod.fact.is_gate_on and not is_served else None
