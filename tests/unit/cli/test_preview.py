"""What is shown before a release is what the controller will do."""

import msgspec
import pytest

from cafe.api.cafedeployment import CafeDeployment
from cafe.cli.changes import Change, edited, template_of
from cafe.cli.errors import Problem
from cafe.cli.views.picture import app_of
from cafe.kernel import Refusal
from cafe.placement.domain.spread import spread
from cafe.workloads.domain.children import render_child
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.preview import UnitNow, look_ahead
from cafe.workloads.domain.revisions import hash_of
from tests.unit.cli.world import NEW, OLD, an_app

UNITS = {name: UnitNow(replicas=5, ready=5, by_revision={}) for name in ("cell-a", "cell-b")}


def with_image(image: str) -> CafeDeployment:
    return app_of(an_app(image=image))


def child_revision(app: CafeDeployment, unit: str) -> str:
    return hash_of(msgspec.to_builtins(render_child(app, unit, UnitGoal(0, 0)).template), 0)


def test_an_image_change_stays_in_place_and_is_cut_into_beta_and_groups_of_four() -> None:
    outlook = look_ahead(with_image(OLD), with_image(NEW), UNITS, spread)
    assert outlook.recreated_because == ()
    assert [g.units for g in outlook.plan.groups] == [
        {"cell-a": 1, "cell-b": 1},
        {"cell-a": 2, "cell-b": 2},
        {"cell-a": 2, "cell-b": 2},
    ]


def test_on_the_way_back_pods_that_still_run_the_old_revision_are_not_touched() -> None:
    old = with_image(OLD)
    counts = {unit: {child_revision(old, unit): 4, "bad": 1} for unit in UNITS}
    units = {unit: UnitNow(replicas=5, ready=4, by_revision=counts[unit]) for unit in UNITS}
    plan = look_ahead(with_image(NEW), old, units, spread).plan
    assert [g.units for g in plan.groups] == [{"cell-a": 1, "cell-b": 1}]


def test_the_plan_s_revision_is_the_controller_s_own() -> None:
    app = with_image(NEW)
    plan = look_ahead(with_image(OLD), app, UNITS, spread).plan
    assert plan.revision == hash_of(msgspec.to_builtins(app.spec.template), 0)


def test_more_than_images_and_labels_replaces_pods_or_is_refused() -> None:
    document = an_app()
    document["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "b"}]
    outlook = look_ahead(with_image(NEW), app_of(document), UNITS, spread)
    assert outlook.recreated_because == ("spec.containers[productpage].env",)
    assert not outlook.is_refused
    document["spec"]["strategy"]["podUpgradePolicy"] = "InPlaceOnly"
    assert look_ahead(with_image(NEW), app_of(document), UNITS, spread).is_refused


def test_pins_that_cannot_be_met_are_refused_beforehand() -> None:
    document = an_app()
    document["spec"]["topology"]["unitReplicas"] = {"cell-a": 11}
    with pytest.raises(Refusal, match="unitReplicas"):
        look_ahead(with_image(NEW), app_of(document), UNITS, spread)


def test_an_edit_leaves_the_document_that_was_shown_alone() -> None:
    shown = an_app()
    wanted = edited(shown, Change(images=["x:9"], strategy={"pause": True}))
    assert shown == an_app()
    assert wanted["spec"]["template"]["spec"]["containers"][0]["image"] == "x:9"
    assert wanted["spec"]["strategy"] == {**shown["spec"]["strategy"], "pause": True}


def test_a_template_is_found_bare_and_in_a_workload_but_must_be_one() -> None:
    template = an_app()["spec"]["template"]
    assert template_of([template], "f") == template
    assert template_of([{"kind": "PodTemplate", "template": template}], "f") == template
    assert template_of([an_app(), {"kind": "Service", "spec": {}}], "f") == template
    with pytest.raises(Problem, match="2 pod templates"):
        template_of([an_app(), an_app()], "f")
    with pytest.raises(Problem, match="0 pod templates"):
        template_of([{"kind": "Service", "spec": {}}], "f")


def test_adopted_pods_are_replaced_by_a_new_image_and_kept_by_a_new_label() -> None:
    units = {name: UnitNow(unit.replicas, unit.ready, unit.by_revision, 1) for name, unit in UNITS.items()}
    outlook = look_ahead(with_image(OLD), with_image(NEW), units, spread)
    assert outlook.recreated_because == ("spec.readinessGates",)
    assert not outlook.is_refused
    assert look_ahead(with_image(NEW), with_image(NEW), units, spread).recreated_because == ()
