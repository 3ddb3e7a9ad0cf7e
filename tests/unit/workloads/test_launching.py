"""Containers of a living pod get their new images in the order that the template says."""

from typing import Any

import pytest

from cafe.api.names import LAUNCH_PRIORITY_ANNOTATION
from cafe.kernel import Refusal
from cafe.workloads.adapters.podwrites import wanted_state
from cafe.workloads.domain.facts import ContainerBefore, ContainerFact, PodFact, UpdateState
from cafe.workloads.domain.launching import demand_priorities, due_images, in_batches, priorities_of
from cafe.workloads.domain.pods import read_state, write_state
from cafe.workloads.domain.steps import LowerGate, RaiseGate, WriteChange
from cafe.workloads.domain.templates import InPlace
from cafe.workloads.domain.updating import next_step, write_change
from tests.unit.workloads.facts import DWELL, LONG_AGO, NEW, NEWER, NOW, OLD, container, goal, pod, rules

BOTH = {"proxy": "proxy:v2", "app": "app:v2"}


def templated(text: str | None, *names: str) -> dict[str, Any]:
    annotations = {} if text is None else {LAUNCH_PRIORITY_ANNOTATION: text}
    return {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": n} for n in names]}}


def half_way(*, is_ready: bool = True, is_running: bool = True, target: str = NEW) -> PodFact:
    """Return a pod whose proxy has its new image, and whose app is to follow."""
    state = UpdateState(
        target,
        LONG_AGO,
        {"proxy": ContainerBefore("sha256:proxy:v1", "containerd://1")},
        later=({"app": "app:v2"},),
    )
    proxy = ContainerFact(
        image="proxy:v2",
        image_id="sha256:proxy:v2" if is_running else "",
        container_id="containerd://7",
        is_running=is_running,
        reported="proxy:v2",
        is_ready=is_ready,
    )
    containers = {"proxy": proxy, "app": container("app:v1")}
    return pod(revision=NEW, is_gated=True, state=state, containers=containers)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, {}),
        ("proxy=10", {"proxy": 10}),
        (" proxy = 10 , app=-1", {"proxy": 10, "app": -1}),
    ],
)
def test_priorities_are_read_from_the_template(text: str | None, found: dict[str, int]) -> None:
    assert priorities_of(templated(text, "proxy", "app")) == found
    demand_priorities(templated(text)["metadata"]["annotations"], templated(text, "proxy", "app")["spec"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("proxy", "'proxy' is no NAME=NUMBER"),
        ("", "'' is no NAME=NUMBER"),
        ("proxy=high", "'proxy=high' is no NAME=NUMBER"),
        ("envoy=1", "'envoy' is no container of the template"),
        ("app=1,app=2", "'app' has two priorities"),
    ],
)
def test_priorities_that_can_not_be_followed_are_refused_with_what_is_wrong(text: str, why: str) -> None:
    body = templated(text, "proxy", "app")
    with pytest.raises(Refusal, match="launch-priority") as refused:
        demand_priorities(body["metadata"]["annotations"], body["spec"])
    assert refused.value.code == "BadLaunchPriority"
    assert why in refused.value.why
    assert "proxy=10" in refused.value.remedy


def test_equal_priorities_go_together_and_the_highest_first() -> None:
    images = {"a": "1", "b": "2", "c": "3", "d": "4"}
    assert in_batches(images, {"b": 5, "d": 5, "c": -1}) == ({"b": "2", "d": "4"}, {"a": "1"}, {"c": "3"})
    assert in_batches({}, {"b": 5}) == ()


def test_the_first_write_has_the_first_containers_and_remembers_the_rest() -> None:
    both = {"proxy": container("proxy:v1"), "app": container("app:v1")}
    written = write_change(pod(containers=both), NEW, InPlace(BOTH, priorities={"proxy": 10}))
    assert written.change.images == {"proxy": "proxy:v2"}
    assert list(written.before or {}) == ["proxy"]
    assert written.later == ({"app": "app:v2"},)
    at_once = write_change(pod(containers=both), NEW, InPlace(BOTH))
    assert (at_once.change.images, at_once.later) == (BOTH, ())


def test_the_next_containers_follow_once_those_before_them_are_ready() -> None:
    step, _ = next_step(half_way(), goal(), DWELL, rules())
    assert isinstance(step, WriteChange)
    assert (step.change.images, list(step.before or {}), step.later) == ({"app": "app:v2"}, ["app"], ())
    for unfit in (half_way(is_ready=False), half_way(is_running=False)):
        assert next_step(unfit, goal(), DWELL, rules()) == (None, None)


def test_the_gate_rises_only_after_the_last_container() -> None:
    state = UpdateState(NEW, LONG_AGO, {"app": ContainerBefore("sha256:app:v1", "containerd://1")})
    done = pod(revision=NEW, is_gated=True, state=state, containers={"app": container("app:v2", 2)})
    step, _ = next_step(done, goal(), DWELL, rules())
    assert isinstance(step, RaiseGate)


def test_a_pod_whose_target_moves_half_way_gets_what_it_lacks_and_no_more() -> None:
    # Back to where it came from: the app was never touched, so it isn't restarted.
    back = write_change(half_way(), OLD, InPlace({"proxy": "proxy:v1", "app": "app:v1"}))
    assert back.change.images == {"proxy": "proxy:v1"}
    # On to a revision that leaves the app alone: it still lacks what the one before gave it.
    on = write_change(half_way(), NEWER, InPlace({"proxy": "proxy:v3"}, priorities={"proxy": 1}))
    assert (on.change.images, on.later) == ({"proxy": "proxy:v3"}, ({"app": "app:v2"},))
    # A label alone changes nothing of the order.
    label = write_change(half_way(), NEWER, InPlace(labels={"tier": "gold"}))
    assert (label.change.images, label.later) == ({}, ({"app": "app:v2"},))
    assert list(label.before or {}) == ["proxy"]


def test_a_pod_that_was_called_off_half_way_is_finished_before_it_serves_again() -> None:
    withheld = UpdateState(NEWER, LONG_AGO, None, later=({"app": "app:v2"},))
    one = half_way()
    called_off = pod(revision=NEW, is_gated=True, state=withheld, containers=one.containers)
    step, _ = next_step(called_off, goal(update=NEW), DWELL, rules())
    assert isinstance(step, WriteChange)
    assert (step.revision, step.change.images, step.later) == (NEW, {"app": "app:v2"}, ())
    untouched = pod(is_gated=True, state=UpdateState(NEWER, LONG_AGO))
    step, _ = next_step(untouched, goal(update=OLD), DWELL, rules())
    assert isinstance(step, RaiseGate)


def test_what_is_to_follow_survives_in_the_pods_own_annotation() -> None:
    state = UpdateState(NEW, NOW, None, later=({"a": "1", "b": "2"}, {"c": "3"}))
    assert read_state(write_state(state)) == state
    assert read_state(write_state(UpdateState(NEW, NOW))) == UpdateState(NEW, NOW)


def test_nothing_is_due_where_nothing_is_left() -> None:
    assert due_images(pod(), {}) == {}
    assert due_images(half_way(), {}) == {"app": "app:v2"}


def test_what_is_to_follow_is_kept_when_the_gate_falls_for_another_target() -> None:
    told = read_state(wanted_state(LowerGate(half_way(), NEWER), NOW))
    assert told is not None
    assert (told.revision, told.is_withheld, told.later) == (NEWER, True, ({"app": "app:v2"},))
