"""How a release proceeds: its groups, whom it asks, what may be missing meanwhile."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from cafe.api.inplaceset import PERCENT_OR_COUNT, PodUpgradePolicy, UpgradePolicy
from cafe.api.shapes import IntOrPercent


class UpgradeType(StrEnum):
    """How a release begins."""

    BETA = "Beta"
    BATCH = "Batch"


class GroupStrategy(StrEnum):
    """How the pods behind Beta are cut into groups (workloads' domain, §4.2 of the product's rules)."""

    BATCH_SIZE = "BatchSize"
    EACH_ONE = "EachOne"
    ALL_ONE = "AllOne"
    CELL = "Cell"
    CELL_PERCENTAGE = "CellPercentage"
    COUNT = "Count"
    EXPLICIT = "Explicit"


class ConfirmStrategy(StrEnum):
    """After which groups a person is asked."""

    EACH = "Each"
    FIRST = "First"


class ScaleOut(StrEnum):
    """How pods are added."""

    AT_ONCE = "AtOnce"
    GROUPS = "Groups"


class Grouping(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How the pods behind Beta are cut into groups, if not simply by batchSize."""

    strategy: Annotated[
        GroupStrategy,
        Meta(
            description="BatchSize: batchSize pods a group, over all units. EachOne: one pod a group. "
            "AllOne: all in one. Cell: unit by unit, in the order of topology.values, each of them in count "
            "groups of nearly equal size. CellPercentage: "
            "percent of each unit's pods in every group. Count: count groups of nearly equal size, or more, "
            "if maxCapacity asks for it. Explicit: as batches say."
        ),
    ] = GroupStrategy.BATCH_SIZE
    count: Annotated[
        int,
        Meta(ge=1, le=1000, description="Least number of groups, for Count; groups of each unit, for Cell."),
    ] = 1
    max_capacity: Annotated[
        int, Meta(ge=0, le=100_000, description="Most pods in a group, for Count; 0 sets no limit.")
    ] = 0
    percent: Annotated[
        int, Meta(ge=1, le=100, description="Share of each unit's pods, rounded up, for CellPercentage.")
    ] = 100
    batches: Annotated[
        list[dict[str, int]],
        Meta(
            max_length=256,
            description="Pods of each unit, group by group, for Explicit. What they leave over makes one "
            "more group.",
        ),
    ] = field(default_factory=list)
    breakpoints: Annotated[
        list[Annotated[int, Meta(ge=1)]],
        Meta(
            max_length=256,
            description="Groups before which the release stops until a person confirms, whatever "
            "needWaitingForConfirm says.",
            extra_json_schema={"x-kubernetes-list-type": "set"},
        ),
    ] = field(default_factory=list)
    confirm: Annotated[
        ConfirmStrategy,
        Meta(description="With needWaitingForConfirm: after Each group, or only after the First one."),
    ] = ConfirmStrategy.EACH


def _by_cell() -> Grouping:
    return Grouping(strategy=GroupStrategy.CELL, count=3)


class RollbackStrategy(Struct, frozen=True, kw_only=True, rename="camel"):
    """How the way back to an earlier revision proceeds."""

    grouping: Annotated[
        Grouping,
        Meta(
            description="How the pods that must go back are cut into groups. There is no Beta.",
            extra_json_schema={"default": {"strategy": "Cell", "count": 3}},
        ),
    ] = field(default_factory=_by_cell)
    need_waiting_for_confirm: Annotated[
        bool, Meta(description="Stop after every group until a person confirms it.")
    ] = False


class CafeDeploymentStrategy(Struct, frozen=True, kw_only=True, rename="camel"):
    """How a release proceeds."""

    upgrade_type: Annotated[
        UpgradeType,
        Meta(description="Beta puts one group in front: exactly one pod of every unit. Batch does not."),
    ] = UpgradeType.BETA
    batch_size: Annotated[
        int, Meta(ge=1, le=100_000, description="Pods per group, summed over all units.")
    ] = 1
    grouping: Annotated[
        Grouping,
        Meta(
            description="How the pods behind Beta are cut into groups, if not simply by batchSize.",
            extra_json_schema={"default": {}},
        ),
    ] = field(default_factory=Grouping)
    max_unavailable: Annotated[
        IntOrPercent,
        Meta(
            description="Most pods of the application that may be unavailable at once, and most of any one "
            "unit: a count, or a percentage of these pods, rounded up. Releases, replacements and evictions "
            "share it.",
            extra_json_schema=PERCENT_OR_COUNT,
        ),
    ] = "25%"
    max_surge: Annotated[
        IntOrPercent,
        Meta(
            description="With podSetType ReplicaSet: most pods of one unit above its number while a group is "
            "updated: a count, or a percentage of the unit's pods, rounded up. None while paused.",
            extra_json_schema=PERCENT_OR_COUNT,
        ),
    ] = 0
    min_ready_seconds: Annotated[
        int, Meta(ge=0, description="Seconds a pod must be ready to count as available.")
    ] = 0
    need_waiting_for_confirm: Annotated[
        bool, Meta(description="Stop after every group until a person confirms it.")
    ] = False
    failure_tolerance: Annotated[
        IntOrPercent,
        Meta(
            description="Pods of a group that need not serve before the next group may begin: a count, or a "
            "percentage of the group, rounded down. They must serve before the release is whole, and "
            "maxUnavailable counts them all the same.",
            extra_json_schema=PERCENT_OR_COUNT,
        ),
    ] = 0
    rollback: Annotated[
        RollbackStrategy,
        Meta(
            description="How the way back to an earlier revision proceeds: the pods that were touched, in "
            "groups of their own.",
            extra_json_schema={"default": {}},
        ),
    ] = field(default_factory=RollbackStrategy)
    scale_out: Annotated[
        ScaleOut,
        Meta(
            description="AtOnce: if there are to be more pods in the same units, they are made at once, of "
            "the revision that runs there; in the middle of a release, of the one that is left, and brought "
            "to the new one by the groups to come (StatefulSets, which can't, wait for their group). Groups: "
            "pods are added group by group, with Beta and confirmations, as on a first deployment."
        ),
    ] = ScaleOut.AT_ONCE
    progress_deadline_seconds: Annotated[
        int,
        Meta(
            ge=0,
            description="Seconds without progress after which the release is called stalled; waiting for a "
            "person and pauses don't count. 0 waits for ever.",
        ),
    ] = 600
    pause: Annotated[bool, Meta(description="Start no further pod.")] = False
    pod_upgrade_policy: UpgradePolicy = PodUpgradePolicy.IN_PLACE_IF_POSSIBLE
    grace_period_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=3600,
            description="Seconds between a readiness gate's fall and the change of the image, in which "
            "traffic drains.",
        ),
    ] = 0
