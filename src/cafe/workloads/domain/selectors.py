"""Whether labels match a selector (metav1.LabelSelector)."""

from collections.abc import Mapping

from cafe.api.shapes import LabelRequirement, LabelSelector


def matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Say whether *labels* satisfy every rule of *selector*; an empty selector matches everything."""
    return all(labels.get(k) == v for k, v in selector.match_labels.items()) and all(
        _holds(rule, labels) for rule in selector.match_expressions
    )


def _holds(rule: LabelRequirement, labels: Mapping[str, str]) -> bool:
    if rule.operator == "In":
        return labels.get(rule.key) in rule.values
    if rule.operator == "NotIn":
        return labels.get(rule.key) not in rule.values
    return (rule.key in labels) == (rule.operator == "Exists")
