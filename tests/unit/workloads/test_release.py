"""Single steps of a release: what is written, in which order, and what is told."""

import msgspec

from cafe.api.cafedeployment import CafeDeploymentStatus, Topology
from cafe.kernel import Refusal
from cafe.workloads.domain.groups import UnitSize, make_plan, settled_sizes
from cafe.workloads.domain.podsets.inplace import ChangeSet, DropSet, MakeSet
from cafe.workloads.domain.release import Decision, decide_release
from tests.unit.workloads.releaseworld import World, application, pods_of


def settled(**strategy: object) -> World:
    world = World(application(**strategy))
    world.settle()
    return world


def decided(world: World) -> Decision:
    return decide_release(world.view())


def in_beta(**strategy: object) -> World:
    """Return a world in which v2 is in Beta and its pods have not moved yet."""
    world = settled(**strategy)
    world.opened.clear()
    world.edit(template=pods_of("v2"))
    while not world.opened:
        world.reconcile()
        while not world.opened and any(world.step_set(n) for n in range(2)):
            pass
    return world


def test_sets_are_made_empty_before_a_plan_is() -> None:
    decision = decided(World(application()))
    assert [type(a) for a in decision.sets] == [MakeSet, MakeSet]
    assert all(
        isinstance(a, MakeSet) and a.spec.replicas == a.spec.strategy.partition == 0 for a in decision.sets
    )
    assert decision.status.plan is None
    assert decision.status.waiting is not None
    assert decision.status.waiting.reason == "Preparing"


def test_no_plan_is_made_before_every_set_has_reported_on_the_template() -> None:
    world = settled()
    before = world.app.status.plan
    world.edit(template=pods_of("v2"))
    world.reconcile()
    assert decided(world).status.plan == before
    world.sets["shop-a"].status = world.sets["shop-a"].told()
    assert decided(world).status.plan == before
    world.sets["shop-b"].status = world.sets["shop-b"].told()
    plan = decided(world).status.plan
    assert plan is not None
    assert plan.revision == "v2"


def test_a_new_template_reaches_the_sets_with_a_closed_partition() -> None:
    world = settled()
    world.edit(template=pods_of("v2"))
    changes = decided(world).sets
    assert all(
        isinstance(c, ChangeSet) and (c.spec.replicas, c.spec.strategy.partition) == (5, 0) for c in changes
    )
    assert len(changes) == 2


def test_a_group_is_opened_in_the_status_before_any_set_is_asked_for_more() -> None:
    world = in_beta()
    assert world.app.status.current_group == 0
    assert all(s.spec.strategy.partition == 0 for s in world.sets.values())
    changes = decided(world).sets
    assert [c.spec.strategy.partition for c in changes if isinstance(c, ChangeSet)] == [1, 1]


def test_the_question_is_announced_before_it_is_asked_and_cleared_after_its_answer_is_kept() -> None:
    world = settled(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    while (decision := decided(world)).status.phase != "WaitingForConfirm":
        world.reconcile()
        while any(world.step_set(n) for n in range(2)):
            pass
    assert (decision.announce, decision.clear) == (True, False)
    world.reconcile()
    assert not decided(world).announce
    assert world.person_confirms()
    decision = decided(world)
    assert (decision.announce, decision.clear) == (False, True)
    assert (decision.status.confirmed_group, decision.status.current_group) == (0, 1)
    assert [n.reason for n in decision.notes] == ["GroupOpened", "GroupConfirmed"]


def test_an_answer_that_outlives_its_controller_is_not_counted_twice() -> None:
    world = settled(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    assert world.person_confirms()
    world.reconcile(budget=1)
    assert world.app.status.confirmed_group == 0
    decision = decided(world)
    assert [n.reason for n in decision.notes] == ["ConfirmRepeated"]
    assert decision.clear
    assert decision.status.current_group == 1


def test_the_question_tells_the_command_that_answers_it() -> None:
    world = settled(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    waiting, plan = world.app.status.waiting, world.app.status.plan
    assert waiting is not None
    assert plan is not None
    assert waiting.message.endswith(f"cafe app confirm shop --group beta --plan {plan.hash}")
    assert (waiting.group, waiting.revision, waiting.plan_hash) == (0, "v2", plan.hash)


def test_the_status_says_per_group_and_unit_how_far_it_is() -> None:
    world = settled(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    status = world.app.status
    assert [(g.index, g.state, g.done, g.total) for g in status.groups] == [
        (0, "WaitingForConfirm", 2, 2),
        (1, "Pending", 0, 4),
        (2, "Pending", 0, 4),
    ]
    assert [(u.name, u.desired, u.partition, u.updated_available) for u in status.units] == [
        ("a", 5, 1, 1),
        ("b", 5, 1, 1),
    ]
    assert (status.progress, status.updated_replicas, status.available_replicas) == ("Beta", 2, 10)


def test_a_unit_that_lacks_pods_says_why() -> None:
    world = in_beta()
    world.reconcile()
    for one in world.sets.values():
        one.status = one.told()
    unit = decided(world).status.units[0]
    assert (unit.reason, unit.message) == ("Updating", "On its way")
    waiting = decided(world).status.waiting
    assert waiting is not None
    assert waiting.message == "a, b: On its way"


def test_no_count_drops_to_nothing_while_a_set_takes_over_its_partition() -> None:
    """Beta is done and group 1 just opened: the sets' reports are old for a moment, what they told stands."""
    world = settled(need_waiting_for_confirm=True)
    world.edit(template=pods_of("v2"))
    world.settle(confirming=False)
    assert world.person_confirms()
    world.reconcile()
    world.reconcile()
    status = decided(world).status
    assert (status.current_group, status.updated_replicas, status.groups[0].done) == (1, 2, 2)
    assert [u.updated_available for u in status.units] == [1, 1]


def test_a_set_whose_report_is_old_is_not_believed() -> None:
    world = in_beta()
    world.reconcile()
    status = decided(world).status
    assert (status.updated_replicas, status.current_group) == (0, 0)


def test_a_set_that_carries_another_template_is_not_believed() -> None:
    """The user turned back and forth: the counts speak of v1, which most pods run, and not of Beta's v2."""
    world = in_beta()
    world.edit(template=pods_of("v1"))
    world.reconcile()
    for one in world.sets.values():
        one.status = one.told()
    assert all(s.status.updated_available_replicas == 5 for s in world.sets.values())
    world.edit(template=pods_of("v2"))
    assert decided(world).status.current_group == 0


def test_a_pause_holds_the_next_group_even_if_the_last_is_done() -> None:
    world = in_beta()
    world.reconcile()
    while any(world.step_set(n) for n in range(2)):
        pass
    assert decided(world).status.current_group == 1
    world.edit_strategy(pause=True)
    assert decided(world).status.current_group == 0


def test_a_release_is_not_complete_while_a_unit_has_pods_too_many() -> None:
    world = settled()
    world.edit(replicas=4)
    for _ in range(3):
        assert decided(world).status.phase != "Complete"
        world.reconcile()
    world.settle()
    assert world.app.status.phase == "Complete"


def test_a_release_is_not_complete_before_its_last_group_is_open() -> None:
    """Else the partition would stay low, and a pod that is lost later would come back as it was."""
    world = in_beta()
    for one in world.sets.values():
        for pod in one.pods:
            pod.revision = "v2"
        one.status = one.told()
    assert decided(world).status.phase == "Progressing"


def test_a_set_that_a_person_edited_is_brought_back() -> None:
    world = settled()
    one = world.sets["shop-a"]
    one.spec = msgspec.structs.replace(one.spec, replicas=1)
    (action,) = decided(world).sets
    assert isinstance(action, ChangeSet)
    assert (action.name, action.spec.replicas) == ("shop-a", 5)


def test_a_refusal_writes_no_set_and_carries_its_code_everywhere() -> None:
    world = World(application())
    view = msgspec.structs.replace(world.app, status=CafeDeploymentStatus())
    refusal = Refusal("PinsShort", "Too few.", "", "Pin more.")
    decision = decide_release(
        type(world.view())(app=view, release=world.view().release, quotas=refusal, units=world.view().units)
    )
    assert decision.sets == ()
    assert [(n.reason, n.message, n.is_warning) for n in decision.notes] == [
        ("PinsShort", "Too few. Pin more.", True)
    ]
    conditions = {c.type: (c.status, c.reason) for c in decision.status.conditions}
    assert conditions == {
        "Accepted": ("False", "PinsShort"),
        "Progressing": ("False", "PinsShort"),
        "Available": ("False", "PodsMissing"),
        "Ready": ("False", "PinsShort"),
        "Stalled": ("True", "PinsShort"),
    }


def test_a_retired_set_is_emptied_first_and_dropped_when_its_pods_are_gone() -> None:
    world = settled()
    world.edit(topology=Topology(unit_type="Cell", values=["a"]))
    seen: list[object] = []
    for _ in range(60):
        seen += [a for a in decided(world).sets if getattr(a, "name", "") == "shop-b"]
        world.reconcile()
        for number in range(len(world.sets)):
            world.step_set(number)
    assert isinstance(seen[0], ChangeSet)
    assert seen[0].spec.replicas == 0
    assert isinstance(seen[-1], DropSet)
    assert list(world.sets) == ["shop-a"]


def test_a_release_that_ends_is_told_once() -> None:
    world = settled()
    assert world.told.count("Released") == 1
    world.settle()
    assert world.told.count("Released") == 1
    assert decided(world).notes == ()


def test_ties_are_broken_by_the_plan_not_by_what_is_asked_meanwhile() -> None:
    plan = make_plan("r", [UnitSize("a", 4, 0, 5), UnitSize("b", 3, 0, 5)], "Beta", 1)
    assert settled_sizes(plan, {"a": 4, "b": 5, "gone": 2}) == {"a": 4, "b": 3, "gone": 2}
    assert settled_sizes(None, {"a": 4}) == {"a": 4}


def test_a_confirmation_opens_nothing_while_a_set_that_somebody_changed_has_not_looked() -> None:
    world = World(application(need_waiting_for_confirm=True))
    world.settle(confirming=False)
    changed = next(iter(world.sets.values()))
    changed.generation += 1
    assert world.person_confirms()
    world.reconcile()
    assert world.app.status.current_group == 0
