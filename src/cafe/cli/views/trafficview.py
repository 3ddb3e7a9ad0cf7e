"""How a pod's traffic stands, as its own marks tell it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cafe.api.names import PROTECTION_PREFIX
from cafe.api.trafficmarks import (
    Ack,
    Operation,
    OperationType,
    employer_id,
    read_acks,
    read_expected,
    read_operations,
)
from cafe.cli.ports import Document


@dataclass(frozen=True, slots=True)
class TrafficLine:
    """One pod.

    Attributes:
        phase: Unguarded, Serving, Attaching, Draining, Drained, Held, DrainStuck or Forced.
        employers: Those from which it may still receive requests while it drains; else those it waits for,
            or has.
        why: Who wants it out of traffic and what proves that it is, or what is still waited for.
    """

    pod: str
    phase: str
    employers: Sequence[str] = ()
    since: datetime | None = None
    why: str = ""


def line_of(pod: Document) -> TrafficLine:
    """Return how a pod's traffic stands."""
    meta = pod["metadata"]
    notes = meta.get("annotations") or {}
    expected, operations, acks = read_expected(notes), read_operations(notes), read_acks(notes)
    held = {f for f in meta.get("finalizers") or () if f.startswith(PROTECTION_PREFIX)}
    names = {finalizer: employer for employer, finalizer in expected.items()}
    holders = sorted(names.get(f, f.removeprefix(PROTECTION_PREFIX)) for f in held)
    missing = sorted(employer for employer, finalizer in expected.items() if finalizer not in held)
    if operations:
        return _asked(str(meta["name"]), operations, acks, holders, sorted(expected))
    if not expected and not held:
        return TrafficLine(meta["name"], "Unguarded")
    if missing:
        return TrafficLine(meta["name"], "Attaching", missing)
    return TrafficLine(meta["name"], "Serving", holders)


def _asked(
    pod: str,
    operations: dict[str, Operation],
    acks: dict[str, Ack],
    holders: list[str],
    expected: list[str],
) -> TrafficLine:
    """Return how a pod stands that somebody wants out of traffic."""
    since = min(op.start for op in operations.values())
    who = ", ".join(f"{op.type} by {op.actor}" for _, op in sorted(operations.items()))
    told = {employer: acks[employer_id(employer)] for employer in expected if employer_id(employer) in acks}
    stuck = {employer: ack for employer, ack in told.items() if ack.is_stuck}
    if stuck:
        evidence = "; ".join(f"{employer}: {ack.evidence}" for employer, ack in stuck.items())
        return TrafficLine(pod, "DrainStuck", holders, since, f"{who}; {evidence}")
    if any(op.force for op in operations.values()):
        reasons = ", ".join(op.reason for op in operations.values() if op.force)
        return TrafficLine(pod, "Forced", holders, since, f"{who}: {reasons}")
    waiting = {name for name, op in operations.items() if not op.is_operating}
    proven = all(e in told and waiting <= set(told[e].operations) for e in expected)
    if holders or not proven:
        return TrafficLine(pod, "Draining", holders, since, who)
    phase = "Held" if all(op.type is OperationType.OFFLINE for op in operations.values()) else "Drained"
    evidence = "; ".join(f"{employer}: {ack.evidence}" for employer, ack in told.items())
    return TrafficLine(pod, phase, (), since, f"{who}; {evidence}" if evidence else who)
