"""How soon a registry's consumers hear, and what a look at a thousand providers costs.

    python -m bench.registry [--rounds 20]

A real ZooKeeper of three servers on this machine, real clients. `detach` and `attach` are counted from the
call until a consumer that watches has heard by way of each server; `read back` is one observation of that
directory in all servers, `observe` one of 20 directories of 50 providers.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from statistics import median
from typing import Final
from urllib.parse import quote

from kazoo.client import KazooClient

from bench.machine import machine
from cafe.kernel import SystemClock
from cafe.traffic.adapters.zookeeper import ZooKeeperAdapter
from cafe.traffic.domain.facts import Member, Pool
from testbed.zookeeper import ZooKeeper, zookeeper

DIRECTORIES: Final = 20
PROVIDERS: Final = 50
"""In each directory."""
CLOCK: Final = SystemClock()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    print(machine())
    with zookeeper(3) as servers:
        asyncio.run(_measure(servers, arguments.rounds))


async def _measure(servers: ZooKeeper, rounds: int) -> None:
    clients = [KazooClient(address) for address in servers.addresses.values()]
    for client in clients:
        await asyncio.to_thread(client.start)
    pools = [Pool(f"/dubbo/shop.Part{number}/providers", 20880) for number in range(DIRECTORIES)]
    for number, pool in enumerate(pools):
        await asyncio.to_thread(_register, clients[0], pool.name, number)
    adapter = ZooKeeperAdapter(servers.addresses)
    heard: dict[str, list[timedelta]] = {"detach": [], "attach": [], "read back": [], "observe": []}
    member = Member("one", _address(0, 0), 20880)
    await adapter.observe(pools)
    for _ in range(rounds):
        for name, call in (("detach", adapter.detach), ("attach", adapter.attach)):
            heard[name].append(
                await _until_heard(clients, pools[0], lambda call=call: call(pools[0], [member]))
            )
        heard["read back"].append(await _time(lambda: adapter.observe(pools[:1])))
        heard["observe"].append(await _time(lambda: adapter.observe(pools)))
    for name, times in heard.items():
        print(f"{name:10} {_told(times)}")
    await adapter.close()
    for client in clients:
        await asyncio.to_thread(client.stop)
        client.close()


def _register(client: KazooClient, directory: str, number: int) -> None:
    client.ensure_path(directory)
    query = "application=part&deprecated=false&dubbo=2.0.2&interface=shop.Part&methods=get,put,list&pid=1"
    for turn in range(PROVIDERS):
        url = f"dubbo://{_address(number, turn)}:20880/shop.Part?{query}&release=3.2.0&side=provider"
        client.create(f"{directory}/{quote(url, safe='')}", b"", ephemeral=True)


def _address(directory: int, provider: int) -> str:
    return f"10.0.{directory}.{provider}"


async def _until_heard(
    clients: Sequence[KazooClient], pool: Pool, call: Callable[[], Awaitable[None]]
) -> timedelta:
    """Return how long it takes from a call until a watch at each server has told of it."""
    loop, told = asyncio.get_running_loop(), [asyncio.Event() for _ in clients]
    for client, event in zip(clients, told, strict=True):

        def tell(_: object, event: asyncio.Event = event) -> None:
            loop.call_soon_threadsafe(event.set)

        await asyncio.to_thread(client.get_children, pool.name, tell)

    async def all_told() -> None:
        await asyncio.gather(call(), *(event.wait() for event in told))

    return await _time(all_told)


async def _time(call: Callable[[], Awaitable[object]]) -> timedelta:
    began = CLOCK.monotonic()
    await call()
    return CLOCK.monotonic() - began


def _told(times: Sequence[timedelta]) -> str:
    millis = sorted(time.total_seconds() * 1000 for time in times)
    return f"median {median(millis):.1f} ms, worst {millis[-1]:.1f} ms of {len(millis)}"


if __name__ == "__main__":
    main()
