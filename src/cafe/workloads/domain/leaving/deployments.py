"""InPlaceSets and ReplicaSets become a Deployment, which rolls all pods of all units in one go."""

from typing import Any

from cafe.api.cafedeployment import NODE_LABELS, PodSetType
from cafe.api.overrides import settings_by_unit
from cafe.placement.contract import Spread
from cafe.workloads.domain.budget import count_of
from cafe.workloads.domain.leaving.pods import bound, plain_template, spread_evenly
from cafe.workloads.domain.leaving.workload import STRATEGY, Leaving, deadline_of
from cafe.workloads.domain.takeover.manifests import DEPLOYMENT, Document

DEFAULT_DEADLINE = 600
"""Seconds; CAFE's default and a Deployment's."""


class DeploymentLeaving(Leaving):
    """One application whose pods have no names and no volumes of their own."""

    kind = DEPLOYMENT

    def documents(self, spread: Spread) -> list[Document]:
        """Return the Deployment."""
        del spread  # Where each pod goes is the scheduler's to decide.
        spec: dict[str, Any] = {
            **self.replicas(),
            "selector": self.selector(),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": self._rolling()},
            **self.common(),
            **self._deadline(),
        }
        if self.app.spec.strategy.pause:
            spec["paused"] = True
            self.lose(f"{STRATEGY}.pause", "paused")
        spec["template"] = self._template()
        return [self.document(self.app.metadata.name, spec)]

    def _rolling(self) -> dict[str, int | str]:
        """Return how many pods may be away and how many may come first.

        CAFE rounds a percentage of maxUnavailable up and a Deployment down, so the number is written. An
        InPlaceSet never has more pods than replicas, and a Deployment takes 25% unless it is told.
        """
        strategy, total = self.app.spec.strategy, self.app.spec.replicas
        surge = strategy.max_surge if self.app.spec.pod_set_type is PodSetType.REPLICA_SET else 0
        first = count_of(surge, total, name="maxSurge", least=0)
        is_surging = surge not in (0, "0%")
        most = strategy.max_unavailable
        away: int | str = count_of(most, total, least=0 if is_surging else 1)
        if not first:
            away = max(1, away)
        if self.is_scaled and isinstance(most, str):
            self.lose(f"{STRATEGY}.maxUnavailable", "rounds_down", share=most)
            away = most
        if len(self.app.spec.topology.values) > 1:
            self.lose(f"{STRATEGY}.maxUnavailable", "budget_over_units", away=away)
        return {"maxSurge": 0 if surge == "0%" else surge, "maxUnavailable": away}

    def _deadline(self) -> dict[str, int]:
        strategy = self.app.spec.strategy
        seconds = deadline_of(self.app)
        if seconds not in (strategy.progress_deadline_seconds, 2**31 - 1):
            self.lose(f"{STRATEGY}.progressDeadlineSeconds", "deadline", seconds=seconds)
        return {} if seconds == DEFAULT_DEADLINE else {"progressDeadlineSeconds": seconds}

    def _template(self) -> dict[str, Any]:
        """Return the template, bound to the units and spread over them."""
        template = plain_template(self.app, self.more)
        topology = self.app.spec.topology
        label = NODE_LABELS.get(topology.unit_type)
        if label is None:
            return template
        spec = bound(template["spec"], label, topology.values)
        if len(topology.values) > 1:
            spec = spread_evenly(spec, label, self.app.spec.selector)
            self.lose("spec.topology", "spread", label=label, units=", ".join(topology.values))
        if topology.unit_replicas:
            pins = ", ".join(f"{unit}: {size}" for unit, size in topology.unit_replicas.items())
            self.lose("spec.topology.unitReplicas", "pins", pins=pins)
        if units := settings_by_unit(topology.overrides):
            self.lose("spec.topology.overrides", "overrides", units=", ".join(sorted(units)))
        return {**template, "spec": spec}
