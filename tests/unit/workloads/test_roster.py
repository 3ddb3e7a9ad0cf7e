"""Numbers of instances outlive their pods."""

from hypothesis import given
from hypothesis import strategies as st

from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.roster import InstanceFact, Slot, revisions_for, slots, take_stock
from cafe.workloads.domain.scaling import decide_scale
from tests.unit.workloads.facts import DWELL, NEW, NEWER, OLD, budget, goal, pod


def numbered(*numbers: int, revision: str = OLD) -> list[PodFact]:
    return [pod(f"web-{n}", revision, uid=f"u-{n}", instance=n) for n in numbers]


def stock_of(*pods: PodFact) -> tuple[InstanceFact, ...]:
    return take_stock((), pods, len(pods))


def test_living_pods_tell_their_numbers_themselves() -> None:
    found = take_stock((), numbered(3, 1), 2)
    assert found == (InstanceFact(1, "web-1", OLD), InstanceFact(3, "web-3", OLD))


def test_a_pod_that_is_gone_leaves_its_number_vacant_with_its_revision() -> None:
    before = stock_of(*numbered(0, 1), *numbered(2, revision=NEW))
    found = take_stock(before, numbered(0, 1), 3)
    assert found == before
    assert slots(found, numbered(0, 1), 1) == [Slot(2, NEW)]
    assert slots(found, numbered(0, 1), 2) == [Slot(2, NEW), Slot(3)]


def test_a_pod_on_its_way_out_is_vacant_already() -> None:
    leaving = [*numbered(0), pod("web-1", uid="u-1", instance=1, is_deleting=True)]
    found = take_stock(stock_of(*numbered(0, 1)), leaving, 2)
    assert slots(found, leaving, 1) == [Slot(1, OLD)]


def test_fewer_replicas_give_up_the_highest_vacancies() -> None:
    before = stock_of(*numbered(0, 1, 2, 3))
    assert [one.number for one in take_stock(before, numbered(1), 2)] == [0, 1]
    assert [one.number for one in take_stock(before, numbered(1), 1)] == [1]


def test_pods_without_a_number_keep_the_one_that_they_were_given() -> None:
    adopted = [pod("b"), pod("a")]
    first = take_stock((), adopted, 2)
    assert [(one.number, one.pod) for one in first] == [(0, "a"), (1, "b")]
    assert take_stock(first, [pod("b")], 1) == (InstanceFact(1, "b", OLD),)


def test_a_copied_label_makes_no_two_of_one() -> None:
    twins = [pod("a", uid="1", instance=0), pod("b", uid="2", instance=0)]
    assert [(one.number, one.pod) for one in take_stock((), twins, 2)] == [(0, "a"), (1, "b")]


def test_each_instance_comes_back_at_its_revision_as_far_as_the_partition_says() -> None:
    places = [Slot(0, OLD), Slot(1, NEW), Slot(2)]
    assert revisions_for(places, 1, NEW, OLD) == [OLD, NEW, OLD]
    assert revisions_for(places, 2, NEW, OLD) == [OLD, NEW, NEW]
    assert revisions_for(places, 3, NEW, OLD) == [NEW, NEW, NEW]
    assert revisions_for(places, 0, NEW, OLD) == [OLD, OLD, OLD]


def test_what_ran_a_revision_that_was_left_comes_back_at_the_one_that_was_whole() -> None:
    assert revisions_for([Slot(0, NEWER)], 0, NEW, OLD) == [OLD]


def test_two_pods_of_two_revisions_that_go_at_once_come_back_as_what_they_were() -> None:
    before = stock_of(*numbered(0, 1), *numbered(2, 3, revision=NEW))
    left = [*numbered(1), *numbered(3, revision=NEW)]
    wanted = goal(4, 2)
    made = decide_scale(wanted, left, budget(wanted, left), DWELL, stored=before).create
    assert [(one.instance, one.revision) for one in made] == [(0, OLD), (2, NEW)]


def test_a_pod_that_is_replaced_leaves_its_number_to_its_successor_in_the_same_pass() -> None:
    pods = [*numbered(0, 1), pod("web-2", uid="u-2", instance=2, is_delete_wanted=True)]
    wanted = goal(3, 0)
    scale = decide_scale(wanted, pods, budget(wanted, pods), DWELL)
    assert [one.pod.name for one in scale.delete] == ["web-2"]
    assert [one.instance for one in scale.create] == [2]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=12),
    st.integers(1, 6),
)
def test_no_story_gives_one_number_to_two_pods_or_leaves_gaps_that_grow(
    story: list[tuple[bool, int]], replicas: int
) -> None:
    stored: tuple[InstanceFact, ...] = ()
    pods: list[PodFact] = []
    made = 0
    for is_loss, which in [*story, (False, 0)]:
        if is_loss and pods:
            pods.pop(which % len(pods))
        stored = take_stock(stored, pods, replicas)
        for place in slots(stored, pods, max(0, replicas - len(pods))) if not is_loss else ():
            made += 1
            pods.append(pod(f"p-{made}", uid=f"u-{made}", instance=place.number))
        stored = take_stock(stored, pods, replicas)
        numbers = [one.number for one in stored]
        assert numbers == sorted(set(numbers))
        assert {one.pod for one in stored} >= {p.name for p in pods}
    assert sorted(p.instance for p in pods if p.instance is not None) == list(range(replicas))
