"""What single units have otherwise: their template, the revision of their pods, and what an edit changes.

A unit's pods carry the hash of their *own* template. So they have work only if that changes, whatever happens
to the others: a unit without overrides has the hash that the application's template has by itself.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment, UnitType
from cafe.api.overrides import ROOMS, Setting, UnitOverride, demand_hits, settings_by_unit
from cafe.api.shapes import PodTemplate, TemplateMetadata
from cafe.workloads.domain.facts import RevisionFact
from cafe.workloads.domain.launching import demand_priorities
from cafe.workloads.domain.revisions import hash_of


@dataclass(frozen=True, slots=True)
class UnitChange:
    """What an edit changes in some units only; *old* and *new* are equal if they stay while others change.

    Attributes:
        old: None if nothing was said of it; *new* likewise.
    """

    units: tuple[str, ...]
    setting: Setting
    old: Any
    new: Any


def overridden(template: PodTemplate, overrides: Sequence[UnitOverride], unit: str) -> PodTemplate:
    """Return the template of a unit's pods; without an override it is the application's.

    Variables that the template doesn't have come last, in the order of their names.
    """
    settings = settings_by_unit(overrides).get(unit)
    if not settings:
        return template
    metadata = TemplateMetadata(
        labels=template.metadata.labels | _of_pod(settings, "labels"),
        annotations=template.metadata.annotations | _of_pod(settings, "annotations"),
    )
    rooms = {
        room: [_container(c, _of(settings, str(c.get("name")))) for c in template.spec[room]]
        for room in ROOMS
        if template.spec.get(room)
    }
    return msgspec.structs.replace(template, metadata=metadata, spec={**template.spec, **rooms})


def _of_pod(settings: Mapping[Setting, Any], kind: str) -> dict[str, str]:
    return {s.key: value for s, value in settings.items() if s.kind == kind}


def _of(settings: Mapping[Setting, Any], container: str) -> dict[Setting, Any]:
    return {s: value for s, value in settings.items() if s.container == container}


def _container(container: Mapping[str, Any], settings: Mapping[Setting, Any]) -> Mapping[str, Any]:
    """Return a container with what is otherwise."""
    if not settings:
        return container
    changed = dict(container)
    env = {s.key: value for s, value in sorted(settings.items()) if s.kind == "env"}
    for setting, value in sorted(settings.items()):
        if setting.kind == "image":
            changed["image"] = value
        elif setting.is_amount:
            held = changed.get("resources") or {}
            amounts = {**(held.get(setting.kind) or {}), setting.key: value}
            changed["resources"] = {**held, setting.kind: amounts}
    if env:
        known = [
            {"name": one["name"], **env[one["name"]]} if one.get("name") in env else one
            for one in container.get("env") or ()
        ]
        there = {one.get("name") for one in known}
        changed["env"] = [*known, *({"name": n, **value} for n, value in env.items() if n not in there)]
    return changed


def demand_overrides(app: CafeDeployment) -> None:
    """Refuse overrides by which nothing could be released.

    Raises:
        cafe.kernel.Refusal: `BadOverride`, `SelectorMismatch` or `BadLaunchPriority`.
    """
    template, overrides = app.spec.template, app.spec.topology.overrides
    demand_hits(app.spec.selector, template, overrides)
    for unit in settings_by_unit(overrides):
        mine = overridden(template, overrides, unit)
        demand_priorities(mine.metadata.annotations, mine.spec)


def pod_revisions(
    held: RevisionFact, units: Collection[str], known: Sequence[RevisionFact], collisions: int
) -> dict[str, str]:
    """Return, by unit, the hash that pods of native sets carry at a revision; empty if it is its own.

    Args:
        held: The revision.
        units: Of the application.
        known: All stored revisions: a template that was released by itself keeps the hash that it got then.
        collisions: How many hash collisions the application has met.
    """
    if not held.overrides:
        return {}
    plain = {r.number: r for r in known if not r.overrides}
    whole = msgspec.convert(held.template, PodTemplate)

    def hash_in(unit: str) -> str:
        template = msgspec.to_builtins(overridden(whole, held.overrides, unit))
        twins = [number for number, revision in plain.items() if revision.template == template]
        return plain[max(twins)].hash if twins else hash_of(template, collisions)

    return {unit: hash_in(unit) for unit in units}


def whole_revisions(app: CafeDeployment, known: Sequence[RevisionFact]) -> dict[str, str]:
    """Return the same of the revision that was released whole; empty if it is forgotten."""
    held = [r for r in known if r.hash == app.status.current_revision]
    return pod_revisions(held[0], units_of(app), known, app.status.collision_count) if held else {}


def unit_changes(now: CafeDeployment, wanted: CafeDeployment) -> list[UnitChange]:
    """Return what an edit does to single units and not to all, in the order of the units."""
    before, after = (settings_by_unit(app.spec.topology.overrides) for app in (now, wanted))
    found: dict[tuple[Setting, str], list[str]] = {}
    values: dict[tuple[Setting, str], tuple[Any, Any]] = {}
    for unit in units_of(wanted):
        was, will = before.get(unit, {}), after.get(unit, {})
        for setting in sorted(was.keys() | will.keys()):
            common = setting.value_in(now.spec.template), setting.value_in(wanted.spec.template)
            here = was.get(setting, common[0]), will.get(setting, common[1])
            if here != common and (here[0] != here[1] or common[0] != common[1]):
                key = setting, repr(here)
                values[key] = here
                found.setdefault(key, []).append(unit)
    return [UnitChange(tuple(units), key[0], *values[key]) for key, units in found.items()]


def units_of(app: CafeDeployment) -> list[str]:
    """Return the names of an application's units; one without any is a unit without a name."""
    topology = app.spec.topology
    return [""] if topology.unit_type is UnitType.NONE else topology.values
