"""What reaches past the ports inside the simulation is stopped, by name and line."""

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from cafe_sim.harness.chance import Chance
from cafe_sim.harness.fences import fenced
from cafe_sim.harness.loop import FenceBroken, SeededLoop
from cafe_sim.harness.processes import SimProcess

LINE = 3
"""Where the misdeed stands in the file below."""


def product(statement: str) -> Callable[[], Any]:
    """Return a function as the product might have it, in a file of its own."""
    source = f"async def misdeed():\n    {IMPORTS}\n    {statement}\n"
    names: dict[str, Any] = {"__name__": "cafe.workloads.made_up"}
    exec(compile(dedent(source), "cafe/workloads/made_up.py", "exec"), names)  # noqa: S102 -- in its name
    found: Callable[[], Any] = names["misdeed"]
    return found


IMPORTS = (
    "import asyncio, os, pathlib, random, secrets, socket, threading, time, urllib.request, uuid; "
    "from concurrent.futures import ThreadPoolExecutor; from cafe.kernel import SystemClock, SystemEntropy"
)
PAST_THE_PORTS = {
    "time.time": "time.time()",
    "time.monotonic": "time.monotonic()",
    "time.sleep": "time.sleep(1)",
    "time.perf_counter_ns": "time.perf_counter_ns()",
    "random.random": "random.random()",
    "random.choice": "random.choice([1])",
    "uuid.uuid4": "uuid.uuid4()",
    "os.urandom": "os.urandom(8)",
    "secrets.token_hex": "secrets.token_hex()",
    "socket.__init__": "socket.socket()",
    "socket.create_connection": "urllib.request.urlopen('http://127.0.0.1:9/')",
    "socket.getaddrinfo": "socket.getaddrinfo('localhost', 80)",
    "Thread.start": "threading.Thread(target=print).start()",
    "builtins.open": "open('/dev/null')",
    "io.open": "pathlib.Path('/dev/null').read_text()",
    "SystemClock.now": "SystemClock().now()",
    "SystemEntropy.uid": "SystemEntropy().uid()",
    "loop.create_connection": "await asyncio.open_connection('127.0.0.1', 9)",
    "loop.getaddrinfo": "await asyncio.get_running_loop().getaddrinfo('localhost', 80)",
    "loop.run_in_executor": "await asyncio.to_thread(print)",
    "loop.subprocess_exec": "await asyncio.create_subprocess_exec('true')",
}


def in_simulation(misdeed: Callable[[], Any]) -> BaseException | None:
    """Run a product's coroutine as a simulated process; return how it ended."""
    loop = SeededLoop(Chance(1, "schedule"))  # type: ignore[abstract] # the rest is fenced off
    process = SimProcess(loop, "controller-0.1", Chance(1, "process"))
    with fenced():
        process.start(misdeed)
        loop.run_until_complete(asyncio.sleep(1.0))
    loop.bury()
    return process.failure


@pytest.mark.parametrize(("name", "statement"), PAST_THE_PORTS.items(), ids=PAST_THE_PORTS.keys())
def test_product_code_past_its_ports_fails_by_name_and_line(name: str, statement: str) -> None:
    failure = in_simulation(product(statement))
    assert isinstance(failure, FenceBroken)
    assert f"{name} was called in the simulated world" in str(failure)
    assert f"cafe/workloads/made_up.py:{LINE}" in str(failure)


def test_a_thread_of_a_library_fails_by_the_line_that_led_to_it() -> None:
    failure = in_simulation(product("ThreadPoolExecutor(1).submit(print)"))
    assert isinstance(failure, FenceBroken)
    assert f"Thread.start was called in the simulated world, at cafe/workloads/made_up.py:{LINE}" in str(
        failure
    )


def test_what_is_no_product_code_may_read_the_clock() -> None:
    with fenced():
        assert time.time() > 0  # noqa: TID251 -- that it may is the point


def test_the_fences_come_down_afterwards(tmp_path: Path) -> None:
    with fenced():
        pass
    (tmp_path / "file").write_text("text")
    with socket.socket() as opened:
        assert opened.fileno() >= 0


def test_the_simulation_lends_time_of_its_own() -> None:
    assert in_simulation(product("await asyncio.sleep(0.5)")) is None
