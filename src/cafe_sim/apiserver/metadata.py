"""The rules of `metadata`: what the server fills in, what may change, and how."""

from collections.abc import Iterable
from datetime import datetime

from cafe_sim.apiserver.errors import FieldError
from cafe_sim.apiserver.names import NameRule, check_annotations, check_labels, qualified_name
from cafe_sim.apiserver.values import Value, with_fields
from cafe_sim.contract import Json

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
_PLAIN_FINALIZERS = {ORPHAN, FOREGROUND, "kubernetes"}
GENERATED_SUFFIX = 5
_LONGEST_GENERATED_BASE = 63 - GENERATED_SUFFIX
_IMMUTABLE = "field is immutable"


def stamp(when: datetime) -> str:
    """Write a time as `metav1.Time`: seconds, UTC."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def generated_name(base: str, suffix: str) -> str:
    """Return a name made from `generateName`."""
    return base[:_LONGEST_GENERATED_BASE] + suffix


def check_metadata(
    meta: Json, *, is_namespaced: bool, name_rule: NameRule, takes_any_finalizer: bool = False
) -> list[FieldError]:
    """Check what holds at any time."""
    errors: list[FieldError] = []
    base = meta.get("generateName")
    if base:
        # A generated name ends in letters and digits, so a trailing dash is no problem.
        bare = base[:-1] + "a" if base.endswith("-") else base
        errors += [FieldError("Invalid", "metadata.generateName", base, text) for text in name_rule(bare)]
    name = meta.get("name")
    if name:
        errors += [FieldError("Invalid", "metadata.name", name, text) for text in name_rule(name)]
    else:
        text = "name or generateName is required"
        errors.append(FieldError("Required", "metadata.name", None, text))
    if is_namespaced and not meta.get("namespace"):
        errors.append(FieldError("Required", "metadata.namespace"))
    elif not is_namespaced and meta.get("namespace"):
        errors.append(FieldError("Forbidden", "metadata.namespace", None, "not allowed on this type"))
    errors += check_labels(meta.get("labels"), "metadata.labels")
    errors += check_annotations(meta.get("annotations"), "metadata.annotations")
    errors += _check_owners(meta.get("ownerReferences") or [])
    return errors + _check_finalizers(meta.get("finalizers") or [], takes_any=takes_any_finalizer)


def _check_owners(owners: Iterable[Json]) -> list[FieldError]:
    errors: list[FieldError] = []
    controller = ""
    for index, owner in enumerate(owners):
        at = f"metadata.ownerReferences[{index}]"
        if not owner.get("apiVersion"):
            text = "version must not be empty"
            errors.append(FieldError("Invalid", f"{at}.apiVersion", owner.get("apiVersion", ""), text))
        errors += [
            FieldError("Invalid", f"{at}.{name}", "", f"{name} must not be empty")
            for name in ("kind", "name", "uid")
            if not owner.get(name)
        ]
        if owner.get("apiVersion") == "v1" and owner.get("kind") == "Event":
            text = "/v1, Kind=Event is disallowed from being an owner"
            errors.append(FieldError("Invalid", at, owner, text))
        if not owner.get("controller"):
            continue
        if controller:
            text = (
                'Only one reference can have Controller set to true. Found "true" in references for '
                f"{controller} and {owner.get('name')}"
            )
            errors.append(FieldError("Invalid", "metadata.ownerReferences", list(owners), text))
        controller = owner.get("name", "")
    return errors


def _check_finalizers(finalizers: list[str], *, takes_any: bool) -> list[FieldError]:
    errors = []
    for index, name in enumerate(finalizers):
        at = f"metadata.finalizers[{index}]"
        problems = qualified_name(name)
        errors += [FieldError("Invalid", "metadata.finalizers", name, text) for text in problems]
        if not takes_any and not problems and "/" not in name and name not in _PLAIN_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(FieldError("Invalid", at, name, text))
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        text = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        errors.append(FieldError("Invalid", "metadata.finalizers", finalizers, text))
    return errors


def carried_over(meta: Json, old: Json) -> Json:
    """Return an update's metadata with what only the server writes taken from the stored one."""
    keep: Json = {"generation": old.get("generation"), "selfLink": None}
    for name in ("uid", "creationTimestamp"):
        if not meta.get(name):
            keep[name] = old.get(name)
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if old.get(name) is not None:
            keep[name] = old[name]
    return with_fields(meta, **keep)


def check_metadata_update(meta: Json, old: Json) -> list[FieldError]:
    """Check what may not change, in a `metadata` that went through `carried_over`."""
    errors: list[FieldError] = []
    if old.get("deletionTimestamp"):
        extra = sorted(set(meta.get("finalizers") or []) - set(old.get("finalizers") or []))
        if extra:
            listed = ", ".join(f'"{name}"' for name in extra)
            text = (
                "no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{listed}}}"
            )
            errors.append(FieldError("Forbidden", "metadata.finalizers", None, text))
    for name in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"):
        errors += _unchanged(meta, old, name)
    return errors + _unchanged(meta, old, "deletionGracePeriodSeconds")


def _unchanged(meta: Json, old: Json, name: str) -> list[FieldError]:
    value: Value = meta.get(name)
    if value == old.get(name):
        return []
    return [FieldError("Invalid", f"metadata.{name}", value, _IMMUTABLE)]
