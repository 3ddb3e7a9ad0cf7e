"""Which revision is live: the published one, unless it can't be; then the one that was."""

from collections.abc import Sequence
from dataclasses import dataclass

from cafe.appservices.domain.facts import RevisionFact
from cafe.kernel import Refusal


@dataclass(frozen=True, slots=True)
class Live:
    """What runs, or is being released.

    Attributes:
        revision: None if nothing does, or if its revision is lost.
        refusal: Why what was asked for isn't done.
    """

    revision: RevisionFact | None = None
    refusal: Refusal | None = None


def choose_live(service: str, asked: int | None, live: int, known: Sequence[RevisionFact]) -> Live:
    """Say which revision is live.

    Args:
        service: Name of the service, for commands that people are told.
        asked: Number that is published; None if none is.
        live: Number of the revision that was live at the last pass; 0 if none was.
        known: All stored revisions.
    """
    by_number = {r.number: r for r in known}
    before = by_number.get(live)
    if asked is None:
        return Live(before, _nothing_published(service, live) if live else None)
    wanted = by_number.get(asked)
    if wanted is None:
        return Live(before, _unknown(service, asked, live, sorted(by_number)))
    if not wanted.is_intact:
        return Live(before if before is not wanted else None, _tampered(service, wanted))
    if wanted.hold and asked != live:
        return Live(before, _held(service, wanted))
    return Live(wanted)


def _nothing_published(service: str, live: int) -> Refusal:
    return Refusal(
        "NothingPublished",
        "publish.revision was removed.",
        f"Revision {live} stays live: to take a number away is no order to stop what serves.",
        f"Publish a revision (cafe app publish {service} {live}), or delete the service to stop it.",
    )


def _unknown(service: str, asked: int, live: int, known: Sequence[int]) -> Refusal:
    there = f"There {'is' if len(known) == 1 else 'are'} {', '.join(map(str, known))}" if known else "None is"
    if asked == live:
        why = f"Its CafeAppRevision was deleted although it is live; what runs is left as it is. {there}."
    else:
        why = f"{there} stored." if known else "There are none yet."
    return Refusal(
        "RevisionUnknown",
        f"Revision {asked} doesn't exist.",
        why,
        f"Publish one that exists; to see them: cafe app revisions {service}",
    )


def _tampered(service: str, revision: RevisionFact) -> Refusal:
    return Refusal(
        "RevisionTampered",
        f"Revision {revision.number} is not what it was when it was made.",
        f"Its content doesn't have the digest {revision.digest} any more.",
        f"Find out who changed CafeAppRevision {revision.name}, and publish another one; to see them: "
        f"cafe app revisions {service}",
    )


def _held(service: str, revision: RevisionFact) -> Refusal:
    return Refusal(
        "RevisionHeld",
        f"Revision {revision.number} is on hold.",
        f"The reason is: {revision.hold}",
        f"Publish another one, or lift the hold: cafe app unhold {service} {revision.number}",
    )
