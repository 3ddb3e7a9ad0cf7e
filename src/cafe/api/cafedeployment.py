"""CafeDeployment: one application over its cells or zones, released in groups counted across them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from cafe.api.declaration import KindDeclaration, PrinterColumn, Rule, Scale
from cafe.api.inplaceset import BUDGET_RULE, SELECTOR_RULES
from cafe.api.names import CELL_LABEL, ZONE_LABEL
from cafe.api.overrides import Overrides, override_rules
from cafe.api.shapes import Condition, IntOrPercent, LabelSelector, Metadata, PodTemplate
from cafe.api.strategy import CafeDeploymentStrategy


class PodSetType(StrEnum):
    """Which kind of pod set serves a unit."""

    IN_PLACE_SET = "InPlaceSet"
    REPLICA_SET = "ReplicaSet"
    STATEFUL_SET = "StatefulSet"


class UnitType(StrEnum):
    """What the units of an application are."""

    CELL = "Cell"
    ZONE = "Zone"
    NONE = "None"


NODE_LABELS: Mapping[UnitType, str] = {UnitType.CELL: CELL_LABEL, UnitType.ZONE: ZONE_LABEL}
"""The node label in which a unit's name stands."""


class AutoReschedule(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What becomes of pods for which their unit has no room."""

    is_enabled: Annotated[
        bool,
        Meta(
            description="Move the quota of pods for which no node of their unit has room to other units. "
            "Pods that have a node are never moved, nor those of units that unitReplicas pins."
        ),
    ] = field(default=False, name="enable")
    initial_delay_seconds: Annotated[
        int, Meta(ge=0, le=86_400, description="Seconds that such a pod is waited for.")
    ] = 30
    retry_seconds: Annotated[
        int,
        Meta(
            ge=10,
            le=86_400,
            description="Seconds after which a unit without room is tried again, by one pod beside those "
            "that serve in its stead.",
        ),
    ] = 300


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
    auto_reschedule: Annotated[
        AutoReschedule,
        Meta(description="What becomes of pods for which their unit has no room."),
    ] = field(default_factory=AutoReschedule)
    overrides: Overrides = field(default_factory=list)


class RetentionType(StrEnum):
    """What becomes of a claim whose pod is gone for good."""

    RETAIN = "Retain"
    DELETE = "Delete"


class ClaimRetention(Struct, frozen=True, kw_only=True, rename="camel"):
    """What becomes of the claims made from volumeClaimTemplates (KEP-1847)."""

    when_deleted: Annotated[RetentionType, Meta(description="When the unit is given up.")] = (
        RetentionType.RETAIN
    )
    when_scaled: Annotated[RetentionType, Meta(description="When a unit shrinks.")] = RetentionType.RETAIN


ServiceName = Annotated[
    str, Meta(max_length=63, description="With podSetType StatefulSet: the headless Service of its pods.")
]
ClaimTemplates = Annotated[
    list[Annotated[dict[str, Any], Meta(extra_json_schema={"x-kubernetes-preserve-unknown-fields": True})]],
    Meta(
        max_length=32,
        description="With podSetType StatefulSet: claims made for each pod, as core/v1 "
        "PersistentVolumeClaims. Immutable.",
    ),
]
RetentionPolicy = Annotated[
    ClaimRetention,
    Meta(
        description="With podSetType StatefulSet: what becomes of claims whose pods are gone for good.",
        extra_json_schema={"default": {}},
    ),
]


class CafeDeploymentSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """One application over its units, released in groups."""

    selector: Annotated[LabelSelector, Meta(description="Which pods belong to the application. Immutable.")]
    template: Annotated[PodTemplate, Meta(description="A pod at the newest revision.")]
    replicas: Annotated[int, Meta(ge=0, le=100_000, description="Pods wanted, over all units.")] = 1
    pod_set_type: Annotated[
        PodSetType,
        Meta(
            description="Kind of pod set that serves each unit. InPlaceSet updates pods without moving them. "
            "ReplicaSet replaces them, with one native ReplicaSet for each revision. StatefulSet replaces "
            "them from the highest ordinal down, and keeps names and volumes. Immutable."
        ),
    ] = PodSetType.IN_PLACE_SET
    service_name: ServiceName = ""
    volume_claim_templates: ClaimTemplates = field(default_factory=list)
    persistent_volume_claim_retention_policy: RetentionPolicy = field(default_factory=ClaimRetention)
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
    rollback: Annotated[
        bool, Meta(description="Whether it leads back to an earlier revision, by strategy.rollback.")
    ] = False
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
    skipped: Annotated[
        int, Meta(description="Pods at the newest revision for which a person said not to wait.")
    ] = 0
    reason: Annotated[str, Meta(description="What the unit waits for, one word; empty if nothing.")] = ""
    message: Annotated[str, Meta(description="The same for people.")] = ""


class GroupStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """One group at the last pass."""

    index: Annotated[int, Meta(description="0 is Beta; the others count from 1.")] = 0
    state: Annotated[str, Meta(description="Pending, Updating, WaitingForConfirm or Done.")] = ""
    done: Annotated[int, Meta(description="Pods of the group that are updated and available.")] = 0
    total: Annotated[int, Meta(description="Pods of the group.")] = 0


class UnitLimit(Struct, frozen=True, kw_only=True, rename="camel"):
    """A unit that has no room for all of its pods; others serve in their stead."""

    name: Annotated[str, Meta(description="The unit.")] = ""
    limit: Annotated[int, Meta(ge=0, description="Pods that it has room for.")] = 0
    since: Annotated[str, Meta(description="When that was found, or the try began.")] = ""
    is_tried: Annotated[
        bool, Meta(description="Whether one pod more is being tried.", extra_json_schema={"default": False})
    ] = field(default=False, name="tried")


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
    rescheduled: Annotated[
        list[UnitLimit], Meta(description="Units that have no room for all of their pods.")
    ] = field(default_factory=list)
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


POD_SET_RULES = (
    Rule(
        rule="has(self.volumeClaimTemplates) == has(oldSelf.volumeClaimTemplates) && "
        "(!has(self.volumeClaimTemplates) || self.volumeClaimTemplates == oldSelf.volumeClaimTemplates) && "
        "has(self.serviceName) == has(oldSelf.serviceName) && "
        "(!has(self.serviceName) || self.serviceName == oldSelf.serviceName)",
        message="volumeClaimTemplates and serviceName are immutable, as in a StatefulSet: make a new "
        "application beside this one",
        field_path=".spec.podSetType",
    ),
    Rule(
        rule="self.podSetType == oldSelf.podSetType",
        message="podSetType is immutable: its pods would all be replaced at once; make a new application "
        "beside this one and move the traffic",
        field_path=".spec.podSetType",
    ),
    Rule(
        rule="self.podSetType == 'StatefulSet' || ((!has(self.volumeClaimTemplates) || "
        "size(self.volumeClaimTemplates) == 0) && (!has(self.serviceName) || self.serviceName == ''))",
        message="volumeClaimTemplates and serviceName need podSetType StatefulSet: no other set has volumes",
        field_path=".spec.podSetType",
    ),
    Rule(
        rule="self.podSetType == 'InPlaceSet' || (self.strategy.podUpgradePolicy != 'InPlaceOnly' && "
        "self.strategy.gracePeriodSeconds == 0)",
        message="podUpgradePolicy InPlaceOnly and gracePeriodSeconds need podSetType InPlaceSet: other sets "
        "replace their pods",
        field_path=".spec.podSetType",
    ),
    Rule(
        rule="self.podSetType == 'ReplicaSet' || (type(self.strategy.maxSurge) == int ? "
        "self.strategy.maxSurge == 0 : self.strategy.maxSurge == '0%')",
        message="strategy.maxSurge needs podSetType ReplicaSet: no other set makes pods beside the old ones",
        field_path=".spec.strategy.maxSurge",
    ),
    Rule(
        rule="type(self.strategy.maxSurge) == int ? self.strategy.maxSurge >= 0 : "
        "self.strategy.maxSurge.matches('^(100|[1-9]?[0-9])%$')",
        message="strategy.maxSurge must be at least 0 or between 0% and 100%",
        field_path=".spec.strategy.maxSurge",
    ),
    Rule(
        rule="type(self.strategy.failureTolerance) == int ? self.strategy.failureTolerance >= 0 : "
        "self.strategy.failureTolerance.matches('^(100|[1-9]?[0-9])%$')",
        message="strategy.failureTolerance must be at least 0 or between 0% and 100%",
        field_path=".spec.strategy.failureTolerance",
    ),
    Rule(
        rule=f"({BUDGET_RULE.rule}) || "
        "((type(self.strategy.maxUnavailable) == int ? self.strategy.maxUnavailable == 0 : "
        "self.strategy.maxUnavailable == '0%') && (type(self.strategy.maxSurge) == int ? "
        "self.strategy.maxSurge > 0 : self.strategy.maxSurge != '0%'))",
        message=f"{BUDGET_RULE.message}, unless strategy.maxSurge lets new ones come first",
        field_path=".spec.strategy.maxUnavailable",
    ),
)
"""What fits which kind of pod set."""

DECLARATION = KindDeclaration(
    kind="CafeDeployment",
    plural="cafedeployments",
    short_names=("cafed",),
    type=CafeDeployment,
    description="One application over its cells or zones, released in groups counted across them.",
    rules=(
        *SELECTOR_RULES,
        *POD_SET_RULES,
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
            rule="self.strategy.rollback.grouping.strategy != 'Explicit'",
            message="strategy.rollback.grouping can't be Explicit: it is known only then what goes back",
            field_path=".spec.strategy.rollback.grouping",
        ),
        Rule(
            rule="!has(self.topology.unitReplicas) || (has(self.topology.values) && "
            "self.topology.unitReplicas.all(u, u in self.topology.values))",
            message="topology.unitReplicas pins a unit that topology.values doesn't name",
            field_path=".spec.topology.unitReplicas",
        ),
        *override_rules("topology"),
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
