"""What was measured on, and what a process cost."""

import os
import platform
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from cafe.kernel import SystemClock
from testbed.build import kubernetes_version

TICKS = os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """Describe the machine, the versions and the day, in one line each."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "msgspec"))
    return "\n".join(
        (
            f"machine   {os.cpu_count()} cores of {model}, {memory:.0f} GiB, Linux {platform.release()}",
            f"versions  Kubernetes {kubernetes_version()}, Python {platform.python_version()}, {packages}",
            f"date      {SystemClock().now():%Y-%m-%d %H:%M} UTC, load before {os.getloadavg()[0]:.1f}",
        )
    )


def cpu_of(pid: int) -> timedelta:
    """Return the CPU time that a process has used so far, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return timedelta(seconds=(int(fields[11]) + int(fields[12])) / TICKS)


def busy_time() -> timedelta:
    """Return the CPU time that all cores together have worked since boot, for whomever."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return timedelta(seconds=(sum(fields) - fields[3] - fields[4]) / TICKS)


def peak_memory_of(pid: int) -> int:
    """Return the most memory that a process has had resident, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return kilobytes // 1024


def exact_cpu_of(pid: int) -> timedelta:
    """Return the same without rounding it to ticks, of the threads that still live."""
    nanoseconds = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        nanoseconds += int((task / "schedstat").read_text().split()[0])
    return timedelta(microseconds=nanoseconds / 1000)
