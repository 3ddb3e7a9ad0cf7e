"""On real kubelets, with real HAProxy in front: no request is lost, whatever goes wrong in mid-drain."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from bench.lossless.carriers import ByHAProxy
from bench.lossless.load import Load, handled
from bench.lossless.stage import V1, V2, Stage, in_thread, stage
from cafe.api.names import OPERATION_PREFIX
from testbed.waiting import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]

SOON = timedelta(seconds=60)
STUCK_AFTER = 5
"""Seconds, where it is tested; not the two minutes that people have."""


@pytest.fixture(scope="module")
def at() -> Iterator[Stage]:
    with stage() as built:
        yield built


class Front(ByHAProxy):
    """Two processes, of which clients use the first; whatever befalls the second is CAFE's concern alone."""

    def pool(self) -> Mapping[str, Any] | None:
        return {**(super().pool() or {}), "drain": {"deadlineSeconds": STUCK_AFTER}}

    @property
    def names(self) -> tuple[str, str]:
        first, second = self.processes.fronts
        return first, second


@asynccontextmanager
async def loaded(at: Stage) -> AsyncIterator[tuple[Front, Load]]:
    """Put load on the application; in the end, demand that both sides account for every request."""
    front = await asyncio.to_thread(Front)
    await in_thread(lambda: at.bind(front.declared(), front.pool()))
    address = front.processes.fronts[front.names[0]]
    load = Load(lambda: address, 100, is_reusing=True)
    try:
        yield front, load
        account = await load.end()
        account.handled = handled(at.account)
        assert len(account.sent) > 500
        assert account.lost == {}
        assert account.doubled == []
        assert set(account.sent) <= account.handled.keys()
    finally:
        await load.end()
        for path in at.account.iterdir():
            path.unlink()
        await in_thread(at.unbind)
        await front.close()


def wait_drain(at: Stage) -> None:
    """Wait until somebody wants a pod out of traffic."""

    def look() -> bool:
        notes = [p["metadata"].get("annotations") or {} for p in at.pods.values()]
        return any(key.startswith(OPERATION_PREFIX) for note in notes for key in note)

    wait_for("a drain", look, SOON)


def message(at: Stage) -> str:
    return str((at.app()["status"].get("waiting") or {}).get("message", ""))


def images(at: Stage) -> set[str]:
    return {str(p["spec"]["containers"][0]["image"]) for p in at.pods.values()}


async def test_a_request_of_twenty_seconds_is_waited_for(at: Stage) -> None:
    async with loaded(at) as (_, load):
        slow = [asyncio.create_task(load.post(f"slow-{n}", "20s")) for n in range(20)]
        await asyncio.sleep(1)
        await in_thread(lambda: at.release(V2))
        await asyncio.gather(*slow)
        assert all(f"slow-{n}" in load.account.answered for n in range(20))


async def test_a_process_out_of_reach_holds_the_release_is_named_and_nothing_is_touched(at: Stage) -> None:
    async with loaded(at) as (front, _):
        lost = front.names[1]
        before = images(at)
        await asyncio.to_thread(front.processes.kill, lost)
        await in_thread(lambda: at.begin_release(V1))
        told = await asyncio.to_thread(wait_for, "it is stuck", lambda: "DrainStuck" in message(at), SOON)
        assert told
        assert lost in message(at)
        await asyncio.sleep(STUCK_AFTER)
        assert images(at) == before, "nothing was touched"
        await asyncio.to_thread(front.processes.start, lost)
        await in_thread(at.wait_complete)
        assert images(at) == {V1}


async def test_a_controller_that_dies_in_mid_drain_is_followed_by_one_that_looks_itself(
    at: Stage,
) -> None:
    async with loaded(at):
        await in_thread(lambda: at.begin_release(V2))
        for _ in range(3):
            await in_thread(lambda: wait_drain(at))
            await asyncio.to_thread(at.controller.kill)
            await asyncio.sleep(1)
            await asyncio.to_thread(at.controller.start)
        await in_thread(at.wait_complete)
        assert images(at) == {V2}


async def test_a_process_that_is_restarted_in_mid_drain_is_told_again(at: Stage) -> None:
    async with loaded(at) as (front, _):
        await in_thread(lambda: at.begin_release(V1))
        for _ in range(3):
            await in_thread(lambda: wait_drain(at))
            await asyncio.to_thread(front.processes.kill, front.names[1])
            await asyncio.to_thread(front.processes.start, front.names[1])
            await asyncio.sleep(2)
        await in_thread(at.wait_complete)
        assert images(at) == {V1}
