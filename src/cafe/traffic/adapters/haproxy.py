"""HAProxy, all of its processes: told by the runtime API, and read back by it.

A process keeps what it is told until it is reloaded; then it has forgotten, unless it loads a file of its
servers' state. The provider's loop tells it again. Members are servers called like their pods; those that the
configuration has are found by their address and never deleted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta

from cafe.kernel import Refusal, Unavailable
from cafe.traffic.adapters.haproxyruntime import (
    LOOK,
    STATES,
    Garbled,
    Look,
    Server,
    address_words,
    denials,
    joined,
    read_look,
    read_states,
    server_name,
)
from cafe.traffic.domain.facts import Member, Pool, ReplicaView

CONNECT = timedelta(seconds=1)
ANSWER = timedelta(seconds=2)
LARGEST = 64 * 1024 * 1024
"""Bytes of an answer: 100,000 servers and more."""

LINE = 15_000
"""Characters of one line of commands; HAProxy takes no longer one than its buffer (`tune.bufsize`, 16 kB)."""

Plan = Callable[[Mapping[tuple[str, str], Server]], Iterable[str]]


class HAProxyAdapter:
    """The `TrafficAdapter` of one HAProxy.

    Args:
        replicas: Address of each process' runtime API by its name: `host:port`, or the path of a socket.
    """

    def __init__(self, replicas: Mapping[str, str]) -> None:
        self._replicas = dict(replicas)
        self._leftovers: dict[tuple[str, str], Pool] = {}

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        """Return how each process stands: one answer for all pools."""
        looks = dict(zip(self._replicas, await asyncio.gather(*map(self._look, self._replicas)), strict=True))
        await self._clear(looks)
        return {
            pool.name: [_view_of(name, looks[name], pool, self._replicas[name]) for name in self._replicas]
            for pool in pools
        }

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Drain the servers at the members' addresses."""
        addresses = {member.address for member in members}

        def plan(servers: Mapping[tuple[str, str], Server]) -> Iterable[str]:
            return [f"set server {s.path} state drain" for s in _at(servers, pool, addresses)]

        await self._tell_all(plan)

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Make the servers of members ready; add those that are not there."""
        for member in members:
            self._leftovers.pop((pool.name, member.address), None)

        def plan(servers: Mapping[tuple[str, str], Server]) -> Iterable[str]:
            commands: list[str] = []
            for member in members:
                found = _at(servers, pool, {member.address})
                name = server_name(member.name)
                if not found:
                    commands += _added(servers.get((pool.name, name)), pool, member)
                    found = [Server(pool.name, name, member.address)]
                commands += [f"set server {s.path} state ready" for s in found]
            return commands

        await self._tell_all(plan)

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Delete the servers of members, or keep them in maintenance if the configuration has them.

        HAProxy deletes none that has a connection: what is left is tried again with each look.
        """
        for member in members:
            self._leftovers[pool.name, member.address] = pool
        addresses = {member.address for member in members}
        await self._tell_all(lambda servers: _deletion(_at(servers, pool, addresses)))

    async def close(self) -> None:
        """Do nothing: no connection outlives its call."""

    async def _clear(self, looks: Mapping[str, Look | str]) -> None:
        """Delete what could not be deleted before; forget what is gone, or is there to stay."""
        if not self._leftovers:
            return
        left = dict(self._leftovers)

        def plan(servers: Mapping[tuple[str, str], Server]) -> Iterable[str]:
            found = [s for pool, address in left for s in _at(servers, Pool(pool, 0), {address})]
            return [f"del server {s.path}" for s in found if s.is_taken_out]

        known = {
            (s.backend, s.address)
            for look in looks.values()
            if isinstance(look, Look)
            for s in look.servers.values()
        }
        self._leftovers = {place: pool for place, pool in left.items() if place in known}
        if self._leftovers:
            await self._tell_all(plan)

    async def _tell_all(self, plan: Plan) -> None:
        outcomes = await asyncio.gather(
            *(self._tell(address, plan) for address in self._replicas.values()), return_exceptions=True
        )
        for outcome in outcomes:
            # Of one that can't be reached `observe` tells; the others are obeyed.
            if isinstance(outcome, BaseException) and not isinstance(outcome, Unavailable):
                raise outcome

    async def _tell(self, address: str, plan: Plan) -> None:
        """Look at one process' servers, and tell it what follows."""
        commands = list(plan(read_states(await _ask(address, STATES))))
        for line in _lines_of(commands):
            answer = await _ask(address, line)
            if denied := denials(answer):
                raise Refusal(
                    "CredentialsRefused",
                    f"HAProxy at {address} doesn't obey.",
                    f"It says: {denied[0]}.",
                    "Give its stats socket the level admin.",
                )

    async def _look(self, name: str) -> Look | str:
        """Return what a process says of itself, or why it doesn't."""
        address = self._replicas[name]
        try:
            return read_look(await _ask(address, LOOK))
        except (Unavailable, Garbled) as error:
            return str(error)


def _view_of(name: str, look: Look | str, pool: Pool, address: str) -> ReplicaView:
    if isinstance(look, str):
        return ReplicaView(name, problem=look)
    if pool.name not in look.backends:
        return ReplicaView(name, problem=f"it has no backend {pool.name} (runtime API at {address})")
    return ReplicaView(name, look.views.get(pool.name, {}))


def _at(servers: Mapping[tuple[str, str], Server], pool: Pool, addresses: Collection[str]) -> list[Server]:
    return [s for s in servers.values() if s.backend == pool.name and s.address in addresses]


def _added(namesake: Server | None, pool: Pool, member: Member) -> list[str]:
    """Return what makes a server of a member that has none; one of its name moves to its address."""
    if namesake is not None:
        return [
            f"set server {namesake.path} state maint",
            f"set server {namesake.path} addr {member.ip} port {member.port}",
        ]
    return [
        f"add server {pool.name}/{server_name(member.name)} {address_words(member.ip, member.port)}",
    ]


def _deletion(servers: Iterable[Server]) -> list[str]:
    return [c for s in servers for c in (f"set server {s.path} state maint", f"del server {s.path}")]


def _lines_of(commands: Sequence[str]) -> list[str]:
    """Return commands as few lines as possible; none longer than HAProxy's buffer."""
    lines: list[list[str]] = []
    size = LINE
    for command in commands:
        if size + len(command) + 2 > LINE:
            lines.append([])
            size = 0
        lines[-1].append(command)
        size += len(command) + 2
    return [joined(line) for line in lines]


async def _ask(address: str, line: str) -> str:
    """Send one line of commands; return the whole answer.

    Raises:
        Unavailable: There was none in time.
    """
    try:
        async with asyncio.timeout(CONNECT.total_seconds()):
            reader, writer = await _open(address)
    except (OSError, ValueError, TimeoutError) as error:
        why = "no connection in time" if isinstance(error, TimeoutError) else str(error)
        raise Unavailable(f"HAProxy's runtime API at {address} can't be reached: {why}") from error
    try:
        async with asyncio.timeout(ANSWER.total_seconds()):
            writer.write(f"{line}\n".encode())
            answer = await _whole(reader)
    except (OSError, TimeoutError) as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        raise Unavailable(f"HAProxy's runtime API at {address}: {why}", is_outcome_known=False) from error
    finally:
        writer.close()
    return answer


async def _whole(reader: asyncio.StreamReader) -> str:
    parts: list[bytes] = []
    size = 0
    while part := await reader.read(1 << 18):
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise OSError(f"its answer has more than {LARGEST} bytes")
    return b"".join(parts).decode(errors="replace")


def _open(address: str) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    if address.startswith("/"):
        return asyncio.open_unix_connection(address)
    host, _, port = address.rpartition(":")
    return asyncio.open_connection(host.strip("[]"), int(port))
