"""What Deployments and StatefulSets have in common on their way to a CafeDeployment."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import API_VERSION
from cafe.workloads.domain.takeover.manifests import (
    Document,
    Outcome,
    Source,
    Verdict,
    Wish,
    broken,
    cleaned,
)

Walk = Callable[[Any], None]


class WorkloadConversion(ABC):
    """One workload on its way; `outcome` walks its spec field by field, so none goes unaccounted for."""

    pod_set: str
    """What will serve its pods."""

    def __init__(self, source: Source, wish: Wish) -> None:
        self.source = source
        self.wish = wish
        self.strategy: dict[str, Any] = {}
        self.spec: dict[str, Any] = {}
        self._verdicts: list[Verdict] = []

    @abstractmethod
    def walks(self) -> Mapping[str, Walk]:
        """Return what to do with each field that only this kind has."""

    @abstractmethod
    def supply(self, spec: Document) -> None:
        """Say what fields that *spec* leaves out mean for this kind."""

    def overrides(self) -> Mapping[str, Any]:
        """Return the fields of the strategy that were asked for."""
        return self.wish.strategy

    def finish(self, meta: dict[str, Any], spec: dict[str, Any]) -> None:  # noqa: B027 -- most have nothing to add
        """Change what was made, once it is whole."""

    def outcome(self) -> Outcome:
        """Convert it.

        Raises:
            cafe.kernel.Refusal: `BrokenDocument`.
        """
        spec = self.source.body.get("spec")
        if not isinstance(spec, dict):
            raise broken(self.source, "It has no spec.")
        for required in ("selector", "template"):
            if not isinstance(spec.get(required), dict):
                raise broken(self.source, f"It has no spec.{required}.")
        walks: Mapping[str, Walk] = {
            "selector": self._selector,
            "template": self._template,
            "minReadySeconds": self._min_ready,
            "revisionHistoryLimit": self._history,
            **self.walks(),
        }
        for name, value in spec.items():
            if name in walks:
                walks[name](value)
            elif name != "replicas":
                self.say(f"spec.{name}", "NotMapped", "", "CAFE does not know this field")
        self.supply(spec)
        self._replicas(spec.get("replicas"))
        self._check_selector(spec)
        document = self._document()
        return Outcome(self.source, "Converted", document, tuple(self._verdicts))

    def say(self, name: str, verdict: str, to: str = "", why: str = "") -> None:
        """Account for a field."""
        self._verdicts.append(Verdict(name, verdict, to, why))

    def count(self, value: object, name: str) -> int:
        """Return *value* of the field *name* as a count."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise broken(self.source, f"spec.{name} is {value!r}, which is no count.")

    def budget(self, value: object, name: str, why: str = "") -> None:
        """Map the budget *value*, which is not 0."""
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise broken(self.source, f"{name} is {value!r}, which is no count and no percentage.")
        self.strategy["maxUnavailable"] = value
        why = "Holds for each unit by itself, too" if self.wish.units else why
        self.say(name, "Changed" if self.wish.units else "Mapped", "spec.strategy.maxUnavailable", why)

    def _replicas(self, value: object) -> None:
        name = self.source.body["metadata"]["name"]
        count = 1 if value is None else self.count(value, "replicas")
        wanted = self.wish.replicas.get(name, count)
        self.spec["replicas"] = wanted
        if wanted != count:
            self.say("spec.replicas", "Changed", "spec.replicas", f"{wanted} was asked for, not {count}")
        else:
            self.say("spec.replicas", "Mapped", "spec.replicas")

    def _selector(self, value: dict[str, Any]) -> None:
        if not value.get("matchLabels"):
            why = "spec.selector has no matchLabels; without them CAFE can't tell the application's pods."
            raise broken(self.source, why, "Select by matchLabels.")
        self.spec["selector"] = deepcopy(value)
        self.say("spec.selector", "Mapped", "spec.selector")

    def _template(self, value: dict[str, Any]) -> None:
        pod = value.get("spec")
        containers = pod.get("containers") if isinstance(pod, dict) else None
        if not isinstance(pod, dict) or not isinstance(containers, list) or not containers:
            raise broken(self.source, "spec.template.spec has no containers.")
        for container in containers:
            if not isinstance(container, dict) or not container.get("name") or not container.get("image"):
                raise broken(self.source, "A container lacks its name or its image.")
        if pod.get("restartPolicy", "Always") != "Always":
            raise broken(self.source, "restartPolicy must be Always for pods that serve.")
        meta = value.get("metadata") or {}
        kept = {k: deepcopy(meta[k]) for k in ("labels", "annotations") if meta.get(k)}
        self.spec["template"] = {"metadata": kept, "spec": deepcopy(pod)}
        self.say("spec.template", "Mapped", "spec.template")
        for name in sorted(meta.keys() - {"labels", "annotations", "creationTimestamp"}):
            why = "Pods get names and namespace from their set"
            self.say(f"spec.template.metadata.{name}", "NotMapped", "", why)

    def _check_selector(self, spec: Mapping[str, Any]) -> None:
        labels = (spec["template"].get("metadata") or {}).get("labels") or {}
        for key, value in spec["selector"]["matchLabels"].items():
            if labels.get(key) != value:
                why = f"spec.selector asks for {key}={value}, which spec.template.metadata.labels lacks."
                raise broken(self.source, why, "Add the label to the template.")

    def _min_ready(self, value: object) -> None:
        self.strategy["minReadySeconds"] = self.count(value, "minReadySeconds")
        self.say("spec.minReadySeconds", "Mapped", "spec.strategy.minReadySeconds")

    def _history(self, value: object) -> None:
        self.spec["historyLimit"] = self.count(value, "revisionHistoryLimit")
        self.say("spec.revisionHistoryLimit", "Mapped", "spec.historyLimit")

    def _document(self) -> Document:
        meta = cleaned(self.source.body, self.wish.namespace)["metadata"]
        spec = self.spec
        if strategy := {**self.strategy, **self.overrides()}:
            spec["strategy"] = strategy
        spec["topology"] = {"unitType": self.wish.unit_type}
        if self.wish.units:
            spec["topology"]["values"] = list(self.wish.units)
        self.finish(meta, spec)
        document = {
            "apiVersion": API_VERSION,
            "kind": "CafeDeployment",
            "metadata": meta,
            "spec": {"podSetType": self.pod_set, **spec},
        }
        try:
            msgspec.convert(document, CafeDeployment)
        except msgspec.ValidationError as error:
            raise broken(self.source, f"{error}.") from error
        return document
