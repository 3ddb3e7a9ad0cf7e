"""Filters, in the order of the real scheduler's plugins; the first that refuses a node gives the reasons."""

from collections.abc import Sequence
from dataclasses import dataclass

from cafe_sim.contract import Json
from cafe_sim.machinery.requests import Request, request_of
from cafe_sim.scheduler.affinity import matches_node, untolerated
from cafe_sim.scheduler.nodes import NodeInfo
from cafe_sim.scheduler.topology import (
    HARD,
    PodTerm,
    Spread,
    domains_with,
    pod_terms,
    refused_domains,
    spreads_of,
)

SPREAD = "node(s) didn't match pod topology spread constraints"


@dataclass(frozen=True, slots=True)
class No:
    """Why not. *is_final*: evicting others would not help."""

    reasons: tuple[str, ...]
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One pod against all nodes: what needs to be counted only once."""

    pod: Json
    request: Request
    spreads: tuple[Spread, ...]
    attractions: tuple[tuple[PodTerm, frozenset[str]], ...]
    repulsions: tuple[tuple[PodTerm, frozenset[str]], ...]
    refused: frozenset[tuple[str, str]]


def case_of(pod: Json, nodes: Sequence[NodeInfo]) -> Case:
    """Count what the filters need."""
    attract, repel = pod_terms(pod, "podAffinity"), pod_terms(pod, "podAntiAffinity")
    return Case(
        pod=pod,
        request=request_of(pod),
        spreads=tuple(spreads_of(pod, nodes)),
        attractions=tuple((term, frozenset(domains_with(term, nodes))) for term in attract),
        repulsions=tuple((term, frozenset(domains_with(term, nodes))) for term in repel),
        refused=frozenset(refused_domains(pod, nodes)),
    )


def why_not(case: Case, node: NodeInfo) -> No | None:
    """Return why the pod can't run on the node, None if it can."""
    for check in (_unschedulable, _taints, _affinity, _ports, _fit, _spread, _between_pods):
        verdict = check(case, node)
        if verdict is not None:
            return verdict
    return None


def _unschedulable(case: Case, node: NodeInfo) -> No | None:
    if not node.node["spec"].get("unschedulable"):
        return None
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    probe = NodeInfo({"metadata": {"name": ""}, "spec": {"taints": [taint]}})
    if not untolerated(case.pod, probe, HARD):
        return None
    return No(("node(s) were unschedulable",), is_final=True)


def _taints(case: Case, node: NodeInfo) -> No | None:
    if untolerated(case.pod, node, HARD):
        return No(("node(s) had untolerated taint(s)",), is_final=True)
    return None


def _affinity(case: Case, node: NodeInfo) -> No | None:
    if matches_node(case.pod, node):
        return None
    return No(("node(s) didn't match Pod's node affinity/selector",), is_final=True)


def _ports(case: Case, node: NodeInfo) -> No | None:
    if not case.request.ports:
        return None
    taken = {(protocol, port) for _, protocol, port in node.used_ports()}
    if any((protocol, port) in taken for _, protocol, port in case.request.ports):
        return No(("node(s) didn't have free ports for the requested pod ports",))
    return None


def _fit(case: Case, node: NodeInfo) -> No | None:
    reasons, is_final = [], False
    slots = node.allocatable.get("pods", 0)
    if len(node.pods) + 1 > slots:
        reasons.append("Too many pods")
    for name, asked in case.request.resources.items():
        offered = node.allocatable.get(name, 0)
        if asked > 0 and asked > offered - node.requested.get(name, 0):
            reasons.append(f"Insufficient {name}")
            is_final = is_final or asked > offered
    return No(tuple(reasons), is_final=is_final) if reasons else None


def _spread(case: Case, node: NodeInfo) -> No | None:
    for spread in case.spreads:
        if not spread.is_hard:
            continue
        excess = spread.excess(node)
        if excess is None:
            return No((f"{SPREAD} (missing required label)",), is_final=True)
        if excess > 0:
            return No((SPREAD,))
    return None


def _between_pods(case: Case, node: NodeInfo) -> No | None:
    for term, domains in case.attractions:
        domain = node.labels.get(term.key)
        first = not domains and term.matches(case.pod)  # The first of a group that attracts itself.
        if domain is None or (domain not in domains and not first):
            return No(("node(s) didn't match pod affinity rules",), is_final=True)
    for term, domains in case.repulsions:
        if node.labels.get(term.key) in domains:
            return No(("node(s) didn't match pod anti-affinity rules",))
    if any(node.labels.get(key) == domain for key, domain in case.refused):
        return No(("node(s) didn't satisfy existing pods anti-affinity rules",))
    return None


def message(total: int, refusals: Sequence[No]) -> str:
    """Say why no node will do, in the real scheduler's words."""
    counts: dict[str, int] = {}
    for refusal in refusals:
        for reason in refusal.reasons:
            counts[reason] = counts.get(reason, 0) + 1
    head = f"0/{total} nodes are available"
    if not total:
        return "no nodes available to schedule pods"
    reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
    return f"{head}: {reasons}. no new claims to deallocate, preemption: {head}: {_preemption(refusals)}."


def _preemption(refusals: Sequence[No]) -> str:
    hopeless = sum(refusal.is_final for refusal in refusals)
    parts = []
    if len(refusals) - hopeless:
        parts.append(f"{len(refusals) - hopeless} No preemption victims found for incoming pod")
    if hopeless:
        parts.append(f"{hopeless} Preemption is not helpful for scheduling")
    return ", ".join(sorted(parts))
