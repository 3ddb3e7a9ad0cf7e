"""Fences around a simulated run: whoever reaches past the ports is stopped, by name and line.

Only callers inside `cafe` and `cafe_sim` are stopped at clocks and chance. Libraries may read the clock for
purposes of their own (a log record's time), which nothing in the simulated world depends on. Sockets and
threads lead out of the world for whoever opens them, and files do through `pathlib` as well.
"""

import builtins
import io
import os
import random  # noqa: TID251 -- to fence it off
import secrets  # noqa: TID251 -- as above
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
from cafe_sim.harness.loop import FenceBroken, is_ours, place_of

ANYBODY = frozenset({socket.socket, socket, threading.Thread})
"""What nobody may touch, library or not."""
GO_BETWEENS = ("pathlib", "tempfile")
"""Modules that open files for whoever calls them."""


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
    (os, ("urandom",), "take a cafe.kernel.Entropy"),
    (
        secrets,
        ("token_bytes", "token_hex", "token_urlsafe", "choice", "randbelow"),
        "take a cafe.kernel.Entropy",
    ),
    (socket, ("create_connection", "getaddrinfo"), "take a cafe.kube.transport.Transport"),
    (threading.Thread, ("start",), "nothing simulated may start a thread"),
    (builtins, ("open",), "nothing simulated may touch files"),
    (io, ("open",), "nothing simulated may touch files"),
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
                fence = _fence(f"{place.__name__}.{name}", original, remedy, is_for_all=place in ANYBODY)
                setattr(place, name, fence)
        yield
    finally:
        for place, name, original in reversed(kept):
            setattr(place, name, original)


def _fence(name: str, original: Callable[..., Any], remedy: str, *, is_for_all: bool) -> Callable[..., Any]:
    def fence(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- whatever the original takes and returns
        caller = _caller(sys._getframe(1))  # noqa: SLF001 -- whose call it is decides
        if is_for_all or is_ours(caller):
            where = place_of(caller)
            raise FenceBroken(f"{name} was called in the simulated world, at {where}: {remedy}")
        return original(*args, **kwargs)

    return fence


def _caller(frame: FrameType) -> FrameType:
    """Return who calls, behind modules that only pass calls on."""
    while str(frame.f_globals.get("__name__", "")).startswith(GO_BETWEENS) and frame.f_back is not None:
        frame = frame.f_back
    return frame
