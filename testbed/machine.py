"""A machine of our own on this host: mounts and processes that no one else sees.

A real node's kubelet and containerd run in a mount namespace with its own /run, /var/lib and
/var/log, and in a process namespace. So kubelets do not meet in /var/lib/kubelet, and when the
namespace's first process is killed, the kernel ends every container and drops every mount: a test
that dies leaves nothing to guess about.

The network namespace is the host's: each node has a bridge there, whose address is the node's.
"""

import contextlib
import os
import signal
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from testbed.build import APP, build
from testbed.processes import Child
from testbed.requirements import find_tool
from testbed.runs import Run
from testbed.waiting import wait_for

OWN_DIRECTORIES: Final = ("/run", "/var/lib", "/var/log")
START: Final = timedelta(seconds=10)
END: Final = timedelta(seconds=10)


class Machine:
    """Namespaces held open by one process, and a way to run programs inside."""

    def __init__(self, run: Run, name: str) -> None:
        self._run = run
        self._name = name
        pause = run.directory / "pause"
        if not pause.exists():
            pause.symlink_to(build(APP))
        # "/" is shared inside, as on a real machine: volumes with mount propagation ask for that.
        mounts = " && ".join(f"mount -t tmpfs -o mode=755 cafe {path}" for path in OWN_DIRECTORIES)
        script = f"mount --make-rshared / && {mounts} && exec {pause}"
        self.holder = Child(
            run,
            f"{name}-machine",
            [
                *(_tool("unshare"), "--mount", "--propagation=private", "--pid", "--fork"),
                *("--mount-proc", "--kill-child=SIGKILL", "--", "/bin/sh", "-c", script),
            ],
        )
        self.holder.start()
        self._first: int = wait_for(f"{name} has its namespaces", self._find_first, START)

    def child(self, name: str, command: Sequence[str]) -> Child:
        """Return a program that will run on this machine."""
        return Child(
            self._run,
            f"{self._name}-{name}",
            [_tool("nsenter"), f"--target={self._first}", "--mount", "--pid", "--", *command],
        )

    def stop(self) -> None:
        """Pull the plug: everything on the machine ends, its mounts are gone.

        The namespace's process 1 is killed, not those that wait for it outside: they bury their
        children, where a killed parent would leave them to the host's init.
        """
        if self.holder.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
            self.holder.wait_end(END)
        self.holder.kill()

    def _find_first(self) -> int | None:
        """Find the namespace's process 1, once it has mounted everything and become pause."""
        pid = self.holder.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        try:
            first = int(children.read_text())
            return first if Path(f"/proc/{first}/comm").read_text().strip() == "pause" else None
        except (OSError, ValueError):
            self.holder.wait_ready(lambda: True, START)  # Raises with the log if it has ended.
            return None


def _tool(command: str) -> str:
    return find_tool(command) or command
