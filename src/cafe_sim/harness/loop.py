"""An event loop whose time and order a seed decides.

    ready callbacks ──(drawn)──▶ run one ──▶ … none is left ──▶ time leaps to the next timer ──▶ …
                                                └── no timer either: Deadlock
                                └── too many at one instant: Livelock

Callbacks belong to simulated processes, by a context variable that tasks inherit. Those of a dead process
never run: a power cut leaves no time for `finally`. Those of a paused one wait for its return, timers
included. Each process sees its own clock, so that loops of fast and slow machines can be told apart.
"""

import asyncio
import contextvars
import heapq
import sys
import weakref
from asyncio import events
from collections.abc import Callable, Coroutine, Generator
from types import FrameType
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple

from cafe_sim.harness.chance import Chance

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MOST_STEPS_AT_ONCE: Final = 200_000
"""So many callbacks at one instant are a livelock."""


class Deadlock(Exception):
    """Everybody waits, and no timer will wake anybody."""


class Livelock(Exception):
    """Callbacks make each other ready for ever, and time stands still."""


class FenceBroken(AssertionError):
    """Code under simulation reached past its ports."""


class Fiber(Protocol):
    """What the loop must know of a simulated process."""

    is_dead: bool
    is_paused: bool

    def hold(self, handle: asyncio.Handle) -> None:
        """Keep what is due for the time after the pause."""

    def local(self, now: float) -> float:
        """Return what the process's clock shows at the world's time *now*."""

    def world(self, local: float) -> float:
        """Return at which time of the world its clock shows *local*."""


OWNER: contextvars.ContextVar[Fiber | None] = contextvars.ContextVar("owner", default=None)
"""To which process the running code belongs; None for the world itself."""


class SeededLoop(asyncio.AbstractEventLoop):
    """Runs one callback after the other, in an order drawn from *chance*.

    Args:
        chance: Draws the order; None is first in, first out.
        disorder: The share of draws that are not simply the oldest callback.
        most_at_once: So many callbacks at one instant are a livelock.

    Attributes:
        steps: How many callbacks ran.
        errors: What callbacks and forgotten tasks raised.
        order_until: From this step on, first in, first out: what shrinking a schedule varies.
    """

    def __init__(
        self,
        chance: Chance | None = None,
        disorder: float = 0.5,
        most_at_once: int = MOST_STEPS_AT_ONCE,
    ) -> None:
        self._now = 0.0
        self._ready: list[asyncio.Handle] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = 0
        self._chance = chance
        self._disorder = disorder
        self._most_at_once = most_at_once
        self._tasks = 0
        self._is_closed = False
        self._made: weakref.WeakKeyDictionary[asyncio.Task[Any], Fiber | None] = weakref.WeakKeyDictionary()
        self._tomb: list[asyncio.Task[Any]] = []
        self.steps = 0
        self.order_until: int | None = None
        self.errors: list[dict[str, Any]] = []

    # Time

    def time(self) -> float:
        """Return what the running process's clock shows, in seconds."""
        owner = OWNER.get()
        return self._now if owner is None else owner.local(self._now)

    @property
    def now(self) -> float:
        """The world's time, in seconds."""
        return self._now

    # Planning

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Make a callback ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback once *delay* seconds have passed on the running process's clock."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback once the running process's clock shows *when*."""
        owner = OWNER.get()
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._order += 1
        at = when if owner is None else owner.world(when)
        heapq.heappush(self._timers, (max(at, self._now), self._order, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Take note of a cancelled timer; it is dropped when its time comes."""

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Make a callback ready; there are no threads here."""
        return self.call_soon(callback, *args, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        **options: Any,  # noqa: ANN401 -- newer versions of Python pass more
    ) -> "asyncio.Task[T]":
        """Make a task. Its default name is ours: asyncio's counter is global and outlives a run."""
        self._tasks += 1
        options.pop("eager_start", None)
        if options.get("name") is None:
            options["name"] = f"task-{self._tasks}"
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, **options)
        context = options.get("context")
        self._made[task] = OWNER.get() if context is None else context.get(OWNER)
        return task

    # Running

    def run_until_complete(self, future: Any) -> Any:  # noqa: ANN401 -- as asyncio's
        """Run until *future* is done, and return its result.

        Raises:
            Deadlock: Nothing is left to do.
            Livelock: Time doesn't go on.
        """
        awaited = asyncio.ensure_future(future, loop=self)
        events._set_running_loop(self)  # noqa: SLF001 -- what a loop is to do
        try:
            self._run_while(awaited)
        finally:
            events._set_running_loop(None)  # noqa: SLF001 -- as above
        return awaited.result()

    def _run_while(self, awaited: "asyncio.Future[Any]") -> None:
        at_once = 0
        while not awaited.done():
            if self._ready:
                at_once += 1
                if at_once > self._most_at_once:
                    raise Livelock(f"{at_once} callbacks at {self._now:.3f} s; next: {self._ready[0]!r}")
                self._run_one(self._take())
                continue
            before = self._now
            if not self._leap():
                raise Deadlock(f"Nothing is left to do at {self._now:.3f} s")
            if self._now > before:  # A timer of no time at all is no progress.
                at_once = 0

    def _take(self) -> asyncio.Handle:
        """Take a ready callback: the oldest, or one that is drawn."""
        ready = self._ready
        if len(ready) == 1 or self._chance is None:
            return ready.pop(0)
        if self.order_until is not None and self.steps >= self.order_until:
            return ready.pop(0)
        if not self._chance.is_so(self._disorder):
            return ready.pop(0)
        return ready.pop(self._chance.below(len(ready)))

    def _run_one(self, handle: asyncio.Handle) -> None:
        if handle.cancelled():
            return
        owner = handle._context.get(OWNER)  # type: ignore[attr-defined] # noqa: SLF001 -- whose it is
        if owner is not None:
            if owner.is_dead:
                return
            if owner.is_paused:
                owner.hold(handle)
                return
        self.steps += 1
        handle._run()  # noqa: SLF001 -- what a loop is to do

    def _leap(self) -> bool:
        """Let time pass to the next timer; tell whether there is one."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            return False
        self._now = timers[0][0]
        while timers and timers[0][0] <= self._now:
            self._ready.append(heapq.heappop(timers)[2])
        return True

    def resume(self, held: list[asyncio.Handle]) -> None:
        """Make ready what a paused process was to do."""
        self._ready.extend(held)

    def entomb(self, owner: Fiber) -> None:
        """Keep a dead process's tasks as they are: were they collected, their `finally` would run."""
        self._tomb += [task for task, whose in self._made.items() if whose is owner and not task.done()]

    # Ending

    def bury(self) -> None:
        """Forget all tasks that were left behind, without a word: their processes died, or the run is over.

        What their `finally` blocks do now happens after the world's end and is seen by nobody.
        """
        for task in list(self._made):
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 -- expected
                _shut(task.get_coro())
        self._ready.clear()
        self._timers.clear()

    def close(self) -> None:
        """End the loop."""
        self._is_closed = True

    def is_closed(self) -> bool:
        """Whether the loop has ended."""
        return self._is_closed

    def is_running(self) -> bool:
        """Whether it runs in this thread now."""
        return events._get_running_loop() is self  # noqa: SLF001 -- as above

    def get_debug(self) -> bool:
        """Debugging is off: its checks read the wall clock."""
        return False

    def set_debug(self, enabled: bool) -> None:  # noqa: FBT001 -- as asyncio's
        """Leave it off."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what a callback raised, or a task whose end nobody looked at."""
        self.errors.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep it too."""
        self.errors.append(context)

    async def shutdown_asyncgens(self) -> None:
        """There is nothing to shut down."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 -- as asyncio's
        """There is none."""


def _shut(coroutine: Any) -> None:  # noqa: ANN401 -- a coroutine or a generator
    """Close what a dead task was doing; it may want to await in a `finally`, which the dead cannot."""
    for _ in range(20):
        try:
            coroutine.close()
        except BaseException:  # noqa: BLE001, S112 -- the dead say nothing
            continue
        return


OURS = ("cafe.", "cafe_sim.")


def is_ours(frame: FrameType) -> bool:
    """Whether a frame runs the project's own code, which has ports for all that it may want."""
    return str(frame.f_globals.get("__name__", "")).startswith(OURS)


def place_of(frame: FrameType | None) -> str:
    """Return file and line of the nearest code of our own that led to *frame*."""
    while frame is not None and not is_ours(frame):
        frame = frame.f_back
    return "an unknown place" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _fenced_off(name: str) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        where = place_of(sys._getframe(1))  # noqa: SLF001 -- whose call it is
        raise FenceBroken(
            f"loop.{name} was called in the simulated world, at {where}: it reaches past the ports"
        )

    return refuse


for _name in (
    "add_reader", "add_writer", "remove_reader", "remove_writer", "add_signal_handler", "run_in_executor",
    "create_connection", "create_server", "create_unix_connection", "create_unix_server", "getaddrinfo",
    "create_datagram_endpoint", "connect_read_pipe", "connect_write_pipe", "subprocess_exec",
    "subprocess_shell", "sock_accept", "sock_connect", "sock_recv", "sock_sendall", "start_tls", "sendfile",
):  # fmt: skip
    setattr(SeededLoop, _name, _fenced_off(_name))
