"""What a run does, as data: drawn from a seed, written to a tape, made smaller by shrinking.

Faults and steps are semantic ("after the third write of a pod's status, the reply is lost"), so that a plan
survives changes of the code under test; only the schedule hangs on every callback.
"""

from typing import Any

from msgspec import Struct, field

PLAN_VERSION = 1
"""Raised whenever an old plan would mean something else."""


class PlannedFault(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One fault.

    Attributes:
        kind: Its name in the catalogue.
        at: Seconds after the story's begin.
        lasts: Seconds; what it did is undone then.
        args: As the kind drew them.
        number: Which stream of chance is its own; None for its place in the list. A fault that shrinking left
            over keeps the stream that it had.
    """

    kind: str
    at: float
    lasts: float = 0.0
    args: dict[str, Any] = field(default_factory=dict)
    number: int | None = None


class PlannedStep(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One thing that a person does.

    Attributes:
        do: Its name among the users' actions.
        after: Seconds after the step before.
        args: As drawn.
    """

    do: str
    after: float = 0.0
    args: dict[str, Any] = field(default_factory=dict)


class Shape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large the world is, and the application in it.

    Attributes:
        cells: How many.
        nodes: Per cell.
        replicas: Of the application.
        batch: `strategy.batchSize`.
        unavailable: `strategy.maxUnavailable`, of each set.
        beta: Whether the release begins with a Beta.
        confirm: `strategy.needWaitingForConfirm`.
        grace: `strategy.gracePeriodSeconds`.
        dwell: `strategy.minReadySeconds`.
        policy: `strategy.podUpgradePolicy`.
        candidates: Replicas of the controller.
        servers: API servers before the store.
        slowest: The longest that a request travels, in milliseconds.
        history: Commits of each kind that can be watched from.
        mind: Seconds that the operator takes to confirm.
        lease: Seconds after which another candidate may take over; the election's other times go with it.
        kind: `podSetType`: which kind of pod set serves each unit.
        surge: `strategy.maxSurge`, of each unit.
        cpu: Thousandths of a CPU that each pod asks for at first; 0 for none, and none it stays.
        moves: Whether `topology.autoReschedule` is enabled.
        tolerance: `strategy.failureTolerance`.
        cold: Whether another amount of CPU needs a restart of its container.
        carriers: Processes of the balancer before the application; 0 for no balancer, and no Service either.
        silence: Seconds for which nothing may be written in the end: more than the controllers' recheck of
            five minutes; half an hour, which most of a run's time would go into, in one world of sixteen.
    """

    cells: int = 2
    nodes: int = 2
    replicas: int = 4
    batch: int = 2
    unavailable: int = 1
    beta: bool = True
    confirm: bool = False
    grace: int = 0
    dwell: int = 0
    policy: str = "InPlaceIfPossible"
    candidates: int = 2
    servers: int = 3
    slowest: int = 8
    history: int = 10_000
    mind: float = 5.0
    lease: int = 15
    kind: str = "InPlaceSet"
    surge: int = 0
    cpu: int = 0
    cold: bool = False
    moves: bool = False
    tolerance: int = 0
    carriers: int = 0
    silence: float = 330.0


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole run.

    Attributes:
        seed: Of all streams of chance.
        disorder: The share of callbacks that are drawn instead of taken in turn.
        order_until: From this callback on in turn; None draws to the end.
    """

    seed: int
    version: int = PLAN_VERSION
    shape: Shape = Shape()
    steps: tuple[PlannedStep, ...] = ()
    faults: tuple[PlannedFault, ...] = ()
    disorder: float = 0.5
    order_until: int | None = None
