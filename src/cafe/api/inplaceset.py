"""InPlaceSet: keeps the pods of one application in one unit, and updates them without moving them."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from cafe.api.declaration import KindDeclaration, PrinterColumn, Rule, Scale
from cafe.api.shapes import Condition, IntOrPercent, LabelSelector, Metadata, PodTemplate

PERCENT_OR_COUNT = {"x-kubernetes-int-or-string": True}


class PodUpgradePolicy(StrEnum):
    """How a pod gets to the update revision."""

    IN_PLACE_IF_POSSIBLE = "InPlaceIfPossible"
    IN_PLACE_ONLY = "InPlaceOnly"
    RECREATE = "Recreate"


UpgradePolicy = Annotated[
    PodUpgradePolicy,
    Meta(
        description="InPlaceIfPossible replaces a pod only if the change can't be made in place; "
        "InPlaceOnly refuses such a change; Recreate always replaces."
    ),
]
"""How pods get to the update revision, wherever it is said."""


class InPlaceSetStrategy(Struct, frozen=True, kw_only=True, rename="camel"):
    """How pods are updated."""

    partition: Annotated[
        int,
        Meta(
            ge=0,
            description="Pods that should run the update revision, counted up from 0. Note that a "
            "StatefulSet's partition counts the other way round.",
        ),
    ] = 0
    max_unavailable: Annotated[
        IntOrPercent,
        Meta(
            description="Most pods that may be unavailable while pods are updated: a count, or a "
            "percentage of replicas, rounded up.",
            extra_json_schema=PERCENT_OR_COUNT,
        ),
    ] = "25%"
    pod_upgrade_policy: UpgradePolicy = PodUpgradePolicy.IN_PLACE_IF_POSSIBLE
    grace_period_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=3600,
            description="Seconds between the readiness gate's fall and the change of the image, in which "
            "traffic drains.",
        ),
    ] = 0
    paused: Annotated[bool, Meta(description="Start no further update.")] = False


class InPlaceSetSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """The pods of one application in one unit, updated without moving them."""

    selector: Annotated[LabelSelector, Meta(description="Which pods belong to the set. Immutable.")]
    template: Annotated[PodTemplate, Meta(description="A pod at the update revision.")]
    replicas: Annotated[int, Meta(ge=0, le=100_000, description="Pods wanted.")] = 1
    strategy: Annotated[
        InPlaceSetStrategy, Meta(description="How pods are updated.", extra_json_schema={"default": {}})
    ] = field(default_factory=InPlaceSetStrategy)
    min_ready_seconds: Annotated[
        int, Meta(ge=0, description="Seconds a pod must be ready to count as available.")
    ] = 0
    history_limit: Annotated[int, Meta(ge=0, description="Revisions kept beside those in use.")] = 10


class InPlaceSetStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was found at the last pass."""

    observed_generation: Annotated[int, Meta(description="The spec this status speaks of.")] = 0
    replicas: Annotated[int, Meta(description="Pods that exist and are not being deleted.")] = 0
    ready_replicas: Annotated[int, Meta(description="Pods that are ready.")] = 0
    available_replicas: Annotated[int, Meta(description="Pods ready for minReadySeconds.")] = 0
    updated_replicas: Annotated[int, Meta(description="Pods at the update revision.")] = 0
    updated_available_replicas: Annotated[
        int, Meta(description="Pods at the update revision that are available.")
    ] = 0
    skipped_replicas: Annotated[
        int, Meta(description="Pods at the update revision for which a person said not to wait.")
    ] = 0
    starved_replicas: Annotated[int, Meta(description="Pods for which no node has room.")] = 0
    starved_since: Annotated[
        str, Meta(description="Since when there has been none for all of them; empty if there is room.")
    ] = ""
    current_revision: Annotated[str, Meta(description="Revision before the update.")] = ""
    update_revision: Annotated[str, Meta(description="Revision of the template.")] = ""
    collision_count: Annotated[int, Meta(description="Hash collisions met so far.")] = 0
    label_selector: Annotated[str, Meta(description="The selector as a string, for scale.")] = ""
    conditions: Annotated[
        list[Condition],
        Meta(description="What is so and why.", extra_json_schema={"x-kubernetes-list-map-keys": ["type"]}),
    ] = field(default_factory=list)


class InPlaceSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """One InPlaceSet as the API holds it."""

    spec: InPlaceSetSpec
    metadata: Metadata = field(default_factory=Metadata)
    status: InPlaceSetStatus = field(default_factory=InPlaceSetStatus)


SELECTOR_RULES = (
    Rule(
        rule="self.selector == oldSelf.selector",
        message="selector is immutable: pods found by the old one would be lost; make a new object",
        field_path=".spec.selector",
    ),
    Rule(
        rule="has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0",
        message="selector.matchLabels is required: without it the object would claim every pod",
        field_path=".spec.selector",
    ),
    Rule(
        rule="!has(self.selector.matchLabels) || self.selector.matchLabels.all(k, "
        "has(self.template.metadata) && has(self.template.metadata.labels) && "
        "k in self.template.metadata.labels && "
        "self.template.metadata.labels[k] == self.selector.matchLabels[k])",
        message="selector.matchLabels does not match template.metadata.labels: add the labels to the "
        "template",
        field_path=".spec.template",
    ),
)
"""Rules that every kind with a selector and a template shares."""

BUDGET_RULE = Rule(
    rule="type(self.strategy.maxUnavailable) == int ? self.strategy.maxUnavailable > 0 : "
    "self.strategy.maxUnavailable.matches('^(100|[1-9][0-9]?)%$')",
    message="strategy.maxUnavailable must be at least 1 or between 1% and 100%: with 0 no pod could ever "
    "be updated",
    field_path=".spec.strategy.maxUnavailable",
)
"""Budgets that would let nothing happen are refused."""

DECLARATION = KindDeclaration(
    kind="InPlaceSet",
    plural="inplacesets",
    short_names=("ips",),
    type=InPlaceSet,
    description="Keeps the pods of one application in one unit, and updates them without moving them.",
    rules=(
        *SELECTOR_RULES,
        BUDGET_RULE,
    ),
    columns=(
        PrinterColumn("Desired", "integer", ".spec.replicas"),
        PrinterColumn("Partition", "integer", ".spec.strategy.partition"),
        PrinterColumn("Updated", "integer", ".status.updatedReplicas"),
        PrinterColumn("Ready", "integer", ".status.readyReplicas"),
        PrinterColumn("Available", "integer", ".status.availableReplicas"),
        PrinterColumn("Why", "string", '.status.conditions[?(@.type=="Progressing")].reason'),
        PrinterColumn("Age", "date", ".metadata.creationTimestamp"),
    ),
    scale=Scale(
        spec_path=".spec.replicas", status_path=".status.replicas", selector_path=".status.labelSelector"
    ),
)
