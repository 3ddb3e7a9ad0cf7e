"""Creating and updating: the one path that every write takes.

    read the body -> admission changes it -> the server fills in what is its own -> rules of the kind
      -> admission judges it -> managed fields -> commit

An update runs the same path on a change of the stored object. What turns out equal to what is stored is not
written, and keeps its version.
"""

from collections.abc import Callable
from typing import Protocol

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.context import Context, Target
from cafe_sim.apiserver.errors import FieldError
from cafe_sim.apiserver.metadata import (
    GENERATED_SUFFIX,
    carried_over,
    check_metadata,
    check_metadata_update,
    generated_name,
    stamp,
)
from cafe_sim.apiserver.resource import Resource, Surroundings
from cafe_sim.apiserver.schema.types import BadTypeError, Notes
from cafe_sim.apiserver.steps import Steps
from cafe_sim.apiserver.store import Store
from cafe_sim.apiserver.values import Value, graft, graft_object, with_fields, with_meta
from cafe_sim.contract import Json

Change = Callable[[Json], Value]
"""Makes an update's body from the stored object."""


class Admission(Protocol):
    """What has a say in each write, beside the kind's own rules."""

    def change(self, target: Target, context: Context, new: Json, old: Json | None) -> Steps[Json]:
        """Return the object as admission wants it.

        Raises:
            StatusError: It is refused.
        """

    def judge(self, target: Target, context: Context, new: Json, old: Json | None) -> Steps[None]:
        """Look at the final object.

        Raises:
            StatusError: It is refused.
        """


class Tracker(Protocol):
    """Who owns which field."""

    def updated(self, target: Target, context: Context, asked: Json, old: Json | None) -> list[Json] | None:
        """Return the managed fields after a write; *asked* is what the client wants."""


class Writer:
    """Creates and updates objects of any resource."""

    def __init__(self, store: Store, around: Surroundings, admission: Admission, tracker: Tracker) -> None:
        self._store = store
        self._around = around
        self._admission = admission
        self._tracker = tracker

    def create(self, target: Target, context: Context, body: Value) -> Steps[Json]:
        """Create an object and return it as stored.

        Raises:
            StatusError: 400, 403, 404 (no such namespace), 409 or 422.
        """
        resource = target.resource
        new = self.read(resource, context, body)
        asked = new = self._placed(target, new)
        changed = yield from self._admission.change(target, context, new, None)
        if changed is not new:
            new = self.read(resource, context, changed)
        new = self._born(resource, new)
        meta = new["metadata"]
        found = _check_meta(resource, meta)
        found += resource.rules.check(new)
        self._refuse(resource, meta.get("name", ""), found)
        taken = self._store.table(resource.key).get(target.namespace, meta["name"])
        if taken is not None:
            raise self._taken(
                resource, taken, is_generated=bool(not target.name and meta.get("generateName"))
            )
        yield from self._admission.judge(target, context, new, None)
        entries = context.entries
        if entries is None:
            entries = self._tracker.updated(target, context, asked, None)
        new = with_meta(new, managedFields=entries or None)
        if context.is_dry_run:
            return new
        return self._store.commit(resource.key, "ADDED", None, new)

    def update(
        self, target: Target, context: Context, change: Change, *, is_put: bool = False
    ) -> Steps[Json]:
        """Change an object and return it as stored.

        Args:
            target: What to change.
            context: How it is asked.
            change: Makes the new body from the stored object.
            is_put: The body is a whole object that the client read before.

        Raises:
            StatusError: 400, 403, 404, 409 or 422.
        """
        resource = target.resource
        old = self._store.table(resource.key).get(target.namespace, target.name)
        if old is None:
            raise errors.not_found(resource.plural, resource.group, target.name)
        new = self.read(resource, context, graft(old, change(old)), old)
        if target.resource.is_namespaced and not new["metadata"].get("namespace"):
            new = with_meta(new, namespace=target.namespace)
        self._guard(target, new, old, is_put=is_put)
        asked = new
        changed = yield from self._admission.change(target, context, new, old)
        if changed is not new:
            new = self.read(resource, context, changed, old)
        new = self._kept(target, new, old)
        self._refuse(resource, target.name, self._problems(target, new, old))
        yield from self._admission.judge(target, context, new, old)
        new = self._tracked(target, context, asked, new, old)
        if new is old or context.is_dry_run:
            return new
        return self._commit(resource, new, old)

    def _tracked(self, target: Target, context: Context, asked: Json, new: Json, old: Json) -> Json:
        """Return *new* with its managed fields; *old* itself if nothing else has changed."""
        stored = old["metadata"].get("managedFields")
        plain = graft_object(old, with_meta(new, managedFields=stored))
        if plain is old and context.entries is None:
            return old
        entries = context.entries
        if entries is None:
            entries = self._tracker.updated(target, context, asked, old)
        if not entries and not stored:
            return plain
        return graft_object(old, with_meta(new, managedFields=entries or None))

    def _commit(self, resource: Resource, new: Json, old: Json) -> Json:
        meta = new["metadata"]
        current = self._store.table(resource.key).get(meta.get("namespace", ""), meta["name"])
        if current is not old:  # A webhook took its time, and somebody was faster.
            raise errors.conflict(resource.plural, resource.group, meta["name"])
        is_over = meta.get("deletionTimestamp") and not meta.get("finalizers")
        if is_over and resource.rules.may_go(new):
            # The last finalizer went: the watch shows the last *stored* state, as the real server does.
            gone = self._store.commit(resource.key, "DELETED", old, old)
            return with_meta(new, resourceVersion=gone["metadata"]["resourceVersion"])
        return self._store.commit(resource.key, "MODIFIED", old, new)

    def read(self, resource: Resource, context: Context, body: Value, known: Json | None = None) -> Json:
        """Read a body into the shape of its resource, in its stored version.

        Raises:
            StatusError: 400, it isn't such an object, or has unknown fields and the client wants none.
        """
        if known is not None and body is known:
            return known
        if not isinstance(body, dict):
            raise errors.bad_request("the body of the request is no object")
        kind, version = body.get("kind", resource.kind), body.get("apiVersion", resource.api_version)
        notes = Notes()
        try:
            new = resource.shape.read(body, notes, known)
        except BadTypeError as error:
            raise errors.bad_request(
                f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {error}'
            ) from error
        if known is None:
            check_kind(resource, kind, version)
        self.note_unknown(context, resource, notes.unknown)
        stored_version = known["apiVersion"] if known is not None else resource.api_version
        head = {"kind": resource.kind, "apiVersion": stored_version}
        return resource.stored({**head, **new, **head})

    @staticmethod
    def note_unknown(context: Context, resource: Resource, unknown: list[str]) -> None:
        """Warn of fields that are unknown or given twice, or refuse them.

        Raises:
            StatusError: 400, under strict validation.
        """
        texts = [name if " " in name else f'unknown field "{name}"' for name in unknown]
        texts = [*context.duplicates, *texts]
        if texts and context.validation == "Strict":
            raise errors.bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
                f"strict decoding error: {', '.join(texts)}"
            )
        if texts and context.validation == "Warn":
            context.warn(texts)

    def _placed(self, target: Target, new: Json) -> Json:
        meta = new.get("metadata") or {}
        if not target.resource.is_namespaced:
            return new
        if meta.get("namespace", target.namespace) != target.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        return with_meta(new, namespace=target.namespace)

    def _born(self, resource: Resource, new: Json) -> Json:
        meta = new["metadata"]
        name = meta.get("name")
        if not name and meta.get("generateName"):
            name = generated_name(meta["generateName"], self._around.entropy.suffix(GENERATED_SUFFIX))
        new = with_meta(
            new,
            name=name,
            uid=self._around.entropy.uid(),
            creationTimestamp=stamp(self._around.now()),
            deletionTimestamp=None,
            deletionGracePeriodSeconds=None,
            resourceVersion=None,
            selfLink=None,
        )
        return resource.rules.prepare_create(new, self._around)

    def _kept(self, target: Target, new: Json, old: Json) -> Json:
        rules = target.resource.rules
        meta = carried_over(new["metadata"], old["metadata"])
        version = old["metadata"]["resourceVersion"]
        new = {**new, "metadata": with_fields(meta, resourceVersion=version)}
        if target.subresource:
            kept = rules.prepare_subresource(target.subresource, new, old)
            # Who writes a status may also say what it owns.
            return with_meta(kept, managedFields=new["metadata"].get("managedFields"))
        return graft_object(old, rules.prepare_update(graft_object(old, new), old, self._around))

    @staticmethod
    def _problems(target: Target, new: Json, old: Json) -> list[FieldError]:
        resource = target.resource
        meta = new["metadata"]
        found: list[FieldError] = []
        if meta is not old["metadata"]:
            found = _check_meta(resource, meta)
            # Twice, as the real server: once for all kinds and once by the kind's own rules.
            found += 2 * check_metadata_update(meta, old["metadata"])
        if target.subresource:
            return found + resource.rules.check_subresource(target.subresource, new, old)
        return found + resource.rules.check_update(new, old)

    @staticmethod
    def _guard(target: Target, new: Json, old: Json, *, is_put: bool) -> None:
        resource, meta, stored = target.resource, new.get("metadata") or {}, old["metadata"]
        if is_put:
            _check_place(target, meta)
            uid = meta.get("uid")
            if uid and uid != stored["uid"]:
                why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {stored['uid']}"
                raise errors.conflict(resource.plural, resource.group, target.name, why)
        version = meta.get("resourceVersion")
        if version and version != stored["resourceVersion"]:
            raise errors.conflict(resource.plural, resource.group, target.name)
        if not version and is_put and resource.rules.needs_version:
            error = FieldError("Invalid", "metadata.resourceVersion", 0, "must be specified for an update")
            raise errors.invalid(resource.kind, resource.group, target.name, [error])

    @staticmethod
    def _refuse(resource: Resource, name: str, found: list[FieldError]) -> None:
        if found:
            raise errors.invalid(resource.kind, resource.group, name, found)

    def _taken(self, resource: Resource, taken: Json, *, is_generated: bool) -> errors.StatusError:
        name = taken["metadata"]["name"]
        error = errors.already_exists(resource.plural, resource.group, name)
        if is_generated:
            text = f"{error.message}, the server was not able to generate a unique name for the object"
            return errors.StatusError(409, "AlreadyExists", text, **{**error.details, "retryAfterSeconds": 1})
        if taken["metadata"].get("deletionTimestamp"):
            text = f"object is being deleted: {error.message}"
            return errors.StatusError(409, "AlreadyExists", text, **error.details)
        return error


def check_kind(resource: Resource, kind: str, version: str) -> None:
    """Refuse a body that says it is something else.

    Raises:
        StatusError: 400.
    """
    if (kind, version) != (resource.kind, resource.api_version):
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get "
            f'version/kind; got apiVersion "{version}" and kind "{kind}"'
        )


def _check_place(target: Target, meta: Json) -> None:
    name = meta.get("name", target.name)
    if name != target.name:
        raise errors.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )
    if target.resource.is_namespaced and meta.get("namespace", target.namespace) != target.namespace:
        raise errors.bad_request("the namespace of the object does not match the namespace on the request")


def _check_meta(resource: Resource, meta: Json) -> list[FieldError]:
    rules = resource.rules
    return check_metadata(
        meta,
        is_namespaced=resource.is_namespaced,
        name_rule=rules.name_rule,
        takes_any_finalizer=rules.takes_any_finalizer,
    )
