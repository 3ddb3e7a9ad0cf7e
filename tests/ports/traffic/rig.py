"""What a conformance case needs around an adapter: pods that answer, and clients that ask."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from cafe.traffic.domain.facts import Member, Pool
from cafe.traffic.ports import TrafficAdapter


class Unanswered(Exception):
    """A request that nobody answered."""


class Rig(Protocol):
    """One provider with its surroundings, fresh for each case.

    Attributes:
        adapter: What is tested.
        pool: A pool that every process has, empty at first.
        replicas: Names of the processes, at least one.
        sees_arrivals: Whether processes count the requests that they send.
        forgets: Whether a process that restarts has forgotten what it was told.
    """

    adapter: TrafficAdapter
    pool: Pool
    replicas: tuple[str, ...]
    sees_arrivals: bool
    forgets: bool

    async def member(self, name: str) -> Member:
        """Start something that answers each request with its name."""

    async def ask(self, replica: str) -> str:
        """Send one request by way of a process, over a new connection; return who answered.

        Raises:
            Unanswered: Nobody did.
        """

    async def hold(self, replica: str) -> tuple[str, Awaitable[str]]:
        """Send a request that takes until `release`; return who works on it, and its answer to come."""

    async def release(self) -> None:
        """Let those who hold requests answer."""

    async def stop(self, replica: str) -> None:
        """Take a process away."""

    async def start(self, replica: str) -> None:
        """Bring it back, as it is after a crash."""

    async def settle(self) -> None:
        """Let pass what the provider needs until all that it was told is in force."""


class Registry(Rig, Protocol):
    """A provider whose members register themselves; consumers look them up and ask them directly.

    Attributes:
        knows_pools: Whether a pool without members is told from one that isn't there.
        undoes_detach: Whether a client that registers itself again is back at once.
    """

    knows_pools: bool
    undoes_detach: bool

    async def register_again(self, member: Member) -> None:
        """Have an application do what its client does after it has lost its connection."""

    async def restart(self, member: Member) -> None:
        """Have an application end and start anew, which registers itself."""

    async def kill(self, member: Member) -> None:
        """End an application for good."""

    async def take_over(self) -> None:
        """Replace the adapter by another, as when a controller dies."""

    def known(self, replica: str) -> Sequence[str]:
        """Return the addresses that a consumer at a process knows."""
