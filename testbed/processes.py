"""Children of the testbed: started in a process group of their own, ended by the id that started them."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from testbed.errors import NotStarted
from testbed.runs import Run
from testbed.waiting import TooLate, wait_for

LAST_LINES = 15


class Child:
    """One program of a run, with its log; it can be killed and started again on the same data."""

    def __init__(
        self, run: Run, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self.log = run.make("logs") / f"{name}.log"
        self._run = run
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return its process id while it runs."""
        return self._process.pid if self._process is not None and self.is_running() else None

    def is_running(self) -> bool:
        """Tell whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> "Child":
        """Start it; the log goes on where it was."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        self._run.note_process(self.name, self._process.pid)
        return self

    def wait_ready(self, look: Callable[[], bool], within: timedelta) -> None:
        """Wait until *look* says so.

        Raises:
            NotStarted: It ended, or the time is over; with the end of its log.
        """

        def seen() -> bool:
            if not self.is_running():
                raise NotStarted(f"{self.name} ended\n{self.log_end()}")
            return look()

        try:
            wait_for(f"{self.name} is ready", seen, within)
        except TooLate as late:
            raise NotStarted(f"{late}\n{self.log_end()}") from late

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process group, if it still runs."""
        if self._process is not None and self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def wait_end(self, within: timedelta) -> bool:
        """Wait for its end; tell whether it came."""
        if self._process is None:
            return True
        try:
            self._process.wait(within.total_seconds())
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.signal(signal.SIGKILL)
        self.wait_end(timedelta(seconds=10))

    def stop(self, grace: timedelta = timedelta(seconds=3)) -> None:
        """Ask it to end, and end it when the grace is over."""
        stop_all([self], grace)

    def log_end(self) -> str:
        """Return the last lines of the log and where the whole is."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([*lines[-LAST_LINES:], f"(whole log: {self.log})"])


def stop_all(children: Iterable[Child], grace: timedelta) -> None:
    """Ask all to end at the same time, and kill those that have not when the grace is over."""
    running = [child for child in children if child.is_running()]
    for child in running:
        child.signal(signal.SIGTERM)
    with contextlib.suppress(TooLate):
        wait_for("all end", lambda: not any(child.is_running() for child in running), grace)
    for child in running:
        child.kill()


def run_tool(*command: str | Path, check: bool = True) -> str:
    """Run a short tool and return what it says.

    Raises:
        NotStarted: It failed; with its command line and what it said.
    """
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise NotStarted(f"{' '.join(str(c) for c in command)}: exit {done.returncode}: {said}")
    return done.stdout
