"""PUT and PATCH: how a request's body becomes a change of the stored object."""

import json

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.bodies import GO_ESCAPES, Unescaped
from cafe_sim.apiserver.context import Context, Target
from cafe_sim.apiserver.errors import FieldError, StatusError
from cafe_sim.apiserver.kinds.shapes import BuiltinShape
from cafe_sim.apiserver.operations import Operations
from cafe_sim.apiserver.patches.applying import Applier
from cafe_sim.apiserver.patches.json_patch import apply_json_patch
from cafe_sim.apiserver.patches.strategic import apply_strategic
from cafe_sim.apiserver.patches.typed import misfits
from cafe_sim.apiserver.schema.types import BadTypeError, Notes
from cafe_sim.apiserver.steps import Steps
from cafe_sim.apiserver.store import Store
from cafe_sim.apiserver.tracking import FieldTracker
from cafe_sim.apiserver.values import Value, dig, merge, with_meta
from cafe_sim.apiserver.writing import Change
from cafe_sim.contract import Json

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
_ALL = (JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY)


class Changes:
    """Serves PUT and PATCH."""

    def __init__(self, store: Store, operations: Operations, tracker: FieldTracker) -> None:
        self._store = store
        self._operations = operations
        self._applier = Applier(tracker)

    def put(self, target: Target, context: Context, body: Value) -> Steps[tuple[Json, bool]]:
        """Replace an object; return it, and whether it is new.

        Raises:
            StatusError: It is refused.
        """
        may_create = target.resource.rules.makes_on_update and not target.subresource
        if may_create and not self._exists(target):
            if dig(body, "metadata", "name") != target.name:
                name = dig(body, "metadata", "name") or ""
                raise errors.bad_request(
                    f"the name of the object ({name}) does not match the name on the URL ({target.name})"
                )
            if dig(body, "metadata", "resourceVersion") or dig(body, "metadata", "uid"):
                raise errors.conflict(
                    target.resource.plural, target.resource.group, target.name, _NO_SUCH_UID
                )
            return (yield from self._operations.create(target, context, body)), True
        made = yield from self._operations.update(target, context, lambda _: body, is_put=True)
        return made, False

    def _exists(self, target: Target) -> bool:
        return self._store.table(target.resource.key).get(target.namespace, target.name) is not None

    def patch(self, target: Target, context: Context, media: str, patch: Value) -> Steps[tuple[Json, bool]]:
        """Patch an object; return it, and whether it is new.

        Raises:
            StatusError: It is refused.
        """
        if media == APPLY:
            return (yield from self._apply(target, context, patch))
        change = self._change(target, media, patch)
        if target.resource.key == _REVISIONS:
            change = _with_data_as_go_writes_it(change, target, is_sorted=media == STRATEGIC)
        try:
            made = yield from self._operations.update(target, context, change)
        except StatusError as error:
            raise _of_patch(error, patch) from error
        return made, False

    def _change(self, target: Target, media: str, patch: Value) -> Change:
        resource, shape = target.resource, target.resource.shape
        allowed = _ALL if resource.shape.is_builtin else (JSON_PATCH, MERGE_PATCH, APPLY)
        if media not in allowed:
            raise errors.unsupported_media(allowed)
        if media == JSON_PATCH:
            return lambda old: apply_json_patch(resource.present(old), patch)
        if not isinstance(patch, dict):
            raise errors.bad_request("json: cannot unmarshal the patch into an object")
        if media == STRATEGIC and isinstance(shape, BuiltinShape):
            name = "autoscaling/v1.Scale" if target.subresource == "scale" else shape.struct.name
            return lambda old: apply_strategic(name, resource.present(old), patch)
        return lambda old: merge(resource.present(old), patch)

    def _apply(self, target: Target, context: Context, config: Value) -> Steps[tuple[Json, bool]]:
        _check_config(target, config)
        if not self._exists(target):
            if target.subresource:
                raise errors.not_found(target.resource.plural, target.resource.group, target.name)
            if dig(config, "metadata", "uid"):
                raise errors.conflict(
                    target.resource.plural, target.resource.group, target.name, _NO_SUCH_UID
                )
            blank: Json = {"metadata": {}}
            _, context.entries = self._applier.applied(target, context, blank, config)
            made = yield from self._operations.create(target, context, with_meta(config, name=target.name))
            return made, True

        def applied(old: Json, wanted: Json) -> Value:
            live = target.resource.present(old)
            new, context.entries = self._applier.applied(target, context, live, wanted)
            return new

        if target.subresource == "scale":
            return (yield from self._operations.apply_scale(target, context, config, applied)), False
        made = yield from self._operations.update(target, context, lambda old: applied(old, config))
        return made, False


def _with_data_as_go_writes_it(change: Change, target: Target, *, is_sorted: bool) -> Change:
    """Refuse a patch of a revision whose data Go would write in other bytes than the client did.

    The real server keeps `data` byte for byte and compares it so, but a patch goes through Go's encoder,
    which escapes `<`, `>` and `&`, and sorts keys if the patch is strategic.
    """

    def changed(old: Json) -> Value:
        sent = errors.shown(old.get("data"))
        again = json.dumps(old.get("data"), separators=(",", ":"), ensure_ascii=False, sort_keys=is_sorted)
        if isinstance(old.get("data"), Unescaped):
            for sign in GO_ESCAPES:
                again = again.replace(sign, f"\\u{ord(sign):04x}")
        if sent != again:
            error = FieldError("Invalid", "data", old.get("data"), "field is immutable")
            raise errors.invalid("ControllerRevision", "apps", target.name, [error])
        return change(old)

    return changed


def _of_patch(error: StatusError, patch: Value) -> StatusError:
    """What makes a body unreadable makes a patch invalid."""
    if error.status != 400 or not any(text in error.message for text in _UNREADABLE):
        return error
    found = error.message.find(_STRICT)
    told = error.message if found < 0 else error.message[found:]
    return errors.invalid("", "", "", [FieldError("Invalid", "patch", errors.shown(patch), told)])


_REVISIONS = "controllerrevisions.apps"
_STRICT = "strict decoding error"
_UNREADABLE = (_STRICT, "cannot be handled as")
_NO_SUCH_UID = (
    "Precondition failed: the object doesn't exist, but the request names its uid or resourceVersion"
)


def _check_config(target: Target, config: Value) -> None:
    resource = target.resource
    if not isinstance(config, dict):
        raise errors.bad_request("error decoding YAML: the configuration is no object")
    if not config.get("kind") or not config.get("apiVersion"):
        raise errors.bad_request("invalid object type: kind and apiVersion must be set")
    if target.subresource != "scale" and config["apiVersion"] != resource.api_version:
        raise errors.bad_request(
            "Incorrect version specified in apply patch. Specified patch version: "
            f"{config['apiVersion']}, expected: {resource.api_version}"
        )
    meta = config.get("metadata") or {}
    if meta.get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")
    if meta.get("name", target.name) != target.name:
        raise errors.bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
        )
    _check_declared(target, config)


def _check_declared(target: Target, config: Json) -> None:
    """A configuration may not state what its schema doesn't know: nobody could own it."""
    if target.subresource == "scale":
        return
    resource, notes = target.resource, Notes()
    where = f"{target.namespace}/{target.name}; {resource.group}/{resource.version}, Kind={resource.kind}"
    try:
        resource.shape.read(config, notes)
    except BadTypeError as error:
        text = f"failed to create typed patch object ({where}): {error}"
        raise StatusError(500, "", text) from error
    found = [f".{name}: field not declared in schema" for name in notes.unknown]
    found += misfits(resource.shape.openapi(), config)
    if found:
        fields = "\n  ".join(found)
        text = f"failed to create typed patch object ({where}): {fields}"
        raise StatusError(500, "", text)
