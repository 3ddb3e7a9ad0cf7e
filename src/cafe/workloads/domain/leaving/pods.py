"""Pods without CAFE: their template, and how units become what plain Kubernetes can say."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import msgspec
from msgspec import Struct

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import UPDATE_GATE
from cafe.api.shapes import LabelSelector
from cafe.kernel import Refusal
from cafe.workloads.domain.children import REQUIRED, bind_to_units
from cafe.workloads.domain.leaving.manifests import is_own_name
from cafe.workloads.domain.overriding import overridden

NEVER_ELSEWHERE = "DoNotSchedule"


class Shape(Struct, frozen=True, rename="camel"):
    """The part of a PodSpec that is read here; the rest goes along unread."""


class Requirement(Shape, frozen=True):
    """One rule of a node selector term."""

    key: str = ""
    operator: str = ""
    values: list[str] | None = None

    def demands(self, label: str, units: Sequence[str]) -> bool:
        """Whether it asks for exactly these units."""
        return self.key == label and self.operator == "In" and set(self.values or ()) == set(units)


class Term(Shape, frozen=True):
    """One alternative among nodes."""

    match_expressions: list[Requirement] | None = None


class Required(Shape, frozen=True):
    """What a node must be."""

    node_selector_terms: list[Term] | None = None


class NodeAffinity(Shape, frozen=True):
    """To nodes."""

    required: Required | None = msgspec.field(default=None, name=REQUIRED)


class Affinity(Shape, frozen=True):
    """To nodes; others don't matter here."""

    node_affinity: NodeAffinity | None = None


class Gate(Shape, frozen=True):
    """A readiness gate."""

    condition_type: str = ""


class Constraint(Shape, frozen=True):
    """A topology spread constraint."""

    topology_key: str = ""
    when_unsatisfiable: str = ""


class PodShape(Shape, frozen=True):
    """A PodSpec."""

    containers: list[dict[str, Any]] = msgspec.field(default_factory=list)
    affinity: Affinity | None = None
    readiness_gates: list[Gate] | None = None
    topology_spread_constraints: list[Constraint] | None = None


def shape_of(spec: Mapping[str, Any]) -> PodShape:
    """Read a PodSpec.

    Raises:
        Refusal: `InvalidSpec`; the API server would refuse such pods.
    """
    try:
        found = msgspec.convert(spec, PodShape)
    except msgspec.ValidationError as error:
        raise Refusal("InvalidSpec", "spec.template.spec is no PodSpec.", f"{error}.") from error
    if not found.containers:
        raise Refusal("InvalidSpec", "spec.template.spec has no containers.")
    return found


def plain_template(app: CafeDeployment, more: Mapping[str, str], unit: str = "") -> dict[str, Any]:
    """Return the pod template without what only CAFE reads.

    A label of CAFE's stays if the selector names it, or no pod would be found.

    Args:
        app: Whose pods they are.
        more: Labels that others select the pods by.
        unit: Whose pods they are, if each unit has a set of its own.
    """
    template, selector = overridden(app.spec.template, app.spec.topology.overrides, unit), app.spec.selector
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
    affinity = shape_of(spec).affinity
    node = affinity.node_affinity if affinity else None
    terms = (node.required.node_selector_terms if node and node.required else None) or []
    if terms and all(any(r.demands(label, units) for r in t.match_expressions or []) for t in terms):
        return spec
    return bind_to_units(spec, label, units)


def spread_evenly(spec: dict[str, Any], label: str, selector: LabelSelector) -> dict[str, Any]:
    """Return a PodSpec whose pods are spread evenly over the values of a node label.

    A constraint that says so already is enough: the API server refuses a second one of the same key and
    consequence.
    """
    known = shape_of(spec).topology_spread_constraints or []
    if any(c.topology_key == label and c.when_unsatisfiable == NEVER_ELSEWHERE for c in known):
        return spec
    wanted = {
        "maxSkew": 1,
        "topologyKey": label,
        "whenUnsatisfiable": NEVER_ELSEWHERE,
        "labelSelector": msgspec.to_builtins(selector),
    }
    return {**spec, "topologySpreadConstraints": [*(spec.get("topologySpreadConstraints") or []), wanted]}
