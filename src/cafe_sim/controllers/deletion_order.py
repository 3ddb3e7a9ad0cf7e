"""Which pods go first when a ReplicaSet shrinks: those that are worth least."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import log2

from cafe_sim.contract import Json
from cafe_sim.machinery.objects import annotations_of, time_of, uid_of
from cafe_sim.machinery.pods import node_of, phase_of, ready_since, restarts_of

COST = "controller.kubernetes.io/pod-deletion-cost"
PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_order(pods: Sequence[Json], crowd: Mapping[str, int], now: datetime) -> list[Json]:
    """Return *pods*, first to be deleted first, as kube-controller-manager's ActivePodsWithRanks.

    Unassigned, Pending, Unknown, not ready, lower deletion cost, more related pods on its node, shorter
    ready, more restarts, newer. Times are compared by order of magnitude (KEP-2185), then UIDs decide.

    Args:
        pods: Active pods.
        crowd: How many related pods each node has.
        now: The time from which ages are counted.
    """

    def rank(pod: Json) -> tuple[float | str, ...]:
        since = ready_since(pod)
        return (
            bool(node_of(pod)),
            PHASES.get(phase_of(pod), 2),
            since is not None,
            deletion_cost(pod),
            -crowd.get(node_of(pod), 0),
            _magnitude(since, now),
            -restarts_of(pod),
            _magnitude(time_of(pod["metadata"]["creationTimestamp"]), now),
            uid_of(pod),
        )

    return sorted(pods, key=rank)


def deletion_cost(pod: Json) -> int:
    """Return the pod's deletion cost; 0 if it has none, or one that is no number."""
    try:
        return int(annotations_of(pod).get(COST) or 0)
    except ValueError:
        return 0


def _magnitude(since: datetime | None, now: datetime) -> int:
    if since is None or now <= since:
        return -1
    return int(log2((now - since).total_seconds() * 1e9))
