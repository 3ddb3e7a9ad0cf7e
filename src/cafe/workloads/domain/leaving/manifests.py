"""The vocabulary of departures: what becomes of a document, what is lost, and what is CAFE's own."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from cafe.api.names import APP_LABEL, DOMAIN, GROUP, UNIT_LABEL
from cafe.kernel import Refusal
from cafe.workloads.domain.takeover.manifests import (
    SERVER_FIELDS,
    WRITTEN_BY_OTHERS,
    Document,
    Source,
    metadata_of,
)

COLLECTOR_FINALIZERS = {"foregroundDeletion", "orphan"}
"""What the garbage collector writes on an object that is being deleted."""

POD_LABELS = (APP_LABEL, UNIT_LABEL)
"""What CAFE writes on pods, and others may select them by."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that plain Kubernetes can't say.

    Attributes:
        where: The field that said it.
        code: Names the message that tells what is lost; *values* fill it in.
    """

    where: str
    code: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Departure:
    """What becomes of one document.

    Attributes:
        documents: Plain objects; none if others stand for it, or if it is left out.
        is_left_out: Nothing stands for it, and the loss says why.
    """

    source: Source
    documents: tuple[Document, ...]
    losses: tuple[Loss, ...] = ()
    is_left_out: bool = False


def refused(source: Source, refusal: Refusal) -> Refusal:
    """Return the refusal of one document, which names it."""
    name = metadata_of(source.body).get("name") or "without a name"
    where = f"Document {source.number} of {source.source}" + (f", line {source.line}" if source.line else "")
    return Refusal(
        refusal.code,
        f"{where} ({source.body.get('kind') or 'object'} {name}) can't be exported; nothing was written.",
        f"{refusal.what.rstrip('.')}. {refusal.why}" if refusal.why else refusal.what,
        refusal.remedy or "Correct it and repeat.",
    )


def broken(source: Source, why: str, remedy: str = "Correct it and repeat.") -> Refusal:
    """Return the refusal of a document that can't be understood."""
    return refused(source, Refusal("BrokenDocument", why, "", remedy))


def group_of(body: Mapping[str, Any]) -> str:
    """Return the API group that an object or a reference names; empty for core/v1."""
    return str(body.get("apiVersion") or "").rpartition("/")[0]


def is_of_cafe(body: Mapping[str, Any]) -> bool:
    """Whether an object or a reference is of one of CAFE's kinds."""
    return group_of(body) == GROUP


def is_own_name(name: str) -> bool:
    """Whether a label, an annotation or a finalizer is CAFE's own."""
    return name.split("/", 1)[0] == DOMAIN


def mapping_of(value: object) -> Mapping[str, Any]:
    """Return *value*, or an empty mapping if it is none: whoever checks it is the API server."""
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> list[Any]:
    """Return *value*, or an empty list if it is none."""
    return value if isinstance(value, list) else []


def owners_of(body: Document) -> list[Mapping[str, Any]]:
    """Return who owns an object."""
    return [mapping_of(owner) for owner in listed(metadata_of(body).get("ownerReferences"))]


def owner_of(body: Document) -> tuple[str, str]:
    """Return kind and name of the object of CAFE's that made this one; both empty if none did."""
    for owner in owners_of(body):
        if is_of_cafe(owner):
            return str(owner.get("kind")), str(owner.get("name"))
    return "", ""


def plain_metadata(body: Document, namespace: str = "") -> dict[str, Any]:
    """Return the metadata as the object's author would write it on a cluster without CAFE.

    Args:
        body: The object.
        namespace: Where an object goes that names none; empty to leave that open.
    """
    kept = {k: deepcopy(v) for k, v in metadata_of(body).items() if k not in SERVER_FIELDS}
    for name, foreign in (("labels", set[str]()), ("annotations", WRITTEN_BY_OTHERS)):
        found = mapping_of(kept.pop(name, None))
        if left := {k: v for k, v in found.items() if not is_own_name(k) and k not in foreign}:
            kept[name] = left
    finalizers = [str(f) for f in listed(kept.pop("finalizers", None))]
    if left_on := [f for f in finalizers if not is_own_name(f) and f not in COLLECTOR_FINALIZERS]:
        kept["finalizers"] = left_on
    if namespace:
        kept.setdefault("namespace", namespace)
    return kept


def pod_labels_in(value: object) -> Iterator[tuple[str, str]]:
    """Yield the labels of CAFE's by which pods are selected anywhere in *value*."""
    if isinstance(value, Mapping):
        if value.get("key") in POD_LABELS and isinstance(value.get("values"), list):
            yield from ((value["key"], str(v)) for v in value["values"])
        for key, held in value.items():
            if key in POD_LABELS and isinstance(held, str):
                yield key, held
            else:
                yield from pod_labels_in(held)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from pod_labels_in(item)
