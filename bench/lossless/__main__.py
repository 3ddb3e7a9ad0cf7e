"""The table: for each carrier and operation what was sent, lost and doubled; with the protocol and without.

python -m bench.lossless [--carriers HAProxy,Envoy] [--rate 200] [--only-with]
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bench.lossless.carriers import ByEnvoy, ByHAProxy, ByService, ByZooKeeper, Carrier
from bench.lossless.load import Account, Load, handled
from bench.lossless.stage import V1, V2, Stage, in_thread, stage
from bench.machine import machine
from cafe.kernel import SystemClock

CLOCK: Final = SystemClock()
CARRIERS: Final = ("HAProxy", "Envoy", "ZooKeeper", "Service")
ENOUGH: Final = 10_000
"""Requests for each carrier: what the operations leave over is sent in quiet."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    carrier: str
    is_guarded: bool
    operation: str
    account: Account
    seconds_per_pod: float

    def __str__(self) -> str:
        """Tell it."""
        account, how = self.account, "protocol" if self.is_guarded else "without"
        return (
            f"{self.carrier:10} {how:9} {self.operation:24} {len(account.sent):7} {len(account.lost):6} "
            f"{len(account.doubled):8} {self.seconds_per_pod:8.2f}"
        )


HEADER: Final = (
    f"{'carrier':10} {'how':9} {'operation':24} {'sent':>7} {'lost':>6} {'doubled':>8} {'s/pod':>8}"
)


def operations(at: Stage) -> Iterator[tuple[str, int, Callable[[], None]]]:
    """Yield each operation: its name, how many pods it touches, and what does it."""
    yield "update of 10 pods", 10, lambda: at.release(V2)
    yield "rollback of 10 pods", 10, lambda: at.release(V1)
    yield "scale-in by 4", 4, lambda: at.scale(6)
    yield "scale-out by 4", 4, lambda: at.scale(10)
    yield "replacement of 4", 4, lambda: at.replace(4)
    yield "kubectl drain of a node", 5, at.drain


async def measure(at: Stage, carrier: Carrier, rate: float, *, is_guarded: bool) -> list[Row]:
    """Run all operations under load; return their rows and one for the quiet time after them."""
    if is_guarded:
        await in_thread(lambda: at.bind(carrier.declared(), carrier.pool()))
    else:
        await in_thread(at.leave_alone)
    following = asyncio.create_task(_follow(at, carrier, is_guarded=is_guarded))
    load: Load | None = None
    spans: list[tuple[str, int, int, int, float]] = []
    try:
        await asyncio.sleep(3)
        load = Load(carrier.choose(), rate, is_reusing=carrier.is_reusing)
        await asyncio.sleep(3)
        for name, pods, work in operations(at):
            first, start = len(load.account.sent), CLOCK.monotonic()
            await in_thread(work)
            took = (CLOCK.monotonic() - start) / timedelta(seconds=1)
            await asyncio.sleep(2)
            spans.append((name, pods, first, len(load.account.sent), took))
            print(f"  {carrier.name}: {name} took {took:.1f} s", file=sys.stderr, flush=True)
        missing = ENOUGH - len(load.account.sent)
        if is_guarded and missing > 0:
            await asyncio.sleep(missing / rate)
        account = await load.end()
        load = None
    finally:
        following.cancel()
        if load is not None:
            await load.end()
        await in_thread(at.unbind)
    account.handled = handled(at.account)
    for path in at.account.iterdir():
        path.unlink()
    rows = [
        Row(carrier.name, is_guarded, name, account.of(account.sent[first:last]), took / pods)
        for name, pods, first, last, took in spans
    ]
    return [*rows, Row(carrier.name, is_guarded, "all, quiet time included", account, 0.0)]


async def _follow(at: Stage, carrier: Carrier, *, is_guarded: bool) -> None:
    """Have the carrier follow the pods, as soon as they change."""
    seen: object = None
    while True:
        if at.pods is not seen:
            seen = at.pods
            await carrier.follow(at.pods, is_guarded=is_guarded)
        await asyncio.sleep(0.02)


def make(name: str, at: Stage, *, is_guarded: bool) -> Carrier:
    """Return a carrier by its name."""
    if name == "Envoy":
        return ByEnvoy(at.discovery_port if is_guarded else 0)
    if name == "HAProxy":
        return ByHAProxy()
    return ByService(at.service_address()) if name == "Service" else ByZooKeeper()


async def run(names: list[str], rate: float, *, both: bool) -> int:
    """Measure and print; 1 if the protocol lost or doubled anything, or nothing was lost without it."""
    print(machine())
    with stage() as at:
        rows: list[Row] = []
        for name in names:
            for is_guarded in (True, False) if both else (True,):
                carrier = make(name, at, is_guarded=is_guarded)
                try:
                    rows += await measure(at, carrier, rate, is_guarded=is_guarded)
                finally:
                    await carrier.close()
    print(HEADER)
    for row in rows:
        print(row)
    return judged(rows)


def judged(rows: list[Row]) -> int:
    """Return 1 if requests were lost with the protocol, or the rig can't see losses without it."""
    whole = [row for row in rows if row.operation.startswith("all")]
    bad = [row for row in whole if row.is_guarded and (row.account.lost or row.account.doubled)]
    blind = [row for row in whole if not row.is_guarded and not row.account.lost]
    for row in bad:
        print(f"{row.carrier}: {dict(list(row.account.lost.items())[:5])} {row.account.doubled[:5]}")
    for row in blind:
        print(f"{row.carrier}: nothing was lost without the protocol: this rig proves nothing for it")
    return 1 if bad or blind else 0


def main() -> int:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--carriers", default=",".join(CARRIERS))
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--only-with", action="store_true", help="leave out the runs without the protocol")
    arguments = parser.parse_args()
    names = arguments.carriers.split(",")
    if strangers := sorted(set(names) - set(CARRIERS)):
        print(f"no carrier is called {', '.join(strangers)}; there are {', '.join(CARRIERS)}")
        return 2
    return asyncio.run(run(names, arguments.rate, both=not arguments.only_with))


if __name__ == "__main__":
    raise SystemExit(main())
