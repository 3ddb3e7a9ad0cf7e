"""What adapters keep between passes is what they would find anew."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cafe.api.shapes import LabelSelector, Metadata
from cafe.kernel import ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.indexes import by_controller
from cafe.kube.objects import ObjectMeta, OwnerReference, Pod
from cafe.workloads.adapters.members import Members
from cafe.workloads.adapters.pace import PERIOD, Pace
from cafe.workloads.adapters.podfacts import convert
from cafe.workloads.adapters.watched import CONTROLLER
from tests.unit.workloads.facts import DWELL
from tests.worlds.clock import HandClock, LoopClock, in_virtual_time

SELECTOR = LabelSelector(match_labels={"app": "web"})
OTHER = LabelSelector(match_labels={"app": "shop"})
CHANGES = st.tuples(
    st.integers(0, 4),
    st.sampled_from(["set-a", "set-b", ""]),
    st.sampled_from(["web", "shop"]),
    st.booleans(),
    st.sampled_from([SELECTOR, OTHER]),
)


def owned_by(uid: str) -> Metadata:
    return Metadata(name=uid, namespace="shop", uid=uid)


def make_pod(number: int, owner: str, app: str, version: int, namespace: str = "shop") -> Pod:
    reference = OwnerReference(kind="InPlaceSet", name=owner, uid=owner, controller=True)
    return Pod(
        metadata=ObjectMeta(
            name=f"web-{number}",
            namespace=namespace,
            uid=f"uid-{number}",
            resource_version=str(version),
            labels={"app": app},
            owner_references=(reference,) if owner else (),
        )
    )


@given(st.lists(CHANGES, max_size=30))
def test_members_are_what_a_fresh_look_at_the_cache_finds(
    changes: list[tuple[int, str, str, bool, LabelSelector]],
) -> None:
    pods: Cache[Pod] = Cache(HandClock())
    pods.add_index(CONTROLLER, by_controller)
    members = Members(pods)
    for version, (number, owner, app, is_gone, selector) in enumerate(changes, start=1):
        key = ObjectKey("shop", f"web-{number}")
        if is_gone:
            pods.remove(key, version)
        else:
            pods.apply(key, make_pod(number, owner, app, version))
        for uid in ("set-a", "set-b"):
            wanted = selector.match_labels["app"]
            mine = pods.by_index(CONTROLLER, uid)
            fitting, misfits = members.of(owned_by(uid), selector, DWELL)
            assert by_name(fitting) == by_name(convert(p) for p in mine if p.metadata.labels["app"] == wanted)
            assert by_name(misfits) == by_name(convert(p) for p in mine if p.metadata.labels["app"] != wanted)


def by_name(facts: object) -> list[object]:
    return sorted(facts, key=lambda fact: fact.name)  # type: ignore[call-overload]


def test_what_did_not_change_is_not_converted_again() -> None:
    pods: Cache[Pod] = Cache(HandClock())
    pods.add_index(CONTROLLER, by_controller)
    members = Members(pods)
    for number in range(3):
        pods.apply(ObjectKey("shop", f"web-{number}"), make_pod(number, "set-a", "web", 1))
    before = {fact.name: fact for fact in members.of(owned_by("set-a"), SELECTOR, DWELL)[0]}
    pods.apply(ObjectKey("shop", "web-1"), make_pod(1, "set-a", "web", 2))
    after = {fact.name: fact for fact in members.of(owned_by("set-a"), SELECTOR, DWELL)[0]}
    assert [name for name in before if before[name] is not after[name]] == ["web-1"]


def test_a_pod_of_another_namespace_is_no_member_whatever_it_calls_its_owner() -> None:
    pods: Cache[Pod] = Cache(HandClock())
    pods.add_index(CONTROLLER, by_controller)
    early, late = Members(pods), Members(pods)
    assert len(early.of(owned_by("set-a"), SELECTOR, DWELL)[0]) == 0
    for namespace in ("shop", "elsewhere"):
        pods.apply(ObjectKey(namespace, "web-1"), make_pod(1, "set-a", "web", 1, namespace))
    pods.remove(ObjectKey("elsewhere", "web-1"), 2)
    pods.apply(ObjectKey("elsewhere", "web-2"), make_pod(2, "set-a", "web", 3, "elsewhere"))
    for members in (early, late):
        assert [fact.name for fact in members.of(owned_by("set-a"), SELECTOR, DWELL)[0]] == ["web-1"]


def test_a_pod_given_out_stays_as_it_was() -> None:
    pods: Cache[Pod] = Cache(HandClock())
    pods.add_index(CONTROLLER, by_controller)
    members = Members(pods)
    pods.apply(ObjectKey("shop", "web-1"), make_pod(1, "set-a", "web", 1))
    given, _ = members.of(owned_by("set-a"), SELECTOR, DWELL)
    pods.remove(ObjectKey("shop", "web-1"), 2)
    assert len(members.of(owned_by("set-a"), SELECTOR, DWELL)[0]) == 0
    assert [fact.name for fact in given] == ["web-1"]


@in_virtual_time
async def test_a_write_that_can_wait_is_held_back_for_a_period() -> None:
    clock = LoopClock()
    pace = Pace(clock)
    assert pace.left("a") is None
    pace.wrote("a")
    assert pace.left("a") == PERIOD
    assert pace.left("b") is None
    await clock.sleep(PERIOD - timedelta(milliseconds=100))
    assert pace.left("a") == timedelta(milliseconds=100)
    await clock.sleep(timedelta(milliseconds=100))
    assert pace.left("a") is None
    pace.wrote("a")
    pace.forget("a")
    assert pace.left("a") is None
