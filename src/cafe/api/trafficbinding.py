"""TrafficBinding: what carries an application's traffic, and when that traffic counts as gone."""

from typing import Annotated

from msgspec import Meta, Struct, field

from cafe.api.declaration import KindDeclaration, PrinterColumn, Rule
from cafe.api.shapes import Condition, Metadata

Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class DrainRules(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """When a pod's traffic counts as gone. Nothing said takes what was measured for the provider's type."""

    floor_seconds: Annotated[
        Seconds | None,
        Meta(
            description="At least so long after the detach, whatever is seen: in a quiet hour no request "
            "tells of a client that has not heard yet.",
        ),
    ] = None
    quiet_seconds: Annotated[
        Seconds | None,
        Meta(description="So long no request may have arrived; three times the p99 is a good value."),
    ] = None
    refresh_seconds: Annotated[
        Seconds,
        Meta(description="How long clients of a registry believe a list that they have: 0 if they watch it."),
    ] = 0
    soft_deadline_seconds: Annotated[
        Seconds, Meta(description="After so long clients are asked to close their connections.")
    ] = 60
    deadline_seconds: Annotated[
        Seconds,
        Meta(
            description="After so long the drain is stuck: it is told who holds it, the release pauses, and "
            "nothing is killed.",
        ),
    ] = 120


class PoolBinding(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One pool of a provider that the pods are members of."""

    name: Annotated[
        str,
        Meta(min_length=1, max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", description="Its name."),
    ]
    provider: Annotated[str, Meta(min_length=1, max_length=253, description="Name of a TrafficProvider.")]
    pool: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=253,
            description="HAProxy: a backend. Envoy: a cluster. ZooKeeper: path of the directory of "
            "providers. Nacos, SOFARegistry: the service.",
        ),
    ]
    port: Annotated[int, Meta(ge=1, le=65_535, description="Port of the pods.")]
    drain: Annotated[
        DrainRules, Meta(description="When traffic counts as gone.", extra_json_schema={"default": {}})
    ] = field(default_factory=DrainRules)


class InFlightMetric(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Where a pod tells how many requests it is working on, as Prometheus text."""

    port: Annotated[int, Meta(ge=1, le=65_535, description="Port of the pods.")]
    path: Annotated[str, Meta(max_length=1024, description="Path of the metrics.")] = "/metrics"
    metric: Annotated[
        str, Meta(min_length=1, max_length=253, description="Name of a gauge; its samples are added up.")
    ]


class TrafficRules(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What carries traffic, and when it counts as gone."""

    pools: Annotated[
        list[PoolBinding],
        Meta(
            max_length=16,
            description="Pools that the pods are members of.",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = field(default_factory=list)
    services: Annotated[
        bool, Meta(description="Whether Services that select the pods carry traffic, too.")
    ] = True
    service_drain: Annotated[
        DrainRules,
        Meta(description="When the traffic of Services counts as gone.", extra_json_schema={"default": {}}),
    ] = field(default_factory=DrainRules)
    in_flight: Annotated[
        InFlightMetric | None,
        Meta(description="Where a pod tells how many requests it is working on; nobody else may know."),
    ] = None
    may_drain_last: Annotated[
        bool,
        Meta(
            description="Whether the last member of a pool may be taken out of it. Else it is refused: "
            "nobody would be left to answer.",
        ),
    ] = False


class TrafficBindingSpec(TrafficRules, frozen=True, kw_only=True, rename="camel"):
    """What carries the traffic of one application."""

    app: Annotated[
        str, Meta(min_length=1, max_length=63, description="Name of a CafeDeployment of this namespace.")
    ]


class EmployerStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How one employer of the pods stands."""

    name: Annotated[str, Meta(description="Kind/namespace/name.")]
    finalizer: Annotated[str, Meta(description="On pods that may receive traffic from it.")]
    provider: Annotated[str, Meta(description="Name of its provider.")] = ""
    pool: Annotated[str, Meta(description="What the provider calls it.")] = ""
    port: Annotated[int, Meta(description="Port of the pods.")] = 0
    retired: Annotated[
        bool, Meta(description="Whether it is declared no more: its members are being detached.")
    ] = False
    left: Annotated[
        int, Meta(description="Of a retired one: pods that may still receive traffic from it.")
    ] = 0


class TrafficBindingStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How the application's traffic stands."""

    observed_generation: Annotated[int, Meta(description="The spec this status speaks of.")] = 0
    employers: Annotated[list[EmployerStatus], Meta(description="Each employer.")] = field(
        default_factory=list
    )
    conditions: Annotated[
        list[Condition],
        Meta(description="What is so and why.", extra_json_schema={"x-kubernetes-list-map-keys": ["type"]}),
    ] = field(default_factory=list)


class TrafficBinding(Struct, frozen=True, kw_only=True, rename="camel"):
    """One TrafficBinding as the API holds it."""

    spec: TrafficBindingSpec
    metadata: Metadata = field(default_factory=Metadata)
    status: TrafficBindingStatus = field(default_factory=TrafficBindingStatus)


DECLARATION = KindDeclaration(
    kind="TrafficBinding",
    plural="trafficbindings",
    short_names=("tbind",),
    type=TrafficBinding,
    description="What carries an application's traffic: no pod of it is touched before all of that is gone.",
    rules=(
        Rule(
            rule="self.app == oldSelf.app",
            message="app is immutable: make a binding for the other application",
            field_path=".spec.app",
        ),
    ),
    columns=(
        PrinterColumn("App", "string", ".spec.app"),
        PrinterColumn("Accepted", "string", '.status.conditions[?(@.type=="Accepted")].status'),
        PrinterColumn("Why", "string", '.status.conditions[?(@.type=="Accepted")].message'),
        PrinterColumn("Age", "date", ".metadata.creationTimestamp"),
    ),
)
