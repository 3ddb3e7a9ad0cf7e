"""The simulated world's loop: time leaps, a seed draws the order, processes die, freeze and err."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from cafe_sim.harness.chance import Chance
from cafe_sim.harness.loop import Deadlock, FenceBroken, Livelock, SeededLoop
from cafe_sim.harness.processes import SimProcess, WorldClock

Work = Callable[[], Awaitable[None]]


def a_loop(seed: int | None = None, disorder: float = 1.0) -> SeededLoop:
    chance = None if seed is None else Chance(seed, "schedule")
    return SeededLoop(chance, disorder)  # type: ignore[abstract] # the rest is fenced off


def a_process(loop: SeededLoop, work: Work, rate: float = 1.0) -> SimProcess:
    process = SimProcess(loop, "process", Chance(1, "process"))
    process.run_at(rate)
    process.start(work)
    return process


def test_hours_pass_in_no_time() -> None:
    loop = a_loop()
    loop.run_until_complete(asyncio.sleep(36_000))
    assert loop.now == 36_000
    assert loop.steps < 10


def order_of(seed: int | None) -> list[int]:
    loop, seen = a_loop(seed), []

    async def all_at_once() -> None:
        async def one(number: int) -> None:
            await asyncio.sleep(0)
            seen.append(number)

        await asyncio.gather(*(one(n) for n in range(20)))

    loop.run_until_complete(all_at_once())
    return seen


def test_the_seed_draws_the_order() -> None:
    assert order_of(1) == order_of(1)
    assert order_of(1) != order_of(2)


def test_without_a_seed_the_first_is_first() -> None:
    assert order_of(None) == list(range(20))


def test_when_everybody_waits_for_ever_it_says_so() -> None:
    loop = a_loop()

    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        loop.run_until_complete(wait())
    loop.bury()


def test_when_time_stands_still_it_says_so() -> None:
    loop = SeededLoop(most_at_once=1000)  # type: ignore[abstract] # the rest is fenced off

    async def spin() -> None:
        while True:  # noqa: ASYNC110 -- to wait for nothing is the point
            await asyncio.sleep(0)

    with pytest.raises(Livelock):
        loop.run_until_complete(spin())
    loop.bury()


def test_timers_of_no_time_are_no_progress() -> None:
    loop = SeededLoop(most_at_once=1000)  # type: ignore[abstract] # the rest is fenced off

    def again() -> None:
        loop.call_at(loop.now, again)

    loop.call_soon(again)
    with pytest.raises(Livelock):
        loop.run_until_complete(asyncio.sleep(1))
    loop.bury()


def test_a_power_cut_leaves_no_time_for_finally() -> None:
    loop, said = a_loop(), []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
            said.append("woke")
        finally:
            said.append("tidied up")

    process = a_process(loop, work)
    loop.call_later(5, process.crash)
    loop.run_until_complete(asyncio.sleep(20))
    assert said == []
    loop.bury()


def test_what_a_frozen_process_was_to_do_it_does_when_it_goes_on() -> None:
    loop, woke = a_loop(), []

    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(10)
            woke.append(loop.now)

    process = a_process(loop, work)
    loop.call_later(15, process.pause)
    loop.call_later(100, process.resume)
    loop.run_until_complete(asyncio.sleep(200))
    assert woke == [10, 100, 110]


@pytest.mark.parametrize(("rate", "expected"), [(0.5, 20.0), (1.0, 10.0), (2.0, 5.0)])
def test_a_process_waits_by_its_own_clock(rate: float, expected: float) -> None:
    loop, woke = a_loop(), []

    async def work() -> None:
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(10)
        woke.append((loop.now, asyncio.get_running_loop().time() - before))

    a_process(loop, work, rate)
    loop.run_until_complete(asyncio.sleep(50))
    assert woke == [(expected, 10.0)]


def test_a_wrong_wall_clock_errs_about_the_time_and_not_about_spans() -> None:
    loop, told = a_loop(), []

    async def work() -> None:
        process.skew = timedelta(hours=1)
        before = process.clock.monotonic()
        await process.clock.sleep(timedelta(seconds=3))
        told.append((process.clock.now() - WorldClock(loop).now(), process.clock.monotonic() - before))

    process = a_process(loop, work)
    loop.run_until_complete(asyncio.sleep(5))
    assert told == [(timedelta(hours=1), timedelta(seconds=3))]


def test_nobody_opens_a_connection_from_here() -> None:
    loop = a_loop()

    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    with pytest.raises(FenceBroken, match="create_connection"):
        loop.run_until_complete(connect())
