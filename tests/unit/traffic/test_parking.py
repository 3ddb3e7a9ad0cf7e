"""What is done to a member's registrations, as laws over whatever a directory may hold."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cafe.traffic.adapters.parking import (
    PARKED,
    RESTORED,
    Create,
    Delete,
    Directory,
    Plan,
    Registration,
    Shelf,
    address_of,
    plan_attach,
    plan_detach,
    plan_remove,
)

PLACE = Directory.of("/dubbo/shop.Cart/providers")
NAMES = st.sampled_from(["a", "b", "c"])
OWNERS = st.sampled_from([0, 7, 8])
SHELVES = st.builds(
    Shelf,
    live=st.dictionaries(NAMES, st.builds(Registration, st.just(b"l"), OWNERS)),
    parked=st.dictionaries(NAMES, st.builds(Registration, st.just(b"p"), OWNERS)),
    restored=st.dictionaries(NAMES, st.builds(Registration, st.just(b"r"), st.sampled_from([7, 8]))),
)


def after(plan: Plan, shelf: Shelf) -> Shelf:
    """Carry a plan out, as the server would: all or nothing, each step on what the one before left."""
    nodes = {PLACE.live(name): found.encode() for name, found in shelf.live.items()}
    nodes |= {PLACE.parked(name): found.encode() for name, found in shelf.parked.items()}
    nodes |= {PLACE.restored(name): found.encode() for name, found in shelf.restored.items()}
    for step in plan(PLACE, shelf):
        if isinstance(step, Delete):
            del nodes[step.path]
        elif isinstance(step, Create):
            assert step.path not in nodes
            mine = step.path.startswith(PLACE.aside)
            nodes[step.path] = step.data if mine else Registration(step.data, 0, step.acl or ()).encode()
        else:
            assert step.path in nodes
            nodes[step.path] = step.data
    kinds: dict[str, dict[str, Registration]] = {"live": {}, PARKED: {}, RESTORED: {}}
    for path, data in nodes.items():
        parent, _, name = path.rpartition("/")
        kind = "live" if parent == PLACE.path else PARKED if name.startswith(PARKED) else RESTORED
        kinds[kind][name.removeprefix(kind)] = Registration.decode(data)
    return Shelf(kinds["live"], kinds[PARKED], kinds[RESTORED])


@given(SHELVES)
def test_after_a_detach_nothing_is_registered_and_what_was_last_is_kept(shelf: Shelf) -> None:
    detached = after(plan_detach, shelf)
    assert not detached.live
    assert not detached.restored
    last = {name for name, found in shelf.live.items() if found.owner}
    assert last <= set(detached.parked)
    if shelf.live:
        assert detached.parked


@given(SHELVES)
def test_an_operation_that_was_called_off_leaves_what_was_there(shelf: Shelf) -> None:
    settled = after(plan_attach, shelf)
    back = after(plan_attach, after(plan_detach, settled))
    assert set(back.live) == set(settled.live)
    assert {name: found.data for name, found in settled.live.items() if found.owner}.items() <= {
        name: found.data for name, found in back.live.items()
    }.items()


@given(SHELVES)
def test_after_an_attach_nothing_is_parked_and_no_registration_of_an_earlier_session_is_there(
    shelf: Shelf,
) -> None:
    attached = after(plan_attach, shelf)
    assert not attached.parked
    now = {found.owner for found in shelf.live.values() if found.owner}
    if now:
        assert {found.owner for found in attached.restored.values()} <= now
    assert set(attached.restored) <= set(attached.live)


@given(SHELVES)
def test_an_attach_leaves_alone_what_applications_made(shelf: Shelf) -> None:
    attached = after(plan_attach, shelf)
    theirs = {name: found for name, found in shelf.live.items() if found.owner}
    assert {name: attached.live.get(name) for name in theirs} == theirs


@given(SHELVES)
def test_what_is_removed_is_gone(shelf: Shelf) -> None:
    assert after(plan_remove, shelf) == Shelf()


@given(SHELVES, st.sampled_from([plan_detach, plan_attach, plan_remove]))
def test_what_is_done_twice_is_done_once(shelf: Shelf, plan: Plan) -> None:
    once = after(plan, shelf)
    assert after(plan, once) == once


def test_a_restart_supersedes_what_was_parked_before_it() -> None:
    old, new = Registration(b"old", 7), Registration(b"new", 8)
    detached = after(plan_detach, Shelf(live={"a": old}))
    assert after(plan_attach, replace(detached, live={"b": new})) == Shelf(live={"b": new})
    assert after(plan_detach, replace(detached, live={"b": new})).parked == {"b": new}


def test_groups_and_versions_of_one_session_are_parked_and_put_back_together() -> None:
    both = {"a": Registration(b"a", 7), "b": Registration(b"b", 7)}
    detached = after(plan_detach, Shelf(live=both))
    assert detached.parked == both
    one_is_back = replace(detached, live={"a": both["a"]})
    assert set(after(plan_attach, one_is_back).live) == {"a", "b"}


@given(st.binary(), OWNERS, st.lists(st.tuples(st.integers(0, 31), st.text(), st.text())))
def test_a_parked_copy_is_read_as_it_was_written(
    data: bytes, owner: int, acl: list[tuple[int, str, str]]
) -> None:
    registration = Registration(data, owner, tuple(acl))
    assert Registration.decode(registration.encode()) == registration


@given(st.binary())
def test_a_corrupted_copy_is_a_registration_all_the_same(text: bytes) -> None:
    assert isinstance(Registration.decode(text), Registration)


def test_a_registration_belongs_to_a_member_by_address_and_port() -> None:
    at = {
        "dubbo%3A%2F%2F10.0.0.1%3A20880%2Fshop.Cart%3Fa%3Db": "10.0.0.1:20880",
        "tri%3A%2F%2Fuser%40%5Bfd00%3A%3A1%5D%3A80%2Fshop.Cart": "[fd00::1]:80",
        "rest://10.0.0.1:80": "10.0.0.1:80",
        "dubbo%3A%2F%2F10.0.0.1%2Fshop.Cart": None,
        "10.0.0.1:80": None,
        "": None,
    }
    assert {name: address_of(name) for name in at} == at
