"""The set of one unit, rendered from the application."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.cafedeployment import CafeDeployment, UnitType
from cafe.api.inplaceset import InPlaceSetSpec
from cafe.api.names import APP_LABEL, CELL_LABEL, UNIT_LABEL, ZONE_LABEL
from cafe.api.selectors import matches
from cafe.workloads.domain.children import REQUIRED, bind_to_unit, child_name, render_child
from cafe.workloads.domain.groups import UnitGoal
from tests.unit.workloads.releaseworld import application

REQUIREMENTS = st.builds(
    lambda key, value: {"key": key, "operator": "In", "values": [value]},
    st.sampled_from(["disk", "arch"]),
    st.sampled_from(["x", "y"]),
)
TERMS = st.fixed_dictionaries(
    {},
    optional={
        "matchExpressions": st.lists(REQUIREMENTS, max_size=2),
        "matchFields": st.lists(REQUIREMENTS, max_size=2),
    },
)


def with_terms(terms: list[dict[str, Any]]) -> dict[str, Any]:
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}}


def terms_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = spec["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    return found


def admits(terms: list[dict[str, Any]], node: dict[str, str]) -> bool:
    """Judge as the scheduler does: terms are alternatives, and one that says nothing matches no node."""
    return any(
        any(term.values())
        and all(
            node.get(rule["key"]) in rule["values"]
            for field in ("matchExpressions", "matchFields")
            for rule in term.get(field) or []
        )
        for term in terms
    )


NODES = st.fixed_dictionaries(
    {"disk": st.sampled_from("xy"), "arch": st.sampled_from("xy"), CELL_LABEL: st.sampled_from(["a", "b"])}
)


@given(st.lists(TERMS, min_size=1, max_size=3), NODES)
def test_a_bound_pod_runs_where_it_ran_before_but_in_its_unit_only(
    terms: list[dict[str, Any]], node: dict[str, str]
) -> None:
    bound = terms_of(bind_to_unit(with_terms(terms), CELL_LABEL, "a"))
    assert admits(bound, node) == (admits(terms, node) and node[CELL_LABEL] == "a")


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"affinity": None},
        {"affinity": {"nodeAffinity": None}},
        {"affinity": {"nodeAffinity": {REQUIRED: None}}},
        with_terms([]),
        {"affinity": {"podAntiAffinity": {"x": 1}}},
    ],
    ids=str,
)
def test_a_pod_without_terms_gets_one(spec: dict[str, Any]) -> None:
    before = copy.deepcopy(spec)
    bound = bind_to_unit(spec, CELL_LABEL, "a")
    assert terms_of(bound) == [{"matchExpressions": [{"key": CELL_LABEL, "operator": "In", "values": ["a"]}]}]
    assert spec == before
    if spec.get("affinity") and "podAntiAffinity" in spec["affinity"]:
        assert bound["affinity"]["podAntiAffinity"] == {"x": 1}


def test_preferences_stay_as_they_are() -> None:
    node = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {}}]}
    bound = bind_to_unit({"affinity": {"nodeAffinity": node}}, CELL_LABEL, "a")
    assert bound["affinity"]["nodeAffinity"].items() >= node.items()


def render(app: CafeDeployment, unit: str = "a") -> InPlaceSetSpec:
    return render_child(app, unit, UnitGoal(replicas=3, partition=2))


def test_a_child_carries_the_applications_wishes_and_its_own_goal() -> None:
    app = application(max_unavailable=2, min_ready_seconds=7, grace_period_seconds=9, pause=True)
    child = render(app)
    assert (child.replicas, child.strategy.partition, child.min_ready_seconds) == (3, 2, 7)
    assert (child.strategy.max_unavailable, child.strategy.grace_period_seconds) == (2, 9)
    assert child.strategy.paused
    assert child.history_limit == app.spec.history_limit


def test_a_childs_pods_are_found_by_its_selector_and_by_no_other_units() -> None:
    one, other = render(application(), "a"), render(application(), "b")
    assert one.template.metadata.labels == {"app": "shop", APP_LABEL: "shop", UNIT_LABEL: "a"}
    assert matches(one.selector, one.template.metadata.labels)
    assert not matches(one.selector, other.template.metadata.labels)


def test_an_application_without_units_is_bound_to_no_node() -> None:
    child = render(application(units=""), "")
    assert "affinity" not in child.template.spec
    assert UNIT_LABEL not in child.template.metadata.labels


@pytest.mark.parametrize(("unit_type", "label"), [(UnitType.CELL, CELL_LABEL), (UnitType.ZONE, ZONE_LABEL)])
def test_a_unit_is_found_by_the_label_of_its_kind(unit_type: UnitType, label: str) -> None:
    app = application()
    topology = msgspec.structs.replace(app.spec.topology, unit_type=unit_type)
    app = msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, topology=topology))
    assert terms_of(dict(render(app).template.spec))[0]["matchExpressions"][0]["key"] == label


def test_a_child_that_went_through_the_api_is_not_written_again() -> None:
    child = render(application())
    assert msgspec.json.decode(msgspec.json.encode(child), type=InPlaceSetSpec) == child
    assert render(application()) == child


def test_a_set_is_named_after_its_application_and_unit() -> None:
    assert child_name("shop", "RZ00A") == "shop-rz00a"
    assert child_name("shop", "") == "shop"


def test_units_that_differ_only_in_what_a_name_may_not_hold_get_sets_of_their_own() -> None:
    names = {child_name("shop", unit) for unit in ("rz_00", "rz.00", "rz-00")}
    assert len(names) == 3
    assert all(name.startswith("shop-rz-00") and "_" not in name for name in names)
