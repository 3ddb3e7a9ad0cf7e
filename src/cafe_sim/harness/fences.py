"""Fences around a simulated run: whoever reaches past the ports is stopped, by name and line.

Only callers inside `cafe` and `cafe_sim` are stopped. Libraries may read the clock for purposes of their own
(a log record's time), which nothing in the simulated world depends on.
"""

import builtins
import random  # noqa: TID251 -- to fence it off
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any

from cafe.kernel import SystemClock, SystemEntropy
from cafe_sim.harness.loop import FenceBroken

OURS = ("cafe.", "cafe_sim.")


FENCED: tuple[tuple[ModuleType | type, tuple[str, ...], str], ...] = (
    (
        time,
        (
            "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep",
            "process_time", "localtime", "gmtime",
        ),
        "take a cafe.kernel.Clock",
    ),
    (
        random,
        ("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform"),
        "take a cafe.kernel.Entropy",
    ),
    (uuid, ("uuid1", "uuid4"), "take a cafe.kernel.Entropy"),
    (socket.socket, ("__init__",), "take a cafe.kube.transport.Transport"),
    (socket, ("create_connection", "getaddrinfo"), "take a cafe.kube.transport.Transport"),
    (threading.Thread, ("start",), "nothing simulated may start a thread"),
    (builtins, ("open",), "nothing simulated may touch files"),
    (SystemClock, ("now", "monotonic", "sleep"), "the simulated world lends a clock of its own"),
    (SystemEntropy, ("fraction", "suffix", "uid"), "the simulated world lends chance of its own"),
)  # fmt: skip


@contextmanager
def fenced() -> Iterator[None]:
    """Fence everything off while the context lasts."""
    kept: list[tuple[ModuleType | type, str, Any]] = []
    try:
        for place, names, remedy in FENCED:
            for name in names:
                original = getattr(place, name)
                kept.append((place, name, original))
                setattr(place, name, _fence(f"{place.__name__}.{name}", original, remedy))
        yield
    finally:
        for place, name, original in reversed(kept):
            setattr(place, name, original)


def _fence(name: str, original: Callable[..., Any], remedy: str) -> Callable[..., Any]:
    def fence(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- whatever the original takes and returns
        caller = sys._getframe(1)  # noqa: SLF001 -- whose call it is decides
        if _is_ours(caller):
            where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
            raise FenceBroken(f"{name} was called in the simulated world, at {where}: {remedy}")
        return original(*args, **kwargs)

    return fence


def _is_ours(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module.startswith(OURS)
