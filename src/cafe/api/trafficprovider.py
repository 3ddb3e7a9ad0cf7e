"""TrafficProvider: a load balancer, a registry or a mesh, as whole: all processes that must agree."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from cafe.api.declaration import KindDeclaration, PrinterColumn, Rule
from cafe.api.shapes import Condition, Metadata


class ProviderType(StrEnum):
    """What a provider is, and so how it is spoken with."""

    HAPROXY = "HAProxy"
    ENVOY = "Envoy"
    ZOOKEEPER = "ZooKeeper"
    NACOS = "Nacos"
    SOFA_REGISTRY = "SOFARegistry"


class ProviderReplica(Struct, frozen=True, kw_only=True, rename="camel"):
    """One process of a provider."""

    name: Annotated[str, Meta(min_length=1, max_length=63, description="How people call it.")]
    address: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=253,
            description="Where it is spoken with. HAProxy: its runtime API, host:port or /path/of/a/socket. "
            "Envoy: its admin interface, host:port. Registries: host:port.",
        ),
    ]


class TrafficProviderSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What it is, and where."""

    type: Annotated[ProviderType, Meta(description="What it is.")]
    replicas: Annotated[
        list[ProviderReplica],
        Meta(
            min_length=1,
            max_length=64,
            description="All processes that may send requests to a pod. Each one is read back: one that "
            "can't be reached blocks a drain, since nobody knows what it does.",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ]
    secret_name: Annotated[
        str,
        Meta(
            max_length=253,
            description="Secret in the same namespace, with the keys username and password, if it asks for "
            "them.",
        ),
    ] = ""
    discovery_path: Annotated[
        str,
        Meta(
            max_length=1024,
            description="Envoy: directory where a file of endpoints is kept for each cluster, which Envoy "
            "watches. Empty has Envoy ask CAFE's discovery service.",
        ),
    ] = ""


class ReplicaStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How one process was met last."""

    name: Annotated[str, Meta(description="Its name.")]
    problem: Annotated[str, Meta(description="Why it can't be spoken with; empty if it can.")] = ""


class TrafficProviderStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether it can be spoken with."""

    observed_generation: Annotated[int, Meta(description="The spec this status speaks of.")] = 0
    reachable: Annotated[int, Meta(description="Processes that answer.")] = 0
    replicas: Annotated[list[ReplicaStatus], Meta(description="Each process.")] = field(default_factory=list)
    conditions: Annotated[
        list[Condition],
        Meta(description="What is so and why.", extra_json_schema={"x-kubernetes-list-map-keys": ["type"]}),
    ] = field(default_factory=list)


class TrafficProvider(Struct, frozen=True, kw_only=True, rename="camel"):
    """One TrafficProvider as the API holds it."""

    spec: TrafficProviderSpec
    metadata: Metadata = field(default_factory=Metadata)
    status: TrafficProviderStatus = field(default_factory=TrafficProviderStatus)


DECLARATION = KindDeclaration(
    kind="TrafficProvider",
    plural="trafficproviders",
    short_names=("tprov",),
    type=TrafficProvider,
    description="A load balancer, a registry or a mesh: all processes that may send requests to pods. It "
    "lives in the controller's namespace.",
    rules=(
        Rule(
            rule="self.type == oldSelf.type",
            message="type is immutable: make a new provider beside this one, and move the bindings",
            field_path=".spec.type",
        ),
        Rule(
            rule="self.discoveryPath == '' || self.type == 'Envoy'",
            message="discoveryPath is for Envoy alone",
            field_path=".spec.discoveryPath",
        ),
    ),
    columns=(
        PrinterColumn("Type", "string", ".spec.type"),
        PrinterColumn("Reachable", "integer", ".status.reachable"),
        PrinterColumn("Why", "string", '.status.conditions[?(@.type=="Reachable")].message'),
        PrinterColumn("Age", "date", ".metadata.creationTimestamp"),
    ),
)
