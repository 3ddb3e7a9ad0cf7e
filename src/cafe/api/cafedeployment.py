"""CafeDeployment: one application over its cells or zones, released in groups counted across them."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from cafe.api.declaration import KindDeclaration, PrinterColumn, Rule, Scale
from cafe.api.inplaceset import BUDGET_RULE, PERCENT_OR_COUNT, SELECTOR_RULES, PodUpgradePolicy
from cafe.api.shapes import Condition, IntOrPercent, LabelSelector, Metadata, PodTemplate


class PodSetType(StrEnum):
    """Which kind of pod set serves a unit."""

    IN_PLACE_SET = "InPlaceSet"


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


class Grouping(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How the pods behind Beta are cut into groups, if not simply by batchSize."""

    strategy: Annotated[
        GroupStrategy,
        Meta(
            description="BatchSize: batchSize pods a group, over all units. EachOne: one pod a group. "
            "AllOne: all in one. Cell: unit by unit, in the order of topology.values. CellPercentage: "
            "percent of each unit's pods in every group. Count: count groups of nearly equal size, or more, "
            "if maxCapacity asks for it. Explicit: as batches say."
        ),
    ] = GroupStrategy.BATCH_SIZE
    count: Annotated[int, Meta(ge=1, le=1000, description="Least number of groups, for Count.")] = 1
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


class UnitType(StrEnum):
    """What the units of an application are."""

    CELL = "Cell"
    ZONE = "Zone"
    NONE = "None"


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
            description="Most pods of one unit that may be unavailable while a group is updated: a count, or "
            "a percentage of the unit's pods, rounded up.",
            extra_json_schema=PERCENT_OR_COUNT,
        ),
    ] = "25%"
    min_ready_seconds: Annotated[
        int, Meta(ge=0, description="Seconds a pod must be ready to count as available.")
    ] = 0
    need_waiting_for_confirm: Annotated[
        bool, Meta(description="Stop after every group until a person confirms it.")
    ] = False
    progress_deadline_seconds: Annotated[
        int,
        Meta(
            ge=0,
            description="Seconds without progress after which the release is called stalled; waiting for a "
            "person and pauses don't count. 0 waits for ever.",
        ),
    ] = 600
    pause: Annotated[bool, Meta(description="Start no further pod.")] = False
    pod_upgrade_policy: Annotated[
        PodUpgradePolicy,
        Meta(
            description="InPlaceIfPossible replaces a pod only if the change can't be made in place; "
            "InPlaceOnly refuses such a change; Recreate always replaces."
        ),
    ] = PodUpgradePolicy.IN_PLACE_IF_POSSIBLE
    grace_period_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=3600,
            description="Seconds between a readiness gate's fall and the change of the image, in which "
            "traffic drains.",
        ),
    ] = 0


class Topology(Struct, frozen=True, kw_only=True, rename="camel"):
    """Over which units the pods are spread."""

    unit_type: Annotated[UnitType, Meta(description="What a unit is; None means a single one.")] = (
        UnitType.NONE
    )
    values: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=63)]],
        Meta(
            max_length=64,
            description="Names of the units, as nodes carry them in their labels.",
            extra_json_schema={"x-kubernetes-list-type": "set"},
        ),
    ] = field(default_factory=list)
    unit_replicas: Annotated[
        dict[str, IntOrPercent],
        Meta(
            max_length=64,
            description="Units whose size is fixed: a count, or a percentage of replicas rounded half up. "
            "They are served before the rest is spread evenly.",
        ),
    ] = field(default_factory=dict)


class CafeDeploymentSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """One application over its units, released in groups."""

    selector: Annotated[LabelSelector, Meta(description="Which pods belong to the application. Immutable.")]
    template: Annotated[PodTemplate, Meta(description="A pod at the newest revision.")]
    replicas: Annotated[int, Meta(ge=0, le=100_000, description="Pods wanted, over all units.")] = 1
    pod_set_type: Annotated[PodSetType, Meta(description="Kind of pod set that serves each unit.")] = (
        PodSetType.IN_PLACE_SET
    )
    strategy: Annotated[
        CafeDeploymentStrategy, Meta(description="How a release proceeds.", extra_json_schema={"default": {}})
    ] = field(default_factory=CafeDeploymentStrategy)
    topology: Annotated[
        Topology, Meta(description="Over which units the pods are spread.", extra_json_schema={"default": {}})
    ] = field(default_factory=Topology)
    history_limit: Annotated[int, Meta(ge=0, description="Revisions kept beside those in use.")] = 20


class UnitPlan(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the plan knows of one unit."""

    name: Annotated[str, Meta(description="The unit; empty if the application has no units.")] = ""
    quota: Annotated[int, Meta(description="Pods the unit will have.")] = 0
    base: Annotated[int, Meta(description="Pods at the revision when the plan was made.")] = 0
    floor: Annotated[
        int, Meta(description="Pods, of any revision, that it keeps until the last group is done.")
    ] = 0


class GroupPlan(Struct, frozen=True, kw_only=True, rename="camel"):
    """One group: how many pods of each unit it covers."""

    index: Annotated[int, Meta(description="0 is Beta; the others count from 1.")] = 0
    units: Annotated[dict[str, int], Meta(description="Pods per unit.")] = field(default_factory=dict)


class Plan(Struct, frozen=True, kw_only=True, rename="camel"):
    """The groups of a release, computed once and then followed."""

    hash: Annotated[str, Meta(description="Digest of the plan; a confirmation names it.")] = ""
    revision: Annotated[str, Meta(description="The revision that is released.")] = ""
    batch_size: Annotated[int, Meta(description="batchSize the plan was made with.")] = 0
    upgrade_type: Annotated[str, Meta(description="upgradeType the plan was made with.")] = ""
    grouping: Annotated[
        str, Meta(description="Digest of the grouping the plan was made with; empty for batchSize alone.")
    ] = ""
    units: Annotated[list[UnitPlan], Meta(description="The units, in order.")] = field(default_factory=list)
    groups: Annotated[list[GroupPlan], Meta(description="The groups, in order.")] = field(
        default_factory=list
    )


class Waiting(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the release waits for. For a confirmation, group, revision and plan are named."""

    reason: Annotated[str, Meta(description="One CamelCase word.")] = ""
    message: Annotated[str, Meta(description="For people: what, why, and what to do.")] = ""
    group: Annotated[int | None, Meta(description="The group that waits.")] = None
    revision: Annotated[str, Meta(description="The revision that is released.")] = ""
    plan_hash: Annotated[str, Meta(description="The plan that is followed.")] = ""


class UnitStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """One unit at the last pass."""

    name: Annotated[str, Meta(description="The unit.")] = ""
    desired: Annotated[int, Meta(description="Pods the unit should have in the end.")] = 0
    partition: Annotated[int, Meta(description="Pods that may run the newest revision by now.")] = 0
    replicas: Annotated[int, Meta(description="Pods that exist.")] = 0
    updated: Annotated[int, Meta(description="Pods at the newest revision.")] = 0
    available: Annotated[int, Meta(description="Pods that are available.")] = 0
    updated_available: Annotated[int, Meta(description="Available pods at the newest revision.")] = 0
    reason: Annotated[str, Meta(description="What the unit waits for, one word; empty if nothing.")] = ""
    message: Annotated[str, Meta(description="The same for people.")] = ""


class GroupStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """One group at the last pass."""

    index: Annotated[int, Meta(description="0 is Beta; the others count from 1.")] = 0
    state: Annotated[str, Meta(description="Pending, Updating, WaitingForConfirm or Done.")] = ""
    done: Annotated[int, Meta(description="Pods of the group that are updated and available.")] = 0
    total: Annotated[int, Meta(description="Pods of the group.")] = 0


class CafeDeploymentStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the release stands and what it waits for."""

    observed_generation: Annotated[int, Meta(description="The spec this status speaks of.")] = 0
    phase: Annotated[
        str, Meta(description="Progressing, WaitingForConfirm, Paused, Complete or Refused.")
    ] = ""
    progress: Annotated[str, Meta(description="Where in the plan, for people: 'Beta', '1/2', 'done'.")] = ""
    replicas: Annotated[int, Meta(description="Pods that exist.")] = 0
    ready_replicas: Annotated[int, Meta(description="Pods that are ready.")] = 0
    available_replicas: Annotated[int, Meta(description="Pods that are available.")] = 0
    updated_replicas: Annotated[int, Meta(description="Pods at the newest revision.")] = 0
    updated_available_replicas: Annotated[int, Meta(description="Available ones of those.")] = 0
    current_revision: Annotated[str, Meta(description="The last revision that was released whole.")] = ""
    update_revision: Annotated[str, Meta(description="Revision of the template.")] = ""
    collision_count: Annotated[int, Meta(description="Hash collisions met so far.")] = 0
    label_selector: Annotated[str, Meta(description="The selector as a string, for scale.")] = ""
    plan: Annotated[Plan | None, Meta(description="The plan that is followed.")] = None
    current_group: Annotated[int | None, Meta(description="The last group that was opened.")] = None
    confirmed_group: Annotated[int | None, Meta(description="The last group that a person confirmed.")] = None
    waiting: Annotated[Waiting | None, Meta(description="What the release waits for.")] = None
    groups: Annotated[list[GroupStatus], Meta(description="The groups.")] = field(default_factory=list)
    units: Annotated[list[UnitStatus], Meta(description="The units.")] = field(default_factory=list)
    progress_time: Annotated[str, Meta(description="When the release last got on.")] = ""
    conditions: Annotated[
        list[Condition],
        Meta(description="What is so and why.", extra_json_schema={"x-kubernetes-list-map-keys": ["type"]}),
    ] = field(default_factory=list)


class CafeDeployment(Struct, frozen=True, kw_only=True, rename="camel"):
    """One CafeDeployment as the API holds it."""

    spec: CafeDeploymentSpec
    metadata: Metadata = field(default_factory=Metadata)
    status: CafeDeploymentStatus = field(default_factory=CafeDeploymentStatus)


DECLARATION = KindDeclaration(
    kind="CafeDeployment",
    plural="cafedeployments",
    short_names=("cafed",),
    type=CafeDeployment,
    description="One application over its cells or zones, released in groups counted across them.",
    rules=(
        *SELECTOR_RULES,
        BUDGET_RULE,
        Rule(
            rule="(self.topology.unitType == 'None') == "
            "(!has(self.topology.values) || size(self.topology.values) == 0)",
            message="topology.values names the units exactly if topology.unitType is Cell or Zone",
            field_path=".spec.topology.values",
        ),
        Rule(
            rule="self.strategy.grouping.strategy != 'Explicit' || (has(self.strategy.grouping.batches) && "
            "size(self.strategy.grouping.batches) > 0)",
            message="with Explicit, strategy.grouping.batches must say how many pods are in which group",
            field_path=".spec.strategy.grouping",
        ),
        Rule(
            rule="!has(self.topology.unitReplicas) || (has(self.topology.values) && "
            "self.topology.unitReplicas.all(u, u in self.topology.values))",
            message="topology.unitReplicas pins a unit that topology.values doesn't name",
            field_path=".spec.topology.unitReplicas",
        ),
    ),
    columns=(
        PrinterColumn("Desired", "integer", ".spec.replicas"),
        PrinterColumn("Updated", "integer", ".status.updatedReplicas"),
        PrinterColumn("Available", "integer", ".status.availableReplicas"),
        PrinterColumn("Group", "string", ".status.progress"),
        PrinterColumn("Phase", "string", ".status.phase"),
        PrinterColumn("Why", "string", ".status.waiting.message"),
        PrinterColumn("Age", "date", ".metadata.creationTimestamp"),
        PrinterColumn("Revision", "string", ".status.updateRevision", 1),
        PrinterColumn("Plan", "string", ".status.plan.hash", 1),
    ),
    scale=Scale(
        spec_path=".spec.replicas", status_path=".status.replicas", selector_path=".status.labelSelector"
    ),
)
