"""How each type of TrafficProvider is spoken with."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from cafe.api.trafficprovider import ProviderType, TrafficProvider
from cafe.kernel import ObjectKey, Refusal
from cafe.kube.client import Client
from cafe.kube.errors import NotFound
from cafe.kube.resources import Kind
from cafe.traffic.adapters.discovery import Delivery, Discovery, Files
from cafe.traffic.adapters.envoy import EnvoyAdapter
from cafe.traffic.adapters.haproxy import HAProxyAdapter
from cafe.traffic.adapters.nacos import NacosAdapter
from cafe.traffic.adapters.sofaregistry import SofaRegistryAdapter
from cafe.traffic.adapters.zookeeper import ZooKeeperAdapter
from cafe.traffic.domain.facts import Member, Pool, ReplicaView
from cafe.traffic.ports import TrafficAdapter

SECRETS: Kind[dict[str, Any]] = Kind("", "v1", "secrets", "Secret", namespaced=True, type=dict)

MakeAdapter = Callable[[TrafficProvider], TrafficAdapter]


class Carriers:
    """Makes adapters for providers."""

    def __init__(self, client: Client, discovery: Discovery | None = None) -> None:
        """Make adapters.

        Args:
            client: To the API server, for secrets.
            discovery: Where Envoys ask for their endpoints; None if nobody serves it.
        """
        self._client = client
        self._discovery = discovery

    def make(self, provider: TrafficProvider) -> TrafficAdapter:
        """Return the adapter of a provider; what it lacks is told when it is first used, and asked again."""
        return Deferred(lambda: self._make(provider))

    async def _make(self, provider: TrafficProvider) -> TrafficAdapter:
        replicas = {replica.name: replica.address for replica in provider.spec.replicas}
        kind = provider.spec.type
        if kind is ProviderType.HAPROXY:
            return HAProxyAdapter(replicas)
        if kind is ProviderType.ENVOY:
            return EnvoyAdapter(replicas, self._delivery(provider))
        if kind is ProviderType.SOFA_REGISTRY:
            return SofaRegistryAdapter(replicas, self._client.clock)
        if kind in {ProviderType.ZOOKEEPER, ProviderType.NACOS}:
            username, password = await self._credentials(provider)
            speaks = ZooKeeperAdapter if kind is ProviderType.ZOOKEEPER else NacosAdapter
            return speaks(replicas, username, password)
        raise Refusal(
            "ProviderUnknown",
            f"TrafficProvider {provider.metadata.name} is of type {kind}.",
            "This version of CAFE has no adapter for it.",
            "Upgrade CAFE, or take its pools out of all bindings.",
        )

    def _delivery(self, provider: TrafficProvider) -> Delivery:
        """Return how a provider's Envoys are told.

        Raises:
            Refusal: They would have to ask a service that nobody serves.
        """
        if provider.spec.discovery_path:
            return Files(Path(provider.spec.discovery_path))
        if self._discovery is None:
            raise Refusal(
                "DiscoveryOff",
                f"The Envoys of TrafficProvider {provider.metadata.name} can't be told anything.",
                "The controller serves no discovery, and the provider has no discoveryPath.",
                "Start the controller with --discovery-port, or give the provider a discoveryPath.",
            )
        return self._discovery.of(provider.metadata.name)

    async def _credentials(self, provider: TrafficProvider) -> tuple[str, str]:
        """Return name and password; both empty if the provider asks for none.

        Raises:
            Refusal: The secret isn't there, or isn't one.
        """
        name = provider.spec.secret_name
        if not name:
            return "", ""
        try:
            secret = await self._client.get(SECRETS, ObjectKey(provider.metadata.namespace, name))
        except NotFound as error:
            raise _bad_secret(provider, "doesn't exist") from error
        data = secret.get("data") or {}
        try:
            username, password = (base64.b64decode(data[key]).decode() for key in ("username", "password"))
        except (KeyError, binascii.Error, UnicodeDecodeError) as error:
            raise _bad_secret(provider, "has no username and password") from error
        return username, password


def _bad_secret(provider: TrafficProvider, why: str) -> Refusal:
    place = f"{provider.metadata.namespace}/{provider.spec.secret_name}"
    return Refusal(
        "CredentialsMissing",
        f"TrafficProvider {provider.metadata.name} can't be spoken with.",
        f"Its secret {place} {why}.",
        "Make it with the keys username and password.",
    )


class Deferred:
    """An adapter that is made when it is first needed; if that fails, when it is needed next."""

    def __init__(self, make: Callable[[], Awaitable[TrafficAdapter]]) -> None:
        self._make = make
        self._made: TrafficAdapter | None = None

    async def _adapter(self) -> TrafficAdapter:
        if self._made is None:
            self._made = await self._make()
        return self._made

    async def observe(self, pools: Collection[Pool]) -> Mapping[str, Sequence[ReplicaView]]:
        """Return by pool name how each process stands."""
        return await (await self._adapter()).observe(pools)

    async def detach(self, pool: Pool, members: Collection[Member]) -> None:
        """Have no process send new requests to *members*."""
        await (await self._adapter()).detach(pool, members)

    async def attach(self, pool: Pool, members: Collection[Member]) -> None:
        """Have all processes send requests to *members*."""
        await (await self._adapter()).attach(pool, members)

    async def remove(self, pool: Pool, members: Collection[Member]) -> None:
        """Forget *members*."""
        await (await self._adapter()).remove(pool, members)

    async def close(self) -> None:
        """Give up all connections."""
        if self._made is not None:
            await self._made.close()
