"""Whether a pod may be evicted now."""

from dataclasses import dataclass

from cafe.workloads.domain.budget import Budget


@dataclass(frozen=True, slots=True)
class EvictionFact:
    """A pod that somebody wants to evict, and the budget that it is counted in.

    Attributes:
        pod: Namespace and name.
        app: Name of the application, or of a set that stands alone.
        serves: Whether it serves, and nobody is taking it out of service yet.
        budget: What its unit may still take; None while what was just written is not visible.
        limit: maxUnavailable, as the spec says it.
        total: Pods of the application.
    """

    pod: str
    app: str
    serves: bool
    budget: Budget | None
    limit: int | str
    total: int


def why_not(fact: EvictionFact) -> str | None:
    """Return why the pod may not be evicted now, for the person who waits; None if it may.

    A pod that doesn't serve costs nothing, whoever is to blame for that.
    """
    if not fact.serves or (fact.budget is not None and fact.budget.healthy > 0):
        return None
    if fact.budget is None:
        why = f"Pods of {fact.app} are being changed this very moment."
    else:
        why = (
            f"It serves, and no further pod of {fact.app} may become unavailable "
            f"(maxUnavailable {fact.limit} of {fact.total} pods): others are missing or being updated."
        )
    return f"Pod {fact.pod} can't be evicted now. {why} Try again when they serve; kubectl drain does."
