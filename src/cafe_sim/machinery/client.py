"""The API as a part of the cluster uses it: reads from shared caches, writes that the caches see at once."""

from cafe.kernel import ObjectKey
from cafe_sim.contract import Api, ApiError, DeleteOptions, Json
from cafe_sim.machinery.cache import Informer
from cafe_sim.machinery.objects import key_of


class Client:
    """One for the whole simulated cluster.

    Attributes:
        api: The server itself, for reads that must be fresh.
        writes: How many writes went out; tests and benches read it.
    """

    def __init__(self, api: Api) -> None:
        self.api = api
        self.writes = 0
        self._informers: dict[str, Informer] = {}

    def informer(self, resource: str) -> Informer:
        """Return the shared cache of *resource*, filled.

        Raises:
            ApiError: The server doesn't serve *resource*.
        """
        informer = self._informers.get(resource)
        if informer is None:
            informer = self._informers[resource] = Informer(self.api, resource)
        return informer

    def create(self, resource: str, namespace: str, body: Json) -> Json:
        """Create *body*; see `Api.create`."""
        self.writes += 1
        return self._observe(resource, self.api.create(resource, namespace, body))

    def update(self, resource: str, namespace: str, body: Json, subresource: str = "") -> Json:
        """Replace the object; see `Api.update`."""
        self.writes += 1
        return self._observe(resource, self.api.update(resource, namespace, body, subresource))

    def patch(self, resource: str, key: ObjectKey, patch: Json, subresource: str = "") -> Json:
        """Apply a merge patch; see `Api.patch`."""
        self.writes += 1
        return self._observe(resource, self.api.patch(resource, *key, patch, subresource))

    def rescale(self, resource: str, key: ObjectKey, replicas: int) -> None:
        """Write how many are wanted through the object's `scale`."""
        self.writes += 1
        self.api.patch(resource, *key, {"spec": {"replicas": replicas}}, "scale")
        obj = self.api.get(resource, *key)
        if obj is not None:
            self._observe(resource, obj)

    def delete(self, resource: str, key: ObjectKey, options: DeleteOptions | None = None) -> Json | None:
        """Delete; see `Api.delete`. An object that is gone already is no error."""
        self.writes += 1
        try:
            left = self.api.delete(resource, *key, options or DeleteOptions())
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        informer = self._informers.get(resource)
        if left is not None:
            return self._observe(resource, left)
        if informer is not None:
            informer.observe_gone(key)
        return None

    def post(self, resource: str, key: ObjectKey, subresource: str, body: Json) -> None:
        """Post to a subresource of an object, and look at what became of the object."""
        self.writes += 1
        self.api.create_subresource(resource, *key, subresource, body)
        obj = self.api.get(resource, *key)
        if obj is not None:
            self._observe(resource, obj)

    def stop(self) -> None:
        """Let no cache call a handler any more."""
        for informer in self._informers.values():
            informer.stop()

    def _observe(self, resource: str, obj: Json) -> Json:
        informer = self._informers.get(resource)
        if informer is None or "resourceVersion" not in obj.get("metadata", {}):
            return obj
        if obj["metadata"].get("deletionTimestamp") and self.api.get(resource, *key_of(obj)) is None:
            informer.observe_gone(key_of(obj))  # The write took the last finalizer.
        else:
            informer.observe(obj)
        return obj
