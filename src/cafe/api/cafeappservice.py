"""CafeAppService: one application service, whole. An edit makes a revision, publishing makes it live."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from cafe.api.cafeapprevision import AppContent
from cafe.api.declaration import KindDeclaration, PrinterColumn, Rule, Scale
from cafe.api.inplaceset import SELECTOR_RULES
from cafe.api.overrides import override_rules
from cafe.api.shapes import Condition, Metadata


class DriftPolicy(StrEnum):
    """What becomes of an object of the service that somebody changed by hand."""

    REPAIR = "Repair"
    REPORT = "Report"


class Publish(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which revision is live, and how its release stands."""

    revision: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Number of the revision that is live. Nothing runs without one."),
    ] = None
    replicas: Annotated[
        Annotated[int, Meta(ge=0, le=100_000)] | None,
        Meta(
            description="Pods wanted now, instead of the number that the revision has; scaling by hand "
            "needs no new revision.",
        ),
    ] = None
    pause: Annotated[bool, Meta(description="Start no further pod.")] = False


class CafeAppServiceSpec(AppContent, frozen=True, kw_only=True, rename="camel"):
    """One application service, described whole, and which of its revisions is live."""

    is_draft: Annotated[
        bool,
        Meta(description="An edit makes no revision as long as this is true: it may still be replaced."),
    ] = field(default=False, name="draft")
    publish: Annotated[
        Publish, Meta(description="Which revision is live.", extra_json_schema={"default": {}})
    ] = field(default_factory=Publish)
    drift_policy: Annotated[
        DriftPolicy,
        Meta(
            description="Repair brings back what was changed by hand in objects of the service; Report only "
            "says so."
        ),
    ] = DriftPolicy.REPAIR
    history_limit: Annotated[int, Meta(ge=0, le=1000, description="Revisions kept beside those in use.")] = 20


class CafeAppServiceStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the service stands."""

    observed_generation: Annotated[int, Meta(description="The spec this status speaks of.")] = 0
    phase: Annotated[
        str,
        Meta(
            description="Draft, Unpublished, Progressing, WaitingForConfirm, Paused, Complete, Refused or "
            "Deleting."
        ),
    ] = ""
    latest_revision: Annotated[int, Meta(description="Highest number given so far.")] = 0
    spec_revision: Annotated[
        int, Meta(description="The revision that the spec equals; 0 while it is a draft.")
    ] = 0
    live_revision: Annotated[int, Meta(description="The revision that runs, or is being released.")] = 0
    last_good_revision: Annotated[int, Meta(description="The last one that was released whole.")] = 0
    replicas: Annotated[int, Meta(description="Pods that exist.")] = 0
    updated_replicas: Annotated[int, Meta(description="Pods at the live revision.")] = 0
    available_replicas: Annotated[int, Meta(description="Pods that are available.")] = 0
    label_selector: Annotated[str, Meta(description="The selector as a string, for scale.")] = ""
    message: Annotated[str, Meta(description="What is waited for, and why; for people.")] = ""
    drifted: Annotated[
        list[str], Meta(description="Fields of objects that differ from the live revision.")
    ] = field(default_factory=list)
    conditions: Annotated[
        list[Condition],
        Meta(description="What is so and why.", extra_json_schema={"x-kubernetes-list-map-keys": ["type"]}),
    ] = field(default_factory=list)


class CafeAppService(Struct, frozen=True, kw_only=True, rename="camel"):
    """One CafeAppService as the API holds it."""

    spec: CafeAppServiceSpec
    metadata: Metadata = field(default_factory=Metadata)
    status: CafeAppServiceStatus = field(default_factory=CafeAppServiceStatus)


STATEFUL_RULES = (
    Rule(
        rule="(has(self.serviceName) ? self.serviceName : '') == "
        "(has(oldSelf.serviceName) ? oldSelf.serviceName : '') && "
        "(has(self.volumeClaimTemplates) ? self.volumeClaimTemplates : []) == "
        "(has(oldSelf.volumeClaimTemplates) ? oldSelf.volumeClaimTemplates : [])",
        message="serviceName and volumeClaimTemplates are immutable, as in a StatefulSet: make a new service "
        "beside this one",
        field_path=".spec.volumeClaimTemplates",
    ),
    Rule(
        rule="self.deploy.podSetType == 'StatefulSet' || ("
        "(!has(self.serviceName) || self.serviceName == '') && "
        "(!has(self.volumeClaimTemplates) || size(self.volumeClaimTemplates) == 0) && "
        "self.persistentVolumeClaimRetentionPolicy.whenDeleted == 'Retain' && "
        "self.persistentVolumeClaimRetentionPolicy.whenScaled == 'Retain')",
        message="serviceName, volumeClaimTemplates and persistentVolumeClaimRetentionPolicy need "
        "deploy.podSetType StatefulSet: no other set gives its pods names and volumes",
        field_path=".spec.deploy.podSetType",
    ),
)
"""What only a StatefulSet has."""

DECLARATION = KindDeclaration(
    kind="CafeAppService",
    plural="cafeappservices",
    short_names=("cafesvc",),
    type=CafeAppService,
    description="One application service, whole: an edit makes a revision, publishing makes it live.",
    rules=(
        *SELECTOR_RULES,
        Rule(
            rule="type(self.deploy.disruption.maxUnavailable) == int ? "
            "self.deploy.disruption.maxUnavailable > 0 : "
            "self.deploy.disruption.maxUnavailable.matches('^(100|[1-9][0-9]?)%$')",
            message="deploy.disruption.maxUnavailable must be at least 1 or between 1% and 100%: with 0 no "
            "node could ever be drained; to have no budget at all, set deploy.disruption.guarded to false",
            field_path=".spec.deploy.disruption.maxUnavailable",
        ),
        Rule(
            rule="!has(self.elasticity.autoscaling) || self.elasticity.autoscaling.maxReplicas >= "
            "self.elasticity.autoscaling.minReplicas",
            message="elasticity.autoscaling.maxReplicas must be at least minReplicas",
            field_path=".spec.elasticity.autoscaling.maxReplicas",
        ),
        *STATEFUL_RULES,
        *override_rules("deploy.topology"),
    ),
    columns=(
        PrinterColumn("Live", "integer", ".status.liveRevision"),
        PrinterColumn("Latest", "integer", ".status.latestRevision"),
        PrinterColumn("Pods", "integer", ".status.replicas"),
        PrinterColumn("Updated", "integer", ".status.updatedReplicas"),
        PrinterColumn("Available", "integer", ".status.availableReplicas"),
        PrinterColumn("Phase", "string", ".status.phase"),
        PrinterColumn("Why", "string", ".status.message"),
        PrinterColumn("Age", "date", ".metadata.creationTimestamp"),
    ),
    scale=Scale(
        spec_path=".spec.publish.replicas",
        status_path=".status.replicas",
        selector_path=".status.labelSelector",
    ),
)
