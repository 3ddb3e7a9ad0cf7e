"""What a selector (metav1.LabelSelector) says: whether labels match it, and how it is written."""

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


def selector_text(selector: LabelSelector) -> str:
    """Write a selector as kubectl takes it with `-l`."""
    parts = [f"{k}={v}" for k, v in sorted(selector.match_labels.items())]
    for rule in selector.match_expressions:
        values = f"({','.join(rule.values)})"
        parts.append(
            {
                "In": f"{rule.key} in {values}",
                "NotIn": f"{rule.key} notin {values}",
                "Exists": rule.key,
                "DoesNotExist": f"!{rule.key}",
            }[rule.operator]
        )
    return ",".join(parts)


def _holds(rule: LabelRequirement, labels: Mapping[str, str]) -> bool:
    if rule.operator == "In":
        return labels.get(rule.key) in rule.values
    if rule.operator == "NotIn":
        return labels.get(rule.key) not in rule.values
    return (rule.key in labels) == (rule.operator == "Exists")
