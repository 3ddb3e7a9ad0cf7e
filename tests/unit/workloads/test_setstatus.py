"""What an InPlaceSet says of itself."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from cafe.api.inplaceset import InPlaceSet, InPlaceSetSpec, InPlaceSetStatus
from cafe.api.selectors import selector_text
from cafe.api.shapes import LabelRequirement, LabelSelector, Metadata, PodTemplate
from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.scaling import SetGoal
from cafe.workloads.domain.setstatus import can_wait, set_status
from cafe.workloads.domain.updating import Progress
from tests.unit.workloads.facts import DWELL, NEW, OLD, changing, goal, pod, sick, withheld

OWNER = InPlaceSet(
    metadata=Metadata(name="web", generation=7),
    spec=InPlaceSetSpec(selector=LabelSelector(match_labels={"app": "web"}), template=PodTemplate()),
    status=InPlaceSetStatus(collision_count=2),
)
PROGRESS = Progress((), "Updating", "1 of 4 pods are updated")


def status(pods: list[PodFact], wanted: SetGoal | None = None, reason: str = "Updating") -> InPlaceSetStatus:
    return set_status(OWNER, wanted or goal(), pods, replace(PROGRESS, reason=reason), DWELL)


def condition(found: InPlaceSetStatus, kind: str) -> Any:  # noqa: ANN401 -- a condition
    return next(c for c in found.conditions if c.type == kind)


def test_pods_are_counted_for_what_they_are() -> None:
    found = status([
        pod("fit-old"), pod("fit-new", NEW), sick("sick-new", NEW), sick("sick-old"), withheld("held"),
        changing("moving"), pod("going", is_deleting=True), pod("evicted", phase="Failed"),
    ])  # fmt: skip
    assert (found.replicas, found.ready_replicas, found.available_replicas) == (6, 2, 2)
    assert (found.updated_replicas, found.updated_available_replicas) == (3, 1)
    assert (found.observed_generation, found.collision_count) == (7, 2)
    assert found.label_selector == "app=web"


def test_k369_a_pod_whose_image_is_withheld_is_not_updated_yet() -> None:
    assert status([withheld("a")]).updated_replicas == 0
    assert status([withheld("a", revision=NEW)]).updated_replicas == 0


def test_the_update_becomes_the_past_only_when_every_pod_serves_it() -> None:
    new = [pod(f"new-{i}", NEW) for i in range(4)]
    assert status(new).current_revision == NEW
    assert status(new[:3]).current_revision == OLD
    assert status([*new[:3], sick("s", NEW)]).current_revision == OLD
    assert status([*new[:3], pod("o")]).current_revision == OLD
    assert status([*new, pod("o")]).current_revision == OLD


def test_a_skipped_pod_is_counted_as_such_only_while_it_does_not_serve() -> None:
    out, back = sick("a", NEW, is_skipped=True), pod("b", NEW, is_skipped=True, is_delete_wanted=True)
    found = status([out, back, pod("c", NEW), pod("d", NEW)])
    assert (found.skipped_replicas, found.updated_available_replicas) == (1, 3)
    assert found.current_revision == NEW, "a release that is whole but for a skipped pod is the past to come"
    assert status([sick("a", OLD, is_skipped=True)]).skipped_replicas == 0


def test_an_empty_set_has_nothing_to_wait_for() -> None:
    assert status([], goal(0, 0)).current_revision == NEW


@pytest.mark.parametrize(("fit", "verdict"), [(4, "True"), (3, "True"), (2, "False")])
def test_available_means_within_the_budget(fit: int, verdict: str) -> None:
    pods = [pod(f"p{i}") if i < fit else sick(f"p{i}") for i in range(4)]
    assert condition(status(pods), "Available").status == verdict


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("Updating", "True"),
        ("BudgetSpent", "True"),
        ("InPlaceImpossible", "False"),
        ("FailedCreate", "False"),
    ],
)
def test_progress_is_false_only_where_a_person_must_act(reason: str, verdict: str) -> None:
    found = condition(status([], reason=reason), "Progressing")
    assert (found.status, found.reason, found.observed_generation) == (verdict, reason, 7)


def test_equal_worlds_give_equal_statuses() -> None:
    pods = [pod("a"), sick("b", NEW)]
    assert status(pods) == status(pods[::-1])


def test_a_selector_is_written_as_kubectl_takes_it() -> None:
    rules = [
        LabelRequirement(key="tier", operator="In", values=["a", "b"]),
        LabelRequirement(key="track", operator="NotIn", values=["c"]),
        LabelRequirement(key="x", operator="Exists"),
        LabelRequirement(key="y", operator="DoesNotExist"),
    ]
    text = selector_text(LabelSelector(match_labels={"z": "1", "app": "web"}, match_expressions=rules))
    assert text == "app=web,z=1,tier in (a,b),track notin (c),x,!y"


def test_counts_of_a_set_on_its_way_can_wait() -> None:
    before = status([pod("a"), pod("b"), pod("c"), pod("d")])
    after = status([pod("a"), pod("b"), pod("c"), changing("d")], reason="BudgetSpent")
    assert can_wait(before, after)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(status([pod(f"p{i}", NEW) for i in range(4)], reason="PartitionReached"), id="at rest"),
        pytest.param(status([pod("a")], reason="FailedCreate"), id="stopped"),
        pytest.param(status([pod("a"), sick("b"), sick("c"), sick("d")]), id="too few are available"),
        pytest.param(status([pod(f"p{i}", NEW) for i in range(4)]), id="the update has become the past"),
    ],
)
def test_what_others_wait_for_is_written_at_once(after: InPlaceSetStatus) -> None:
    assert not can_wait(status([pod("a"), pod("b"), pod("c"), pod("d")]), after)


def test_a_status_of_another_spec_is_written_at_once() -> None:
    found = status([pod("a"), pod("b"), pod("c"), pod("d")])
    assert not can_wait(msgspec.structs.replace(found, observed_generation=6), found)
    assert not can_wait(msgspec.structs.replace(found, update_revision="cccc"), found)


def test_a_set_at_rest_tells_every_change() -> None:
    pods = [pod(f"p{i}", NEW) for i in range(4)]
    found = status(pods, reason="Complete")
    assert not can_wait(found, msgspec.structs.replace(found, ready_replicas=3))
