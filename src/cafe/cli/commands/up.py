"""`cafe up|down`: the whole platform in one command, in front of you or behind."""

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from cafe.cli.errors import Exit, Problem
from cafe.cli.lazy import Command, Option
from cafe.cli.ports import UpOptions, UpState
from cafe.cli.session import Session
from cafe.cli.upstate import LOG_FILE, STATE_FILE, ask_to_stop, held, holder, is_held, running
from cafe.kernel import Clock

LOOK_AGAIN = timedelta(milliseconds=100)
LOG_LINES = 15


@click.command("up", cls=Command, help="help.up")
@click.option("--background", is_flag=True, cls=Option, help="option.background")
@click.option("--cells", default="", cls=Option, help="option.up_cells")
@click.option("--nodes-per-cell", type=click.IntRange(0), default=0, cls=Option, help="option.nodes_per_cell")
@click.option("--port", type=click.IntRange(0, 65535), default=0, cls=Option, help="option.port")
@click.option("--timeout", type=click.IntRange(1), default=120, cls=Option, help="option.up_timeout")
@click.pass_obj
def up(session: Session, /, *, background: bool, timeout: int, **asked: Any) -> int:  # noqa: ANN401 -- the options
    """Bring the platform up."""
    # Before anything else: whether another one runs or not, a wrong name is what the user has to mend.
    kubeconfig = _real_kubeconfig(session)
    if background:
        return asyncio.run(_detach(session, timedelta(seconds=timeout)))
    with held(session.home) as state_file:
        options = UpOptions(
            home=session.home,
            state_file=state_file,
            kubeconfig=kubeconfig,
            context=session.option("context"),
            namespace=session.namespace,
            cells=tuple(cell for cell in asked["cells"].split(",") if cell),
            nodes_per_cell=asked["nodes_per_cell"],
            port=asked["port"],
        )
        asyncio.run(_until_told(session.wiring.platform.up(options, session.terminal.tell)))
    session.terminal.say("up.ended")
    return Exit.MET


def _real_kubeconfig(session: Session) -> Path | None:
    """Return the real cluster's kubeconfig; None for the embedded cluster.

    With --context alone, the kubeconfig is the one that kubectl would use.

    Raises:
        cafe.kernel.Refusal: It is missing or can't be used.
    """
    if not (session.option("kubeconfig") or session.option("context")):
        return None
    whereabouts = session.whereabouts()
    session.wiring.check(whereabouts)
    return whereabouts.paths[0]


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* until it ends, or until Ctrl-C or SIGTERM cancel it and it has cleaned up."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _detach(session: Session, patience: timedelta) -> int:
    """Start a child that outlives us, and wait until it says that it is ready."""
    home = session.home
    if (state := running(home)) is not None and state.ready:
        session.terminal.say("up.already", pid=state.pid)
        session.terminal.write(state.kubeconfig)
        return Exit.MET
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = home / LOG_FILE
    (home / STATE_FILE).unlink(missing_ok=True)
    with log.open("wb") as sink:
        child = subprocess.Popen(  # noqa: S603, ASYNC220 -- our own program; the start takes a millisecond
            _words(session), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        state = await _wait_ready(session, child, patience)
    except BaseException:
        if child.poll() is None:
            child.terminate()
        raise
    session.terminal.say("up.ready", pid=state.pid, log=log)
    session.terminal.write(state.kubeconfig)
    return Exit.MET


def _words(session: Session) -> list[str]:
    """Return the command line of the child: ours, without `--background`."""
    arguments = click.get_current_context().params
    words = [*session.wiring.platform.program, "up"]
    for name in ("cells", "nodes_per_cell", "port"):
        if arguments[name]:
            words += [f"--{name.replace('_', '-')}", str(arguments[name])]
    for name in ("kubeconfig", "context", "namespace"):
        if value := session.option(name):
            words += [f"--{name}", value]
    return words


async def _wait_ready(session: Session, child: "subprocess.Popen[bytes]", patience: timedelta) -> UpState:
    clock: Clock = session.wiring.clock
    deadline = clock.monotonic() + patience
    while clock.monotonic() < deadline:
        state = running(session.home)
        if state is not None and state.ready:
            return state
        if child.poll() is not None:
            raise Problem(
                Exit.FAILURE,
                "UpFailed",
                f"cafe up ended with code {child.returncode} before it was ready.",
                "Its last words: " + _last_words(session.home / LOG_FILE),
                f"cat {session.home / LOG_FILE}",
            )
        await clock.sleep(LOOK_AGAIN)
    raise Problem(
        Exit.TIMEOUT,
        "UpSlow",
        f"cafe up was not ready after {patience.total_seconds():.0f} s, and was stopped.",
        "Its last words: " + _last_words(session.home / LOG_FILE),
        "Repeat with a longer --timeout, or without --background to see what it does.",
    )


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return " | ".join(lines[-LOG_LINES:]) or "none"


@click.command("down", cls=Command, help="help.down")
@click.option("--timeout", type=click.IntRange(1), default=30, cls=Option, help="option.down_timeout")
@click.pass_obj
def down(session: Session, timeout: int) -> int:
    """Stop a running `cafe up`, cleanly."""
    pid = holder(session.home)
    state = session.home / STATE_FILE
    if pid is None:
        is_stale = state.exists()
        state.unlink(missing_ok=True)
        session.terminal.say("down.stale" if is_stale else "down.nothing", home=session.home)
        return Exit.MET
    ask_to_stop(pid)
    if not asyncio.run(_wait_gone(session, timedelta(seconds=timeout))):
        raise Problem(
            Exit.TIMEOUT,
            "DownSlow",
            f"Process {pid} has not ended after {timeout} s.",
            f"It still holds the lock in {session.home}",
            f"kill -9 {pid}",
        )
    session.terminal.say("down.done", pid=pid)
    return Exit.MET


async def _wait_gone(session: Session, patience: timedelta) -> bool:
    clock = session.wiring.clock
    deadline = clock.monotonic() + patience
    while is_held(session.home):
        if clock.monotonic() >= deadline:
            return False
        await clock.sleep(LOOK_AGAIN)
    return True
