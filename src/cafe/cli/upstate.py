"""Whether a `cafe up` runs here, and where its cluster is.

A lock on a file tells, not a process id: the kernel drops the lock however the process ends, and a number
that another process got later proves nothing.
"""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import UpState

STATE_FILE, LOCK_FILE, LOG_FILE = "up.json", "up.lock", "up.log"


def write_state(path: Path, state: UpState) -> None:
    """Write the state file, whole or not at all."""
    half = path.with_suffix(".new")
    half.write_bytes(msgspec.json.encode(state))
    half.replace(path)


def read_state(path: Path) -> UpState | None:
    """Read the state file; None if it is missing or no such thing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=UpState)
    except (OSError, msgspec.MsgspecError):
        return None


@contextmanager
def held(home: Path) -> Iterator[Path]:
    """Be the one `cafe up` of *home*; yields the state file's path, and removes it afterwards.

    Raises:
        Problem: Another one runs.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = home / STATE_FILE
    with (home / LOCK_FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Problem(
                Exit.CONFLICT,
                "AlreadyUp",
                "cafe up runs already.",
                f"Process {holder(home) or '?'} holds {home / LOCK_FILE}",
                "cafe down",
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        state.unlink(missing_ok=True)  # Of one that was killed.
        try:
            yield state
        finally:
            state.unlink(missing_ok=True)


def is_held(home: Path) -> bool:
    """Say whether a `cafe up` runs."""
    try:
        with (home / LOCK_FILE).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def holder(home: Path) -> int | None:
    """Return the process id of the running `cafe up`; None if there is none."""
    if not is_held(home):
        return None
    text = (home / LOCK_FILE).read_text().strip()
    return int(text) if text.isdigit() else None


def running(home: Path) -> UpState | None:
    """Return the state of the running `cafe up`; None if none runs or it has not told yet."""
    return read_state(home / STATE_FILE) if is_held(home) else None


def ask_to_stop(pid: int) -> None:
    """Ask a process to end cleanly; quietly accept that it has."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
