"""A set lives through releases, faults and changes of mind in a tiny cluster."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.unit.workloads.setworld import TEMPLATES, Pod, World


def running(replicas: int = 6, max_unavailable: int = 2, **times: int) -> World:
    """Return a world whose pods all serve v1."""
    world = World(replicas, max_unavailable, **times)
    world.settle()
    assert world.available() == replicas
    return world


def aim(world: World, target: str, partition: int | None = None) -> None:
    world.episode += 1
    world.goal = replace(
        world.goal,
        update_revision=target,
        partition=world.goal.replicas if partition is None else partition,
    )


@pytest.mark.parametrize(("grace", "min_ready"), [(0, 0), (30, 0), (0, 20), (30, 20)])
def test_a_good_image_reaches_every_pod_without_moving_any(grace: int, min_ready: int) -> None:
    world = running(grace=grace, min_ready=min_ready)
    before = set(world.containers())
    aim(world, "v2")
    world.settle()
    assert world.reason == "Complete"
    assert set(world.containers()) == before
    assert all(p.running == "app:v2" and sum(p.restarts.values()) == 1 for p in world.pods.values())


def test_a_bad_image_stops_after_the_allowance_and_going_back_touches_only_those() -> None:
    world = running(replicas=8, max_unavailable=2)
    before = world.containers()
    aim(world, "bad")
    world.settle()
    assert world.reason == "BudgetSpent"
    broken = {p.uid for p in world.pods.values() if p.revision == "bad"}
    assert len(broken) == 2
    aim(world, "v1")
    world.settle()
    assert world.available() == 8
    after = world.containers()
    assert {uid for uid in before if before[uid] != after[uid]} == broken


def test_a_bad_image_within_its_partition_touches_no_pod_outside() -> None:
    world = running(replicas=8, max_unavailable=4)
    aim(world, "bad", partition=1)
    world.settle()
    assert sum(p.revision == "bad" for p in world.pods.values()) == 1
    assert world.available() == 7


def test_a_partition_that_rises_group_by_group_restarts_each_pod_once() -> None:
    world = running(replicas=5, max_unavailable=1)
    for partition in (1, 3, 5):
        aim(world, "v2", partition)
        world.episode = 1
        world.settle()
        assert sum(p.running == "app:v2" for p in world.pods.values()) == partition
    assert all(sum(p.restarts.values()) == 1 for p in world.pods.values())


def test_a_change_that_needs_new_pods_replaces_them_within_the_budget() -> None:
    world = running()
    before = set(world.containers())
    aim(world, "ssd")
    world.settle()
    assert not before & set(world.containers())
    assert (world.available(), len(world.pods)) == (6, 6)


def test_a_change_that_needs_new_pods_does_nothing_where_only_in_place_is_allowed() -> None:
    world = running()
    before = world.containers()
    world.is_in_place_only = True
    aim(world, "ssd")
    world.settle()
    assert (world.reason, world.containers()) == ("InPlaceImpossible", before)


def test_labels_alone_restart_nothing() -> None:
    world = running()
    aim(world, "v2")
    world.settle()
    before = world.containers()
    aim(world, "v2gold")
    world.settle()
    assert world.containers() == before
    assert all(p.revision == "v2gold" for p in world.pods.values())


@pytest.mark.parametrize("then", ["v1", "bad", "v2gold", "ssd"])
@pytest.mark.parametrize("after", range(7))
def test_a_change_of_mind_at_any_moment_ends_well(after: int, then: str) -> None:
    world = running(replicas=4, max_unavailable=2, grace=5)
    aim(world, "v2")
    for _ in range(after):
        world.reconcile()
        for pod in list(world.pods.values())[::2]:
            world.kubelet(pod)
    aim(world, then)
    world.settle()
    if then == "bad":
        assert world.available() == 2
        aim(world, "v1")
        world.settle()
    assert world.available() == 4
    assert {p.revision for p in world.pods.values()} == {world.goal.update_revision}


def test_a_pod_evicted_from_a_waiting_group_returns_as_it_was() -> None:
    world = running(replicas=4)
    aim(world, "v2", partition=2)
    world.settle()
    old = next(p for p in world.pods.values() if p.revision == "v1")
    world.evict(old)
    world.settle()
    assert sorted(p.revision for p in world.pods.values()) == ["v1", "v1", "v2", "v2"]
    new = next(p for p in world.pods.values() if p.revision == "v2")
    world.evict(new)
    world.settle()
    assert sorted(p.revision for p in world.pods.values()) == ["v1", "v1", "v2", "v2"]


class SetStory(RuleBasedStateMachine):
    """Everything that may happen to a set, in any order; the world checks each act, the end is peace."""

    @initialize(
        replicas=st.integers(1, 6),
        allowed=st.integers(1, 3),
        grace=st.sampled_from([0, 5]),
        dwell=st.sampled_from([0, 10]),
    )
    def begin(self, replicas: int, allowed: int, grace: int, dwell: int) -> None:
        self.world = running(replicas, allowed, grace=grace, min_ready=dwell)

    def one(self, number: int) -> Pod:
        return list(self.world.pods.values())[number % len(self.world.pods)]

    @rule()
    def the_controller_passes(self) -> None:
        self.world.reconcile()

    @precondition(lambda self: self.world.pods)
    @rule(number=st.integers(0, 9))
    def a_kubelet_works(self, number: int) -> None:
        self.world.kubelet(self.one(number))

    @rule(seconds=st.integers(1, 15))
    def time_passes(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule(revision=st.sampled_from(sorted(TEMPLATES)), partition=st.integers(0, 6))
    def the_target_moves(self, revision: str, partition: int) -> None:
        aim(self.world, revision, partition)

    @rule(partition=st.integers(0, 6))
    def the_partition_moves(self, partition: int) -> None:
        self.world.goal = replace(self.world.goal, partition=partition)

    @rule(replicas=st.integers(0, 6))
    def replicas_moves(self, replicas: int) -> None:
        self.world.goal = replace(self.world.goal, replicas=replicas)
        self.world.is_harmed = True

    @rule(paused=st.booleans())
    def the_set_is_paused_or_resumed(self, paused: bool) -> None:  # noqa: FBT001 -- drawn
        self.world.is_paused = paused

    @precondition(lambda self: self.world.pods)
    @rule(number=st.integers(0, 9))
    def a_container_crashes(self, number: int) -> None:
        self.world.crash(self.one(number))

    @precondition(lambda self: self.world.pods)
    @rule(number=st.integers(0, 9))
    def a_pod_is_evicted(self, number: int) -> None:
        self.world.evict(self.one(number))

    @precondition(lambda self: self.world.pods)
    @rule(number=st.integers(0, 9))
    def a_user_deletes_a_pod(self, number: int) -> None:
        self.world.is_harmed = True
        self.one(number).is_deleting = True

    @precondition(lambda self: self.world.pods)
    @rule(number=st.integers(0, 9))
    def a_user_asks_for_another_pod(self, number: int) -> None:
        self.one(number).is_marked = True

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.is_paused = False
        world.settle()
        if not any(p.image == "app:bad" for p in world.pods.values()):
            assert sum(p.revision == world.goal.update_revision for p in world.pods.values()) >= min(
                world.goal.partition, world.goal.replicas
            )
        aim(world, "v2")
        world.settle()
        assert world.available() == len(world.pods) == world.goal.replicas
        assert {(p.revision, p.running) for p in world.pods.values()} <= {("v2", "app:v2")}


TestAnyStory = SetStory.TestCase
TestAnyStory.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyStory.pytestmark = [pytest.mark.slow]
