"""A process says how it is, and ends in order."""

import asyncio
import gc
import os
import signal
from datetime import timedelta

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from cafe.kernel import SystemClock
from cafe.kube.runtime import (
    GC_THRESHOLDS,
    Health,
    collector_held,
    probe_app,
    serving_probes,
    stopping_on_signals,
    supervise,
    watch_loop,
)
from cafe.observe.metrics import ProcessMetrics
from tests.worlds.clock import HandClock, LoopClock, in_virtual_time

GRACE = timedelta(seconds=30)


def healthy() -> Health:
    return Health(is_ready=lambda: True)


async def test_probes_tell_ready_draining_and_dead() -> None:
    clock, is_synced = HandClock(), False
    health = Health(is_ready=lambda: is_synced)
    registry = CollectorRegistry()
    ProcessMetrics(registry)
    app = probe_app(health, clock, registry)
    async with serving_probes(app, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:

        async def probe(path: str) -> tuple[int, str]:
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, await answer.text()

        assert await probe("/readyz") == (503, "caches are not synced")
        is_synced = True
        assert await probe("/readyz") == (200, "ok")
        health.is_draining = True
        assert (await probe("/readyz"))[0] == 503
        assert await probe("/livez") == (200, "ok")
        clock.passed = timedelta(minutes=1)
        assert (await probe("/livez"))[0] == 500
        assert "cafe_loop_lag_seconds" in (await probe("/metrics"))[1]


@in_virtual_time
async def test_work_is_drained_before_it_is_cancelled() -> None:
    stop, drained = asyncio.Event(), asyncio.Event()
    health = healthy()
    ends: list[str] = []

    async def work() -> None:
        await drained.wait()
        await asyncio.sleep(5)
        ends.append("in order")

    asyncio.get_running_loop().call_later(10, stop.set)
    await supervise(work, stop, drained.set, GRACE, health)
    assert ends == ["in order"]
    assert health.is_draining
    assert asyncio.get_running_loop().time() == 15


@in_virtual_time
async def test_work_that_does_not_end_is_cancelled_after_the_grace() -> None:
    stop = asyncio.Event()
    stop.set()
    await supervise(asyncio.Event().wait, stop, lambda: None, GRACE, healthy())  # type: ignore[arg-type]
    assert asyncio.get_running_loop().time() == 30


@in_virtual_time
async def test_a_part_that_fails_ends_the_process() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await supervise(work, asyncio.Event(), lambda: None, GRACE, healthy())


async def test_sigterm_asks_for_an_orderly_end() -> None:
    stop = asyncio.Event()
    before = signal.getsignal(signal.SIGTERM)
    with stopping_on_signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 5)
    assert signal.getsignal(signal.SIGTERM) == before


@in_virtual_time
async def test_the_loops_lag_is_measured() -> None:
    registry = CollectorRegistry()
    health = healthy()
    task = asyncio.create_task(watch_loop(LoopClock(), health, ProcessMetrics(registry)))
    await asyncio.sleep(10)
    assert health.last_turn >= timedelta(seconds=9)
    assert (registry.get_sample_value("cafe_loop_lag_seconds_count") or 0) >= 39
    task.cancel()


async def test_the_collector_rests_while_caches_fill_and_then_leaves_them_alone() -> None:
    before = gc.get_threshold()
    try:
        async with collector_held():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_threshold() == GC_THRESHOLDS
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_the_system_clock_goes_forward() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()
