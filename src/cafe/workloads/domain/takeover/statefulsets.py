"""StatefulSets: served by native ones, but released in groups; names and volumes are the delicate part."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from cafe.api.cafedeployment import PodSetType
from cafe.workloads.domain.takeover.manifests import SERVER_FIELDS, Document, broken, metadata_of
from cafe.workloads.domain.takeover.workload import Walk, WorkloadConversion

BUDGET = "spec.updateStrategy.rollingUpdate.maxUnavailable"
IN_PLACE_ONLY = {"gracePeriodSeconds", "podUpgradePolicy"}
"""Fields of the strategy that mean nothing where pods are replaced; the API server refuses them."""


class StatefulSetConversion(WorkloadConversion):
    """One StatefulSet on its way."""

    pod_set = PodSetType.STATEFUL_SET.value

    def walks(self) -> Mapping[str, Walk]:
        """Return what to do with each field that only StatefulSets have."""
        return {
            "serviceName": self._service_name,
            "volumeClaimTemplates": self._claims,
            "persistentVolumeClaimRetentionPolicy": self._retention,
            "podManagementPolicy": self._management,
            "updateStrategy": self._update,
            "ordinals": self._ordinals,
        }

    def supply(self, spec: Document) -> None:
        """Keep what a StatefulSet does unasked: one pod at a time; say that none waits in line."""
        if "podManagementPolicy" not in spec:
            self._management("OrderedReady")
        if "maxUnavailable" not in self.strategy:
            self.budget(1, BUDGET, "A StatefulSet replaces one pod at a time unless it is told otherwise")
        for name in sorted(IN_PLACE_ONLY & self.wish.strategy.keys()):
            why = "It was asked for, but the pods of a StatefulSet are replaced, not updated in place"
            self.say(f"spec.strategy.{name}", "NotMapped", "", why)

    def overrides(self) -> Mapping[str, Any]:
        """Return what was asked for, without what only pods updated in place have."""
        return {k: v for k, v in self.wish.strategy.items() if k not in IN_PLACE_ONLY}

    def _service_name(self, value: object) -> None:
        if not isinstance(value, str):
            raise broken(self.source, f"spec.serviceName is {value!r}, which is no name.")
        self.spec["serviceName"] = value
        self.say("spec.serviceName", "Mapped", "spec.serviceName")

    def _claims(self, value: object) -> None:
        if not isinstance(value, list):
            raise broken(self.source, "spec.volumeClaimTemplates is no list.")
        claims = []
        for claim in value:
            if not isinstance(claim, dict) or not metadata_of(claim).get("name"):
                raise broken(self.source, "A claim in spec.volumeClaimTemplates has no metadata.name.")
            kept = {k: deepcopy(v) for k, v in claim.items() if k != "status"}
            kept["metadata"] = {k: v for k, v in kept["metadata"].items() if k not in SERVER_FIELDS}
            claims.append(kept)
        self.spec["volumeClaimTemplates"] = claims
        to = "spec.volumeClaimTemplates"
        if self.wish.units and claims:
            why = (
                "Each unit has a StatefulSet of its own, so pods and claims get new names and begin empty: "
                "existing claims stay as they are; copy their data"
            )
            self.say(to, "Changed", to, why)
        else:
            self.say(to, "Mapped", to)

    def _retention(self, value: object) -> None:
        name = "spec.persistentVolumeClaimRetentionPolicy"
        if not isinstance(value, dict):
            raise broken(self.source, f"{name} is no mapping.")
        known = {k: v for k, v in value.items() if k in {"whenDeleted", "whenScaled"}}
        self.spec["persistentVolumeClaimRetentionPolicy"] = known
        self.say(name, "Mapped", name)
        for other in sorted(value.keys() - known.keys()):
            self.say(f"{name}.{other}", "NotMapped", "", "CAFE does not know this field")

    def _management(self, value: object) -> None:
        name, to = "spec.podManagementPolicy", "spec.strategy"
        if value == "Parallel":
            self.say(name, "Mapped", to)
            return
        why = (
            "Pods are made in parallel within a group; one sick pod of a low ordinal can't hold up all others"
        )
        self.say(name, "Changed", to, why)

    def _update(self, value: object) -> None:
        update = value if isinstance(value, dict) else {}
        name, to = "spec.updateStrategy.type", "spec.strategy.upgradeType"
        if update.get("type") == "OnDelete":
            why = "CAFE replaces the pods of an open group itself; with --need-confirm a person opens groups"
            self.say(name, "Changed", to, why)
        elif update.get("type", "RollingUpdate") != "RollingUpdate":
            why = f"{name} is {update['type']!r}, which no StatefulSet has."
            raise broken(self.source, why, "Write RollingUpdate or OnDelete.")
        elif "type" in update:
            self.say(name, "Mapped", to, "Groups, not a rolling update")
        for key, given in (update.get("rollingUpdate") or {}).items():
            if key == "partition":
                why = "Groups take its place: they say how many pods are new, and CAFE moves the partition"
                self.say("spec.updateStrategy.rollingUpdate.partition", "NotMapped", "", why)
            elif key == "maxUnavailable":
                self._unavailable(given)
            else:
                where = f"spec.updateStrategy.rollingUpdate.{key}"
                self.say(where, "NotMapped", "", "CAFE does not know this field")

    def _unavailable(self, value: object) -> None:
        if value in (0, "0", "0%"):
            raise broken(self.source, f"{BUDGET} is {value!r}: no pod could ever be replaced.", "Write 1.")
        self.budget(value, BUDGET)

    def _ordinals(self, value: object) -> None:
        start = value.get("start", 0) if isinstance(value, dict) else 0
        if self.count(start, "ordinals.start") == 0:
            self.say("spec.ordinals", "Mapped", "spec")
            return
        why = f"CAFE counts pods from 0, not from {start}: they get other names, and claims of their own"
        self.say("spec.ordinals.start", "NotMapped", "", why)
