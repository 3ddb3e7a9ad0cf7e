"""Deployments: their pods are updated in place, or replaced by ReplicaSets if that is wished."""

from collections.abc import Mapping
from typing import Any

from cafe.api.cafedeployment import PodSetType
from cafe.api.names import ADOPT_ANNOTATION
from cafe.workloads.domain.takeover.manifests import NO_DEADLINE, Document, Source, Wish, broken
from cafe.workloads.domain.takeover.workload import Walk, WorkloadConversion

ZERO = (0, "0", "0%")
ROLLING_UPDATE = "RollingUpdate"
ROLLING = "spec.strategy.rollingUpdate"
SURGE = "spec.strategy.maxSurge"
WHOLE = 100
DEFAULT_SHARE = "25%"
"""Of pods that may be away, in a Deployment and in CAFE."""

MOST_SURGE = 100
"""Percent: as many pods beside the old ones as there are old ones."""


class DeploymentConversion(WorkloadConversion):
    """One Deployment on its way."""

    def __init__(self, source: Source, wish: Wish) -> None:
        super().__init__(source, wish)
        self.pod_set = wish.pod_set
        self._is_replaced = wish.pod_set == PodSetType.REPLICA_SET

    def walks(self) -> Mapping[str, Walk]:
        """Return what to do with each field that only Deployments have."""
        return {
            "strategy": self._rolling,
            "progressDeadlineSeconds": self._deadline,
            "paused": self._paused,
        }

    def supply(self, spec: Document) -> None:
        """Let new pods come first where a Deployment would, if pods are replaced."""
        if not isinstance(spec.get("strategy"), dict):
            self._default_surge()

    def finish(self, meta: dict[str, Any], spec: dict[str, Any]) -> None:
        """Keep the last pod if pods are replaced; have the running pods taken over where they are."""
        if self._is_replaced and "maxUnavailable" not in self.wish.strategy:
            self._round_down(spec.get("strategy", {}), spec["replicas"])
        there = self.wish.adopted.get(meta["name"])
        if there is None:
            return
        meta["annotations"] = {**meta.get("annotations", {}), ADOPT_ANNOTATION: f"Deployment/{meta['name']}"}
        spec["replicas"] = sum(there.values())
        why = "The running pods are taken over without a restart; the first new image replaces them"
        if self.wish.units:
            spec["topology"]["unitReplicas"] = {u: there.get(u, 0) for u in self.wish.units}
            why += ". Units are pinned as they are; take the pins away to have pods spread"
        self.say("spec.replicas", "Changed", "spec.topology", why)

    def _round_down(self, strategy: dict[str, Any], replicas: int) -> None:
        """Let no pod be away where a Deployment lets none: it rounds a share down, and CAFE rounds it up.

        Of one pod, a Deployment makes the new one first unasked; it must not become the other way round.
        """
        share, surge = strategy.get("maxUnavailable", DEFAULT_SHARE), strategy.get("maxSurge", 0)
        percent = share[:-1] if isinstance(share, str) and share.endswith("%") else ""
        if surge in ZERO or not percent.isdecimal() or replicas * int(percent) >= WHOLE:
            return
        strategy["maxUnavailable"] = 0
        why = f"A Deployment rounds {share} of {replicas} pods down to none, and CAFE would round it up"
        self.say(f"{ROLLING}.maxUnavailable", "Changed", "spec.strategy.maxUnavailable", why)

    def _deadline(self, value: object) -> None:
        seconds = self.count(value, "progressDeadlineSeconds")
        self.strategy["progressDeadlineSeconds"] = 0 if seconds == NO_DEADLINE else seconds
        why = "Written as 0: it waits for ever" if seconds == NO_DEADLINE else ""
        self.say("spec.progressDeadlineSeconds", "Mapped", "spec.strategy.progressDeadlineSeconds", why)

    def _paused(self, value: object) -> None:
        self.strategy["pause"] = bool(value)
        self.say("spec.paused", "Mapped", "spec.strategy.pause")

    def _rolling(self, value: object) -> None:
        strategy = value if isinstance(value, dict) else {}
        to = "spec.strategy.upgradeType"
        if strategy.get("type") == "Recreate":
            way = "pod by pod" if self._is_replaced else "in place"
            why = f"CAFE never stops all pods at once: groups are updated {way}, one after the other"
            self.say("spec.strategy.type", "Changed", to, why)
        elif strategy.get("type", ROLLING_UPDATE) != ROLLING_UPDATE:
            why = f"spec.strategy.type is {strategy['type']!r}, which no Deployment has."
            raise broken(self.source, why, "Write RollingUpdate or Recreate.")
        elif "type" in strategy:
            self.say("spec.strategy.type", "Mapped", to, "Groups, not a rolling update")
        rolling = strategy.get("rollingUpdate") or {}
        if "maxSurge" in rolling:
            self._surge(rolling["maxSurge"])
        elif strategy.get("type") != "Recreate":
            self._default_surge()
        if "maxUnavailable" in rolling:
            self._unavailable(rolling["maxUnavailable"])

    def _default_surge(self) -> None:
        if self._is_replaced:
            self.strategy["maxSurge"] = "25%"
            self.say(f"{ROLLING}.maxSurge", "Mapped", SURGE, "25% is what a Deployment has unasked")

    def _surge(self, value: object) -> None:
        name = f"{ROLLING}.maxSurge"
        if not self._is_replaced:
            why = "Pods are updated in place, so there are never more of them than replicas"
            self.say(name, "NotMapped", "", why)
            return
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise broken(self.source, f"{name} is {value!r}, which is no count and no percentage.")
        percent = value[:-1] if isinstance(value, str) and value.endswith("%") else ""
        is_over = percent.isdigit() and int(percent) > MOST_SURGE
        self.strategy["maxSurge"] = f"{MOST_SURGE}%" if is_over else 0 if value in ZERO else value
        why = "Holds for each unit by itself, too" if self.wish.units else ""
        if is_over:
            why = "A unit is doubled at most"
        self.say(name, "Changed" if why else "Mapped", SURGE, why)

    def _unavailable(self, value: object) -> None:
        name, to = f"{ROLLING}.maxUnavailable", "spec.strategy.maxUnavailable"
        if value not in ZERO or isinstance(value, bool):
            self.budget(value, name)
        elif self._is_replaced and self.strategy.get("maxSurge", 0) not in ZERO:
            self.strategy["maxUnavailable"] = 0
            self.say(name, "Mapped", to)
        elif self._is_replaced:
            why = "0 leans on maxSurge, which is 0 as well; 25% of a unit is allowed to be away"
            self.say(name, "Changed", to, why)
        else:
            why = "0 leans on maxSurge; a pod being updated in place is away, so 25% of a unit is allowed"
            self.say(name, "Changed", to, why)
