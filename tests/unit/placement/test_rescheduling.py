"""Room: who is capped, who takes over, and when a unit is tried again."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cafe.placement.contract import Cap, Crowding, Moved, Patience, Room
from cafe.placement.domain.rescheduling import capped, move
from cafe.placement.domain.spread import spread

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PATIENCE = Patience(30 * SECOND, 300 * SECOND)
UNITS = "abcd"


def moved(
    quotas: dict[str, int],
    rooms: dict[str, Room],
    *caps: Cap,
    pinned: str = "",
    now: datetime = NOW,
) -> Moved:
    return move(Crowding(caps, quotas, pinned, rooms, now, PATIENCE))


def hungry(pods: int, starved: int, seconds: int = 60) -> Room:
    return Room(pods, pods - starved, starved, NOW - seconds * SECOND)


def fed(pods: int) -> Room:
    return Room(pods, pods)


def test_pods_without_room_are_waited_for_and_then_go_to_the_others() -> None:
    rooms = {"a": fed(5), "b": hungry(5, 2, seconds=10)}
    early = moved({"a": 5, "b": 5}, rooms)
    assert (early.quotas, early.caps, early.recheck) == ({"a": 5, "b": 5}, (), 20 * SECOND)
    late = moved({"a": 5, "b": 5}, {"a": fed(5), "b": hungry(5, 2)})
    assert late.quotas == {"a": 7, "b": 3}
    assert late.caps == (Cap("b", 3, NOW),)
    assert late.recheck == 300 * SECOND


def test_the_fewest_pods_come_first_to_take_over() -> None:
    rooms = {"a": fed(4), "b": hungry(4, 3), "c": fed(2)}
    assert moved({"a": 4, "b": 4, "c": 2}, rooms).quotas == {"a": 5, "b": 1, "c": 4}


def test_pinned_units_neither_give_nor_take() -> None:
    rooms = {"a": fed(4), "b": hungry(4, 3), "c": fed(2)}
    assert moved({"a": 4, "b": 4, "c": 2}, rooms, pinned="b").quotas == {"a": 4, "b": 4, "c": 2}
    assert moved({"a": 4, "b": 4, "c": 2}, rooms, pinned="c").quotas == {"a": 7, "b": 1, "c": 2}


def test_where_nobody_has_room_all_stays_as_it_would_be() -> None:
    rooms = {"a": hungry(5, 1), "b": hungry(5, 2)}
    assert moved({"a": 5, "b": 5}, rooms).quotas == {"a": 5, "b": 5}


def test_a_unit_is_tried_again_by_one_pod_beside_its_substitutes() -> None:
    cap = Cap("b", 3, NOW - 300 * SECOND)
    tried = moved({"a": 5, "b": 5}, {"a": fed(7), "b": fed(3)}, cap)
    assert tried.quotas == {"a": 7, "b": 4}
    assert tried.caps == (Cap("b", 3, NOW, is_tried=True),)


def test_a_try_that_serves_is_kept_and_the_next_begins_at_once() -> None:
    cap = Cap("b", 3, NOW - SECOND, is_tried=True)
    risen = moved({"a": 5, "b": 5}, {"a": fed(7), "b": fed(4)}, cap)
    assert risen.quotas == {"a": 6, "b": 5}
    assert risen.caps == (Cap("b", 4, NOW, is_tried=True),)
    whole = moved({"a": 5, "b": 5}, {"a": fed(6), "b": fed(5)}, *risen.caps)
    assert (whole.quotas, whole.caps) == ({"a": 5, "b": 5}, ())


def test_a_try_that_finds_no_room_is_taken_back() -> None:
    cap = Cap("b", 3, NOW - 60 * SECOND, is_tried=True)
    waits = moved({"a": 5, "b": 5}, {"a": fed(7), "b": hungry(4, 1, seconds=10)}, cap)
    assert waits.quotas == {"a": 7, "b": 4}
    back = moved({"a": 5, "b": 5}, {"a": fed(7), "b": hungry(4, 1)}, cap)
    assert back.quotas == {"a": 7, "b": 3}
    assert back.caps == (Cap("b", 3, NOW),)


def test_a_unit_is_not_tried_while_its_old_pods_still_wait_for_room() -> None:
    cap = Cap("b", 3, NOW - 300 * SECOND)
    assert moved({"a": 5, "b": 5}, {"b": hungry(5, 2)}, cap).caps == (Cap("b", 3, NOW),)


def test_a_unit_that_loses_more_room_is_capped_lower() -> None:
    cap = Cap("b", 3, NOW - 60 * SECOND)
    assert moved({"a": 5, "b": 5}, {"b": hungry(3, 2)}, cap).caps == (Cap("b", 1, NOW),)


def test_a_cap_that_is_no_cap_any_more_goes() -> None:
    assert moved({"a": 2, "b": 2}, {"b": fed(2)}, Cap("b", 3, NOW)).caps == ()


def test_who_takes_over_and_finds_no_room_either_hands_it_on() -> None:
    cap = Cap("a", 0, NOW - 60 * SECOND)
    rooms = {"a": fed(0), "b": hungry(3, 1), "c": fed(3)}
    found = moved({"a": 2, "b": 2, "c": 2}, rooms, cap)
    assert found.quotas == {"a": 0, "b": 2, "c": 4}
    assert found.caps == (cap, Cap("b", 2, NOW))


def test_a_pod_that_serves_beyond_the_usual_share_stays_when_its_unit_is_capped() -> None:
    cap = Cap("a", 0, NOW - 60 * SECOND)
    rooms = {"a": fed(0), "b": hungry(4, 1), "c": fed(4)}
    assert moved({"a": 4, "b": 2, "c": 2}, rooms, cap).quotas == {"a": 0, "b": 3, "c": 5}


def test_a_try_is_made_also_where_nobody_else_has_room() -> None:
    caps = (Cap("a", 2, NOW - 300 * SECOND), Cap("b", 1, NOW - 300 * SECOND))
    found = moved({"a": 3, "b": 2}, {"a": hungry(3, 1), "b": fed(1)}, *caps)
    assert found.caps == (Cap("a", 2, NOW), Cap("b", 1, NOW, is_tried=True))
    assert found.quotas == {"a": 3, "b": 2}


@given(st.integers(0, 12), st.integers(2, 4), st.data())
def test_while_nothing_happens_nothing_is_moved_to_and_fro(
    replicas: int, count: int, data: st.DataObject
) -> None:
    """Ties of a spread go to the plan that is followed, and so follow the pods that were moved."""
    units = UNITS[:count]
    rooms = {unit: data.draw(ROOMS) for unit in units}
    plan: Mapping[str, int] = spread(replicas, units, {}, {})
    caps: tuple[Cap, ...] = ()
    for _ in range(4 * count):
        found = moved(spread(replicas, units, {}, plan), rooms, *caps)
        if (found.quotas, found.caps) == (plan, caps):
            return
        plan, caps = found.quotas, found.caps
    raise AssertionError(f"never at rest: {plan}, {caps}")


CAPS = st.lists(
    st.builds(Cap, st.sampled_from(UNITS), st.integers(0, 9), st.just(NOW), st.booleans()),
    unique_by=lambda cap: cap.unit,
)
QUOTAS = st.dictionaries(st.sampled_from(UNITS), st.integers(0, 9), min_size=1)
ROOMS = st.builds(
    lambda pods, starved, seconds: (
        hungry(pods, min(pods, starved), seconds) if pods and starved else fed(pods)
    ),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 90),
)


@given(QUOTAS, CAPS, st.sets(st.sampled_from(UNITS)))
def test_no_pod_is_lost_or_doubled_and_no_limit_is_negative(
    quotas: dict[str, int], caps: list[Cap], pinned: set[str]
) -> None:
    known = [cap for cap in caps if cap.unit in quotas and cap.unit not in pinned]
    found = capped(quotas, known, pinned)
    assert all(count >= 0 for count in found.values())
    tries = sum(found.values()) - sum(quotas.values())
    assert 0 <= tries <= sum(cap.is_tried for cap in known)
    assert all(found[unit] == quotas[unit] for unit in pinned & quotas.keys())


@given(QUOTAS, CAPS, st.dictionaries(st.sampled_from(UNITS), ROOMS))
def test_pods_that_have_a_node_are_never_moved(
    quotas: dict[str, int], caps: list[Cap], rooms: dict[str, Room]
) -> None:
    known = [cap for cap in caps if cap.unit in quotas]
    found = moved(quotas, rooms, *known)
    held = {cap.unit: cap.limit for cap in known}
    for cap in found.caps:
        housed = rooms.get(cap.unit, Room()).housed
        assert cap.limit >= min(housed, held.get(cap.unit, housed), quotas[cap.unit])
    assert found.recheck is None or found.recheck > timedelta()
