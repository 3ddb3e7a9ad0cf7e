"""What adapters of registries do beside: applications register themselves, whenever they like."""

from collections.abc import AsyncIterator

import pytest

from cafe.traffic.domain.facts import MemberState
from tests.ports.traffic.rig import Registry
from tests.ports.traffic.rigs import REGISTRIES
from tests.ports.traffic.test_adapters import attached, states


@pytest.fixture(params=REGISTRIES)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Registry]:
    async with request.param() as made:
        yield made


async def test_a_client_that_registers_itself_again_while_detached_is_seen_and_obeys_again(
    rig: Registry,
) -> None:
    one = await rig.member("one")
    await attached(rig, one)
    await rig.adapter.detach(rig.pool, [one])
    await rig.settle()
    await rig.register_again(one)
    await rig.settle()
    if rig.undoes_detach:
        assert await states(rig, one) == {MemberState.SERVING}
    await rig.adapter.detach(rig.pool, [one])
    await rig.settle()
    assert await states(rig, one) <= {MemberState.DRAINING, None}
    await attached(rig, one)
    assert await states(rig, one) == {MemberState.SERVING}


async def test_an_application_that_restarted_while_detached_serves_once_it_is_attached(rig: Registry) -> None:
    one = await rig.member("one")
    await attached(rig, one)
    await rig.adapter.detach(rig.pool, [one])
    await rig.restart(one)
    await attached(rig, one)
    assert await states(rig, one) == {MemberState.SERVING}
    for replica in rig.replicas:
        assert await rig.ask(replica) == "one"
        assert rig.known(replica) == [one.address]


async def test_an_application_that_restarts_after_it_was_put_back_is_known_once(rig: Registry) -> None:
    one = await rig.member("one")
    await attached(rig, one)
    await rig.adapter.detach(rig.pool, [one])
    await attached(rig, one)
    await rig.restart(one)
    await attached(rig, one)
    assert [rig.known(replica) for replica in rig.replicas] == [[one.address]] * len(rig.replicas)


async def test_what_was_put_back_outlives_whoever_put_it_back(rig: Registry) -> None:
    one = await rig.member("one")
    await attached(rig, one)
    await rig.adapter.detach(rig.pool, [one])
    await attached(rig, one)
    await rig.take_over()
    await rig.settle()
    assert await rig.ask(rig.replicas[0]) == "one"
    assert await states(rig, one) == {MemberState.SERVING}


async def test_whoever_takes_over_finds_what_is_detached_and_can_put_it_back(rig: Registry) -> None:
    one, two = await rig.member("one"), await rig.member("two")
    await attached(rig, one, two)
    await rig.adapter.detach(rig.pool, [one])
    await rig.take_over()
    await rig.settle()
    assert await states(rig, one) <= {MemberState.DRAINING, None}
    await attached(rig, one)
    assert await states(rig, one) == {MemberState.SERVING}
    assert {await rig.ask(rig.replicas[0]) for _ in range(4)} == {"one", "two"}


async def test_nothing_is_left_of_a_pod_that_died_after_it_was_put_back(rig: Registry) -> None:
    one = await rig.member("one")
    await attached(rig, one)
    await rig.adapter.detach(rig.pool, [one])
    await attached(rig, one)
    await rig.kill(one)
    await rig.adapter.remove(rig.pool, [one])
    await rig.settle()
    assert await states(rig, one) == {None}
    assert [rig.known(replica) for replica in rig.replicas] == [[]] * len(rig.replicas)
