"""What the testbed needs of a machine, and what of that is lacking."""

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed.build import lacking_go

CNI_DIRECTORIES: Final = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS: Final = ("bridge", "host-local", "loopback")


@dataclass(frozen=True)
class Tool:
    """A command that real nodes need, and the Debian package that has it."""

    command: str
    package: str


TOOLS: Final = (
    Tool("containerd", "containerd"),
    Tool("ctr", "containerd"),
    Tool("runc", "runc"),
    Tool("nft", "nftables"),
    Tool("ip", "iproute2"),
    Tool("conntrack", "conntrack"),
    Tool("unshare", "util-linux"),
    Tool("nsenter", "util-linux"),
    Tool("mount", "mount"),
)

TRAFFIC_PEERS: Final = {
    "haproxy": Path("/usr/sbin/haproxy"),
    "zookeeper": Path("/usr/share/java/zookeeper.jar"),
}
"""Debian packages of real load balancers and registries, each with a file that it brings."""


def find_tool(command: str) -> str | None:
    """Return the path of a command; administrators' directories count even if PATH lacks them."""
    return shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def cni_directory() -> Path | None:
    """Return the directory that holds all network plugins we need."""
    for directory in CNI_DIRECTORIES:
        if all((directory / plugin).exists() for plugin in CNI_PLUGINS):
            return directory
    return None


def lacking_packages() -> list[str]:
    """Return the Debian packages that real nodes need and the machine lacks."""
    lacking = {tool.package for tool in TOOLS if find_tool(tool.command) is None}
    if cni_directory() is None:
        lacking.add("containernetworking-plugins")
    return sorted(lacking)


def lacking_peers() -> list[str]:
    """Return the Debian packages of load balancers and registries that the machine lacks."""
    return sorted(package for package, path in TRAFFIC_PEERS.items() if not path.exists())


def requirements(*, real_nodes: bool) -> list[str]:
    """Return what is lacking, by name; nothing lacking is an empty list.

    Args:
        real_nodes: Whether real nodes are wanted, or just a control plane and fake nodes.
    """
    lacking: list[str] = []
    if platform.system() != "Linux":
        lacking.append("Linux")
    lacking += lacking_go()
    if real_nodes:
        if os.geteuid() != 0:
            lacking.append("root, for real nodes")
        lacking += _commands(lacking_packages())
    return lacking


def _commands(packages: Sequence[str]) -> list[str]:
    return [f"{package} (python -m testbed install)" for package in packages]
