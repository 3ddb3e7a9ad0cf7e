"""Installing what real nodes and the peers of traffic need, on Debian, as root."""

import os
import shutil
import subprocess
import sys
from typing import Final

from testbed.errors import Lacking, NotStarted
from testbed.requirements import lacking_packages, lacking_peers

APT_ENVIRONMENT: Final = {"DEBIAN_FRONTEND": "noninteractive"}


def install() -> list[str]:
    """Install what is lacking with apt, showing what apt says.

    Returns:
        The packages installed; empty if nothing was lacking.

    Raises:
        Lacking: Something is lacking, and this is not root or not Debian.
        NotStarted: apt failed.
    """
    packages = lacking_packages() + lacking_peers()
    if not packages:
        return []
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Lacking([f"{package} (as root on Debian: python -m testbed install)" for package in packages])
    print(f"installing {', '.join(packages)}", file=sys.stderr, flush=True)
    _apt("update", "-q")
    _apt("install", "-q", "-y", "--no-install-recommends", *packages)
    still = lacking_packages() + lacking_peers()
    if still:
        raise NotStarted(f"apt-get installed {', '.join(packages)}, but still lacking: {', '.join(still)}")
    return packages


def _apt(*arguments: str) -> None:
    command = ["apt-get", *arguments]
    done = subprocess.run(command, env={**os.environ, **APT_ENVIRONMENT}, stdout=sys.stderr, check=False)
    if done.returncode:
        raise NotStarted(f"{' '.join(command)}: exit {done.returncode}")
