"""What a CafeDeployment says that Deployments and StatefulSets say alike, and what neither can say."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from cafe.api.cafedeployment import CafeDeployment, CafeDeploymentSpec, PodSetType, Topology
from cafe.api.names import ADOPT_ANNOTATION
from cafe.api.overrides import demand_hits, settings_by_unit
from cafe.api.selectors import demand_match
from cafe.api.strategy import CafeDeploymentStrategy, RollbackStrategy, UpgradeType
from cafe.kernel import Refusal
from cafe.placement.contract import Spread
from cafe.workloads.domain.leaving.manifests import Departure, Loss, plain_metadata
from cafe.workloads.domain.leaving.pods import shape_of
from cafe.workloads.domain.takeover.manifests import NO_DEADLINE, Document, Source

STRATEGY = "spec.strategy"
SETTLED = {"", "Complete"}
"""Phases in which nothing is on its way."""


class Leaving(ABC):
    """One CafeDeployment on its way out.

    Args:
        source: The document.
        app: The same, read.
        namespace: Where it goes if it names no namespace; empty to leave that open.
        more: Labels that its pods keep because others select by them.
        is_scaled: An autoscaler decides how many pods there are.
    """

    kind: str
    """What it becomes."""

    def __init__(
        self, source: Source, app: CafeDeployment, namespace: str, more: Mapping[str, str], *, is_scaled: bool
    ) -> None:
        self.source = source
        self.app = app
        self.namespace = namespace
        self.more = more
        self.is_scaled = is_scaled
        self.raw: Mapping[str, Any] = source.body["spec"]
        self.losses: list[Loss] = []

    @abstractmethod
    def documents(self, spread: Spread) -> list[Document]:
        """Return the plain objects, and say what they lose."""

    def departure(self, spread: Spread) -> Departure:
        """Convert it.

        Raises:
            cafe.kernel.Refusal: The API server would refuse it, or have its budget refused.
        """
        demand_sound(self.app.spec)
        self._say_common()
        documents = self.documents(spread)
        return Departure(self.source, tuple(documents), tuple(self.losses))

    def lose(self, where: str, code: str, **values: object) -> None:
        """Say what is lost."""
        self.losses.append(Loss(where, code, {k: str(v) for k, v in values.items()}))

    def document(self, name: str, spec: Mapping[str, Any]) -> Document:
        """Return a whole object."""
        metadata = plain_metadata(self.source.body, self.namespace) | {"name": name}
        return {"apiVersion": "apps/v1", "kind": self.kind, "metadata": metadata, "spec": dict(spec)}

    def common(self) -> dict[str, Any]:
        """Return what both kinds say in the same words; defaults that both sides share are left out."""
        found: dict[str, Any] = {}
        if self.app.spec.strategy.min_ready_seconds:
            found["minReadySeconds"] = self.app.spec.strategy.min_ready_seconds
        if "historyLimit" in self.raw:
            found["revisionHistoryLimit"] = self.app.spec.history_limit
        return found

    def selector(self) -> dict[str, Any]:
        """Return the selector as it is written."""
        found: dict[str, Any] = msgspec.to_builtins(self.app.spec.selector)
        return found

    def _say_common(self) -> None:
        """Say what CAFE does and no native set."""
        spec, strategy = self.app.spec, self.app.spec.strategy
        for where in _unknown(self.source.body):
            self.lose(where, "unknown_field")
        if spec.pod_set_type is PodSetType.IN_PLACE_SET:
            self.lose("spec.podSetType", "in_place")
        self.lose(STRATEGY, "groups")
        if strategy.upgrade_type is UpgradeType.BETA:
            self.lose(f"{STRATEGY}.upgradeType", "beta")
        if strategy.need_waiting_for_confirm or strategy.grouping.breakpoints:
            self.lose(f"{STRATEGY}.needWaitingForConfirm", "confirm")
        if strategy.rollback != RollbackStrategy():
            self.lose(f"{STRATEGY}.rollback", "rollback")
        if strategy.grace_period_seconds:
            self.lose(f"{STRATEGY}.gracePeriodSeconds", "drain", seconds=strategy.grace_period_seconds)
        if spec.topology.auto_reschedule.is_enabled:
            self.lose("spec.topology.autoReschedule", "reschedule")
        if ADOPT_ANNOTATION in self.app.metadata.annotations:
            adopted = self.app.metadata.annotations[ADOPT_ANNOTATION]
            self.lose("metadata.annotations", "adopt", adopted=adopted)
        if (status := self.app.status).phase not in SETTLED:
            self.lose("status.phase", "under_way", phase=status.phase, progress=status.progress or "-")

    def replicas(self) -> dict[str, int]:
        """Return how many pods are wanted, unless an autoscaler says so."""
        if self.is_scaled:
            self.lose("spec.replicas", "scaled")
            return {}
        return {"replicas": self.app.spec.replicas}


def deadline_of(app: CafeDeployment) -> int:
    """Return a deadline that a Deployment takes: it must be longer than minReadySeconds."""
    strategy = app.spec.strategy
    if strategy.progress_deadline_seconds == 0:
        return NO_DEADLINE
    longest = strategy.progress_deadline_seconds
    if longest <= strategy.min_ready_seconds:
        longest += strategy.min_ready_seconds
    return min(longest, NO_DEADLINE)


def demand_sound(spec: CafeDeploymentSpec) -> None:
    """Refuse what the API server would refuse in a CafeDeployment, as far as plain objects show it.

    Raises:
        Refusal: `InvalidSpec`, `SelectorMismatch` or `BadOverride`.
    """
    is_stateful = spec.pod_set_type is PodSetType.STATEFUL_SET
    has_units = bool(spec.topology.values)
    faults = {
        "selector.matchLabels is required": not spec.selector.match_labels,
        "topology.values names the units exactly if topology.unitType is Cell or Zone": (
            (spec.topology.unit_type == "None") == has_units
        ),
        "volumeClaimTemplates and serviceName need podSetType StatefulSet": (
            not is_stateful and bool(spec.volume_claim_templates or spec.service_name)
        ),
        "strategy.maxSurge needs podSetType ReplicaSet": (
            spec.pod_set_type is not PodSetType.REPLICA_SET and spec.strategy.max_surge not in (0, "0%")
        ),
        "topology.unitReplicas pins a unit that topology.values doesn't name": not (
            spec.topology.unit_replicas.keys() <= set(spec.topology.values)
        ),
        "topology.overrides names a unit that topology.values doesn't name": not (
            settings_by_unit(spec.topology.overrides).keys() <= set(spec.topology.values)
        ),
    }
    for fault, is_there in faults.items():
        if is_there:
            raise Refusal("InvalidSpec", f"spec.{fault}.", "", "Correct it and repeat.")
    shape_of(spec.template.spec)
    demand_match(spec.selector, spec.template.metadata.labels)
    demand_hits(spec.selector, spec.template, spec.topology.overrides)


def _unknown(body: Document) -> Iterator[str]:
    """Yield fields that this CAFE doesn't know: a later one's, or misspelt."""
    spec: Mapping[str, Any] = body["spec"]
    places: tuple[tuple[str, object, type[Struct]], ...] = (
        ("spec", spec, CafeDeploymentSpec),
        (STRATEGY, spec.get("strategy"), CafeDeploymentStrategy),
        ("spec.topology", spec.get("topology"), Topology),
    )
    for where, value, shape in places:
        known = {f.encode_name for f in msgspec.structs.fields(shape)}
        if isinstance(value, Mapping):
            yield from (f"{where}.{name}" for name in sorted(value.keys() - known))
