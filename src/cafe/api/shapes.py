"""What several kinds share: metadata, selectors, pod templates, conditions."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

IntOrPercent = int | str
"""A count, or a percentage such as `"25%"`."""


LabelValue = Annotated[str, Meta(max_length=63)]
"""Bounded, or the API server would refuse rules over labels as too costly."""


class OwnerReference(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Who an object belongs to."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class Metadata(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The part of ObjectMeta that CAFE reads of its own kinds."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    owner_references: list[OwnerReference] = field(default_factory=list)
    finalizers: list[str] = field(default_factory=list)
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class LabelRequirement(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One rule of a selector."""

    key: Annotated[str, Meta(max_length=317, description="Label key.")]
    operator: Annotated[str, Meta(pattern="^(In|NotIn|Exists|DoesNotExist)$", description="Relation.")]
    values: Annotated[list[str], Meta(max_length=64, description="For In and NotIn.")] = field(
        default_factory=list
    )


class LabelSelector(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Which pods belong here; all rules must hold."""

    match_labels: Annotated[dict[str, LabelValue], Meta(max_length=32, description="Labels a pod has.")] = (
        field(default_factory=dict)
    )
    match_expressions: Annotated[
        list[LabelRequirement], Meta(max_length=32, description="Rules a pod's labels satisfy.")
    ] = field(default_factory=list)


class TemplateMetadata(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a template says of its pods' metadata."""

    labels: Annotated[dict[str, LabelValue], Meta(max_length=64, description="Labels of the pods.")] = field(
        default_factory=dict
    )
    annotations: Annotated[dict[str, str], Meta(max_length=64, description="Annotations of the pods.")] = (
        field(default_factory=dict)
    )


class PodTemplate(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A pod as it will be created."""

    metadata: Annotated[TemplateMetadata, Meta(description="Labels and annotations of the pods.")] = field(
        default_factory=TemplateMetadata
    )
    spec: Annotated[
        dict[str, Any],
        Meta(
            description="A core/v1 PodSpec, checked by the API server when a pod is created.",
            extra_json_schema={"x-kubernetes-preserve-unknown-fields": True},
        ),
    ] = field(default_factory=dict)


class Condition(Struct, frozen=True, kw_only=True, rename="camel"):
    """One thing that is or isn't so, as in metav1.Condition."""

    type: Annotated[str, Meta(description="What is judged.")]
    status: Annotated[str, Meta(pattern="^(True|False|Unknown)$", description="The verdict.")]
    reason: Annotated[str, Meta(description="Why, one CamelCase word for programs.")] = ""
    message: Annotated[str, Meta(description="Why, for people.")] = ""
    observed_generation: Annotated[int, Meta(description="The spec that was judged.")] = 0
    last_transition_time: Annotated[str | UnsetType, Meta(description="When the verdict changed.")] = UNSET
