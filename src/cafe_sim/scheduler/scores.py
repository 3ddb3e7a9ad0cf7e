"""Scores among the nodes that will do. Ties go to the first name: the same world, the same node."""

from cafe_sim.scheduler.affinity import node_affinity, term_matches, untolerated
from cafe_sim.scheduler.filters import Case
from cafe_sim.scheduler.nodes import NodeInfo

DEFAULT_REQUESTS = {"cpu": 100, "memory": 200 * 1024 * 1024}
"""What pods without requests count for when scoring, as in the real scheduler."""
SOFT = frozenset({"PreferNoSchedule"})
WEIGHTS = {"taints": 3, "affinity": 2, "spread": 2, "least": 1, "balance": 1}
"""The real scheduler's default plugin weights."""


def best(case: Case, nodes: list[NodeInfo]) -> NodeInfo:
    """Return the node that the pod goes to; *nodes* are those that passed the filters."""
    affinity = _normalised([_preferred(case, node) for node in nodes])
    taints = _normalised([len(untolerated(case.pod, n, SOFT)) for n in nodes], reverse=True)
    spread = _normalised([_crowding(case, node) for node in nodes], reverse=True)

    def total(i: int) -> float:
        return (
            WEIGHTS["affinity"] * affinity[i]
            + WEIGHTS["taints"] * taints[i]
            + WEIGHTS["spread"] * spread[i]
            + WEIGHTS["least"] * _least_allocated(case, nodes[i])
            + WEIGHTS["balance"] * _balance(case, nodes[i])
        )

    return nodes[min(range(len(nodes)), key=lambda i: (-total(i), len(nodes[i].pods), nodes[i].name))]


def _normalised(values: list[int], *, reverse: bool = False) -> list[float]:
    top = max(values)
    if top == 0:
        return [100.0 if reverse else 0.0] * len(values)
    scaled = [100.0 * value / top for value in values]
    return [100.0 - value for value in scaled] if reverse else scaled


def _preferred(case: Case, node: NodeInfo) -> int:
    terms = node_affinity(case.pod).get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return sum(int(t["weight"]) for t in terms if term_matches(t["preference"], node))


def _crowding(case: Case, node: NodeInfo) -> int:
    return sum(
        spread.counts.get(node.labels.get(spread.key, ""), 0) for spread in case.spreads if not spread.is_hard
    )


def _shares(case: Case, node: NodeInfo) -> list[float]:
    shares = []
    for name, default in DEFAULT_REQUESTS.items():
        offered = node.allocatable.get(name, 0)
        if offered:
            asked = case.request.resources.get(name, 0) or default
            shares.append(min(1.0, (node.requested.get(name, 0) + asked) / offered))
    return shares


def _least_allocated(case: Case, node: NodeInfo) -> float:
    shares = _shares(case, node)
    return 100.0 * sum(1 - share for share in shares) / len(shares) if shares else 0.0


def _balance(case: Case, node: NodeInfo) -> float:
    shares = _shares(case, node)
    return 100.0 * (1 - abs(shares[0] - shares[-1]) / 2) if shares else 0.0
