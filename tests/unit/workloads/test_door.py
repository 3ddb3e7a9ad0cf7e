"""Who may take pods of an application, while no cache shows yet what others are taking."""

from datetime import timedelta

import pytest

from cafe.kernel import ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.objects import ObjectMeta, OwnerReference, Pod
from cafe.workloads.adapters.door import PATIENCE, Door
from cafe.workloads.domain.budget import Use
from tests.worlds.clock import HandClock

APP, A, B = "app", "set-a", "set-b"
KEY = ObjectKey("shop", "web-b")


def a_pod(uid: str, owner: str = A, version: int = 1, *, is_deleting: bool = False) -> Pod:
    return Pod(
        metadata=ObjectMeta(
            name=uid,
            namespace="shop",
            uid=uid,
            resource_version=str(version),
            deletion_timestamp="2026-01-01T00:00:00Z" if is_deleting else None,
            owner_references=(OwnerReference(kind="InPlaceSet", name=owner, uid=owner, controller=True),),
        )
    )


class World:
    """A door, its clock, the pods that it watches, and who was woken."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.pods: Cache[Pod] = Cache(self.clock)
        self.door = Door(self.clock, self.pods)
        self.woken: list[ObjectKey] = []
        self.door.on_room(self.woken.append)


@pytest.fixture
def world() -> World:
    return World()


def test_what_a_set_takes_is_away_until_its_next_pass(world: World) -> None:
    world.door.take(APP, A, Use(), ["a-1", "a-2"])
    assert world.door.away(A) == {"a-1", "a-2"}
    assert not world.door.away(B)
    world.door.take(APP, A, Use(2, 2), [])
    assert not world.door.away(A)


def test_a_promise_holds_until_the_pod_is_seen_to_go(world: World) -> None:
    world.pods.apply(ObjectKey("shop", "a-1"), a_pod("a-1"))
    world.door.promise(A, "a-1")
    world.pods.apply(ObjectKey("shop", "a-1"), a_pod("a-1", version=2))
    assert world.door.promised(A) == {"a-1"}
    world.pods.apply(ObjectKey("shop", "a-1"), a_pod("a-1", version=3, is_deleting=True))
    assert not world.door.promised(A)


def test_a_promise_of_which_nothing_comes_ends_by_itself(world: World) -> None:
    world.door.promise(A, "a-1")
    world.clock.passed += PATIENCE - timedelta(seconds=1)
    assert world.door.away(A) == {"a-1"}
    world.clock.passed += timedelta(seconds=1)
    assert not world.door.away(A)


def test_who_waits_is_woken_when_a_sibling_gives_something_back(world: World) -> None:
    world.door.take(APP, A, Use(), ["a-1"])
    world.door.wait(APP, KEY)
    world.door.take(APP, A, Use(1, 1), [])
    assert not world.woken, "the pod is away as it was"
    world.door.take(APP, A, Use(0, 1), [])
    assert world.woken == [KEY]
    world.door.take(APP, A, Use(0, 0), [])
    assert world.woken == [KEY], "it is woken once"


def test_a_write_that_came_to_nothing_makes_room_again(world: World) -> None:
    world.door.take(APP, A, Use(), ["a-1"])
    world.door.wait(APP, KEY)
    world.door.take(APP, A, Use(), [])
    assert world.woken == [KEY]


def test_a_set_that_is_gone_leaves_its_share_to_the_others(world: World) -> None:
    world.door.take(APP, A, Use(), ["a-1"])
    world.door.promise(A, "a-2")
    world.door.wait(APP, KEY)
    world.door.forget(APP, A)
    assert world.woken == [KEY]
    assert not world.door.away(A)


def test_applications_do_not_wake_each_other(world: World) -> None:
    world.door.wait("other", KEY)
    world.door.take(APP, A, Use(), ["a-1"])
    world.door.take(APP, A, Use(), [])
    assert not world.woken
