"""Starts the controller in a few milliseconds: imports it once, then forks for each line of arguments.

Each child is a process of its own and runs the product's `main`. When the input ends, all children end.
"""

import os
import signal
import sys

from cafe.processes.controller import main


def become_controller(arguments: list[str]) -> None:
    """Turn this fork into a controller process; its output goes to the file named first."""
    log = os.open(arguments[0], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.argv = ["cafe controller", *arguments[1:]]
    main()


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # The system buries the dead.
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            become_controller(line.split())
            sys.exit()
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    os.killpg(0, signal.SIGKILL)
