"""What decisions about traffic know of the world, frozen at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from cafe.api.trafficmarks import employer_id, protection_of
from cafe.traffic.contract import TrafficFact


@dataclass(frozen=True, slots=True)
class Pool:
    """What a provider calls the members of one employer.

    Attributes:
        name: HAProxy: the backend. Envoy: the cluster. A registry: the directory or service.
        port: Of the pods.
    """

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class Member:
    """A pod, as a provider knows it.

    Attributes:
        name: The pod's name, by which load balancers call it where they have names.
        ip: Its address.
        port: Where it answers.
    """

    name: str
    ip: str
    port: int

    @property
    def address(self) -> str:
        """Return where requests go, as `10.0.0.1:80` or `[fd00::1]:80`."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


class MemberState(StrEnum):
    """How one process treats a member."""

    SERVING = "serving"
    DRAINING = "draining"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member, as one process sees it.

    Attributes:
        state: SERVING gets new requests; DRAINING gets none, finishing what it has; DOWN is known, and is
            found sick or is not checked yet: it gets none for now, but would once it is found well.
        active: Requests it is working on for this process, or connections where requests can't be seen.
        queued: Requests that wait for it in this process.
        arrivals: How many requests it was ever sent by this process; None where that can't be seen.
    """

    address: str
    state: MemberState
    active: int = 0
    queued: int = 0
    arrivals: int | None = None


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One process of a provider, as it was read back.

    Attributes:
        members: By address. One that isn't there gets no requests from it.
        problem: Why nothing is known of it; empty if it answered.
    """

    name: str
    members: Mapping[str, MemberView] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """When an employer's traffic counts as gone.

    Attributes:
        floor: At least so long after the detach was seen everywhere.
        quiet: So long no request may have arrived.
        soft: After so long clients are asked to close their connections.
        deadline: After so long the drain is stuck.
    """

    floor: timedelta
    quiet: timedelta = timedelta(seconds=1)
    soft: timedelta = timedelta(seconds=60)
    deadline: timedelta = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Employer:
    """What sends requests to pods.

    Attributes:
        name: `Kind/namespace/name`.
        provider: Name of the TrafficProvider; empty for Services.
        may_drain_last: Whether its last member may be detached.
        is_retired: Whether nobody declares it any more: its members are to be detached and forgotten.
    """

    name: str
    provider: str
    pool: Pool
    rules: Rules
    may_drain_last: bool = False
    is_retired: bool = False

    @property
    def finalizer(self) -> str:
        """Return the protection that it puts on pods."""
        return protection_of(self.name)


@dataclass(frozen=True, slots=True)
class PodTraffic:
    """One pod, as far as its traffic is concerned.

    Attributes:
        protections: Finalizers of employers that stand on it.
        expected: Finalizer of each employer without which it doesn't count.
        attached: By employer's id, the address by which that was told of it.
        restarts: Of its containers, added up.
        is_ready: Whether the kubelet calls it Ready.
        is_leaving: Whether it is being deleted.
        is_over: Whether none of its containers runs any more, or ever will.
        is_named_again: Whether its successor needs its name, so that it may not linger.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    ip: str
    fact: TrafficFact
    protections: frozenset[str] = frozenset()
    expected: Mapping[str, str] = field(default_factory=dict)
    attached: Mapping[str, str] = field(default_factory=dict)
    restarts: int = 0
    is_ready: bool = False
    is_leaving: bool = False
    is_over: bool = False
    is_named_again: bool = False

    def member(self, pool: Pool) -> Member:
        """Return the pod as a member of *pool*."""
        return Member(self.name, self.ip, pool.port)

    def former(self, employer: Employer) -> Member | None:
        """Return the pod as *employer* knows it by an address that is no longer its own.

        A pod gets another address when its sandbox is made anew, as after a reboot of its node; somebody else
        may get the old one.
        """
        ip = self.attached.get(employer_id(employer.name), "")
        return Member(self.name, ip, employer.pool.port) if ip and self.ip and ip != self.ip else None
