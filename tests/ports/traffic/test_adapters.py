"""What every adapter of a load balancer, registry or mesh does, the doubles and the real ones alike."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from cafe.traffic.domain.facts import Member, MemberState, MemberView, Pool
from tests.ports.traffic.rig import Rig, Unanswered
from tests.ports.traffic.rigs import RIGS


@pytest.fixture(params=RIGS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with request.param() as made:
        yield made


async def views(rig: Rig, member: Member) -> list[MemberView | None]:
    """Return what each process says of a member."""
    seen = await rig.adapter.observe([rig.pool])
    assert [view.name for view in seen[rig.pool.name]] == list(rig.replicas)
    assert [view.problem for view in seen[rig.pool.name]] == [""] * len(rig.replicas)
    return [view.members.get(member.address) for view in seen[rig.pool.name]]


async def states(rig: Rig, member: Member) -> set[MemberState | None]:
    return {view.state if view is not None else None for view in await views(rig, member)}


async def attached(rig: Rig, *members: Member) -> None:
    await rig.adapter.attach(rig.pool, members)
    await rig.settle()


async def test_nobody_is_in_an_empty_pool(rig: Rig) -> None:
    member = await rig.member("one")
    assert await states(rig, member) == {None}
    with pytest.raises(Unanswered):
        await rig.ask(rig.replicas[0])


async def test_a_member_that_is_attached_gets_requests_from_every_process(rig: Rig) -> None:
    member = await rig.member("one")
    await attached(rig, member)
    assert await states(rig, member) == {MemberState.SERVING}
    assert [await rig.ask(replica) for replica in rig.replicas] == ["one"] * len(rig.replicas)


async def test_a_member_that_is_detached_gets_no_request_any_more(rig: Rig) -> None:
    one, two = await rig.member("one"), await rig.member("two")
    await attached(rig, one, two)
    await rig.adapter.detach(rig.pool, [one])
    await rig.settle()
    assert await states(rig, one) <= {MemberState.DRAINING, None}
    assert await states(rig, two) == {MemberState.SERVING}
    for replica in rig.replicas:
        assert {await rig.ask(replica) for _ in range(6)} == {"two"}


async def test_a_request_in_flight_ends_well_after_the_detach_and_is_seen_until_then(rig: Rig) -> None:
    one = await rig.member("one")
    await attached(rig, one)
    who, answer = await rig.hold(rig.replicas[0])
    await rig.adapter.detach(rig.pool, [one])
    await rig.settle()
    if rig.sees_arrivals:
        assert sum(view.active for view in await views(rig, one) if view is not None) == 1
    await rig.release()
    assert who == await answer == "one"
    async with asyncio.timeout(10):
        while any(view.active for view in await views(rig, one) if view is not None):
            await rig.settle()


async def test_a_member_that_comes_back_is_asked_again(rig: Rig) -> None:
    one = await rig.member("one")
    await attached(rig, one)
    await rig.adapter.detach(rig.pool, [one])
    await rig.settle()
    await attached(rig, one)
    assert await states(rig, one) == {MemberState.SERVING}
    assert await rig.ask(rig.replicas[-1]) == "one"


async def test_what_is_said_twice_changes_nothing(rig: Rig) -> None:
    one, two = await rig.member("one"), await rig.member("two")
    await attached(rig, one, two)
    await attached(rig, one, two)
    assert await states(rig, one) == await states(rig, two) == {MemberState.SERVING}
    for _ in range(2):
        await rig.adapter.detach(rig.pool, [one])
    await rig.settle()
    for _ in range(2):
        await rig.adapter.remove(rig.pool, [one])
    await rig.settle()
    assert await states(rig, one) == {None}
    assert await rig.ask(rig.replicas[0]) == "two"


async def test_a_stranger_can_be_detached_and_removed(rig: Rig) -> None:
    one = await rig.member("one")
    await rig.adapter.detach(rig.pool, [one])
    await rig.adapter.remove(rig.pool, [one])
    await rig.settle()
    assert await states(rig, one) <= {MemberState.DRAINING, None}


async def test_a_namesake_at_another_address_takes_the_place(rig: Rig) -> None:
    old = await rig.member("one")
    await attached(rig, old)
    new = await rig.member("one")
    assert new.address != old.address
    await rig.adapter.detach(rig.pool, [old])
    await rig.adapter.remove(rig.pool, [old])
    await attached(rig, new)
    assert await states(rig, old) == {None}
    assert await states(rig, new) == {MemberState.SERVING}
    assert await rig.ask(rig.replicas[0]) == "one"


async def test_requests_are_counted_as_they_arrive(rig: Rig) -> None:
    one = await rig.member("one")
    await attached(rig, one)
    before = (await views(rig, one))[0]
    for _ in range(3):
        await rig.ask(rig.replicas[0])
    after = (await views(rig, one))[0]
    assert before is not None
    assert after is not None
    if not rig.sees_arrivals:  # Nobody but the clients themselves sees them.
        assert before.arrivals is after.arrivals is None
        return
    assert before.arrivals is not None
    assert after.arrivals == before.arrivals + 3


async def test_a_process_that_is_gone_is_told_of_and_the_others_are_obeyed(rig: Rig) -> None:
    one, two = await rig.member("one"), await rig.member("two")
    await attached(rig, one, two)
    gone, *others = rig.replicas
    await rig.stop(gone)
    await rig.adapter.detach(rig.pool, [one])
    await rig.settle()
    seen = {view.name: view for view in (await rig.adapter.observe([rig.pool]))[rig.pool.name]}
    assert seen[gone].problem
    assert not seen[gone].members
    for name in others:
        assert not seen[name].problem
        member = seen[name].members.get(one.address)
        assert member is None or member.state is MemberState.DRAINING
        assert await rig.ask(name) == "two"


async def test_a_process_that_comes_back_sends_no_request_to_a_member_that_is_detached(rig: Rig) -> None:
    one, two = await rig.member("one"), await rig.member("two")
    await attached(rig, one, two)
    await rig.adapter.detach(rig.pool, [one])
    await rig.stop(rig.replicas[0])
    await rig.start(rig.replicas[0])
    if rig.forgets:
        forgotten = (await views(rig, one))[0]
        assert forgotten is None or forgotten.state is not MemberState.DRAINING
        async with asyncio.timeout(10):
            # At a registry, the application may come back of itself: it is told again as often as need be.
            while not await states(rig, one) <= {MemberState.DRAINING, None}:
                await rig.adapter.detach(rig.pool, [one])
                await rig.settle()
        await rig.adapter.detach(rig.pool, [one])
        await attached(rig, two)
    await rig.settle()
    assert await states(rig, one) <= {MemberState.DRAINING, None}
    assert {await rig.ask(rig.replicas[0]) for _ in range(4)} == {"two"}


async def test_a_pool_that_is_not_there_is_named(rig: Rig) -> None:
    missing = Pool("nowhere-to-be-found", rig.pool.port)
    seen = (await rig.adapter.observe([missing]))[missing.name]
    if not getattr(rig, "knows_pools", True):  # There, a service is as long as somebody is registered for it.
        assert [(view.problem, dict(view.members)) for view in seen] == [("", {})] * len(seen)
        return
    assert all("nowhere-to-be-found" in view.problem for view in seen)
