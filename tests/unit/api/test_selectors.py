"""Whether labels match a selector, as metav1.LabelSelector says."""

import pytest

from cafe.api.selectors import demand_match, matches
from cafe.api.shapes import LabelRequirement, LabelSelector
from cafe.kernel import Refusal


@pytest.mark.parametrize(
    ("operator", "values", "labels", "expected"),
    [
        ("In", ["a", "b"], {"k": "a"}, True),
        ("In", ["a", "b"], {"k": "c"}, False),
        ("In", ["a"], {}, False),
        ("NotIn", ["a"], {"k": "a"}, False),
        ("NotIn", ["a"], {"k": "b"}, True),
        ("NotIn", ["a"], {}, True),
        ("Exists", [], {"k": ""}, True),
        ("Exists", [], {}, False),
        ("DoesNotExist", [], {}, True),
        ("DoesNotExist", [], {"k": "a"}, False),
    ],
)
def test_each_operator(operator: str, values: list[str], labels: dict[str, str], expected: bool) -> None:  # noqa: FBT001 -- a table
    selector = LabelSelector(match_expressions=[LabelRequirement(key="k", operator=operator, values=values)])
    assert matches(selector, labels) is expected


def test_every_rule_must_hold() -> None:
    selector = LabelSelector(
        match_labels={"app": "shop"}, match_expressions=[LabelRequirement(key="tier", operator="Exists")]
    )
    assert matches(selector, {"app": "shop", "tier": "gold"})
    assert not matches(selector, {"app": "shop"})
    assert not matches(selector, {"app": "other", "tier": "gold"})


def test_a_template_whose_pods_would_never_be_found_is_refused() -> None:
    selector = LabelSelector(
        match_labels={"app": "shop"},
        match_expressions=[LabelRequirement(key="track", operator="NotIn", values=["canary"])],
    )
    demand_match(selector, {"app": "shop"})
    with pytest.raises(Refusal) as refused:
        demand_match(selector, {"app": "shop", "track": "canary"})
    assert (refused.value.code, bool(refused.value.remedy)) == ("SelectorMismatch", True)
