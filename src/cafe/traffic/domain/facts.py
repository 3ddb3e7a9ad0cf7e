"""What decisions about traffic know of the world, frozen at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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
