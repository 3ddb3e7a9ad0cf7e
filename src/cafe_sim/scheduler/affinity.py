"""Node selectors and taints: which nodes a pod may run on by what it and they say."""

from collections.abc import Iterable, Mapping
from typing import Any

from cafe_sim.contract import Json
from cafe_sim.machinery.selectors import Requirement
from cafe_sim.scheduler.nodes import NodeInfo


def matches_node(pod: Json, node: NodeInfo) -> bool:
    """Tell whether nodeSelector and required node affinity let the pod on the node."""
    spec = pod["spec"]
    selector = spec.get("nodeSelector") or {}
    if any(node.labels.get(key) != value for key, value in selector.items()):
        return False
    required = node_affinity(pod).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(term_matches(term, node) for term in required.get("nodeSelectorTerms") or ())


def node_affinity(pod: Json) -> Mapping[str, Any]:
    """Return the pod's node affinity; empty if it has none."""
    affinity: Mapping[str, Any] = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    return affinity


def term_matches(term: Mapping[str, Any], node: NodeInfo) -> bool:
    """Tell whether a node fulfils one term. An empty term matches no node."""
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    names = {"metadata.name": node.name}
    return all(_expression_matches(e, node.labels) for e in expressions) and all(
        _expression_matches(e, names) for e in fields
    )


def _expression_matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    operator, values = expression["operator"], list(expression.get("values") or ())
    if operator not in {"Gt", "Lt"}:
        return Requirement(expression["key"], operator, frozenset(values)).matches(labels)
    try:
        have, bound = int(labels[expression["key"]]), int(values[0])
    except (KeyError, ValueError, IndexError):
        return False
    return have > bound if operator == "Gt" else have < bound


def tolerates(tolerations: Iterable[Json], taint: Json) -> bool:
    """Tell whether one of *tolerations* covers *taint*."""
    return any(_covers(toleration, taint) for toleration in tolerations)


def _covers(toleration: Json, taint: Json) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    key, operator = toleration.get("key"), toleration.get("operator") or "Equal"
    if key and key != taint["key"]:
        return False
    if operator == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")


def untolerated(pod: Json, node: NodeInfo, effects: frozenset[str]) -> list[Json]:
    """Return the node's taints of *effects* that the pod doesn't tolerate."""
    tolerations = pod["spec"].get("tolerations") or ()
    return [t for t in node.taints if t["effect"] in effects and not tolerates(tolerations, t)]
