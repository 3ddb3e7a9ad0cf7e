"""Releases as people live them, and controllers that die between any two writes."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cafe.api.cafedeployment import CafeDeploymentStatus, Topology
from cafe.api.strategy import ScaleOut
from cafe.workloads.domain.release import decide_release
from tests.unit.workloads.releaseworld import World, application, image_of, pods_of


def complete(world: World, replicas: int) -> None:
    """Check that the release is over and whole."""
    status = world.app.status
    target = image_of(world.app.spec.template)
    assert (status.phase, status.progress, status.waiting) == ("Complete", "done", None)
    assert status.current_revision == target
    assert [r for revisions in world.pods().values() for r in revisions] == [target] * replicas
    assert world.app.metadata.annotations == {}


def deployed(replicas: int = 10, units: str = "ab", **strategy: object) -> World:
    """Return a world in which v1 runs whole."""
    world = World(application(replicas, units, **strategy))
    world.settle()
    complete(world, replicas)
    world.least, world.opened, world.told = replicas, [], []
    return world


def opened(world: World) -> list[int]:
    return [group for _, group in world.opened]


def test_a_first_deployment_goes_out_in_groups_of_one_and_one_two_and_two() -> None:
    world = World(application(need_waiting_for_confirm=True))
    sizes = []
    for _ in range(3):
        world.settle(confirming=False)
        sizes.append({unit: len(pods) for unit, pods in world.pods().items()})
        world.person_confirms()
    world.settle(confirming=False)
    assert sizes == [{"a": 1, "b": 1}, {"a": 3, "b": 3}, {"a": 5, "b": 5}]
    complete(world, 10)


def test_an_update_waits_after_each_group_but_the_last() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    updated = []
    for _ in range(3):
        world.settle(confirming=False)
        updated.append((world.app.status.phase, world.new_pods("a"), world.new_pods("b")))
        world.person_confirms()
    assert updated == [("WaitingForConfirm", 1, 1), ("WaitingForConfirm", 3, 3), ("Complete", 5, 5)]
    complete(world, 10)
    assert opened(world) == [0, 1, 2]


def test_the_historical_word_true_confirms_the_group_that_waits_and_no_other() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    assert world.person_confirms("true")
    world.settle(confirming=False)
    assert (world.app.status.phase, world.app.status.waiting.group) == ("WaitingForConfirm", 1)  # type: ignore[union-attr]
    assert opened(world) == [0, 1]


@pytest.mark.parametrize("word", ["true", "0/{hash}", "1/{hash}", "0/000000000000", "nonsense"])
def test_a_word_given_before_the_question_opens_nothing(word: str) -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    while not world.opened:
        world.reconcile()
        while any(world.step_set(n) for n in range(2)):
            pass
    assert world.app.status.waiting is not None
    assert world.app.status.waiting.reason == "WaitingForPods"
    world.annotate(word.format(hash=world.app.status.waiting.plan_hash))
    world.settle(confirming=False)
    assert world.app.status.phase == "WaitingForConfirm"
    assert opened(world) == [0]
    assert {"ConfirmEarly", "ConfirmStale", "ConfirmMalformed"} & set(world.told)


def test_a_bad_image_stays_in_beta_and_the_way_back_touches_only_beta() -> None:
    world = deployed()
    world.edit(template=pods_of("bad"))
    world.settle()
    assert world.app.status.waiting.reason == "WaitingForPods"  # type: ignore[union-attr]
    assert (opened(world), world.new_pods("a"), world.new_pods("b")) == ([0], 1, 1)
    world.edit(template=pods_of("v1"))
    world.settle()
    complete(world, 10)
    assert world.app.status.plan is not None
    assert [g.units for g in world.app.status.plan.groups] == [{"a": 1, "b": 1}]


def test_a_template_edited_in_mid_release_is_planned_anew() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    first = world.app.status.plan
    world.edit(template=pods_of("v3"))
    world.settle(confirming=False)
    assert first is not None
    assert world.app.status.plan is not None
    assert world.app.status.plan.hash != first.hash
    assert world.opened == [("v2", 0), ("v3", 0)]
    world.settle()
    complete(world, 10)


def test_an_edit_of_the_batches_at_a_pause_keeps_beta_and_its_question() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    old = world.app.status.plan
    assert old is not None
    world.edit_strategy(batch_size=2)
    world.settle(confirming=False)
    assert opened(world) == [0]
    assert world.app.status.phase == "WaitingForConfirm"
    world.annotate(f"0/{old.hash}")
    world.settle(confirming=False)
    assert (opened(world), world.told.count("ConfirmStale")) == ([0], 1)
    world.settle()
    complete(world, 10)
    assert opened(world) == [0, 1, 2, 3, 4]


def test_an_edit_of_the_batches_does_not_step_over_a_sick_group() -> None:
    world = deployed()
    world.edit(template=pods_of("bad"))
    world.settle()
    for size in (1, 2, 3):
        world.edit_strategy(batch_size=size)
        world.settle()
    assert (opened(world), world.new_pods("a"), world.new_pods("b")) == ([0], 1, 1)


def test_an_autoscaler_cannot_walk_a_release_through() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    for replicas in (12, 11, 14, 10, 16):
        world.least = min(world.least, replicas)
        world.edit(replicas=replicas)
        world.settle(confirming=False)
    assert (opened(world), world.new_pods("a"), world.new_pods("b")) == ([0], 1, 1)
    world.settle()
    complete(world, 16)


def test_a_whole_release_grows_at_once_and_asks_nobody() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(replicas=16)
    world.settle(confirming=False)
    complete(world, 16)


def test_more_pods_for_a_release_under_way_are_of_the_revision_that_is_left() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    world.edit(replicas=16)
    world.settle(confirming=False)
    assert {u: len(p) for u, p in world.pods().items()} == {"a": 8, "b": 8}
    assert (opened(world), world.new_pods("a"), world.new_pods("b")) == ([0], 1, 1)
    world.settle()
    complete(world, 16)


def test_a_cell_gives_pods_away_only_once_those_serve_that_another_got_at_once() -> None:
    world = deployed(need_waiting_for_confirm=True)
    topology = world.app.spec.topology
    pinned = msgspec.structs.replace(topology, unit_replicas={"a": 3})
    world.edit(replicas=12, topology=pinned)
    for _ in range(20):
        world.reconcile()
    assert len(world.sets["shop-a"].pods) == 5
    world.settle(confirming=False)
    complete(world, 12)
    assert {u: len(p) for u, p in world.pods().items()} == {"a": 3, "b": 9}


def test_a_first_deployment_that_grows_goes_on_in_groups() -> None:
    world = World(application(need_waiting_for_confirm=True))
    world.settle(confirming=False)
    world.edit(replicas=16)
    world.settle(confirming=False)
    assert {u: len(p) for u, p in world.pods().items()} == {"a": 1, "b": 1}


def test_a_scale_out_goes_out_in_groups_where_that_is_asked_for() -> None:
    world = deployed(need_waiting_for_confirm=True, scale_out=ScaleOut.GROUPS)
    world.edit(replicas=16)
    world.settle(confirming=False)
    assert {u: len(p) for u, p in world.pods().items()} == {"a": 6, "b": 6}
    world.settle()
    complete(world, 16)


def test_a_scale_out_does_not_wait_for_a_pod_that_is_sick_of_its_own() -> None:
    world = deployed()
    one = next(iter(world.sets.values()))
    one.pods[0].is_available = False
    one.pods[0].revision = "bad"
    one.status = one.told()
    world.edit(replicas=12)
    world.reconcile()
    world.reconcile()
    assert world.app.status.current_group == 0


def test_a_scale_in_waits_for_nobody() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("bad"))
    world.settle(confirming=False)
    world.least = 4
    world.edit(replicas=4)
    world.settle(confirming=False)
    assert {u: len(p) for u, p in world.pods().items()} == {"a": 2, "b": 2}
    assert opened(world) == [0]


def test_pods_move_to_a_new_cell_before_the_old_ones_give_any_away() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(topology=Topology(unit_type="Cell", values=["a", "b", "c"]))
    world.settle(confirming=False)
    assert {u: len(p) for u, p in world.pods().items()} == {"a": 5, "b": 5, "c": 1}
    world.settle()
    complete(world, 10)
    assert {u: len(p) for u, p in world.pods().items()} == {"a": 4, "b": 3, "c": 3}
    one = world.sets["shop-c"]
    one.pods[0].is_available = False
    one.status = one.told()
    assert decide_release(world.view()).sets == (), "a pod that falls sick later makes no unit grow again"


def test_a_cell_that_leaves_is_emptied_only_once_the_others_serve_in_its_stead() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(topology=Topology(unit_type="Cell", values=["a"]))
    world.settle(confirming=False)
    assert {u: len(p) for u, p in world.pods().items()} == {"a": 6, "b": 5}
    world.settle()
    complete(world, 10)
    assert list(world.sets) == ["shop-a"]


def test_a_cell_that_leaves_and_comes_back_keeps_its_pods() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(topology=Topology(unit_type="Cell", values=["a"]))
    world.settle(confirming=False)
    world.edit(topology=Topology(unit_type="Cell", values=["a", "b"]))
    world.settle()
    complete(world, 10)
    assert {u: len(p) for u, p in world.pods().items()} == {"a": 5, "b": 5}


def test_a_pause_stops_the_next_group_and_a_resume_goes_on() -> None:
    world = deployed()
    world.edit(template=pods_of("v2"))
    while world.app.status.current_group != 0:
        world.reconcile()
        while any(world.step_set(n) for n in range(2)):
            pass
    world.edit_strategy(pause=True)
    world.settle()
    assert (world.app.status.phase, opened(world)) == ("Paused", [0])
    assert all(s.spec.strategy.paused for s in world.sets.values())
    world.edit_strategy(pause=False)
    world.settle()
    complete(world, 10)


def test_a_confirmation_during_a_pause_waits_for_its_question() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    world.edit_strategy(pause=True)
    world.settle(confirming=False)
    assert world.app.status.plan is not None
    world.annotate(f"0/{world.app.status.plan.hash}")
    world.settle(confirming=False)
    assert opened(world) == [0]
    world.edit_strategy(pause=False)
    world.settle()
    complete(world, 10)


def test_a_refusal_changes_nothing_and_is_told_once() -> None:
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    before, sets = world.app.status, world.pods()
    world.told.clear()
    world.edit(topology=Topology(unit_type="Cell", values=["a", "b"], unit_replicas={"a": 99}))
    world.settle(confirming=False)
    status = world.app.status
    assert (status.phase, status.waiting.reason) == ("Refused", "PinsExceedReplicas")  # type: ignore[union-attr]
    assert (status.plan, status.current_group, world.pods()) == (before.plan, before.current_group, sets)
    assert status.updated_replicas == before.updated_replicas == 2
    assert world.told == ["PinsExceedReplicas"]
    world.annotate("true")
    world.settle(confirming=False)
    assert (world.told, opened(world)) == (["PinsExceedReplicas", "ConfirmEarly"], [0])
    world.edit(topology=Topology(unit_type="Cell", values=["a", "b"]))
    world.settle()
    complete(world, 10)
    assert opened(world) == [0, 1, 2]


def test_an_application_without_units_has_one_set_of_its_own_name() -> None:
    world = deployed(3, "")
    assert list(world.sets) == ["shop"]
    world.edit(template=pods_of("v2"))
    world.settle()
    complete(world, 3)


def test_an_application_of_no_pods_is_complete() -> None:
    world = World(application(0))
    world.settle()
    complete(world, 0)


def test_a_status_that_was_lost_touches_no_pod_twice() -> None:
    world = deployed()
    world.edit(template=pods_of("v2"))
    world.settle()
    world.app = msgspec.structs.replace(world.app, status=CafeDeploymentStatus())
    world.opened.clear()
    world.settle()
    complete(world, 10)
    assert opened(world) == []


def test_nothing_is_written_when_nothing_happens() -> None:
    world = deployed()
    assert world.reconcile() == 0
    world.edit(template=pods_of("bad"))
    world.settle()
    assert world.reconcile() == 0


# Death


def story(change: Callable[[World], None], dies_before: int | None = None) -> World:
    """Release v2 with *change* while Beta waits; the controller dies once, before that write."""
    world = deployed(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.written, world.dies_before = 0, dies_before
    world.settle(confirming=False)
    change(world)
    world.settle()
    return world


CHANGES: dict[str, Callable[[World], None]] = {
    "nothing": lambda _: None,
    "another template": lambda w: w.edit(template=pods_of("v3")),
    "back": lambda w: w.edit(template=pods_of("v1")),
    "smaller batches": lambda w: w.edit_strategy(batch_size=3),
    "scale-out": lambda w: w.edit(replicas=13),
    "a cell more": lambda w: w.edit(topology=Topology(unit_type="Cell", values=["a", "b", "c"])),
    "a cell less": lambda w: w.edit(topology=Topology(unit_type="Cell", values=["b"])),
}


def ended(world: World) -> object:
    status = world.app.status
    plan = [(g.index, g.units) for g in status.plan.groups] if status.plan else None
    return (world.pods(), status.phase, plan, status.current_group, status.confirmed_group, world.opened)


@pytest.mark.parametrize("change", CHANGES)
def test_a_controller_that_dies_before_any_write_ends_where_the_clean_run_ends(change: str) -> None:
    clean = story(CHANGES[change])
    complete(clean, clean.app.spec.replicas)
    assert clean.written > 15
    for number in range(clean.written):
        world = story(CHANGES[change], number)
        assert world.dies_before is None
        assert ended(world) == ended(clean)


EDITS = st.one_of(
    st.sampled_from(["v1", "v2", "v3", "bad"]).map(lambda i: lambda w: w.edit(template=pods_of(i))),
    st.integers(1, 6).map(lambda n: lambda w: w.edit_strategy(batch_size=n)),
    st.integers(0, 14).map(lambda n: lambda w: w.edit(replicas=n)),
    st.booleans().map(lambda p: lambda w: w.edit_strategy(pause=p)),
    st.booleans().map(lambda c: lambda w: w.edit_strategy(need_waiting_for_confirm=c)),
    st.sampled_from(["Beta", "Batch"]).map(lambda t: lambda w: w.edit_strategy(upgrade_type=t)),
    st.sampled_from(["a", "ab", "abc", "bc"]).map(
        lambda u: lambda w: w.edit(topology=Topology(unit_type="Cell", values=list(u)))
    ),
    st.sampled_from(["true", "false", "0/000000000000", "1", "x"]).map(lambda v: lambda w: w.annotate(v)),
)
EVENTS = st.one_of(
    st.tuples(st.just("edit"), EDITS),
    st.tuples(st.just("pass"), st.none() | st.integers(0, 3)),
    st.tuples(st.just("pass"), st.none()),
    st.tuples(st.just("set"), st.integers(0, 9)),
    st.tuples(st.just("set"), st.integers(0, 9)),
    st.tuples(st.just("confirm"), st.none()),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_any_story_ends_whole_and_no_group_opens_too_early(events: list[tuple[str, object]]) -> None:
    world = World(application(6))
    for kind, what in events:
        if kind == "edit":
            what(world)  # type: ignore[operator]
        elif kind == "pass":
            world.reconcile(what)  # type: ignore[arg-type]
        elif kind == "set":
            world.step_set(what)  # type: ignore[arg-type]
        else:
            world.person_confirms()
    world.edit_strategy(pause=False)
    world.edit(template=pods_of("last"))
    world.settle()
    complete(world, world.app.spec.replicas)
