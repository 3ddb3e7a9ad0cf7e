"""How pods are named to people."""

from collections.abc import Sequence

from cafe.workloads.domain.crowd import by_name
from cafe.workloads.domain.facts import PodFact


def few(pods: Sequence[PodFact]) -> str:
    """Name up to two pods with their problems; the message must not flap, so the order is fixed.

    Returns:
        The names with *is* or *are* behind them.
    """
    ordered = sorted(pods, key=by_name)
    told = [f"{p.name} ({p.problem()})" if p.problem() else p.name for p in ordered[:2]]
    more = f" and {len(ordered) - 2} more" if len(ordered) > 2 else ""
    return f"{', '.join(told)}{more} {'is' if len(ordered) == 1 else 'are'}"
