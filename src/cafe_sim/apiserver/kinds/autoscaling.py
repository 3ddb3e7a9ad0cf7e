"""HorizontalPodAutoscalers: what the API server makes sure of.

The rules are those of Kubernetes' `pkg/apis/autoscaling/validation`, and so are the words.
"""

from collections.abc import Sequence
from typing import NamedTuple

from cafe_sim.apiserver.errors import FieldError, not_supported
from cafe_sim.apiserver.names import dns_label, path_segment
from cafe_sim.apiserver.resource import Rules
from cafe_sim.apiserver.schema.quantities import amount
from cafe_sim.contract import Json

_LONGEST_PERIOD, _LONGEST_WINDOW = 1800, 3600
_SELECT_POLICIES = ("Disabled", "Max", "Min")
_POLICY_TYPES = ("Percent", "Pods")
_SOURCES = {
    "Object": "object", "External": "external", "Pods": "pods", "Resource": "resource",
    "ContainerResource": "containerResource",
}  # fmt: skip
"""Types of metrics with the field of each, in the order in which the server looks at them."""
_TARGETS = ("Utilization", "Value", "AverageValue")
_STANDARD = ("cpu", "memory", "ephemeral-storage")


class AutoscalerRules(Rules):
    """HorizontalPodAutoscalers. Without a generation: the real server counts none for them."""

    has_status = True

    def __init__(self, zero_status: Json) -> None:
        self._zero_status = zero_status

    def first_status(self, obj: Json) -> Json:
        """Nobody has looked at it yet."""
        del obj
        return self._zero_status

    def check(self, obj: Json) -> list[FieldError]:
        """Check a new one."""
        return _check_spec(obj["spec"], lowest=1, is_same_target=False)

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """What was allowed to be once may stay: a target without a group, no pod at all."""
        spec, before = new["spec"], old["spec"]
        target, target_before = spec.get("scaleTargetRef") or {}, before.get("scaleTargetRef") or {}
        is_same = all(target.get(name) == target_before.get(name) for name in ("apiVersion", "kind"))
        return _check_spec(spec, lowest=0 if before.get("minReplicas") == 0 else 1, is_same_target=is_same)

    def check_status_update(self, new: Json, old: Json) -> list[FieldError]:
        """Pods are counted upwards."""
        del old
        status = new.get("status") or {}
        return [
            FieldError("Invalid", f"status.{name}", status[name], "must be greater than or equal to 0")
            for name in ("currentReplicas", "desiredReplicas")
            if status.get(name, 0) < 0
        ]


def _check_spec(spec: Json, *, lowest: int, is_same_target: bool) -> list[FieldError]:
    found: list[FieldError] = []
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < lowest:
        text = f"must be greater than or equal to {lowest}"
        found.append(FieldError("Invalid", "spec.minReplicas", least, text))
    if most == 0:
        found.append(FieldError("Required", "spec.maxReplicas", None, "must be set and greater than 0"))
    elif most < 0:
        found.append(FieldError("Invalid", "spec.maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        text = "must be greater than or equal to `minReplicas`"
        found.append(FieldError("Invalid", "spec.maxReplicas", most, text))
    target = spec.get("scaleTargetRef") or {}
    may_be_core = target.get("kind") == "ReplicationController"
    found += _check_reference(target, "spec.scaleTargetRef")
    if not is_same_target:
        found += _check_group(target, "spec.scaleTargetRef", may_be_core=may_be_core)
    found += _check_metrics(spec.get("metrics") or [], least)
    behavior = spec.get("behavior") or {}
    for name in ("scaleUp", "scaleDown"):
        if behavior.get(name) is not None:
            found += _check_rules(behavior[name], f"spec.behavior.{name}")
    return found


def _check_reference(ref: Json, at: str) -> list[FieldError]:
    found: list[FieldError] = []
    for name in ("kind", "name"):
        if not ref.get(name):
            found.append(FieldError("Required", f"{at}.{name}"))
        else:
            texts = path_segment(ref[name])
            found += [FieldError("Invalid", f"{at}.{name}", ref[name], text) for text in texts]
    return found


def _check_group(ref: Json, at: str, *, may_be_core: bool) -> list[FieldError]:
    version = ref.get("apiVersion", "")
    text = ""
    if version.count("/") > 1:
        text = f"unexpected GroupVersion string: {version}"
    elif not may_be_core and not version.rpartition("/")[0]:
        text = "apiVersion must specify API group"
    return [FieldError("Invalid", f"{at}.apiVersion", version, text)] if text else []


def _check_metrics(metrics: Sequence[Json], least: int | None) -> list[FieldError]:
    found: list[FieldError] = []
    for index, metric in enumerate(metrics):
        found += _check_metric(metric, f"spec.metrics[{index}]")
    if least == 0 and not {"Object", "External"} & {metric.get("type") for metric in metrics}:
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        found.append(FieldError("Forbidden", "spec.metrics", None, text))
    return found


def _check_metric(metric: Json, at: str) -> list[FieldError]:
    kind = metric.get("type", "")
    found: list[FieldError] = []
    if not kind:
        found.append(FieldError("Required", f"{at}.type", None, "must specify a metric source type"))
    if kind not in _SOURCES:
        found.append(not_supported(f"{at}.type", kind, sorted(_SOURCES)))
    present = [name for name in _SOURCES.values() if metric.get(name) is not None]
    if present:
        found += _check_source(present[0], metric[present[0]], f"{at}.{present[0]}")
    wanted = _SOURCES.get(kind, "")
    if wanted and wanted not in present:
        text = "must populate information for the given metric source"
        found.append(FieldError("Required", f"{at}.{wanted}", None, text))
    if len(present) > 1:
        text = "must populate the given metric source only"
        found += [FieldError("Forbidden", f"{at}.{name}", None, text) for name in present if name != wanted]
    return found


def _check_source(name: str, source: Json, at: str) -> list[FieldError]:
    found: list[FieldError] = []
    if name == "object":
        ref = source.get("describedObject") or {}
        found += _check_reference(ref, f"{at}.describedObject")
        found += _check_group(ref, f"{at}.describedObject", may_be_core=True)
    if name in {"object", "external", "pods"}:
        found += _check_identifier(source.get("metric") or {}, f"{at}.metric")
    else:
        found += _check_resource(name, source, at)
    target = source.get("target") or {}
    return found + _check_target(target, f"{at}.target") + _check_choice(name, target, f"{at}.target")


def _check_identifier(metric: Json, at: str) -> list[FieldError]:
    name = metric.get("name", "")
    if not name:
        return [FieldError("Required", f"{at}.name", None, "must specify a metric name")]
    return [FieldError("Invalid", f"{at}.name", name, text) for text in path_segment(name)]


def _check_resource(name: str, source: Json, at: str) -> list[FieldError]:
    found: list[FieldError] = []
    resource, container = source.get("name", ""), source.get("container", "")
    if not resource:
        found.append(FieldError("Required", f"{at}.name", None, "must specify a resource name"))
    if name == "resource":
        return found
    is_standard = resource in _STANDARD or "/" in resource or resource.startswith("hugepages-")
    if resource and not is_standard:
        text = "must be a standard resource for containers"
        found.append(FieldError("Invalid", f"{at}.name", resource, text))
    if not container:
        found.append(FieldError("Required", f"{at}.container", None, "must specify a container"))
    else:
        found += [FieldError("Invalid", f"{at}.container", container, t) for t in dns_label(container)]
    return found


def _check_target(target: Json, at: str) -> list[FieldError]:
    kind = target.get("type", "")
    found: list[FieldError] = []
    if not kind:
        found.append(FieldError("Required", f"{at}.type", None, "must specify a metric target type"))
    if kind not in _TARGETS:
        text = "must be either Utilization, Value, or AverageValue"
        found.append(FieldError("Invalid", f"{at}.type", kind, text))
    found += [
        FieldError("Invalid", f"{at}.{name}", target[name], "must be positive")
        for name in ("value", "averageValue")
        if target.get(name) is not None and amount(str(target[name])) <= 0
    ]
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        found.append(FieldError("Invalid", f"{at}.averageUtilization", percent, "must be greater than 0"))
    return found


class _Choice(NamedTuple):
    """Two ways to say how much, of which one is to be taken: what is told of none, and of both."""

    ways: tuple[str, str]
    none: tuple[str, str]
    both: tuple[str, str] | None = None


_RAW = _Choice(
    ("averageUtilization", "averageValue"),
    ("averageUtilization", "must set either a target raw value or a target utilization"),
    ("averageValue", "may not set both a target raw value and a target utilization"),
)
_CHOICES = {
    "object": _Choice(
        ("value", "averageValue"), ("averageValue", "must set either a target value or averageValue")
    ),
    "pods": _Choice(
        ("averageValue", "averageValue"), ("averageValue", "must specify a positive target averageValue")
    ),
    "external": _Choice(
        ("value", "averageValue"),
        ("averageValue", "must set either a target value for metric or a per-pod target"),
        ("value", "may not set both a target value for metric and a per-pod target"),
    ),
    "resource": _RAW,
    "containerResource": _RAW,
}


def _check_choice(name: str, target: Json, at: str) -> list[FieldError]:
    """A target says how much in one way."""
    choice = _CHOICES[name]
    is_set = [target.get(way) is not None for way in choice.ways]
    if not any(is_set):
        return [FieldError("Required", f"{at}.{choice.none[0]}", None, choice.none[1])]
    if all(is_set) and choice.both is not None:
        return [FieldError("Forbidden", f"{at}.{choice.both[0]}", None, choice.both[1])]
    return []


def _check_rules(rules: Json, at: str) -> list[FieldError]:
    found: list[FieldError] = []
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        text = "must be greater than or equal to zero"
        found.append(FieldError("Invalid", f"{at}.stabilizationWindowSeconds", window, text))
    if window is not None and window > _LONGEST_WINDOW:
        text = f"must be less than or equal to {_LONGEST_WINDOW}"
        found.append(FieldError("Invalid", f"{at}.stabilizationWindowSeconds", window, text))
    select = rules.get("selectPolicy")
    if select is not None and select not in _SELECT_POLICIES:
        found.append(not_supported(f"{at}.selectPolicy", select, _SELECT_POLICIES))
    policies = rules.get("policies") or []
    if not policies:
        text = "must specify at least one Policy"
        found.append(FieldError("Required", f"{at}.policies", None, text))
    for index, policy in enumerate(policies):
        found += _check_policy(policy, f"{at}.policies[{index}]")
    tolerance = rules.get("tolerance")
    if tolerance is not None and amount(str(tolerance)) < 0:
        text = "must be greater than or equal to 0"
        found.append(FieldError("Invalid", f"{at}.tolerance", tolerance, text))
    return found


def _check_policy(policy: Json, at: str) -> list[FieldError]:
    found: list[FieldError] = []
    if policy.get("type") not in _POLICY_TYPES:
        found.append(not_supported(f"{at}.type", policy.get("type", ""), _POLICY_TYPES))
    for name in ("value", "periodSeconds"):
        number = policy.get(name, 0)
        if number <= 0:
            found.append(FieldError("Invalid", f"{at}.{name}", number, "must be greater than zero"))
    period = policy.get("periodSeconds", 0)
    if period > _LONGEST_PERIOD:
        text = f"must be less than or equal to {_LONGEST_PERIOD}"
        found.append(FieldError("Invalid", f"{at}.periodSeconds", period, text))
    return found
