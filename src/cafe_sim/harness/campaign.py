"""Many seeds, on all cores: blocks of seeds go to processes, sums come back.

A block is a pure function of its seeds, so it doesn't matter which process runs it or when.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count
from multiprocessing import get_context

from msgspec import Struct

from cafe_sim.harness.coverage import Coverage
from cafe_sim.harness.draw import draw_plan
from cafe_sim.harness.run import run

BLOCK = 8
"""Seeds that one process runs at a stretch: so much is lost at most when time is up."""


class Choice(Struct, frozen=True, kw_only=True):
    """From what seeds draw.

    Attributes:
        only_contract: Leave out what lies beyond anybody's promise.
        kinds: Names of faults; empty for all.
    """

    only_contract: bool = True
    kinds: tuple[str, ...] = ()


class Result(Struct, frozen=True, kw_only=True):
    """What one seed came to; without its journal, which another run would bring back."""

    seed: int
    trace: str
    broken: str
    how: str
    labels: list[str]
    simulated: float
    cpu: float


def run_seeds(seeds: Sequence[int], choice: Choice) -> list[Result]:
    """Run a block of seeds, one after the other."""
    return [_run_seed(seed, choice) for seed in seeds]


def _run_seed(seed: int, choice: Choice) -> Result:
    began = time.process_time()
    verdict = run(draw_plan(seed, only_contract=choice.only_contract, kinds=choice.kinds))
    return Result(
        seed=seed,
        trace=verdict.trace,
        broken=verdict.broken,
        how=verdict.violations[0].how if verdict.violations else "",
        labels=verdict.labels,
        simulated=verdict.simulated,
        cpu=time.process_time() - began,
    )


class Tally:
    """Sums over results.

    Attributes:
        seeds: How many ran.
        cpu: Seconds of processor time that they took.
        simulated: Seconds of their worlds' time.
        broken: The results that broke a rule, by seed.
    """

    def __init__(self) -> None:
        self.seeds = 0
        self.cpu = 0.0
        self.simulated = 0.0
        self.coverage = Coverage()
        self.broken: list[Result] = []

    def add(self, result: Result) -> None:
        """Count one result."""
        self.seeds += 1
        self.cpu += result.cpu
        self.simulated += result.simulated
        self.coverage.add(result.labels)
        if result.broken:
            self.broken = sorted([*self.broken, result], key=lambda each: each.seed)

    @property
    def seeds_per_second(self) -> float:
        """Seeds per CPU-second."""
        return self.seeds / self.cpu if self.cpu else 0.0

    @property
    def hours_per_minute(self) -> float:
        """Simulated hours per CPU-minute."""
        return (self.simulated / 3600) / (self.cpu / 60) if self.cpu else 0.0

    def firsts(self) -> list[Result]:
        """Return the first seed of each broken rule: more of the same tell little."""
        seen: dict[str, Result] = {}
        for result in self.broken:
            seen.setdefault(result.broken, result)
        return list(seen.values())


def blocks_of(first: int, last: int | None) -> Iterator[list[int]]:
    """Yield the seeds from *first* to *last*, in blocks; for ever if there is no last."""
    starts = count(first, BLOCK) if last is None else range(first, last + 1, BLOCK)
    for start in starts:
        end = start + BLOCK if last is None else min(start + BLOCK, last + 1)
        yield list(range(start, end))


def sweep(
    blocks: Iterator[list[int]], choice: Choice, seconds: float | None, progress: Callable[[Tally], None]
) -> Tally:
    """Run blocks on all cores until they are done or the time is spent.

    Args:
        blocks: Of seeds.
        choice: From what they draw.
        seconds: Of processor time over all cores; None for no bound.
        progress: Told after each block.
    """
    tally = Tally()
    workers = os.cpu_count() or 1
    # Ctrl-C ends the sweep, not the workers: they finish their blocks, and what was found is told.
    ignore = (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(workers, get_context("spawn"), signal.signal, ignore) as pool:
        open_: set[Future[list[Result]]] = set()
        try:
            while True:
                is_time_left = seconds is None or tally.cpu < seconds
                while is_time_left and len(open_) < workers and (block := next(blocks, None)):
                    open_.add(pool.submit(run_seeds, block, choice))
                if not open_:
                    return tally
                done, open_ = wait(open_, return_when=FIRST_COMPLETED)
                for future in done:
                    for result in future.result():
                        tally.add(result)
                progress(tally)
        except KeyboardInterrupt:
            return tally
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
