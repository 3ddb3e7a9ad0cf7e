"""Rules between pods: topology spread constraints and inter-pod (anti-)affinity."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cafe_sim.contract import Json
from cafe_sim.machinery.objects import is_deleting, labels_of
from cafe_sim.machinery.selectors import Selector, selector_of
from cafe_sim.scheduler.affinity import matches_node, untolerated
from cafe_sim.scheduler.nodes import NodeInfo

HARD = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True, slots=True)
class Spread:
    """One constraint, with how many matching pods each domain has."""

    key: str
    max_skew: int
    min_domains: int
    is_hard: bool
    counts: Mapping[str, int]
    self_match: int

    def excess(self, node: NodeInfo) -> int | None:
        """Return by how much placing the pod here would exceed the skew; None if the node has no domain."""
        domain = node.labels.get(self.key)
        if domain is None:
            return None
        lowest = min(self.counts.values(), default=0)
        if self.min_domains > len(self.counts):
            lowest = 0
        return self.counts.get(domain, 0) + self.self_match - lowest - self.max_skew


def spreads_of(pod: Json, nodes: Sequence[NodeInfo]) -> list[Spread]:
    """Return the pod's constraints, counted over the nodes that it may use at all."""
    constraints = pod["spec"].get("topologySpreadConstraints") or ()
    if not constraints:
        return []
    keys = {c["topologyKey"] for c in constraints if c["whenUnsatisfiable"] == "DoNotSchedule"}
    return [_spread(pod, c, nodes, keys) for c in constraints]


def _spread(pod: Json, constraint: Json, nodes: Sequence[NodeInfo], hard_keys: set[str]) -> Spread:
    selector = _spread_selector(pod, constraint)
    key = constraint["topologyKey"]
    is_hard = constraint["whenUnsatisfiable"] == "DoNotSchedule"
    counts: dict[str, int] = {}
    for node in nodes:
        if any(k not in node.labels for k in hard_keys | {key}) or not _counts(pod, constraint, node):
            continue
        domain = node.labels[key]
        counts[domain] = counts.get(domain, 0) + _matching(node, pod["metadata"]["namespace"], selector)
    return Spread(
        key=key,
        max_skew=int(constraint["maxSkew"]),
        min_domains=int(constraint.get("minDomains") or 1),
        is_hard=is_hard,
        counts=counts,
        self_match=int(selector.matches(labels_of(pod))),
    )


def _spread_selector(pod: Json, constraint: Json) -> Selector:
    base = selector_of(constraint.get("labelSelector"))
    labels = labels_of(pod)
    more = {k: labels[k] for k in constraint.get("matchLabelKeys") or () if k in labels}
    return replace(base, equal={**base.equal, **more})


def _counts(pod: Json, constraint: Json, node: NodeInfo) -> bool:
    if (constraint.get("nodeAffinityPolicy") or "Honor") == "Honor" and not matches_node(pod, node):
        return False
    honours = (constraint.get("nodeTaintsPolicy") or "Ignore") == "Honor"
    return not (honours and untolerated(pod, node, HARD))


def _matching(node: NodeInfo, namespace: str, selector: Selector) -> int:
    return sum(
        1
        for pod in node.pods.values()
        if pod["metadata"]["namespace"] == namespace
        and not is_deleting(pod)
        and selector.matches(labels_of(pod))
    )


@dataclass(frozen=True, slots=True)
class PodTerm:
    """One required inter-pod term: pods of *namespaces* that match, by domain of *key*."""

    key: str
    namespaces: frozenset[str]
    selector: Selector

    def matches(self, pod: Json) -> bool:
        """Tell whether the term is about *pod*."""
        return pod["metadata"]["namespace"] in self.namespaces and self.selector.matches(labels_of(pod))


def pod_terms(pod: Json, kind: str) -> list[PodTerm]:
    """Return the required terms of `podAffinity` or `podAntiAffinity`."""
    affinity = (pod["spec"].get("affinity") or {}).get(kind) or {}
    terms: Iterable[Mapping[str, Any]] = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    own = frozenset((pod["metadata"]["namespace"],))
    return [
        PodTerm(
            term["topologyKey"],
            frozenset(term.get("namespaces") or ()) or own,
            selector_of(term.get("labelSelector")),
        )
        for term in terms
    ]


def domains_with(term: PodTerm, nodes: Sequence[NodeInfo]) -> set[str]:
    """Return the domains in which a pod stands that the term is about."""
    return {
        node.labels[term.key]
        for node in nodes
        if term.key in node.labels and any(term.matches(pod) for pod in node.pods.values())
    }


def refused_domains(pod: Json, nodes: Sequence[NodeInfo]) -> set[tuple[str, str]]:
    """Return (key, domain) where a pod stands whose own anti-affinity refuses *pod*."""
    refused = set()
    for node in nodes:
        for other in node.pods.values():
            for term in pod_terms(other, "podAntiAffinity"):
                if term.key in node.labels and term.matches(pod):
                    refused.add((term.key, node.labels[term.key]))
    return refused
