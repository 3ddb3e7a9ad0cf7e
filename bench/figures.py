"""What one measured change cost, and the columns that are told of it."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from bench.contestants import EVERYBODY
from bench.counting import Samples


@dataclass
class Figures:
    """What one round cost.

    Attributes:
        took: Seconds from the request to the last pod's availability.
        settled: Seconds until the workload's own status said so, too.
        unavailable: Pod-seconds.
        created: Pods that were not there before.
        cpu: CPU-seconds by program; each contestant's controller by the contestant's name.
        writes: Requests of the contestant's program that change something, by verb, resource and code.
        writes_of_all: The same of everybody, kubelets and scheduler included.
        busy: CPU-seconds of the whole machine, whoever used them.
        memory: The most that the contestant's program ever had resident, in MiB.
        before: Our controller's metrics.
        after: The same.
    """

    took: float
    settled: float
    unavailable: float
    cpu: dict[str, float]
    writes: Counter[str]
    writes_of_all: int
    busy: float
    memory: int
    created: int = 0
    before: Samples = field(default_factory=dict)
    after: Samples = field(default_factory=dict)

    def share_of(self, program: str) -> float:
        """Return a program's part of the CPU that all programs of the run used, the watcher too."""
        return self.cpu[program] / sum(self.cpu.values())

    def of_bystanders(self, name: str) -> float:
        """Return the CPU-seconds of the other contestants' controllers, which had nothing to do but watch."""
        return sum(self.cpu.get(other.name, 0.0) for other in EVERYBODY if other.name != name)


Column: TypeAlias = Callable[[Figures, str], float]
"""One figure of a round of the contestant of that name."""
Rounds: TypeAlias = dict[str, list[Figures]]
"""The figures of each round, by the contestant's name; ours come first."""


def costs(pods: int) -> dict[str, Column]:
    """Return the columns of every comparison; what is told per pod is of *pods* pods."""

    def cpu_per_pod(program: str) -> Column:
        return lambda figures, name: 1000 * figures.cpu[program or name] / pods

    return {
        "pods/s": lambda f, _: pods / f.took,
        "seconds": lambda f, _: f.took,
        "seconds, status settled": lambda f, _: f.settled,
        "writes/pod": lambda f, _: f.writes.total() / pods,
        "writes/pod, to the pods": lambda f, _: to_pods(f.writes) / pods,
        "writes/pod by everybody": lambda f, _: f.writes_of_all / pods,
        "writes/s": lambda f, _: f.writes.total() / f.took,
        "CPU ms/pod, controller": cpu_per_pod(""),
        "CPU ms/pod, API server": cpu_per_pod("kube-apiserver"),
        "CPU ms/pod, etcd": cpu_per_pod("etcd"),
        "CPU ms/pod, bystanders": lambda f, name: 1000 * f.of_bystanders(name) / pods,
        "cores used by this run": lambda f, _: sum(f.cpu.values()) / f.settled,
        "cores used by anybody": lambda f, _: f.busy / f.settled,
        "peak memory MiB": lambda f, _: f.memory,
    }


def to_pods(writes: Counter[str]) -> int:
    """Count the writes that changed pods: neither refused ones nor those of other objects."""
    return sum(
        count for what, count in writes.items() if re.fullmatch(r"\w+ pods(/\w+)? 2\d\d", what) is not None
    )


def conflicts(writes: Counter[str]) -> int:
    """Count the writes that were refused because the object had moved."""
    return sum(count for what, count in writes.items() if what.endswith(" 409"))
