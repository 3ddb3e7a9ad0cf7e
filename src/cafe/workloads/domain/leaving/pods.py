"""Pods without CAFE: their template, and how units become what plain Kubernetes can say."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import UPDATE_GATE
from cafe.api.shapes import LabelSelector
from cafe.workloads.domain.children import REQUIRED, bind_to_units
from cafe.workloads.domain.leaving.manifests import is_own_name

NEVER_ELSEWHERE = "DoNotSchedule"


def plain_template(app: CafeDeployment, more: Mapping[str, str]) -> dict[str, Any]:
    """Return the pod template without what only CAFE reads.

    A label of CAFE's stays if the selector names it, or no pod would be found.

    Args:
        app: Whose pods they are.
        more: Labels that others select the pods by.
    """
    template, selector = app.spec.template, app.spec.selector
    named = {*selector.match_labels, *(rule.key for rule in selector.match_expressions)}
    labels = {k: v for k, v in template.metadata.labels.items() if not is_own_name(k) or k in named}
    metadata: dict[str, Any] = {"labels": {**labels, **more}}
    if annotations := {k: v for k, v in template.metadata.annotations.items() if not is_own_name(k)}:
        metadata["annotations"] = annotations
    spec = deepcopy(template.spec)
    gates = spec.pop("readinessGates", None) or []
    if left := [gate for gate in gates if gate.get("conditionType") != UPDATE_GATE]:
        spec["readinessGates"] = left
    return {"metadata": metadata, "spec": spec}


def bound(spec: dict[str, Any], label: str, units: Sequence[str]) -> dict[str, Any]:
    """Return a PodSpec that requires nodes of *units*, unless it does so already."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or []
    if terms and all(_is_bound(term, label, units) for term in terms):
        return spec
    return bind_to_units(spec, label, units)


def _is_bound(term: Mapping[str, Any], label: str, units: Sequence[str]) -> bool:
    return any(
        rule.get("key") == label and rule.get("operator") == "In" and set(rule["values"]) == set(units)
        for rule in term.get("matchExpressions") or []
    )


def spread_evenly(spec: dict[str, Any], label: str, selector: LabelSelector) -> dict[str, Any]:
    """Return a PodSpec whose pods are spread evenly over the values of a node label.

    A constraint that says so already is enough: the API server refuses a second one of the same key and
    consequence.
    """
    there = spec.get("topologySpreadConstraints") or []
    if any(c.get("topologyKey") == label and _unsatisfied(c) == NEVER_ELSEWHERE for c in there):
        return spec
    wanted = {
        "maxSkew": 1,
        "topologyKey": label,
        "whenUnsatisfiable": NEVER_ELSEWHERE,
        "labelSelector": msgspec.to_builtins(selector),
    }
    return {**spec, "topologySpreadConstraints": [*there, wanted]}


def _unsatisfied(constraint: Mapping[str, Any]) -> str:
    return str(constraint.get("whenUnsatisfiable"))
