"""Whether labels match a selector (metav1.LabelSelector)."""

from collections.abc import Mapping

from cafe.api.shapes import LabelRequirement, LabelSelector
from cafe.kernel import Refusal


def matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Say whether *labels* satisfy every rule of *selector*; an empty selector matches everything."""
    return all(labels.get(k) == v for k, v in selector.match_labels.items()) and all(
        _holds(rule, labels) for rule in selector.match_expressions
    )


def demand_match(selector: LabelSelector, labels: Mapping[str, str]) -> None:
    """Refuse a template whose pods the selector would not find: the set would make pods without end.

    Admission checks `matchLabels` only; this checks `matchExpressions` too.

    Raises:
        Refusal: `SelectorMismatch`.
    """
    if not matches(selector, labels):
        raise Refusal(
            "SelectorMismatch",
            "spec.selector does not match template.metadata.labels.",
            "The pods that are made would not belong to the set.",
            "Add the labels to the template, or make a new object with another selector.",
        )


def _holds(rule: LabelRequirement, labels: Mapping[str, str]) -> bool:
    if rule.operator == "In":
        return labels.get(rule.key) in rule.values
    if rule.operator == "NotIn":
        return labels.get(rule.key) not in rule.values
    return (rule.key in labels) == (rule.operator == "Exists")
