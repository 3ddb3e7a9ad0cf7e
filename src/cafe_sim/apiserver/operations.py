"""What can be done to one object, whoever asks: the verbs below HTTP and below the in-process `Api`."""

from collections.abc import Callable

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.context import Context, Target
from cafe_sim.apiserver.deleting import Deleter
from cafe_sim.apiserver.resource import Surroundings
from cafe_sim.apiserver.steps import Steps
from cafe_sim.apiserver.store import Store
from cafe_sim.apiserver.subresources import Subresources, scale_of, scaled, selector_text
from cafe_sim.apiserver.values import Value, dig, with_meta
from cafe_sim.apiserver.webhooks import WebhookAdmission
from cafe_sim.apiserver.writing import Change, Tracker, Writer
from cafe_sim.contract import DeleteOptions, Json

Applied = Callable[[Json, Json], Value]
"""Makes an object's body from what is stored and an applied configuration."""

_SCALE_PATHS = (".spec.replicas", ".status.replicas", ".spec.selector")


class Operations:
    """All verbs on single objects."""

    def __init__(
        self, store: Store, around: Surroundings, admission: WebhookAdmission, tracker: Tracker
    ) -> None:
        self.store = store
        self.writer = Writer(store, around, admission, tracker)
        self._deleter = Deleter(store, around, admission)
        self._subresources = Subresources(store, around, self._deleter, admission)
        self.scale_paths: dict[str, tuple[str, str, str]] = {}
        """By the key of a custom resource: the paths of its scale subresource."""

    def get(self, target: Target) -> Json:
        """Return an object, or its scale, in the target's version.

        Raises:
            StatusError: 404; 500 for the scale of a custom resource that doesn't say how many it wants.
        """
        resource = target.resource
        found = self.store.table(resource.key).get(target.namespace, target.name)
        if found is None or not resource.shows(found):
            raise errors.not_found(resource.plural, resource.group, target.name)
        if target.subresource != "scale":
            return resource.present(found)
        path = self.scale_paths.get(resource.key, _SCALE_PATHS)[0]
        if not resource.shape.is_builtin and dig(found, *path.strip(".").split(".")) is None:
            raise errors.internal(f'the spec replicas field "{path}" does not exist')
        return self._scale(target, found)

    def create(self, target: Target, context: Context, body: Value) -> Steps[Json]:
        """Create an object, or post to a subresource.

        Raises:
            StatusError: It is refused.
        """
        if target.subresource:
            return (yield from self._subresources.create(target, context, body))
        if target.resource.plural == "bindings":
            return (yield from self._subresources.bind(target, context, body))
        made = yield from self.writer.create(target, context, body)
        return target.resource.present(made)

    def update(
        self, target: Target, context: Context, change: Change, *, is_put: bool = False
    ) -> Steps[Json]:
        """Change an object or one of its subresources.

        Raises:
            StatusError: It is refused.
        """
        if target.subresource == "scale":
            return (yield from self._rescale(target, context, change))
        made = yield from self.writer.update(target, context, change, is_put=is_put)
        return target.resource.present(made)

    def _rescale(self, target: Target, context: Context, change: Change) -> Steps[Json]:
        paths = self.scale_paths.get(target.resource.key, _SCALE_PATHS)

        def rescaled(old: Json) -> Value:
            scale = change(self._scale(target, old))
            version = dig(scale, "metadata", "resourceVersion")
            new = scaled(old, dig(scale, "spec", "replicas") or 0, paths[0])
            return with_meta(new, resourceVersion=version) if version else new

        return (yield from self._through_scale(target, context, rescaled))

    def apply_scale(self, target: Target, context: Context, config: Json, applied: Applied) -> Steps[Json]:
        """Own the wanted number through `/scale`: what is stated there is stated of the object's own field.

        Args:
            target: The scale.
            context: How it is asked.
            config: An applied `autoscaling/v1` Scale.
            applied: Applies a configuration of the whole object to it.

        Raises:
            StatusError: It is refused.
        """
        path = self.scale_paths.get(target.resource.key, _SCALE_PATHS)[0]
        blank: Json = {"metadata": {"name": target.name}}
        wanted = scaled(blank, dig(config, "spec", "replicas") or 0, path)
        return (yield from self._through_scale(target, context, lambda old: applied(old, wanted)))

    def _through_scale(self, target: Target, context: Context, change: Change) -> Steps[Json]:
        context.through = target.subresource
        whole = Target(target.resource, target.namespace, target.name)
        made = yield from self.writer.update(whole, context, change)
        return self._scale(target, made)

    def _scale(self, target: Target, obj: Json) -> Json:
        paths = self.scale_paths.get(target.resource.key, _SCALE_PATHS)
        selector = dig(obj, *paths[2].strip(".").split(".")) if paths[2] else None
        text = selector if isinstance(selector, str) else selector_text(selector)
        return scale_of(obj, text, paths[:2])

    def delete(self, target: Target, context: Context, options: DeleteOptions) -> Steps[tuple[Json, bool]]:
        """Begin or finish a deletion; return the object and whether it is gone.

        Raises:
            StatusError: It is refused.
        """
        obj, is_gone = yield from self._deleter.delete(target, context, options)
        return target.resource.present(obj), is_gone
