"""The queue hands out each key at most once at a time and forgets none."""

import asyncio
from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cafe.kube.backoff import Backoff
from cafe.kube.queue import WorkQueue
from tests.worlds.clock import LoopClock, SeededEntropy, in_virtual_time

SECOND = timedelta(seconds=1)


def queue_of() -> WorkQueue[str]:
    return WorkQueue(LoopClock(), SeededEntropy())


async def taken(queue: WorkQueue[str]) -> str:
    got = await queue.get()
    assert got is not None
    return got[0]


@in_virtual_time
async def test_a_key_added_often_is_due_once() -> None:
    queue = queue_of()
    for _ in range(5):
        queue.add("a")
    assert len(queue) == 1


@in_virtual_time
async def test_a_key_added_while_in_work_comes_back_when_it_is_done() -> None:
    queue = queue_of()
    queue.add("a")
    assert await taken(queue) == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await taken(queue) == "a"
    queue.done("a")
    assert queue.is_idle


@in_virtual_time
async def test_the_earliest_of_several_wishes_counts() -> None:
    queue = queue_of()
    loop = asyncio.get_running_loop()
    queue.add_after("a", 30 * SECOND)
    queue.add_after("a", 5 * SECOND)
    queue.add_after("a", 60 * SECOND)
    assert await taken(queue) == "a"
    assert loop.time() == 5
    queue.done("a")
    await asyncio.sleep(100)
    assert queue.is_idle


@in_virtual_time
async def test_a_key_that_fails_waits_longer_each_time_until_it_goes_well() -> None:
    queue = queue_of()
    waits = [queue.retry("a") for _ in range(12)]
    assert waits[0] <= timedelta(milliseconds=100)
    assert waits[8] > 4 * waits[4]
    assert max(waits) <= timedelta(minutes=2)
    queue.forget("a")
    assert queue.retry("a") <= timedelta(milliseconds=100)
    assert queue.retry("b", at_least=9 * SECOND) == 9 * SECOND


@given(st.integers(0, 10_000), st.integers(0, 99))
def test_a_wait_is_never_longer_than_the_longest(failures: int, seed: int) -> None:
    policy = Backoff(timedelta(milliseconds=100), timedelta(seconds=7))
    assert timedelta() < policy.delay(failures, SeededEntropy(seed)) <= timedelta(seconds=7)


@in_virtual_time
async def test_a_worker_that_is_cancelled_while_woken_hands_its_key_on() -> None:
    queue = queue_of()
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    got = await asyncio.wait_for(second, 1)
    assert got is not None
    assert got[0] == "a"


@in_virtual_time
async def test_a_closed_queue_hands_out_nothing() -> None:
    queue = queue_of()
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.add_after("a", SECOND)
    queue.close()
    assert await waiting is None
    queue.add("b")
    assert await queue.get() is None


@given(st.lists(st.sampled_from("abcd"), max_size=60), st.integers(1, 4), st.integers(0, 99))
def test_no_key_is_in_two_hands_and_every_change_is_worked_on(
    keys: list[str], workers: int, seed: int
) -> None:
    @in_virtual_time
    async def scenario() -> None:
        queue, entropy = queue_of(), SeededEntropy(seed)
        hands: Counter[str] = Counter()
        added_at: dict[str, int] = {}
        worked_from: dict[str, int] = {}
        steps = 0

        async def work() -> None:
            while (got := await queue.get()) is not None:
                key = got[0]
                hands[key] += 1
                assert hands[key] == 1
                worked_from[key] = steps
                await asyncio.sleep(entropy.fraction())
                hands[key] -= 1
                queue.done(key)

        tasks = [asyncio.ensure_future(work()) for _ in range(workers)]
        for key in keys:
            steps += 1
            added_at[key] = steps
            queue.add(key)
            await asyncio.sleep(entropy.fraction() / 2)
        await asyncio.sleep(100)
        assert queue.is_idle
        assert all(worked_from[key] >= at for key, at in added_at.items())
        queue.close()
        await asyncio.gather(*tasks)

    scenario()
