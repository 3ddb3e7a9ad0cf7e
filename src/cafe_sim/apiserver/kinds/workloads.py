"""Deployments, ReplicaSets, StatefulSets, DaemonSets, ControllerRevisions, PodDisruptionBudgets."""

from cafe_sim.apiserver.errors import FieldError
from cafe_sim.apiserver.kinds.pods import check_pod_spec
from cafe_sim.apiserver.names import check_label_selector, check_labels
from cafe_sim.apiserver.resource import Rules
from cafe_sim.apiserver.selectors import matches_selector
from cafe_sim.apiserver.values import Path, Value
from cafe_sim.contract import Json

IMMUTABLE = "field is immutable"
SET_IMMUTABLE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_SET_MAY_CHANGE = (
    "replicas", "ordinals", "template", "updateStrategy", "minReadySeconds", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
)  # fmt: skip
_COUNTS = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")


def check_counts(spec: Json) -> list[FieldError]:
    """Nothing that is counted may be negative."""
    return [
        FieldError("Invalid", f"spec.{name}", spec[name], "must be greater than or equal to 0")
        for name in _COUNTS
        if isinstance(spec.get(name), int) and spec[name] < 0
    ]


def check_selected_template(spec: Json, *, shows_selector: bool = False) -> list[FieldError]:
    """A selector must select the template's labels."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    found: list[FieldError] = []
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is None:
        found.append(FieldError("Required", "spec.selector"))
    else:
        found += check_label_selector(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            what = (
                "empty selector is invalid for deployment" if shows_selector else "empty selector is invalid"
            )
            found.append(FieldError("Invalid", "spec.selector", selector, what))
    if not found and not matches_selector(selector, labels):
        text = "`selector` does not match template `labels`"
        found.append(FieldError("Invalid", "spec.template.metadata.labels", labels, text))
    found += check_labels(labels, "spec.template.labels")
    found += check_pod_spec(template.get("spec") or {}, "spec.template.spec")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy in {"OnFailure", "Never"}:
        at = "spec.template.spec.restartPolicy"
        found.append(FieldError("NotSupported", at, policy, 'supported values: "Always"'))
    return found


class TemplateRules(Rules):
    """What all sets of pods have in common."""

    has_status = True
    has_generation = True

    def __init__(self, zero_status: Json, fields: dict[str, Path] | None = None) -> None:
        self._zero_status = zero_status
        if fields:
            self.fields = fields

    def first_status(self, obj: Json) -> Json:
        """Nothing is counted yet."""
        del obj
        return self._zero_status

    def check(self, obj: Json) -> list[FieldError]:
        """Check counts, selector and template."""
        return check_counts(obj["spec"]) + check_selected_template(obj["spec"])

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """The selector stays."""
        if new["spec"] is old["spec"]:
            return []
        return self.check(new) + _same_selector(new["spec"], old["spec"])


def _same_selector(spec: Json, before: Json) -> list[FieldError]:
    selector: Value = spec.get("selector")
    if selector == before.get("selector"):
        return []
    return [FieldError("Invalid", "spec.selector", selector, IMMUTABLE)]


class DeploymentRules(TemplateRules):
    """Deployments, whose rolling update must be able to move."""

    status_keeps = ("labels",)

    def check(self, obj: Json) -> list[FieldError]:
        """Check the strategy as well."""
        spec = obj["spec"]
        found = check_counts(spec) + check_selected_template(spec, shows_selector=True)
        if spec.get("progressDeadlineSeconds", 600) <= spec.get("minReadySeconds", 0):
            text = "must be greater than minReadySeconds"
            value = spec.get("progressDeadlineSeconds")
            found.append(FieldError("Invalid", "spec.progressDeadlineSeconds", value, text))
        return found + _check_strategy(spec.get("strategy") or {})

    def is_same_intent(self, new: Json, old: Json) -> bool:
        """A deployment's annotations reach its replica sets, so they count too."""
        same = new["metadata"].get("annotations") == old["metadata"].get("annotations")
        return same and bool(new.get("spec") == old.get("spec"))


def _check_strategy(strategy: Json) -> list[FieldError]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate" and rolling is not None:
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [FieldError("Forbidden", "spec.strategy.rollingUpdate", None, text)]
    if kind not in {"Recreate", "RollingUpdate"}:
        text = 'supported values: "Recreate", "RollingUpdate"'
        return [FieldError("NotSupported", "spec.strategy.type", kind, text)]
    zero = (0, "0%")
    if rolling and rolling.get("maxUnavailable") in zero and rolling.get("maxSurge") in zero:
        text = "may not be 0 when `maxSurge` is 0"
        at = "spec.strategy.rollingUpdate.maxUnavailable"
        return [FieldError("Invalid", at, rolling.get("maxUnavailable"), text)]
    return []


class StatefulSetRules(TemplateRules):
    """StatefulSets, of which little may change."""

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """Only what the message names may change."""
        spec, before = new["spec"], old["spec"]
        if spec is before:
            return []
        if {**spec, **dict.fromkeys(_SET_MAY_CHANGE)} != {**before, **dict.fromkeys(_SET_MAY_CHANGE)}:
            return [FieldError("Forbidden", "spec", None, SET_IMMUTABLE)]
        return self.check(new)


class RevisionRules(Rules):
    """ControllerRevisions: data that never changes."""

    def check(self, obj: Json) -> list[FieldError]:
        """Revisions are counted up."""
        if obj.get("revision", 0) >= 0:
            return []
        text = "must be greater than or equal to 0"
        return [FieldError("Invalid", "revision", obj["revision"], text)]

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """Only the number may change."""
        found = self.check(new)
        if new.get("data") != old.get("data"):
            found.append(FieldError("Invalid", "data", new.get("data"), IMMUTABLE))
        return found


class BudgetRules(Rules):
    """PodDisruptionBudgets."""

    has_status = True
    has_generation = True
    needs_version = True

    def __init__(self, zero_status: Json) -> None:
        self._zero_status = zero_status

    def first_status(self, obj: Json) -> Json:
        """Until it was looked at, it allows nothing."""
        del obj
        return self._zero_status

    def check(self, obj: Json) -> list[FieldError]:
        """One bound, not two."""
        spec = obj.get("spec") or {}
        found = check_label_selector(spec.get("selector"), "spec.selector")
        if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
            text = "minAvailable and maxUnavailable cannot be both set"
            found.append(FieldError("Invalid", "spec", spec, text))
        return found
