"""From a CafeDeployment back to what any Kubernetes knows: a Deployment or a StatefulSet.

What plain Kubernetes can't say is not lost in silence: each of it is named.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from cafe.api.cafedeployment import NODE_LABELS, CafeDeployment, PodSetType, UnitType
from cafe.api.names import DOMAIN, UPDATE_GATE
from cafe.api.strategy import CafeDeploymentStrategy
from cafe.workloads.domain.budget import count_of
from cafe.workloads.domain.children import bind_to_units
from cafe.workloads.domain.takeover.manifests import NO_DEADLINE

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def leave(app: CafeDeployment, *, is_autoscaled: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Return the plain workload, and what of the application it can't say.

    Args:
        app: The application.
        is_autoscaled: Whether an autoscaler decides how many pods there are: then no number is written.

    Raises:
        cafe.kernel.Refusal: maxUnavailable or maxSurge can't be read.
    """
    is_stateful = app.spec.pod_set_type is PodSetType.STATEFUL_SET
    spec: dict[str, Any] = {} if is_autoscaled else {"replicas": app.spec.replicas}
    spec["selector"] = _plain(app.spec.selector)
    spec["template"] = _template(app)
    if app.spec.strategy.min_ready_seconds:
        spec["minReadySeconds"] = app.spec.strategy.min_ready_seconds
    spec["revisionHistoryLimit"] = app.spec.history_limit
    spec |= _stateful(app) if is_stateful else _stateless(app)
    document: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet" if is_stateful else "Deployment",
        "metadata": plain_metadata(msgspec.to_builtins(app.metadata)),
        "spec": spec,
    }
    return document, list(_losses(app))


def plain_metadata(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object's metadata without what the server, kubectl or CAFE wrote into it."""
    kept: dict[str, Any] = {key: meta[key] for key in ("name", "namespace") if meta.get(key)}
    for part in ("labels", "annotations"):
        if marks := without_ours(meta.get(part) or {}):
            kept[part] = marks
    return kept


def without_ours(marks: Mapping[str, str], keeps: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return labels or annotations without CAFE's, but for those that are to be kept."""
    kept = keeps or {}
    return {k: v for k, v in marks.items() if k in kept or not (_is_ours(k) or k == LAST_APPLIED)}


def _is_ours(key: str) -> bool:
    domain = key.partition("/")[0]
    return domain == DOMAIN or domain.endswith(f".{DOMAIN}")


def _plain(value: object) -> Any:  # noqa: ANN401 -- any JSON value
    return msgspec.to_builtins(value)


def _template(app: CafeDeployment) -> dict[str, Any]:
    template = app.spec.template
    labels = without_ours(template.metadata.labels, app.spec.selector.match_labels)
    meta: dict[str, Any] = {"labels": labels}
    if annotations := without_ours(template.metadata.annotations):
        meta["annotations"] = annotations
    spec = copy.deepcopy(dict(template.spec))
    gates = [g for g in spec.pop("readinessGates", None) or () if g.get("conditionType") != UPDATE_GATE]
    if gates:
        spec["readinessGates"] = gates
    topology = app.spec.topology
    if topology.unit_type is not UnitType.NONE:
        label = NODE_LABELS[topology.unit_type]
        spec = bind_to_units(spec, label, topology.values)
        spread = spec.get("topologySpreadConstraints") or []
        if not any(constraint.get("topologyKey") == label for constraint in spread):
            wish = {
                "maxSkew": 1,
                "topologyKey": label,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": _plain(app.spec.selector),
            }
            spec["topologySpreadConstraints"] = [*spread, wish]
    return {"metadata": meta, "spec": spec}


def _stateless(app: CafeDeployment) -> dict[str, Any]:
    strategy, replicas = app.spec.strategy, app.spec.replicas
    surge: int | str = strategy.max_surge if app.spec.pod_set_type is PodSetType.REPLICA_SET else 0
    may_be_none = count_of(surge, replicas, name="maxSurge", least=0) > 0
    # Resolved here: a Deployment rounds a percentage down, and refuses 0 beside a surge of 0.
    away = count_of(strategy.max_unavailable, replicas, least=0 if may_be_none else 1)
    rolling = {"maxSurge": surge, "maxUnavailable": away if may_be_none else max(1, away)}
    made: dict[str, Any] = {
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "progressDeadlineSeconds": _deadline(strategy),
    }
    if strategy.pause:
        made["paused"] = True
    return made


def _deadline(strategy: CafeDeploymentStrategy) -> int:
    """Return the deadline; a Deployment's must be longer than minReadySeconds."""
    seconds = strategy.progress_deadline_seconds or NO_DEADLINE
    return max(seconds, strategy.min_ready_seconds + 1)


def _stateful(app: CafeDeployment) -> dict[str, Any]:
    spec = app.spec
    made: dict[str, Any] = {
        "serviceName": spec.service_name,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "persistentVolumeClaimRetentionPolicy": _plain(spec.persistent_volume_claim_retention_policy),
    }
    if spec.volume_claim_templates:
        made["volumeClaimTemplates"] = _plain(spec.volume_claim_templates)
    return made


def _losses(app: CafeDeployment) -> Iterator[str]:
    spec = app.spec
    yield "Beta, groups, confirmations and the way back: a change goes to all pods, one after the other"
    if spec.pod_set_type is PodSetType.IN_PLACE_SET:
        yield "updates in place: pods are replaced, and get other names and addresses"
    if spec.topology.unit_type is not UnitType.NONE:
        yield "units: pods are kept to their nodes and spread over them, but have no sets of their own"
        if spec.pod_set_type is PodSetType.STATEFUL_SET:
            yield "names and claims: one StatefulSet takes the place of one for each unit; copy the data"
    if spec.topology.unit_replicas:
        yield "topology.unitReplicas: no unit has a number of its own"
    if spec.topology.auto_reschedule.is_enabled:
        yield "topology.autoReschedule: the spread is a wish, and pods never come home"
    if spec.strategy.grace_period_seconds:
        yield "strategy.gracePeriodSeconds: write a preStop hook instead"
    if spec.pod_set_type is PodSetType.STATEFUL_SET and spec.strategy.pause:
        yield "strategy.pause: a StatefulSet can't be paused"
