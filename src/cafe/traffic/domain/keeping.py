"""What a pod's marks should say, whoever carries its traffic: the janitor's and the gatekeeper's work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cafe.api.trafficmarks import Operation, OperationType
from cafe.traffic.contract import EVICTION
from cafe.traffic.domain.facts import Employer, PodTraffic

HEARTBEAT = timedelta(minutes=2)
"""An eviction that is not asked for again for so long was given up: kubectl drain asks every five seconds."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Take away what is no longer anybody's: the finalizers, and the employers from the expected ones."""

    finalizers: tuple[str, ...]
    employers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RaiseGate:
    """Let the pod serve: nobody wants it out of traffic."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Have the pod taken out of traffic."""

    name: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Drop an operation that nobody stands for any more."""

    name: str


Action = Drop | RaiseGate | Ask | GiveBack


def keep(
    pod: PodTraffic,
    employers: Sequence[Employer],
    now: datetime,
    *,
    asked: timedelta | None = None,
    is_served: bool = True,
) -> tuple[Action, ...]:
    """Return what to write into a pod now; at most one thing at a time, the most urgent first.

    Args:
        pod: The pod.
        employers: Who sends it requests by now, retired ones included.
        now: When an operation that is asked for begins.
        asked: How long ago an eviction of the pod was asked for last; None if it never was.
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
    held = pod.fact.operations.get(EVICTION)
    is_wanted = asked is not None and asked < HEARTBEAT
    if is_wanted and held is None:
        return (Ask(EVICTION, Operation(type=OperationType.EVICT, actor="eviction", start=now)),)
    if held is not None and not is_wanted and now - held.start >= HEARTBEAT:
        return (GiveBack(EVICTION),)
    if not pod.fact.operations and not pod.fact.is_gate_on and not is_served:
        return (RaiseGate(),)
    return ()
