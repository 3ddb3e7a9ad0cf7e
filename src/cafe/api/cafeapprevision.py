"""CafeAppRevision: what an application service was at one moment; numbered, digested, never changed."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from cafe.api.cafedeployment import (
    ClaimRetention,
    ClaimTemplates,
    PodSetType,
    RetentionPolicy,
    ServiceName,
    Topology,
)
from cafe.api.declaration import KindDeclaration, PrinterColumn, Rule
from cafe.api.inplaceset import PERCENT_OR_COUNT
from cafe.api.shapes import IntOrPercent, LabelSelector, LabelValue, Metadata, PodTemplate
from cafe.api.strategy import CafeDeploymentStrategy
from cafe.api.trafficbinding import TrafficRules

NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""What a Service may be called (RFC 1123 label)."""

CONFIG_NAME = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"


ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}


class ConfigPolicy(StrEnum):
    """How a change of a config reaches the pods."""

    VERSIONED = "Versioned"
    SHARED = "Shared"


class AppConfig(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One ConfigMap of the application."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            pattern=CONFIG_NAME,
            description="Name by which the pod template refers to it.",
        ),
    ]
    data: Annotated[dict[str, str], Meta(description="Text by key.")] = field(default_factory=dict)
    binary_data: Annotated[dict[str, str], Meta(description="Bytes by key, in base64.")] = field(
        default_factory=dict
    )
    policy: Annotated[
        ConfigPolicy,
        Meta(
            description="Versioned: each content is a ConfigMap of its own, named with its digest, so that a "
            "change is released group by group with the pods, and rolled back with them. Shared: one "
            "ConfigMap is changed in place, for all pods at once."
        ),
    ] = ConfigPolicy.VERSIONED


class AppEndpoint(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One Service of the application."""

    name: Annotated[str, Meta(min_length=1, max_length=63, pattern=NAME, description="Name of the Service.")]
    labels: Annotated[dict[str, LabelValue], Meta(description="Labels of the Service.")] = field(
        default_factory=dict
    )
    annotations: Annotated[dict[str, str], Meta(description="Annotations of the Service.")] = field(
        default_factory=dict
    )
    spec: Annotated[
        dict[str, Any],
        Meta(
            description="A core/v1 ServiceSpec, checked by the API server when the Service is written. "
            "Without a selector it selects the application's pods.",
            extra_json_schema=ANYTHING,
        ),
    ] = field(default_factory=dict)


class Autoscaling(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Who decides how many pods there are, if no person does: a HorizontalPodAutoscaler."""

    min_replicas: Annotated[int, Meta(ge=1, le=100_000, description="Fewest pods, over all units.")] = 1
    max_replicas: Annotated[int, Meta(ge=1, le=100_000, description="Most pods, over all units.")]
    metrics: Annotated[
        list[Annotated[dict[str, Any], Meta(extra_json_schema=ANYTHING)]],
        Meta(
            max_length=32,
            description="MetricSpecs of autoscaling/v2, checked by the API server when the autoscaler is "
            "written. Without any: 80% of the CPU that the pods request.",
        ),
    ] = field(default_factory=list)
    behavior: Annotated[
        dict[str, Any],
        Meta(
            description="How fast it scales: a HorizontalPodAutoscalerBehavior of autoscaling/v2.",
            extra_json_schema=ANYTHING,
        ),
    ] = field(default_factory=dict)


class Elasticity(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How many pods there are."""

    replicas: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Pods wanted, over all units; with autoscaling, how many there are to begin with.",
        ),
    ] = 1
    autoscaling: Annotated[
        Autoscaling | None,
        Meta(
            description="Set, an autoscaler decides. It scales also while a release is under way. "
            "publish.replicas holds it at that number for as long as it is set.",
        ),
    ] = None


class Disruption(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How many pods may be away at once, over all units, whoever takes them away."""

    max_unavailable: Annotated[
        IntOrPercent,
        Meta(
            description="Most pods of the whole application that evictions (kubectl drain, autoscalers) may "
            "find or make unavailable: a count, or a percentage of all pods, rounded up. Pods that a release "
            "has taken out of traffic count.",
            extra_json_schema=PERCENT_OR_COUNT,
        ),
    ] = "25%"
    is_guarded: Annotated[bool, Meta(description="Whether there is such a budget at all.")] = field(
        default=True, name="guarded"
    )


class DeployPolicy(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How a revision reaches the pods, and where they are."""

    pod_set_type: Annotated[PodSetType, Meta(description="Kind of pod set that serves each unit.")] = (
        PodSetType.IN_PLACE_SET
    )
    strategy: Annotated[
        CafeDeploymentStrategy, Meta(description="How a release proceeds.", extra_json_schema={"default": {}})
    ] = field(default_factory=CafeDeploymentStrategy)
    topology: Annotated[
        Topology, Meta(description="Over which units the pods are spread.", extra_json_schema={"default": {}})
    ] = field(default_factory=Topology)
    disruption: Annotated[
        Disruption,
        Meta(
            description="How many pods may be away at once, over all units.",
            extra_json_schema={"default": {}},
        ),
    ] = field(default_factory=Disruption)


class AppContent(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One application service, described whole: what a revision keeps."""

    selector: Annotated[LabelSelector, Meta(description="Which pods belong to the application. Immutable.")]
    template: Annotated[PodTemplate, Meta(description="A pod of the application.")]
    services: Annotated[
        list[AppEndpoint],
        Meta(
            max_length=32,
            description="Services by which the application is reached.",
            extra_json_schema={"x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = field(default_factory=list)
    configs: Annotated[
        list[AppConfig],
        Meta(
            max_length=64,
            description="ConfigMaps that the pods use.",
            extra_json_schema={"x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = field(default_factory=list)
    elasticity: Annotated[
        Elasticity, Meta(description="How many pods there are.", extra_json_schema={"default": {}})
    ] = field(default_factory=Elasticity)
    deploy: Annotated[
        DeployPolicy,
        Meta(
            description="How a revision reaches the pods, and where they are.",
            extra_json_schema={"default": {}},
        ),
    ] = field(default_factory=DeployPolicy)
    traffic: Annotated[
        TrafficRules,
        Meta(
            description="What carries the application's traffic besides its Services: no pod is touched "
            "before all of it is gone.",
            extra_json_schema={"default": {}},
        ),
    ] = field(default_factory=TrafficRules)
    service_name: ServiceName = ""
    volume_claim_templates: ClaimTemplates = field(default_factory=list)
    persistent_volume_claim_retention_policy: RetentionPolicy = field(default_factory=ClaimRetention)


class Hold(Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a revision may not be made live."""

    reason: Annotated[str, Meta(min_length=1, max_length=1024, description="For people.")]


class CafeAppRevisionSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """An application service as it was; only *hold* can change."""

    service: Annotated[str, Meta(max_length=253, description="The CafeAppService.")]
    number: Annotated[int, Meta(ge=1, description="Counts up from 1 for each service.")]
    digest: Annotated[
        str, Meta(max_length=64, description="Digest of the content; equal contents have equal digests.")
    ]
    content: Annotated[AppContent, Meta(description="The application service, whole.")]
    cause: Annotated[str, Meta(max_length=4096, description="Why the change was made, if it was said.")] = ""
    hold: Annotated[Hold | None, Meta(description="Set, it keeps the revision from being made live.")] = None


class CafeAppRevision(Struct, frozen=True, kw_only=True, rename="camel"):
    """One CafeAppRevision as the API holds it."""

    spec: CafeAppRevisionSpec
    metadata: Metadata = field(default_factory=Metadata)


DECLARATION = KindDeclaration(
    kind="CafeAppRevision",
    plural="cafeapprevisions",
    short_names=("caferev",),
    type=CafeAppRevision,
    description="What an application service was at one moment: numbered, digested, never changed.",
    rules=(
        Rule(
            rule="self.content == oldSelf.content && self.digest == oldSelf.digest && "
            "self.number == oldSelf.number && self.service == oldSelf.service",
            message="a revision never changes; edit the CafeAppService instead, and a new one is made",
            field_path=".spec.content",
        ),
    ),
    columns=(
        PrinterColumn("Service", "string", ".spec.service"),
        PrinterColumn("Number", "integer", ".spec.number"),
        PrinterColumn("Digest", "string", ".spec.digest"),
        PrinterColumn("Hold", "string", ".spec.hold.reason"),
        PrinterColumn("Cause", "string", ".spec.cause"),
        PrinterColumn("Age", "date", ".metadata.creationTimestamp"),
    ),
)
