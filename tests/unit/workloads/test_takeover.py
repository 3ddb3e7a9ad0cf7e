"""Ways of updating that CAFE has not are changed to the nearest that it has, and that is said."""

from typing import Any

import pytest

from cafe.kernel import Refusal
from cafe.workloads.domain.importing import convert
from cafe.workloads.domain.takeover.manifests import Outcome, Source, Verdict, Wish
from tests.unit.workloads.applications import CLAIM, TEMPLATE, Json


def taken(kind: str, pod_set: str = "InPlaceSet", **spec: Any) -> Outcome:  # noqa: ANN401 -- any field
    body = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, **spec},
    }
    (outcome,) = convert([Source("file", 1, 1, body)], Wish("default", pod_set=pod_set))
    return outcome


def verdict(outcome: Outcome, field: str) -> Verdict:
    (found,) = (v for v in outcome.verdicts if v.field == field)
    return found


def strategy(outcome: Outcome) -> Json:
    assert outcome.document is not None
    found: Json = outcome.document["spec"].get("strategy", {})
    return found


def test_a_stateful_set_that_waits_for_deletions_is_told_that_groups_do_not() -> None:
    outcome = taken("StatefulSet", updateStrategy={"type": "OnDelete"})
    said = verdict(outcome, "spec.updateStrategy.type")
    assert said.verdict == "Changed"
    assert "--need-confirm" in said.why
    assert strategy(outcome) == {"maxUnavailable": 1}


def test_a_deployment_cannot_wait_for_deletions() -> None:
    with pytest.raises(Refusal, match="'OnDelete', which no Deployment has"):
        taken("Deployment", strategy={"type": "OnDelete"})
    outcome = taken("Deployment", updateStrategy={"type": "OnDelete"})
    assert verdict(outcome, "spec.updateStrategy").verdict == "NotMapped"


def test_a_way_of_updating_that_no_stateful_set_has_is_refused() -> None:
    with pytest.raises(Refusal, match="'Recreate', which no StatefulSet has"):
        taken("StatefulSet", updateStrategy={"type": "Recreate"})


def test_ordinals_that_begin_elsewhere_cost_names_and_claims_and_that_is_said() -> None:
    outcome = taken("StatefulSet", ordinals={"start": 5}, volumeClaimTemplates=[CLAIM])
    said = verdict(outcome, "spec.ordinals.start")
    assert said.verdict == "NotMapped"
    assert "not from 5" in said.why
    assert "claims of their own" in said.why
    assert outcome.document is not None
    assert "ordinals" not in outcome.document["spec"]


def test_ordinals_that_begin_at_nought_are_what_cafe_has() -> None:
    assert verdict(taken("StatefulSet", ordinals={"start": 0}), "spec.ordinals").verdict == "Mapped"


def test_ordinals_that_are_no_number_are_refused() -> None:
    with pytest.raises(Refusal, match="no count"):
        taken("StatefulSet", ordinals={"start": "five"})


@pytest.mark.parametrize(
    ("surge", "kept", "is_changed"),
    [("150%", "100%", True), ("101%", "100%", True), ("100%", "100%", False), (7, 7, False)],
)
def test_a_unit_is_doubled_at_most(surge: int | str, kept: int | str, *, is_changed: bool) -> None:
    rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": 0}}
    outcome = taken("Deployment", "ReplicaSet", strategy=rolling)
    assert strategy(outcome) == {"maxSurge": kept, "maxUnavailable": 0}
    said = verdict(outcome, "spec.strategy.rollingUpdate.maxSurge")
    assert said.verdict == ("Changed" if is_changed else "Mapped")
    assert ("doubled" in said.why) == is_changed


def test_pods_that_stay_are_never_joined_by_others() -> None:
    outcome = taken("Deployment", strategy={"rollingUpdate": {"maxSurge": "150%"}})
    assert verdict(outcome, "spec.strategy.rollingUpdate.maxSurge").verdict == "NotMapped"
    assert "maxSurge" not in strategy(outcome)


@pytest.mark.parametrize(
    ("replicas", "rolling", "kept"),
    [
        (1, {}, 0),
        (3, {"maxUnavailable": "33%"}, 0),
        (3, {"maxUnavailable": "34%"}, "34%"),
        (4, {}, None),
        (1, {"maxSurge": 0, "maxUnavailable": "25%"}, "25%"),
        (1, {"maxUnavailable": 1}, 1),
    ],
)
def test_where_a_deployment_lets_no_pod_be_away_none_is(
    replicas: int, rolling: Json, kept: int | str | None
) -> None:
    outcome = taken("Deployment", "ReplicaSet", replicas=replicas, strategy={"rollingUpdate": rolling})
    assert strategy(outcome).get("maxUnavailable") == kept
    said = [v for v in outcome.verdicts if "down to none" in v.why]
    assert len(said) == (kept == 0)


def test_whoever_says_how_many_may_be_away_is_heard() -> None:
    wish = Wish("default", pod_set="ReplicaSet", strategy={"maxUnavailable": "25%"})
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE},
    }
    (outcome,) = convert([Source("file", 1, 1, body)], wish)
    assert strategy(outcome)["maxUnavailable"] == "25%"


def test_a_deployment_that_is_recreated_needs_no_pod_to_come_first() -> None:
    outcome = taken("Deployment", "ReplicaSet", replicas=1, strategy={"type": "Recreate"})
    assert strategy(outcome) == {}
    assert verdict(outcome, "spec.strategy.type").verdict == "Changed"
