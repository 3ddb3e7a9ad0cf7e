"""Judges each binding, tells how its employers stand, and keeps it until nobody needs it."""

from cafe.api.names import UNBIND_FINALIZER
from cafe.kernel import ObjectKey, Outcome
from cafe.traffic.domain.binding import binding_status, is_free
from cafe.traffic.ports import BindingStore


class BindingReconciler:
    """Takes one step for one TrafficBinding."""

    def __init__(self, bindings: BindingStore) -> None:
        self._bindings = bindings

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Hold the binding before its pools employ anybody; let it go once they employ nobody."""
        view = self._bindings.view(key)
        if view is None:
            return Outcome()
        binding = view.binding
        is_going = binding.metadata.deletion_timestamp is not None
        is_held = UNBIND_FINALIZER in binding.metadata.finalizers
        status = binding_status(binding, view.employers, view.protected, view.refusal)
        if is_going:
            if is_held and is_free(status):
                await self._bindings.hold(binding, is_held=False)
                return Outcome()
        elif not is_held and binding.spec.pools:
            await self._bindings.hold(binding, is_held=True)
            return Outcome()
        await self._bindings.write_status(binding, status)
        return Outcome()
