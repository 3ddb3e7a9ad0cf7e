"""Taking pods out of traffic before they are touched: what a set asks for, and when it may go on."""

from datetime import datetime

from cafe.api.trafficmarks import Operation, OperationType
from cafe.workloads.domain.facts import PodFact

UPDATE = "update"
"""Name of the operation that stands while a pod is changed in place."""

DELETE = "delete"
"""Name of the one that stands until a pod is deleted."""

ACTOR = "cafe-controller"


def operation_for(name: str, now: datetime, order: str = "", reason: str = "") -> Operation:
    """Return the operation *name* as it is asked for now, for the sake of *order*, and why."""
    kind = OperationType.UPDATE if name == UPDATE else OperationType.DELETE
    return Operation(type=kind, actor=ACTOR, start=now, order=order, reason=reason)


def is_withdrawn(pod: PodFact) -> bool:
    """Whether a pod's traffic is being taken away so that it can be deleted."""
    return DELETE in pod.traffic.operations


def may_go(pod: PodFact) -> bool:
    """Whether a pod may be deleted: nobody sends it requests, that is proven, or it can't answer any more."""
    return not pod.traffic.is_guarded or pod.is_over or pod.traffic.is_drained_for(DELETE)


def may_be_changed(pod: PodFact) -> bool:
    """Whether the image of a pod whose gate is down may be written."""
    return not pod.traffic.is_guarded or pod.traffic.is_drained_for(UPDATE)


def is_asked_for(pod: PodFact) -> bool:
    """Whether it is on record that a pod is to be out of traffic in order to be changed, if need be."""
    return not pod.traffic.is_guarded or UPDATE in pod.traffic.operations


def own_operations(pod: PodFact) -> tuple[str, ...]:
    """Return the operations on a pod that its set asked for."""
    return tuple(name for name in (UPDATE, DELETE) if name in pod.traffic.operations)
