"""The four ways to change an object without having read it whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from msgspec import Struct


@dataclass(frozen=True, slots=True)
class MergePatch:
    """RFC 7396: fields of *body* replace, null removes, lists are replaced whole. Works on every kind.

    With `metadata.resourceVersion` or `metadata.uid` in *body* it is guarded by them.
    """

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """RFC 6902: a list of operations; `test` operations guard it."""

    body: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class StrategicPatch:
    """Kubernetes' own: lists merge by their key. Built-in kinds only; custom resources answer 415."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApplyPatch:
    """Server-side apply (KEP-555): *body* is all that its manager wants; creates the object if absent.

    Attributes:
        body: With `apiVersion` and `kind`; both are filled in if missing from a dict.
        force: Take over fields that another manager holds, instead of a 409.
        manager: Who applies; the client's own name if empty.
    """

    body: Mapping[str, Any] | Struct
    force: bool = False
    manager: str = ""


Patch: TypeAlias = MergePatch | JsonPatch | StrategicPatch | ApplyPatch

CONTENT_TYPES: Mapping[type[Patch], str] = {
    MergePatch: "application/merge-patch+json",
    JsonPatch: "application/json-patch+json",
    StrategicPatch: "application/strategic-merge-patch+json",
    ApplyPatch: "application/apply-patch+yaml",
}
