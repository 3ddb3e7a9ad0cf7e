"""Directories of providers in ZooKeeper, as Dubbo and its like keep them.

A provider is a node whose name is its URL, encoded: `dubbo://10.0.0.1:20880/shop.Cart?...`. It belongs to a
member by address and port of that URL, whatever the scheme. Consumers watch the directory and call providers
directly, so nobody but themselves sees requests: what proves that they have heard is time (the binding's
floor), counted from when `observe` finds the registration gone from *every* server of the ensemble.

Writes go through any one server, since the ensemble agrees on them. Reads go to each: a server that lags
serves its consumers an old list. Each is asked to `sync` with its leader first, on the same connection, which
keeps the order of what it is asked; so one pass costs each server one sync and two lists for each pool,
sent without waiting for one another.
"""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError, NodeExistsError, NoNodeError, ZookeeperError
from kazoo.security import ACL, Id

from cafe.kernel import Refusal, Unavailable
from cafe.traffic.adapters.parking import (
    PARKED,
    RESTORED,
    Acl,
    Delete,
    Directory,
    Plan,
    Registration,
    Replace,
    Shelf,
    Step,
    address_of,
    plan_attach,
    plan_detach,
    plan_remove,
)
from cafe.traffic.adapters.zookeeperserver import Server
from cafe.traffic.domain.facts import Member, MemberState, MemberView, Pool, ReplicaView

ROUNDS: Final = 5
"""So often a member is looked at anew because its application wrote at the same time. What is still undone
then shows at the next observation."""

Listing = tuple[list[str] | None, list[str] | None]
"""Names in a directory, and beside it; None where there is no such directory."""


class ZooKeeperAdapter:
    """A `TrafficAdapter` for an ensemble.

    Args:
        replicas: Address (host:port) of each server, by its name.
        username: Of the digest scheme, from the provider's secret; empty for none.
        password: Of the same.
    """

    def __init__(self, replicas: Mapping[str, str], username: str = "", password: str = "") -> None:
        credentials = f"{username}:{password}" if username else ""
        self._servers = [Server(name, address, credentials) for name, address in replicas.items()]

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        """Return by pool name how each server stands.

        Raises:
            Refusal: Not one of the pools may be read (`CredentialsRefused`).
        """
        seen = await asyncio.gather(*(self._observe_server(server, pools) for server in self._servers))
        return {pool.name: [views[pool.name] for views in seen] for pool in pools}

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Park the registrations of *members*."""
        await self._turn(pool, members, plan_detach)

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Put registrations back that were parked, unless their applications have registered themselves.

        An application that never registered itself stays unknown: only it knows its URL.
        """
        await self._turn(pool, members, plan_attach)

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Delete registrations and what was parked."""
        await self._turn(pool, members, plan_remove)

    async def close(self) -> None:
        """Give up all connections."""
        await asyncio.gather(*(server.close() for server in self._servers))

    # Reading.

    async def _observe_server(self, server: Server, pools: Collection[Pool]) -> dict[str, ReplicaView]:
        try:
            listings = await _list_all(server, [Directory.of(pool.name) for pool in pools])
        except Unavailable as away:
            return {pool.name: ReplicaView(server.name, problem=str(away)) for pool in pools}
        refusals = [found for found in listings if isinstance(found, Refusal)]
        if refusals and len(refusals) == len(listings):
            raise refusals[0]
        return {
            pool.name: _view(server.name, pool, found) for pool, found in zip(pools, listings, strict=True)
        }

    # Writing.

    async def _turn(self, pool: Pool, members: Collection[Member], plan: Plan) -> None:
        """Carry out a plan by the first server that answers; if none does, `observe` tells of it."""
        addresses = {member.address for member in members}
        if not addresses:
            return
        for server in sorted(self._servers, key=lambda server: not server.is_connected):
            try:
                await _turn_at(server, Directory.of(pool.name), addresses, plan)
            except Unavailable:
                continue
            return


async def _list_all(server: Server, places: Sequence[Directory]) -> list[Listing | Refusal]:
    """Read all directories as they are in the leader now."""
    await server.connect()
    # All are sent at once, the sync first: a connection keeps the order of what it is asked.
    _, *listings = await asyncio.gather(
        server.call(lambda client: client.sync_async("/")), *(_listing(server, place) for place in places)
    )
    return listings


async def _listing(server: Server, place: Directory) -> Listing | Refusal:
    try:
        names, aside = await asyncio.gather(_children(server, place.path), _children(server, place.aside))
    except Refusal as refusal:
        return refusal
    return names, aside


async def _children(server: Server, path: str) -> list[str] | None:
    """Return the names in a directory; None if there is no such directory."""
    try:
        names: list[str] = await server.call(lambda client: client.get_children_async(path))
    except NoNodeError:
        return None
    return names


def _view(name: str, pool: Pool, found: Listing | Refusal) -> ReplicaView:
    if isinstance(found, Refusal):
        return ReplicaView(name, problem=str(found))
    names, aside = found
    if names is None:
        return ReplicaView(name, problem=f"it has no directory {Directory.of(pool.name).path}")
    parked = (known.removeprefix(PARKED) for known in aside or () if known.startswith(PARKED))
    # One that is registered gets requests, whatever was parked: its application came back by itself.
    known = dict.fromkeys(map(address_of, parked), MemberState.DRAINING)
    known |= dict.fromkeys(map(address_of, names), MemberState.SERVING)
    views = {address: MemberView(address, state) for address, state in known.items() if address is not None}
    return ReplicaView(name, views)


async def _turn_at(server: Server, place: Directory, addresses: Collection[str], plan: Plan) -> None:
    still = set(addresses)
    for _ in range(ROUNDS):
        names, aside = await asyncio.gather(_children(server, place.path), _children(server, place.aside))
        if names is None and plan is not plan_remove:
            raise _pool_missing(place)
        shelves = await _shelves(server, place, still, (names or [], aside or []))
        plans = {address: steps for address, shelf in shelves.items() if (steps := plan(place, shelf))}
        if aside is None and plans:
            await _make_aside(server, place)
        done = await asyncio.gather(*(_commit(server, steps) for steps in plans.values()))
        still = {address for address, is_done in zip(plans, done, strict=True) if not is_done}
        if not still:
            return


async def _shelves(
    server: Server, place: Directory, addresses: Collection[str], listed: tuple[list[str], list[str]]
) -> dict[str, Shelf]:
    """Read what a directory has of some addresses."""
    names, aside = listed
    nodes = [("live", name, place.live(name)) for name in names]
    for kind, prefix in (("parked", PARKED), ("restored", RESTORED)):
        bare = (name.removeprefix(prefix) for name in aside if name.startswith(prefix))
        nodes += [(kind, name, f"{place.aside}/{prefix}{name}") for name in bare]
    mine = [(at, *node) for node in nodes if (at := address_of(node[1])) in addresses]
    read = await asyncio.gather(*(_read(server, kind, path) for _, kind, _, path in mine))
    found: dict[str, dict[str, dict[str, Registration]]] = {
        address: {"live": {}, "parked": {}, "restored": {}} for address in addresses
    }
    for (address, kind, name, _), registration in zip(mine, read, strict=True):
        if registration is not None and address is not None:
            found[address][kind][name] = registration
    return {address: Shelf(**kinds) for address, kinds in found.items()}


async def _read(server: Server, kind: str, path: str) -> Registration | None:
    """Read one registration; None if it has gone meanwhile."""
    try:
        if kind != "live":
            data, _ = await server.call(lambda client: client.get_async(path))
            return Registration.decode(data)
        (data, stat), (acls, _) = await asyncio.gather(
            server.call(lambda client: client.get_async(path)),
            server.call(lambda client: client.get_acls_async(path)),
        )
    except NoNodeError:
        return None
    return Registration(data, stat.ephemeralOwner, _acl_of(acls))


def _acl_of(acls: Sequence[ACL]) -> Acl:
    """Return an access list; none if the server hides passwords in it from whoever may not change it."""
    if any(acl.id.scheme == "digest" and acl.id.id.endswith(":x") for acl in acls):
        return ()
    return tuple((acl.perms, acl.id.scheme, acl.id.id) for acl in acls)


async def _make_aside(server: Server, place: Directory) -> None:
    with contextlib.suppress(NodeExistsError):
        await server.call(lambda client: client.create_async(place.aside, acl=server.own_acl))


async def _commit(server: Server, steps: Sequence[Step]) -> bool:
    """Write all or nothing; tell whether it is written, or there was something else than what was read."""

    def begin(client: KazooClient) -> Any:  # noqa: ANN401 -- kazoo has no types
        transaction = client.transaction()
        for step in steps:
            if isinstance(step, Delete):
                transaction.delete(step.path)
            elif isinstance(step, Replace):
                transaction.set_data(step.path, step.data)
            else:
                acl = [ACL(perms, Id(scheme, who)) for perms, scheme, who in step.acl or ()]
                transaction.create(step.path, step.data, acl=acl or server.own_acl)
        return transaction.commit_async()

    results = await server.call(begin)
    if any(isinstance(result, NoAuthError) for result in results):
        raise server.refusal()
    return not any(isinstance(result, ZookeeperError) for result in results)


def _pool_missing(place: Directory) -> Refusal:
    return Refusal(
        "PoolMissing",
        f"ZooKeeper has no directory {place.path}.",
        "No provider has ever registered itself there.",
        "Mend the pool of the TrafficBinding, or start an application that registers itself.",
    )
