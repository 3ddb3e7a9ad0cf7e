"""Services in Nacos, by its open API of versions 1 and 2 (a server of version 3 has to be told to keep it).

An instance is taken out by `enabled=false`, never by deleting it: its client's next heartbeat would register
it again (nacos#6368). The switch belongs to the instance's address, not to the client: it outlives a restart
of the application and a client that registers itself again, for as long as Nacos remembers the address (a
minute after the instance has gone). An update replaces weight and metadata, so they are said again.

What is read is the list that consumers get: it holds no instance that is switched off, and it holds sick ones
as well ones once a service's protection threshold is reached. Nacos keeps a service only as long as it has
instances, so one that isn't there is one without members. Writes go through any one server, reads to each.

A pool is `service`, `group@@service` or `namespace/group@@service`.
"""

import functools
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from cafe.kernel import Refusal, Unavailable
from cafe.traffic.adapters.httpregistry import Http, observe_each, read_json
from cafe.traffic.domain.facts import Member, MemberState, MemberView, Pool, ReplicaView

PAGE: Final = 500
"""Instances in one answer."""


class Instance(Struct, rename="camel", kw_only=True):
    """One instance, with what an update has to say again."""

    ip: str
    port: int
    healthy: bool = True
    enabled: bool = True
    ephemeral: bool = True
    weight: float = 1.0
    cluster_name: str = "DEFAULT"
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Return it as members have it."""
        return Member("", self.ip, self.port).address


class NacosAdapter:
    """A `TrafficAdapter` for a cluster.

    Args:
        replicas: Address (host:port) of each server, by its name.
        username: From the provider's secret; empty for none.
        password: Of the same.
    """

    def __init__(self, replicas: Mapping[str, str], username: str = "", password: str = "") -> None:
        self._http = Http()
        login = {"username": username, "password": password} if username else {}
        self._servers = {name: _Server(self._http, address, login) for name, address in replicas.items()}

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        """Return by pool name what consumers of each server get.

        Raises:
            Refusal: Not one of the pools may be read (`CredentialsRefused`).
        """
        looks = {name: functools.partial(_look, server) for name, server in self._servers.items()}
        return await observe_each(looks, pools)

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Switch instances off."""
        await self._switch(pool, members, is_enabled=False)

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Switch instances on; one that never registered itself stays unknown."""
        await self._switch(pool, members, is_enabled=True)

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Switch instances off and delete them.

        One whose client is of version 2 goes with the client's connection: the open API can't delete it.
        """
        await self._switch(pool, members, is_enabled=False, is_gone=True)

    async def close(self) -> None:
        """Give up all connections."""
        await self._http.close()

    async def _switch(
        self, pool: Pool, members: Collection[Member], *, is_enabled: bool, is_gone: bool = False
    ) -> None:
        """Write by the first server that answers; if none does, `observe` tells of it."""
        addresses = {member.address for member in members}
        for server in self._servers.values() if addresses else ():
            try:
                async for instance in _instances(server, pool):
                    if instance.address not in addresses:
                        continue
                    if instance.enabled != is_enabled:
                        await server.ask("PUT", "instance", _update(pool, instance, is_enabled=is_enabled))
                    if is_gone:
                        await server.ask("DELETE", "instance", _naming(pool, instance))
            except Unavailable:
                continue
            return


class _Server:
    """One server, with the token that it gave."""

    def __init__(self, http: Http, address: str, login: Mapping[str, str]) -> None:
        self._http = http
        self._address = address
        self._login = login
        self._token = ""

    async def ask(self, method: str, path: str, query: Mapping[str, str]) -> Any:  # noqa: ANN401 -- JSON
        """Return what a call of the naming API answers; None if there is no such thing.

        Raises:
            Unavailable: No answer, or an error.
            Refusal: The credentials are not accepted (`CredentialsRefused`).
        """
        status, body = await self._call(method, path, query)
        if status in {401, 403} and self._login:  # The token has run out, or there is none yet.
            await self._log_in()
            status, body = await self._call(method, path, query)
        if status in {401, 403}:
            raise self._refusal()
        if status == 404:
            return None
        return read_json(status, body) if body != b"ok" else None

    async def _call(self, method: str, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        token = {"accessToken": self._token} if self._token else {}
        return await self._http.ask(
            method, f"http://{self._address}/nacos/v1/ns/{path}", query={**query, **token}
        )

    async def _log_in(self) -> None:
        url = f"http://{self._address}/nacos/v1/auth/login"
        status, body = await self._http.ask("POST", url, form=self._login)
        if status in {401, 403}:
            raise self._refusal()
        self._token = str(read_json(status, body)["accessToken"])

    def _refusal(self) -> Refusal:
        return Refusal(
            "CredentialsRefused",
            f"Nacos at {self._address} refuses what CAFE asks.",
            "The user or password is wrong, or the user may not read and write this namespace.",
            "Mend the secret of the TrafficProvider, or the user's role in Nacos.",
        )


async def _look(server: _Server, pool: Pool) -> dict[str, MemberView]:
    answer = await server.ask("GET", "instance/list", _service(pool)) or {}
    views = {}
    for instance in _read_all(answer.get("hosts")):
        state = MemberState.SERVING if instance.healthy else MemberState.DOWN
        views[instance.address] = MemberView(
            instance.address, state if instance.enabled else MemberState.DRAINING
        )
    return views


async def _instances(server: _Server, pool: Pool) -> AsyncIterator[Instance]:
    """Return all instances, those that are switched off too, cluster by cluster."""
    service = await server.ask("GET", "catalog/service", _service(pool)) or {}
    for cluster in service.get("clusters", ()):
        page, count = 1, 1
        while (page - 1) * PAGE < count:
            query = {"clusterName": cluster["name"], "pageNo": str(page), "pageSize": str(PAGE)}
            answer = await server.ask("GET", "catalog/instances", {**_service(pool), **query}) or {}
            for instance in _read_all(answer.get("list")):
                yield instance
            page, count = page + 1, answer.get("count", 0)


def _read_all(found: object) -> list[Instance]:
    try:
        return msgspec.convert(found or [], list[Instance])
    except msgspec.ValidationError as error:
        raise Unavailable(f"it answers what can't be read: {error}") from error


def _service(pool: Pool) -> dict[str, str]:
    namespace, _, service = pool.name.rpartition("/")
    grouped = service if "@@" in service else f"DEFAULT_GROUP@@{service}"
    return {"serviceName": grouped, **({"namespaceId": namespace} if namespace else {})}


def _naming(pool: Pool, instance: Instance) -> dict[str, str]:
    return {
        **_service(pool),
        "ip": instance.ip,
        "port": str(instance.port),
        "clusterName": instance.cluster_name,
        "ephemeral": _word(is_so=instance.ephemeral),
    }


def _update(pool: Pool, instance: Instance, *, is_enabled: bool) -> dict[str, str]:
    return {
        **_naming(pool, instance),
        "enabled": _word(is_so=is_enabled),
        "weight": str(instance.weight),
        "metadata": msgspec.json.encode(instance.metadata).decode(),
    }


def _word(*, is_so: bool) -> str:
    return "true" if is_so else "false"
