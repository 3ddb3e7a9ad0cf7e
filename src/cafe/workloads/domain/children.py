"""What the set of one unit looks like, rendered from the application."""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cafe.api.cafedeployment import NODE_LABELS, CafeDeployment
from cafe.api.inplaceset import InPlaceSetSpec, InPlaceSetStrategy
from cafe.api.names import APP_LABEL, UNIT_LABEL
from cafe.api.shapes import LabelSelector, PodTemplate, TemplateMetadata
from cafe.kernel import digest_of
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.overriding import overridden

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
NOT_IN_NAMES = re.compile(r"[^a-z0-9-]")


def child_name(app: str, unit: str) -> str:
    """Return the name of a unit's set; an application without units has one set of its own name.

    Units are label values, which may hold what a name may not: such a unit is told from its like by a digest.
    """
    if not unit:
        return app
    clean = NOT_IN_NAMES.sub("-", unit.lower())
    return f"{app}-{clean}" if clean == unit.lower() else f"{app}-{clean}-{digest_of(unit)[:5]}"


def turn_of(app: str) -> int:
    """Return where an application begins to count its units, when odd pods are given out.

    It is a function of the name: the same in each cluster, another one for the next application.
    """
    return int(digest_of(app)[:8], 16)


def own_labels(app: str, unit: str) -> dict[str, str]:
    """Return the labels by which a unit's set and pods are told from all others."""
    return {APP_LABEL: app} | ({UNIT_LABEL: unit} if unit else {})


def own_selector(app: CafeDeployment, own: Mapping[str, str]) -> LabelSelector:
    """Return the application's selector, narrowed by *own* labels."""
    whole = app.spec.selector
    return msgspec.structs.replace(whole, match_labels=whole.match_labels | dict(own))


def render_child(app: CafeDeployment, unit: str, goal: UnitGoal) -> InPlaceSetSpec:
    """Return the set's spec: the application's template, bound to the unit's nodes."""
    own = own_labels(app.metadata.name, unit)
    strategy = app.spec.strategy
    return InPlaceSetSpec(
        replicas=goal.replicas,
        selector=own_selector(app, own),
        template=render_template(app, unit, own),
        strategy=InPlaceSetStrategy(
            partition=goal.partition,
            max_unavailable=strategy.max_unavailable,
            pod_upgrade_policy=strategy.pod_upgrade_policy,
            grace_period_seconds=strategy.grace_period_seconds,
            paused=strategy.pause,
        ),
        min_ready_seconds=strategy.min_ready_seconds,
        history_limit=app.spec.history_limit,
    )


def render_template(app: CafeDeployment, unit: str, own: Mapping[str, str]) -> PodTemplate:
    """Return the unit's template with CAFE's labels and, for a named one, its node affinity."""
    template = overridden(app.spec.template, app.spec.topology.overrides, unit)
    spec = template.spec
    if unit:
        spec = bind_to_unit(spec, NODE_LABELS[app.spec.topology.unit_type], unit)
    metadata = TemplateMetadata(
        labels=template.metadata.labels | dict(own), annotations=template.metadata.annotations
    )
    return msgspec.structs.replace(template, metadata=metadata, spec=spec)


def bind_to_unit(spec: Mapping[str, Any], label: str, unit: str) -> dict[str, Any]:
    """Require nodes of *unit*; see `bind_to_units`."""
    return bind_to_units(spec, label, [unit])


def bind_to_units(spec: Mapping[str, Any], label: str, units: Sequence[str]) -> dict[str, Any]:
    """Require nodes of one of *units* in **every** node selector term.

    Terms are alternatives: a requirement added to only some of them would let pods out of the unit. A term
    that says nothing matches no node (core/v1 NodeSelectorTerm), and must not begin to match some.
    """
    affinity = copy.deepcopy(spec.get("affinity") or {})
    node = affinity.get("nodeAffinity") or {}
    required = node.get(REQUIRED) or {}
    wanted = {"key": label, "operator": "In", "values": [*units]}
    terms = [
        {**term, "matchExpressions": [*(term.get("matchExpressions") or []), wanted]}
        if any(term.values())
        else term
        for term in required.get("nodeSelectorTerms") or []
    ]
    required = {**required, "nodeSelectorTerms": terms or [{"matchExpressions": [wanted]}]}
    return {**spec, "affinity": {**affinity, "nodeAffinity": {**node, REQUIRED: required}}}
