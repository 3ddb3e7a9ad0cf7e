"""Revisions as ControllerRevisions of apps/v1, for InPlaceSets and CafeDeployments alike."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from cafe.api.names import API_VERSION, CHANGE_CAUSE_ANNOTATION, FIRST_NUMBER_ANNOTATION, REVISION_LABEL
from cafe.api.overrides import UnitOverride, settings_by_unit
from cafe.api.shapes import Metadata
from cafe.kernel import ObjectKey
from cafe.kube.client import Client
from cafe.kube.errors import AlreadyExists
from cafe.kube.noting import Target, create_noted, delete_noted
from cafe.kube.objects import CONTROLLER_REVISIONS, ControllerRevision
from cafe.kube.patches import MergePatch
from cafe.workloads.adapters.watched import CONTROLLER, Watched
from cafe.workloads.domain.facts import RevisionFact
from cafe.workloads.domain.revisions import MakeRevision
from cafe.workloads.ports import RevisionTaken

REPLACE = {"$patch": "replace"}
"""Tells `kubectl rollout undo` and its like that the template is whole, as apps/v1 stores it."""


class Revisions:
    """Reads and writes the revisions of one kind of owner."""

    def __init__(self, client: Client, watched: Watched, kind: str) -> None:
        self._client = client
        self._watched = watched
        self._kind = kind
        self._known: dict[str, tuple[str, RevisionFact]] = {}

    def of(self, owner: Metadata) -> list[RevisionFact]:
        """Return all stored revisions of *owner*."""
        found = self._watched.revisions.by_index(CONTROLLER, owner.uid)
        return [self._fact(r) for r in found if r.metadata.deletion_timestamp is None]

    async def make(self, owner: Metadata, wanted: MakeRevision, scope: Hashable) -> RevisionFact:
        """Store a revision, or accept an equal one that is there already."""
        key = ObjectKey(owner.namespace, wanted.name)
        body = self._body(owner, wanted)
        try:
            stored = await create_noted(
                self._client, self._watched.revisions, CONTROLLER_REVISIONS, key, body, scope
            )
        except AlreadyExists:
            stored = await self._client.get(CONTROLLER_REVISIONS, key)
            controller = stored.metadata.controller
            if controller is None or controller.uid != owner.uid or not holds(stored, wanted):
                raise RevisionTaken(wanted.name) from None
        return fact_of(stored)

    async def renumber(
        self, owner: Metadata, revision: RevisionFact, number: int, scope: Hashable
    ) -> RevisionFact:
        """Give an old revision a new number, and the cause of the change that brought it back."""
        key = ObjectKey(owner.namespace, revision.name)
        cause = owner.annotations.get(CHANGE_CAUSE_ANNOTATION)
        body = {
            "metadata": {"uid": revision.uid, "annotations": {CHANGE_CAUSE_ANNOTATION: cause}},
            "revision": number,
        }
        stored = await self._client.patch(CONTROLLER_REVISIONS, key, MergePatch(body))
        self._watched.revisions.note_write(key, stored.metadata.resource_version, owner=scope)
        return replace(revision, number=number)

    async def delete(self, owner: Metadata, revision: RevisionFact, scope: Hashable) -> None:
        """Forget a revision; that it is gone already is fine."""
        key = ObjectKey(owner.namespace, revision.name)
        target = Target(CONTROLLER_REVISIONS, key, revision.uid)
        await delete_noted(self._client, self._watched.revisions, target, scope)

    def _body(self, owner: Metadata, wanted: MakeRevision) -> dict[str, Any]:
        cause = owner.annotations.get(CHANGE_CAUSE_ANNOTATION)
        return {
            "metadata": {
                "name": wanted.name,
                "namespace": owner.namespace,
                "labels": {REVISION_LABEL: wanted.hash},
                "annotations": {
                    FIRST_NUMBER_ANNOTATION: str(wanted.number),
                    **({CHANGE_CAUSE_ANNOTATION: cause} if cause else {}),
                },
                "ownerReferences": [
                    {
                        "apiVersion": API_VERSION,
                        "kind": self._kind,
                        "name": owner.name,
                        "uid": owner.uid,
                        "controller": True,
                        "blockOwnerDeletion": True,
                    }
                ],
            },
            "data": sorted_keys({"spec": data_of(wanted)}),
            "revision": wanted.number,
        }

    def _fact(self, stored: ControllerRevision) -> RevisionFact:
        uid, version = stored.metadata.uid, stored.metadata.resource_version
        known = self._known.get(uid)
        if known is None or known[0] != version:
            known = self._known[uid] = (version, fact_of(stored))
        return known[1]


def data_of(wanted: MakeRevision) -> dict[str, Any]:
    """Return what a revision stores of its owner's spec; overrides, if there are any."""
    data: dict[str, Any] = {"template": {**wanted.template, **REPLACE}}
    if wanted.overrides:
        data["topology"] = {"overrides": msgspec.to_builtins(wanted.overrides)}
    return data


def holds(stored: ControllerRevision, wanted: MakeRevision) -> bool:
    """Whether a stored revision is the wanted one."""
    held = settings_by_unit(overrides_of(stored) or ())
    return template_of(stored) == wanted.template and held == settings_by_unit(wanted.overrides)


def sorted_keys(value: Any) -> Any:  # noqa: ANN401 -- any JSON value
    """Return *value* with the keys of all objects in order, at any depth.

    The API server keeps `data` as the bytes that were sent, but compares it in Go's own writing, which sorts
    keys: a revision stored otherwise can never be patched again (`data` "is immutable"), not even its number.
    """
    if isinstance(value, Mapping):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [sorted_keys(item) for item in value]
    return value


def fact_of(stored: ControllerRevision) -> RevisionFact:
    """Return what decisions need of a stored revision."""
    meta, overrides = stored.metadata, overrides_of(stored)
    return RevisionFact(
        name=meta.name,
        hash=meta.labels.get(REVISION_LABEL, ""),
        number=stored.revision,
        template={} if overrides is None else template_of(stored),
        uid=meta.uid,
        cause=meta.annotations.get(CHANGE_CAUSE_ANNOTATION, ""),
        age=_number(meta.annotations.get(FIRST_NUMBER_ANNOTATION)) or stored.revision,
        overrides=overrides or (),
    )


def age_of(stored: Mapping[str, Any]) -> int:
    """Return the number that a revision, given whole, was made with."""
    annotations = stored["metadata"].get("annotations") or {}
    return _number(annotations.get(FIRST_NUMBER_ANNOTATION)) or int(stored.get("revision") or 0)


def _number(text: str | None) -> int:
    """Read a number; what is none counts as 0."""
    return int(text) if text and text.isdecimal() else 0


def template_of(stored: ControllerRevision) -> Mapping[str, Any]:
    """Return the template that a revision holds; empty if somebody broke it."""
    spec = stored.data.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    if not isinstance(template, dict):
        return {}
    return {k: v for k, v in template.items() if k != "$patch"}


def overrides_of(stored: ControllerRevision) -> Sequence[UnitOverride] | None:
    """Return what single units have otherwise by a revision; None if somebody broke it."""
    spec = stored.data.get("spec")
    topology = spec.get("topology") if isinstance(spec, dict) else None
    if topology is None:
        return ()
    try:
        return msgspec.convert(topology["overrides"], list[UnitOverride])
    except (msgspec.ValidationError, KeyError, TypeError):
        return None
