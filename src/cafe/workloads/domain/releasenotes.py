"""What a release tells in Events."""

from cafe.api.cafedeployment import Plan
from cafe.kernel import Note
from cafe.workloads.domain.confirming import Accepted, Ignored
from cafe.workloads.domain.groups import group_name


def told(plan: Plan) -> str:
    """Write a plan in one line."""
    if not plan.groups:
        return "nothing to update"
    return "; ".join(
        f"{group_name(g.index)} {'+'.join(str(n) for n in g.units.values())}" for g in plan.groups
    )


def verdict_notes(verdict: Accepted | Ignored | None) -> list[Note]:
    """Return what became of a confirmation."""
    if isinstance(verdict, Accepted):
        return [Note("GroupConfirmed", f"{group_name(verdict.group)} was confirmed")]
    if isinstance(verdict, Ignored):
        return [Note(verdict.reason, verdict.message, is_warning=True)]
    return []


def released_note(revision: str, wanted: int, skipped: int) -> Note:
    """Return the news that a release is whole, but for pods that a person said not to wait for."""
    if not skipped:
        return Note("Released", f"Revision {revision} runs in all {wanted} pods")
    what = f"Revision {revision} runs in all {wanted} pods but {skipped} that were skipped"
    return Note("Released", what, is_warning=True)
