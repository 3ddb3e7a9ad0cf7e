"""The stored revisions of a template: which one is meant, which are made, which may go.

What single units have otherwise is a part of a revision; without that its hash is the template's alone.
An equal old revision is used again with a new number, so going back makes no new object. Two templates with
the same hash are told apart by a collision count that enters the hash (as in apps/v1).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cafe.api.overrides import UnitOverride, settings_by_unit
from cafe.kernel import digest_of
from cafe.workloads.domain.facts import RevisionFact

HASH_LENGTH = 10


@dataclass(frozen=True, slots=True)
class UseRevision:
    """The template is stored already. With *number*, it must first be given that number."""

    revision: RevisionFact
    number: int | None = None


@dataclass(frozen=True, slots=True)
class MakeRevision:
    """The template must be stored under this name."""

    name: str
    hash: str
    number: int
    template: Mapping[str, Any]
    overrides: Sequence[UnitOverride] = ()


def find_revision(
    owner: str,
    template: Mapping[str, Any],
    known: Sequence[RevisionFact],
    collisions: int,
    overrides: Sequence[UnitOverride] = (),
) -> UseRevision | MakeRevision:
    """Say which revision *template* is, with *overrides*.

    Args:
        owner: Name of the object that owns the revisions; it begins their names.
        template: The pod template as it is now.
        known: All stored revisions of the owner.
        collisions: How many hash collisions the owner has met.
        overrides: What single units have otherwise.
    """
    newest = max((r.number for r in known), default=0)
    said = settings_by_unit(overrides)
    equal = [r for r in known if r.template == template and settings_by_unit(r.overrides) == said]
    if equal:
        best = max(equal, key=lambda r: r.number)
        return UseRevision(best, None if best.number == newest else newest + 1)
    digest = hash_of(template, collisions, overrides)
    return MakeRevision(f"{owner}-{digest}", digest, newest + 1, template, overrides)


def hash_of(template: Mapping[str, Any], collisions: int, overrides: Sequence[UnitOverride] = ()) -> str:
    """Return the hash that names a template's revision: 10 lower-case hexadecimal digits.

    What the overrides say counts, not how they are arranged.
    """
    content = [template, collisions] if collisions else template
    if said := settings_by_unit(overrides):
        told = {
            unit: [[s.container, s.kind, s.key, value] for s, value in sorted(settings.items())]
            for unit, settings in said.items()
        }
        content = [template, collisions, told]
    return str(digest_of(content))[:HASH_LENGTH]


def is_older(target: str, left: str, ages: Mapping[str, int]) -> bool:
    """Whether the way from revision *left* to *target* leads back.

    Args:
        target: Hash of the revision to be released.
        left: Hash of the one that was released, or was to be, before.
        ages: Of each stored revision, by hash, the number that it was made with.
    """
    return target in ages and ages[target] < ages.get(left, 0)


def current_revision(
    status_hash: str, update: str, known: Sequence[RevisionFact], in_use: Mapping[str, int]
) -> str:
    """Return the hash of the revision that pods outside the partition keep.

    It is the one that the status remembers, if it is still stored. If the status was lost, it is the one
    that most pods run, then the newest before the update, then the update revision itself.
    """
    stored = {r.hash: r for r in known}
    if status_hash in stored:
        return status_hash
    running = [(count, h) for h, count in in_use.items() if h in stored and h != update]
    if running:
        return max(running)[1]
    older = [r for r in known if r.hash != update]
    if in_use and not in_use.keys() <= {update} and older:
        return max(older, key=lambda r: r.number).hash
    return update


def outdated(known: Sequence[RevisionFact], live: Collection[str], limit: int) -> list[RevisionFact]:
    """Return the revisions to delete: the oldest of those not *live* (by hash), beyond *limit*."""
    idle = sorted((r for r in known if r.hash not in live), key=lambda r: r.number)
    return idle[: max(0, len(idle) - limit)]
