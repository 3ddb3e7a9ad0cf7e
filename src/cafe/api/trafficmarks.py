"""The marks of traffic on a pod: who employs it, who wants it out of traffic, and what is proven.

    metadata.finalizers   prot.cafe.sofastack.io/<id>   this employer may still send it requests
    annotations           expected                      employers without which it doesn't count
                          op.cafe.sofastack.io/<id>     somebody wants it out of traffic
                          ack.cafe.sofastack.io/<id>    what that employer's adapter has proven

A finalizer keeps the pod's object, never its containers: kubelet ends them whatever finalizers stand
(k8s#73584, k8s#76360). So everybody who would touch a pod asks first, and touches only what is drained.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field

from cafe.api.names import ACK_PREFIX, EXPECTED_ANNOTATION, OPERATION_PREFIX, PROTECTION_PREFIX

ID_LENGTH = 16


class OperationType(StrEnum):
    """What somebody wants a pod out of traffic for."""

    UPDATE = "Update"
    DELETE = "Delete"
    EVICT = "Evict"
    OFFLINE = "Offline"


class Operation(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One party's wish that a pod be out of traffic; several parties may hold one on the same pod.

    Attributes:
        type: What for.
        actor: Who: a controller's name, or a person's.
        start: When the wish was written. With the id it tells one wish from the next, so that nothing
            that was proven for an earlier one counts for this one.
        order: Of which release, for people; may be empty.
        force: 0 waits for every proof; 1 leaves out the quiet window; 2 leaves out the adapters of *skip*;
            3 waits for nothing.
        skip: Employers that are left out with force 2.
        reason: Why it is forced.
        is_operating: Whether what it was asked for has begun: no proof is needed any more, and the traffic
            is to stay away.
    """

    type: OperationType
    actor: str
    start: datetime
    order: str = ""
    force: int = 0
    skip: list[str] = field(default_factory=list)
    reason: str = ""
    is_operating: bool = field(default=False, name="operating")


class Ack(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What an employer's adapter has proven.

    Attributes:
        operations: Operations by id for which the traffic is gone, each with its start; empty once the
            traffic is back.
        uid: Of the pod: a reused name or address proves nothing.
        restarts: Of its containers, added up: one that restarted may have registered itself again.
        at: When it was proven.
        evidence: How, for people: what each replica of a load balancer said; or what is still waited for.
        is_stuck: Whether nothing is proven, though it has taken longer than it may.
    """

    uid: str
    restarts: int
    at: datetime
    operations: dict[str, datetime] = field(default_factory=dict)
    evidence: str = ""
    is_stuck: bool = field(default=False, name="stuck")


def employer_name(kind: str, namespace: str, name: str) -> str:
    """Return how an employer is called: a Service, or a pool of a provider."""
    return f"{kind}/{namespace}/{name}"


def employer_id(employer: str) -> str:
    """Return the id of an employer, by which its finalizer and its annotation are called."""
    return hashlib.sha256(employer.encode()).hexdigest()[:ID_LENGTH]


def protection_of(employer: str) -> str:
    """Return the finalizer by which an employer says that a pod may receive traffic from it."""
    return PROTECTION_PREFIX + employer_id(employer)


def write_expected(employers: Mapping[str, str]) -> str:
    """Return the annotation that names the employers without which a pod doesn't count."""
    return json.dumps(dict(employers), separators=(",", ":"), sort_keys=True)


def read_expected(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the expected finalizer of each employer; what can't be read expects nothing."""
    text = annotations.get(EXPECTED_ANNOTATION)
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError:
        return {}


def write_mark(mark: Operation | Ack) -> str:
    """Return the annotation that holds an operation or an acknowledgement."""
    return msgspec.json.encode(mark, order="sorted").decode()


def read_operations(annotations: Mapping[str, str]) -> dict[str, Operation]:
    """Return the operations that stand on a pod, by id.

    One that a person corrupted stands all the same: it counts from the epoch on, of nobody.
    """
    found: dict[str, Operation] = {}
    for key, text in annotations.items():
        if key.startswith(OPERATION_PREFIX):
            found[key.removeprefix(OPERATION_PREFIX)] = _read(text, Operation) or _UNREADABLE
    return found


def read_acks(annotations: Mapping[str, str]) -> dict[str, Ack]:
    """Return what is proven, by the employer's id; what can't be read is not proven."""
    found = {
        key.removeprefix(ACK_PREFIX): _read(text, Ack)
        for key, text in annotations.items()
        if key.startswith(ACK_PREFIX)
    }
    return {key: ack for key, ack in found.items() if ack is not None}


_UNREADABLE = Operation(type=OperationType.OFFLINE, actor="", start=datetime(1970, 1, 1, tzinfo=UTC))


def _read(text: str, kind: type[Any]) -> Any:  # noqa: ANN401 -- of that kind, or None
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError:
        return None
