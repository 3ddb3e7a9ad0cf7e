"""How a pass ends decides when its key comes back and who hears of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from cafe.kernel import Conflict, ObjectKey, Outcome, Refusal, Unavailable
from cafe.kube.controller import Controller, Reconcile
from cafe.kube.errors import Answer, NotFound
from cafe.kube.queue import WorkQueue
from cafe.observe.metrics import ControllerMetrics
from tests.worlds.clock import LoopClock, SeededEntropy, in_virtual_time

KEY = ObjectKey("default", "a")


@asynccontextmanager
async def controlling(reconcile: Reconcile, workers: int = 2) -> AsyncIterator[Controller]:
    clock = LoopClock()
    queue: WorkQueue[ObjectKey] = WorkQueue(clock, SeededEntropy())
    controller = Controller("test", reconcile, queue, clock, workers)
    task = asyncio.create_task(controller.run())
    try:
        yield controller
    finally:
        controller.drain()
        await asyncio.wait_for(task, 3600)


class Passes:
    """A reconciler that ends as told, and remembers when it was called."""

    def __init__(self, *ends: Outcome | Exception) -> None:
        self.ends = list(ends)
        self.times: list[float] = []

    async def __call__(self, _: ObjectKey) -> Outcome:
        self.times.append(asyncio.get_running_loop().time())
        end = self.ends.pop(0) if self.ends else Outcome()
        if isinstance(end, Exception):
            raise end
        return end


@in_virtual_time
async def test_a_key_comes_back_at_the_time_its_outcome_names() -> None:
    passes = Passes(Outcome(recheck=timedelta(minutes=5)))
    async with controlling(passes) as controller:
        controller.queue.add(KEY)
        await asyncio.sleep(1000)
    assert passes.times == [0, 300]


@pytest.mark.parametrize("error", [Conflict("first"), NotFound(Answer(404, "NotFound", "gone"))], ids=str)
def test_a_conflict_is_silent_and_soon_tried_again(error: Exception) -> None:
    @in_virtual_time
    async def scenario() -> None:
        passes = Passes(error)
        with capture_logs() as logs:
            async with controlling(passes) as controller:
                controller.queue.add(KEY)
                await asyncio.sleep(10)
        assert len(passes.times) == 2
        assert passes.times[1] <= 0.1
        assert [entry for entry in logs if entry["log_level"] != "debug"] == []

    scenario()


@in_virtual_time
async def test_a_server_that_asks_for_time_gets_it() -> None:
    passes = Passes(Unavailable("busy", retry_after=timedelta(seconds=40)), Unavailable("away"))
    async with controlling(passes) as controller:
        controller.queue.add(KEY)
        await asyncio.sleep(100)
    assert len(passes.times) == 3
    assert passes.times[1] >= 40


@in_virtual_time
async def test_a_refusal_is_logged_once_until_it_changes() -> None:
    same = [Refusal("Bad", "It is bad.") for _ in range(4)]
    with capture_logs() as logs:
        async with controlling(Passes(*same, Refusal("Worse", "It is worse."))) as controller:
            controller.queue.add(KEY)
            await asyncio.sleep(100)
    told = [entry["code"] for entry in logs if entry["event"] == "reconcile.refused"]
    assert told == ["Bad", "Worse"]


@in_virtual_time
async def test_a_bug_is_logged_with_its_traceback_and_does_not_end_the_controller() -> None:
    passes = Passes(ZeroDivisionError("oops"), Outcome())
    with capture_logs() as logs:
        async with controlling(passes) as controller:
            controller.queue.add(KEY)
            await asyncio.sleep(10)
    (told,) = [entry for entry in logs if entry["event"] == "reconcile.bug"]
    assert isinstance(told["exc_info"], ZeroDivisionError)
    assert len(passes.times) == 2


@in_virtual_time
async def test_draining_lets_passes_in_work_end_and_begins_no_other() -> None:
    done: list[ObjectKey] = []

    async def slow(key: ObjectKey) -> Outcome:
        await asyncio.sleep(5)
        done.append(key)
        return Outcome(recheck=timedelta(seconds=1))

    async with controlling(slow, workers=1) as controller:
        controller.queue.add(KEY)
        controller.queue.add(ObjectKey("default", "b"))
        await asyncio.sleep(1)
    assert done == [KEY]
    assert asyncio.get_running_loop().time() == 5


@in_virtual_time
async def test_passes_are_counted_by_how_they_ended() -> None:
    registry = CollectorRegistry()
    clock = LoopClock()
    queue: WorkQueue[ObjectKey] = WorkQueue(clock, SeededEntropy())
    metrics = ControllerMetrics(registry).bind("test")
    controller = Controller("test", Passes(Conflict("x")), queue, clock, 1, metrics)
    task = asyncio.create_task(controller.run())
    queue.add(KEY)
    await asyncio.sleep(10)
    controller.drain()
    await task

    def passes(result: str) -> Any:  # noqa: ANN401
        return registry.get_sample_value("cafe_reconciles_total", {"controller": "test", "result": result})

    assert (passes("conflict"), passes("done"), passes("bug")) == (1, 1, None)
