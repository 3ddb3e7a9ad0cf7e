"""Words for reading objects, and for saying what changed between two of them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from cafe.kernel import ObjectKey
from cafe_sim.contract import Json

ABSENT: Mapping[str, Any] = {}


def key_of(obj: Json) -> ObjectKey:
    """Return the object's namespace and name."""
    meta = obj["metadata"]
    return ObjectKey(meta.get("namespace") or "", meta["name"])


def uid_of(obj: Json) -> str:
    """Return the object's UID; empty if it has none yet."""
    return cast("str", obj["metadata"].get("uid") or "")


def labels_of(obj: Json) -> Mapping[str, str]:
    """Return the object's labels."""
    return cast("Mapping[str, str]", obj["metadata"].get("labels") or ABSENT)


def annotations_of(obj: Json) -> Mapping[str, str]:
    """Return the object's annotations."""
    return cast("Mapping[str, str]", obj["metadata"].get("annotations") or ABSENT)


def status_of(obj: Json) -> Mapping[str, Any]:
    """Return the object's status; empty if it has none."""
    return cast("Mapping[str, Any]", obj.get("status") or ABSENT)


def is_deleting(obj: Json) -> bool:
    """Tell whether someone asked for the object's deletion."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def generation_of(obj: Json) -> int:
    """Return `metadata.generation`, 0 if the server keeps none for the kind."""
    return int(obj["metadata"].get("generation") or 0)


def owner_references(obj: Json) -> list[Json]:
    """Return the object's owner references."""
    return cast("list[Json]", obj["metadata"].get("ownerReferences") or [])


def controller_of(obj: Json) -> Json | None:
    """Return the owner reference of the object's controller, or None."""
    return next((ref for ref in owner_references(obj) if ref.get("controller")), None)


def controller_uid(obj: Json) -> str:
    """Return the UID of the object's controller, empty if it has none."""
    ref = controller_of(obj)
    return cast("str", ref["uid"]) if ref else ""


def controller_reference(owner: Json, api_version: str, kind: str) -> Json:
    """Return the reference that makes *owner* the controller of an object."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def text_of(instant: datetime) -> str:
    """Write *instant* as Kubernetes' `metav1.Time`: RFC 3339, whole seconds, UTC."""
    return instant.astimezone(UTC).isoformat(timespec="seconds")[:-6] + "Z"


def micro_text_of(instant: datetime) -> str:
    """Write *instant* as Kubernetes' `metav1.MicroTime`."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def time_of(text: str) -> datetime:
    """Read a `metav1.Time` or `metav1.MicroTime`.

    Raises:
        ValueError: *text* is not RFC 3339.
    """
    return datetime.fromisoformat(text)


def merge_diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    """Return the JSON merge patch (RFC 7396) that turns *old* into *new*; empty if they are equal."""
    patch: Json = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if key in old and (before is value or before == value):
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            patch[key] = merge_diff(before, value)
        else:
            patch[key] = value
    return patch


def without(mapping: Mapping[str, Any], *keys: str) -> Json:
    """Return a shallow copy that lacks *keys*."""
    return {key: value for key, value in mapping.items() if key not in keys}
