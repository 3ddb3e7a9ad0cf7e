"""The revisions of a service: which one a spec is, which are made, which may go.

Numbers only grow: one that was given once, and whose revision is gone, is never given again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cafe.api.cafeapprevision import AppContent
from cafe.appservices.domain.content import digest_of_content
from cafe.appservices.domain.facts import RevisionFact


@dataclass(frozen=True, slots=True)
class MakeRevision:
    """The content must be stored under this number."""

    name: str
    number: int
    digest: str
    content: AppContent
    cause: str = ""


def find_revision(
    service: str, content: AppContent, known: Sequence[RevisionFact], latest: int, cause: str = ""
) -> RevisionFact | MakeRevision:
    """Say which revision a content is. One that is stored already is used again.

    Args:
        service: Name of the service; it begins the names of its revisions.
        content: As the spec is now.
        known: All stored revisions of the service.
        latest: The highest number given so far.
        cause: Why the change was made, as the service says. What the last revision said already is not the
            reason of another change: annotations stay until somebody changes them.
    """
    digest = digest_of_content(content)
    equal = [r for r in known if r.digest == digest and r.is_intact]
    if equal:
        return max(equal, key=lambda r: r.number)
    number = max([latest, *(r.number for r in known)]) + 1
    last = max(known, key=lambda r: r.number, default=None)
    is_stale = last is not None and last.cause == cause
    name = revision_name(service, number)
    return MakeRevision(name, number, digest, content, "" if is_stale else cause)


def revision_name(service: str, number: int) -> str:
    """Return the name of a revision's object."""
    return f"{service}-{number}"


def outdated(known: Sequence[RevisionFact], in_use: Collection[int], limit: int) -> list[RevisionFact]:
    """Return the revisions to delete: the oldest of those not *in_use* (by number), beyond *limit*.

    One on hold stays: it is the memory of what went wrong.
    """
    idle = sorted((r for r in known if r.number not in in_use and not r.hold), key=lambda r: r.number)
    return idle[: max(0, len(idle) - limit)]
