"""One run of the testbed: its directory, who owns it, and what it must not share with another.

Everything that a run makes outside its directory carries the run's name (bridges, cgroups) or a
process id written down in it, so that a run whose owner was killed can be cleared away by the next.

    /tmp/cafe-testbed-0/            one per user, mode 0700
      x7k2/run.json                 owner, slot, what was changed on the machine
           processes/<name>         pid and start time of each child
           logs/ pki/ etcd/ n0/ …
      kept-logs/x7k2/               logs of a run that failed
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cafe.kernel.entropy import SystemEntropy

SLOTS: Final = 32
"""Runs at the same time: each slot has its own service and pod networks."""
KEPT_LOGS: Final = 5


@dataclass(frozen=True)
class ProcessId:
    """A process for good: its number and when it started, since numbers are used again.

    Attributes:
        pid: The number.
        started: Start time in clock ticks since boot; field 22 of /proc/PID/stat (proc(5)).
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """Identify a running process; None if there is none, or only its zombie."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()  # The name before it may hold anything.
        return None if fields[0] in {"Z", "X"} else cls(pid, int(fields[19]))

    def is_alive(self) -> bool:
        """Tell whether this very process still runs."""
        return ProcessId.of(self.pid) == self


def base_directory() -> Path:
    """Return the directory of all runs of this user, made if need be.

    Raises:
        PermissionError: Someone else made it first; a root process must not use it.
    """
    base = Path(tempfile.gettempdir()) / f"cafe-testbed-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.getuid():
        raise PermissionError(f"{base} belongs to someone else; remove it")
    return base


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        name: Four characters that mark everything the run makes.
        slot: Number of its networks; no two live runs share one.
        directory: Holds everything that the run writes.
    """

    name: str
    slot: int
    directory: Path

    @property
    def service_network(self) -> str:
        """Return the network of cluster IPs."""
        return f"10.{96 + self.slot}.0.0/16"

    @property
    def pod_network(self) -> str:
        """Return the network that holds the pods of all nodes; each node has a /24 of it."""
        return f"10.{160 + self.slot}.0.0/16"

    @property
    def logs(self) -> Path:
        """Return the directory of logs."""
        return self.directory / "logs"

    def make(self, name: str) -> Path:
        """Make a directory of the run and return it."""
        path = self.directory / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def note(self, **facts: Any) -> None:  # noqa: ANN401 -- whatever JSON holds
        """Write facts down for whoever clears up, before they become true."""
        known = read_note(self.directory) | facts
        partial = self.directory / "run.json.partial"
        partial.write_text(json.dumps(known))
        partial.rename(self.directory / "run.json")

    def note_process(self, name: str, pid: int) -> None:
        """Write down a child, so that it can be ended even after its parent was killed."""
        identity = ProcessId.of(pid)
        if identity is not None:
            (self.make("processes") / name).write_text(f"{identity.pid} {identity.started}")

    def remove(self, *, keep_logs: bool) -> Path | None:
        """Remove the directory; return where the logs are kept, if they are."""
        kept = None
        if keep_logs and self.logs.is_dir():
            kept = self.directory.parent / "kept-logs" / self.name
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(exist_ok=True)
            shutil.move(self.logs, kept)
            oldest_first = sorted(kept.parent.iterdir(), key=lambda p: p.stat().st_mtime)
            for old in oldest_first[:-KEPT_LOGS]:
                shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(self.directory)
        return kept


def read_note(directory: Path) -> dict[str, Any]:
    """Read what a run wrote down; empty if it got no further than its directory."""
    try:
        note: dict[str, Any] = json.loads((directory / "run.json").read_text())
    except FileNotFoundError:
        return {}
    return note


def processes(directory: Path) -> list[ProcessId]:
    """Return the children that a run wrote down, dead or alive."""
    found = []
    for path in (directory / "processes").glob("*"):
        pid, started = path.read_text().split()
        found.append(ProcessId(int(pid), int(started)))
    return found


def owner(directory: Path) -> ProcessId | None:
    """Return the process that holds a run; None if the run was never finished being made."""
    note = read_note(directory)
    return ProcessId(*note["owner"]) if "owner" in note else None


def directories() -> list[Path]:
    """Return the directories of all runs, live and left over."""
    return sorted(p for p in base_directory().iterdir() if p.is_dir() and p.name != "kept-logs")


def live_runs() -> list[Path]:
    """Return the runs whose owner is alive."""
    return [d for d in directories() if (o := owner(d)) is not None and o.is_alive()]


@contextlib.contextmanager
def registry() -> Iterator[None]:
    """Hold the list of runs still: runs are made and cleared away one at a time."""
    with (base_directory() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def new_run() -> Run:
    """Make a run that this process owns.

    Raises:
        RuntimeError: So many runs are alive that no networks are left.
    """
    with registry():
        taken = {read_note(d).get("slot") for d in directories()}
        free = [slot for slot in range(SLOTS) if slot not in taken]
        if not free:
            raise RuntimeError(f"{SLOTS} testbeds are up; end one: python -m testbed status")
        name = SystemEntropy().suffix(4)
        run = Run(name, free[0], base_directory() / name)
        run.directory.mkdir(mode=0o700)
        me = ProcessId.of(os.getpid())
        if me is None:
            raise RuntimeError("/proc does not know this process")
        run.note(owner=[me.pid, me.started], slot=run.slot)
    return run
