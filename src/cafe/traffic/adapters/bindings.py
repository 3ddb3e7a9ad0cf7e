"""TrafficBindings on Kubernetes."""

from collections import Counter
from collections.abc import Mapping, Sequence

from cafe.api.names import PROTECTION_PREFIX, UNBIND_FINALIZER
from cafe.api.trafficbinding import TrafficBinding, TrafficBindingStatus
from cafe.kernel import Clock, ObjectKey, Refusal
from cafe.kube.client import Client
from cafe.kube.kinds import TRAFFIC_BINDINGS
from cafe.kube.patches import MergePatch
from cafe.kube.statuses import status_patch
from cafe.traffic.adapters.watched import WatchedTraffic
from cafe.traffic.domain.employing import judge_binding, pools_of
from cafe.traffic.domain.facts import Employer
from cafe.traffic.ports import BindingView


class KubeBindings:
    """The `BindingStore` of a cluster."""

    def __init__(self, client: Client, watched: WatchedTraffic, clock: Clock) -> None:
        self._client = client
        self._watched = watched
        self._clock = clock

    def view(self, key: ObjectKey) -> BindingView | None:
        """Return the binding; None if it is gone, or our own writes don't show yet."""
        binding = self._watched.bindings.get(key)
        if binding is None or not self._watched.bindings.is_current(key):
            return None
        return BindingView(
            binding, self._employers(binding), self._protected(binding), self._refusal(binding)
        )

    def _refusal(self, binding: TrafficBinding) -> Refusal | None:
        others = [b for b in self._watched.bindings if b.metadata.uid != binding.metadata.uid]
        return judge_binding(binding, others, self._watched.by_name())

    def _employers(self, binding: TrafficBinding) -> Sequence[Employer]:
        kinds = {name: provider.spec.type for name, provider in self._watched.by_name().items()}
        return pools_of(binding, kinds)

    def _protected(self, binding: TrafficBinding) -> Mapping[str, int]:
        pods = self._watched.pods_of(binding.metadata.namespace, binding.spec.app)
        held = (f for pod in pods for f in pod.metadata.finalizers if f.startswith(PROTECTION_PREFIX))
        return Counter(held)

    async def write_status(self, binding: TrafficBinding, status: TrafficBindingStatus) -> None:
        """Write the status if it differs."""
        body = status_patch(binding.metadata, binding.status, status, self._clock.now())
        if body is not None:
            await self._patch(binding, body, "status")

    async def hold(self, binding: TrafficBinding, *, is_held: bool) -> None:
        """Keep the binding from going, or let it go."""
        others = [f for f in binding.metadata.finalizers if f != UNBIND_FINALIZER]
        wanted = [*others, UNBIND_FINALIZER] if is_held else others
        guard = {"uid": binding.metadata.uid, "resourceVersion": binding.metadata.resource_version}
        await self._patch(binding, {"metadata": {**guard, "finalizers": wanted}})

    async def _patch(
        self, binding: TrafficBinding, body: Mapping[str, object], subresource: str = ""
    ) -> None:
        key = ObjectKey(binding.metadata.namespace, binding.metadata.name)
        stored = await self._client.patch(TRAFFIC_BINDINGS, key, MergePatch(body), subresource)
        self._watched.bindings.note_write(key, stored.metadata.resource_version, owner=key)
