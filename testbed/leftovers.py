"""Clearing away what a run made on the machine, whether it ended well or was killed.

Everything is found again by what the run wrote down or by its name, never by a guess: processes by
pid *and* start time, bridges and control groups by the run's name.
"""

import contextlib
import os
import signal
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from testbed.processes import run_tool
from testbed.requirements import find_tool
from testbed.runs import ProcessId, Run, directories, live_runs, owner, processes, read_note, registry
from testbed.waiting import TooLate, wait_for

CGROUPS = Path("/sys/fs/cgroup")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
PREFIX = "cafe-"
END = timedelta(seconds=10)


def sweep() -> list[str]:
    """Clear away the runs whose owner is gone; return their names."""
    swept = []
    with registry():
        for directory in directories():
            holder = owner(directory)
            if holder is not None and holder.is_alive():
                continue
            run = Run(directory.name, read_note(directory).get("slot", 0), directory)
            _clear(run, keep_logs=True)
            swept.append(run.name)
    return swept


def clear_away(run: Run, *, keep_logs: bool) -> Path | None:
    """Clear one run away; return where its logs are kept, if they are."""
    with registry():
        return _clear(run, keep_logs=keep_logs)


def _clear(run: Run, *, keep_logs: bool) -> Path | None:
    end_processes(processes(run.directory))
    note = read_note(run.directory)
    for bridge in bridges(run):
        remove_bridge(bridge)
    for group in control_groups(run):
        remove_control_group(group)
    if note.get("proxy"):
        remove_proxy_tables()
    if "ip_forward" in note:
        _restore_forwarding(run, note["ip_forward"])
    return run.remove(keep_logs=keep_logs)


def _restore_forwarding(run: Run, before: str) -> None:
    """Set forwarding back, or leave that to another run whose nodes still need it."""
    for other in live_runs():
        note = read_note(other)
        if other != run.directory and note.get("real"):
            Run(other.name, note["slot"], other).note(ip_forward=before)
            return
    FORWARDING.write_text(before)


def end_processes(identities: Iterable[ProcessId]) -> None:
    """Kill the process groups that are still led by those very processes, and wait for their end."""
    alive = [identity for identity in identities if identity.is_alive()]
    for identity in alive:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(identity.pid, signal.SIGKILL)
    wait_for("processes end", lambda: not any(identity.is_alive() for identity in alive), END)


def bridges(run: Run) -> list[str]:
    """Return the network bridges of the run."""
    return sorted(path.name for path in Path("/sys/class/net").glob(f"{PREFIX}{run.name}-*"))


def remove_bridge(name: str) -> None:
    """Remove a bridge, after the kernel has removed what was plugged in."""
    plugged = Path("/sys/class/net") / name / "brif"
    with contextlib.suppress(TooLate):
        wait_for("pods unplugged", lambda: not plugged.exists() or not any(plugged.iterdir()), END)
    run_tool(find_tool("ip") or "ip", "link", "delete", name, check=False)


def control_groups(run: Run) -> list[Path]:
    """Return the control groups at the top of each hierarchy that bear the run's name."""
    return sorted([*CGROUPS.glob(f"{PREFIX}{run.name}-*"), *CGROUPS.glob(f"*/{PREFIX}{run.name}-*")])


def remove_control_group(top: Path) -> None:
    """Remove a control group and those below it, once the kernel has let their processes go."""

    def removed() -> bool:
        try:
            for directory, _, _ in os.walk(top, topdown=False):
                os.rmdir(directory)  # noqa: PTH106 -- os.walk gives strings
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    with contextlib.suppress(TooLate):
        wait_for(f"{top} is empty", removed, END)


def remove_proxy_tables() -> None:
    """Remove the rules of kube-proxy, which leaves them when it ends."""
    for family in ("ip", "ip6"):
        run_tool(find_tool("nft") or "nft", "delete", "table", family, "kube-proxy", check=False)
