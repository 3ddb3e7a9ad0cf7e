"""StatefulSets stay what they are: one for each unit, because pods and claims are named after their set."""

from copy import deepcopy
from typing import Any

import msgspec

from cafe.api.cafedeployment import NODE_LABELS
from cafe.api.names import UNIT_LABEL
from cafe.placement.contract import Spread
from cafe.workloads.domain.budget import count_of
from cafe.workloads.domain.children import child_name, turn_of
from cafe.workloads.domain.leaving.pods import bound, plain_template
from cafe.workloads.domain.leaving.workload import STRATEGY, Leaving
from cafe.workloads.domain.takeover.manifests import STATEFUL_SET, Document

NEVER = 2**31 - 1
"""A partition above every ordinal: no pod is made at the newest revision."""

BUDGET = f"{STRATEGY}.maxUnavailable"


class StatefulSetLeaving(Leaving):
    """One application whose pods have names and volumes."""

    kind = STATEFUL_SET

    def documents(self, spread: Spread) -> list[Document]:
        """Return a StatefulSet, or one for each unit under the names that they have already."""
        topology = self.app.spec.topology
        self._say_budget()
        if self.app.spec.strategy.pause:
            self.lose(f"{STRATEGY}.pause", "paused_set")
        if not topology.values:
            spec = {**self.replicas(), "selector": self.selector(), **self._rest()}
            return [self.document(self.app.metadata.name, spec)]
        self.lose("spec.topology", "unit_sets", units=", ".join(topology.values))
        return [self._of_unit(unit, size) for unit, size in self._sizes(spread).items()]

    def _sizes(self, spread: Spread) -> dict[str, int]:
        """Return the pods of each unit: as the controller has decided, else as it would."""
        topology, status, meta = self.app.spec.topology, self.app.status, self.app.metadata
        decided = {unit.name: unit.desired for unit in status.units}
        if status.observed_generation == meta.generation and set(topology.values) <= decided.keys():
            return {unit: decided[unit] for unit in topology.values}
        pins, turn = topology.unit_replicas, turn_of(meta.name)
        quotas = spread(self.app.spec.replicas, topology.values, pins, {}, turn)
        return {unit: quotas[unit] for unit in topology.values}

    def _of_unit(self, unit: str, size: int) -> Document:
        """Return the unit's StatefulSet: the label that tells its pods from those of the others stays."""
        own = {UNIT_LABEL: unit}
        selector = self.selector()
        selector["matchLabels"] = {**selector["matchLabels"], **own}
        spec = {"replicas": size, "selector": selector, **self._rest(unit)}
        template = spec["template"]
        labels = {**template["metadata"]["labels"], **own}
        label = NODE_LABELS[self.app.spec.topology.unit_type]
        spec["template"] = {
            "metadata": {**template["metadata"], "labels": labels},
            "spec": bound(template["spec"], label, [unit]),
        }
        return self.document(child_name(self.app.metadata.name, unit), spec)

    def _rest(self, unit: str = "") -> dict[str, Any]:
        """Return all but size and selector; units differ by their overrides only."""
        app, spec = self.app.spec, {**self.common()}
        spec["serviceName"] = app.service_name
        spec["podManagementPolicy"] = "Parallel"  # As CAFE makes them; it can't be changed afterwards.
        spec["updateStrategy"] = {"type": "RollingUpdate", **self._rolling()}
        if "persistentVolumeClaimRetentionPolicy" in self.raw:
            kept = msgspec.to_builtins(app.persistent_volume_claim_retention_policy)
            spec["persistentVolumeClaimRetentionPolicy"] = kept
        spec["template"] = plain_template(self.app, self.more, unit)
        if app.volume_claim_templates:
            spec["volumeClaimTemplates"] = deepcopy(app.volume_claim_templates)
        return spec

    def _rolling(self) -> dict[str, Any]:
        """Return budget and pause. A StatefulSet rounds a percentage up, as CAFE does (KEP-961)."""
        found: dict[str, Any] = {}
        if self.app.spec.strategy.max_unavailable != 1:
            found["maxUnavailable"] = self.app.spec.strategy.max_unavailable
        if self.app.spec.strategy.pause:
            found["partition"] = NEVER
        return {"rollingUpdate": found} if found else {}

    def _say_budget(self) -> None:
        most = self.app.spec.strategy.max_unavailable
        count_of(most, self.app.spec.replicas)  # Refuses what is no budget.
        if most != 1:
            self.lose(BUDGET, "set_budget", away=most)
