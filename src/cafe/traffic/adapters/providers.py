"""TrafficProviders on Kubernetes, as far as their status is concerned."""

from collections.abc import Mapping

from cafe.kernel import Clock, Conflict, ObjectKey
from cafe.kube.client import Client
from cafe.kube.errors import NotFound
from cafe.kube.kinds import TRAFFIC_PROVIDERS
from cafe.kube.patches import MergePatch
from cafe.kube.statuses import status_patch
from cafe.traffic.adapters.watched import WatchedTraffic
from cafe.traffic.domain.reporting import provider_status


class KubeProviders:
    """The `ProviderStore` of a cluster."""

    def __init__(self, client: Client, watched: WatchedTraffic, clock: Clock) -> None:
        self._client = client
        self._watched = watched
        self._clock = clock

    async def write_status(self, name: str, problems: Mapping[str, str]) -> None:
        """Write how each process was met last, if that differs from what the status says.

        Raises:
            Conflict: Our own last write doesn't show yet, so nobody knows what it says.
        """
        provider = self._watched.by_name().get(name)
        if provider is None:
            return
        key = ObjectKey(provider.metadata.namespace, name)
        if not self._watched.providers.is_current(key):
            raise Conflict(f"TrafficProvider {key} doesn't show our own last write yet")
        status = provider_status(provider, problems)
        body = status_patch(provider.metadata, provider.status, status, self._clock.now())
        if body is None:
            return
        try:
            stored = await self._client.patch(TRAFFIC_PROVIDERS, key, MergePatch(body), "status")
        except NotFound:
            return  # It went meanwhile, and its status with it.
        self._watched.providers.note_write(key, stored.metadata.resource_version)
