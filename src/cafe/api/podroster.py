"""PodRoster: which instance of an InPlaceSet is which pod, and at which revision it was last seen."""

from typing import Annotated

from msgspec import Meta, Struct, field

from cafe.api.declaration import KindDeclaration, PrinterColumn, Rule
from cafe.api.shapes import Metadata


class Instance(Struct, frozen=True, kw_only=True, rename="camel"):
    """One instance: its number outlives its pods."""

    id: Annotated[int, Meta(ge=0, description="Number of the instance in its set.")]
    pod: Annotated[str, Meta(description="Name of its pod, or of its last one.")] = ""
    revision: Annotated[str, Meta(description="Hash of the revision that the pod runs, or ran.")] = ""


class PodRosterSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is remembered."""

    instances: Annotated[
        list[Instance],
        Meta(
            description="In the order of their numbers. An instance without a living pod gets a new one, of "
            "the same number and revision.",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
        ),
    ] = field(default_factory=list)
    count: Annotated[int, Meta(ge=0, description="How many instances there are.")] = 0


class PodRoster(Struct, frozen=True, kw_only=True, rename="camel"):
    """The roster of the InPlaceSet of the same name. CAFE writes it; nobody need edit it."""

    metadata: Metadata = field(default_factory=Metadata)
    spec: PodRosterSpec = field(default_factory=PodRosterSpec)


DECLARATION = KindDeclaration(
    kind="PodRoster",
    plural="podrosters",
    short_names=(),
    type=PodRoster,
    description="Which instance of an InPlaceSet is which pod, and at which revision it was last seen.",
    rules=(
        Rule(
            rule="self.count == size(self.instances)",
            message="count must be the number of instances; CAFE writes both",
            field_path=".spec.count",
        ),
    ),
    columns=(
        PrinterColumn("Instances", "integer", ".spec.count"),
        PrinterColumn("Age", "date", ".metadata.creationTimestamp"),
    ),
    scale=None,
)
