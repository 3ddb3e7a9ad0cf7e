"""Serving custom resources: definitions become resources once their names are accepted.

As in the real server this happens a moment after the definition is stored, and one after another.
"""

from collections.abc import Callable
from typing import Protocol

from cafe_sim.apiserver.crds.custom import CustomRules
from cafe_sim.apiserver.crds.definitions import CLEANUP
from cafe_sim.apiserver.crds.structural import CustomShape
from cafe_sim.apiserver.metadata import stamp
from cafe_sim.apiserver.operations import Operations
from cafe_sim.apiserver.registry import Registry
from cafe_sim.apiserver.resource import Resource
from cafe_sim.apiserver.store import Commit, Store
from cafe_sim.apiserver.values import dig, with_meta
from cafe_sim.contract import Json, Timeline

_CONDITIONS = (
    ("NamesAccepted", "NoConflicts", "no conflicts found", "NamesConflict"),
    ("Established", "InitialNamesAccepted", "the initial names have been accepted", "NotAccepted"),
)
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class World(Protocol):
    """What the controller works with."""

    store: Store
    registry: Registry
    operations: Operations
    timeline: Timeline


class DefinitionController:
    """Watches definitions, and makes resources of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.store.table(DEFINITIONS).listen(self._seen)

    def _seen(self, commit: Commit) -> None:
        name = commit.new["metadata"]["name"]
        if commit.type == "DELETED":
            spec = commit.new["spec"]
            self._world.registry.remove(spec["group"], spec["names"]["plural"])
            self._world.store.drop(name)
        elif commit.old is None or commit.old["spec"] is not commit.new["spec"] or _is_going(commit.new):
            self._world.timeline.soon(lambda: self._settle(name))

    def _settle(self, name: str) -> None:
        table = self._world.store.table(DEFINITIONS)
        found = table.get("", name)
        if found is None:
            return
        if _is_going(found):
            self._clean(found)
            return
        conflict = self._conflict(found)
        self._report(found, conflict)
        if not conflict:
            self._serve(found)

    def _conflict(self, definition: Json) -> str:
        group, names = definition["spec"]["group"], definition["spec"]["names"]
        mine = names["plural"]
        for other in self._world.registry.all():
            if other.group != group or other.plural == mine:
                continue
            taken = {other.plural, other.singular, *other.short_names}
            wanted = (names["singular"], *(names.get("shortNames") or []))
            for word in wanted:
                if word in taken:
                    return f'"{word}" is already in use'
            if names["kind"] == other.kind:
                return f'"{names["kind"]}" is already in use'
        return ""

    def _report(self, definition: Json, conflict: str) -> None:
        now = stamp(self._world.timeline.now())
        spec, status = definition["spec"], definition.get("status") or {}
        before = {item["type"]: item for item in status.get("conditions") or []}
        conditions = []
        for kind, reason, text, bad_reason in _CONDITIONS:
            state = "False" if conflict else "True"
            entry = before.get(kind)
            if entry is None or entry["status"] != state:
                entry = {
                    "type": kind,
                    "status": state,
                    "lastTransitionTime": now,
                    "reason": bad_reason if conflict else reason,
                    "message": conflict or text,
                }
            conditions.append(entry)
        stored = status.get("storedVersions") or []
        current = [v["name"] for v in spec["versions"] if v.get("storage")]
        new_status = {
            "conditions": conditions,
            "acceptedNames": {"plural": "", "kind": ""} if conflict else spec["names"],
            "storedVersions": [*stored, *(name for name in current if name not in stored)],
        }
        if new_status != status:
            self._world.store.commit(
                DEFINITIONS, "MODIFIED", definition, {**definition, "status": new_status}
            )

    def _serve(self, definition: Json) -> None:
        world, spec = self._world, definition["spec"]
        key = definition["metadata"]["name"]
        world.registry.remove(spec["group"], spec["names"]["plural"])
        for version in spec["versions"]:
            if version.get("served"):
                world.registry.add(custom_resource(definition, version))
            scale = dig(version, "subresources", "scale")
            if scale:
                world.operations.scale_paths[key] = (
                    scale["specReplicasPath"],
                    scale["statusReplicasPath"],
                    scale.get("labelSelectorPath", ""),
                )
        world.store.table(key)

    def _clean(self, definition: Json) -> None:
        """Delete all objects; when none is left, let the definition go."""
        world, key = self._world, definition["metadata"]["name"]
        table = world.store.table(key)
        for row in table.rows():
            meta = row["metadata"]
            if not meta.get("finalizers"):
                world.store.commit(key, "DELETED", row, row)
            elif not meta.get("deletionTimestamp"):
                now = stamp(world.timeline.now())
                marked = with_meta(row, deletionTimestamp=now, deletionGracePeriodSeconds=0)
                world.store.commit(key, "MODIFIED", row, marked)
        if table.count():
            self._when_empty(key)
            return
        left = [name for name in definition["metadata"].get("finalizers") or [] if name != CLEANUP]
        if left:
            freed = with_meta(definition, finalizers=left)
            world.store.commit(DEFINITIONS, "MODIFIED", definition, freed)
        else:
            world.store.commit(DEFINITIONS, "DELETED", definition, definition)

    def _when_empty(self, key: str) -> None:
        stop: list[Callable[[], None]] = []

        def seen(commit: Commit) -> None:
            if commit.type == "DELETED" and stop:
                stop.pop()()
                self._world.timeline.soon(lambda: self._settle(key))

        stop.append(self._world.store.table(key).listen(seen))


def _is_going(definition: Json) -> bool:
    meta = definition["metadata"]
    return bool(meta.get("deletionTimestamp")) and CLEANUP in (meta.get("finalizers") or [])


def custom_resource(definition: Json, version: Json) -> Resource:
    """Return the resource that one version of a definition describes."""
    spec, names = definition["spec"], definition["spec"]["names"]
    schema = dig(version, "schema", "openAPIV3Schema") or {"type": "object", _PRESERVE: True}
    subresources = version.get("subresources") or {}
    paths = [item["jsonPath"] for item in version.get("selectableFields") or []]
    fields = {path.strip("."): tuple(path.strip(".").split(".")) for path in paths}
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        is_namespaced=spec["scope"] == "Namespaced",
        shape=CustomShape(schema),
        rules=CustomRules(
            schema, has_status="status" in subresources, fields=fields, counts=_counts(subresources)
        ),
        key=definition["metadata"]["name"],
        singular=names.get("singular", ""),
        list_kind=names.get("listKind", ""),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset(name for name in ("status", "scale") if name in subresources),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
    )


_PRESERVE = "x-kubernetes-preserve-unknown-fields"


def _counts(subresources: Json) -> tuple[str, ...]:
    scale = subresources.get("scale") or {}
    return tuple(scale[name] for name in ("specReplicasPath", "statusReplicasPath") if scale.get(name))
