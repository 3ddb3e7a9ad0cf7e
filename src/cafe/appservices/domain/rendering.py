"""What a revision looks like on a cluster: the objects that are rendered from it, in the order of writing."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cafe.api.cafeapprevision import AppConfig, AppEndpoint
from cafe.api.cafeappservice import CafeAppService
from cafe.api.cafedeployment import CafeDeploymentSpec
from cafe.api.names import (
    API_VERSION,
    APP_LABEL,
    APP_REVISION_ANNOTATION,
    CHANGE_CAUSE_ANNOTATION,
    RENDERED_ANNOTATION,
    SERVICE_LABEL,
)
from cafe.api.overrides import UnitOverride
from cafe.api.trafficbinding import TrafficRules
from cafe.appservices.domain.content import is_versioned, renamed_configs
from cafe.appservices.domain.facts import ChildKind, RevisionFact, Wanted
from cafe.kernel import digest_of

DIGEST_LENGTH = 10
LONGEST_NAME = 253
LONGEST_LABEL = 63

Body = dict[str, Any]


def render(service: CafeAppService, revision: RevisionFact, present: int | None) -> list[Wanted]:
    """Return every object of the live *revision*, in the order in which they must be written.

    Args:
        service: Whose.
        revision: Its live one.
        present: How many pods its application asks for now, None without one: an autoscaler decides that.
    """
    name, content = service.metadata.name, revision.content
    configs = {config.name: config_name(name, config) for config in content.configs}
    return [
        *(_config(service, revision, config, configs[config.name]) for config in content.configs),
        *(_endpoint(service, revision, endpoint) for endpoint in content.services),
        *_budget(service, revision),
        *_autoscaler(service, revision),
        *_binding(service, revision),
        _application(service, revision, configs, present),
    ]


def service_label(service: str) -> str:
    """Return a service's name as a label value; a name that is too long for one ends in its digest."""
    if len(service) <= LONGEST_LABEL:
        return service
    digest = digest_of(service)[:DIGEST_LENGTH]
    return f"{service[: LONGEST_LABEL - DIGEST_LENGTH - 1].rstrip('-.')}-{digest}"


def config_name(service: str, config: AppConfig) -> str:
    """Return the name of a config's ConfigMap: its own if shared, one for each content if versioned."""
    if not is_versioned(config):
        return config.name
    digest = digest_of([config.data, config.binary_data])[:DIGEST_LENGTH]
    front = f"{service}-{config.name}"[: LONGEST_NAME - DIGEST_LENGTH - 1].rstrip("-.")
    return f"{front}-{digest}"


def _config(service: CafeAppService, revision: RevisionFact, config: AppConfig, name: str) -> Wanted:
    body: Body = {"data": config.data, "binaryData": config.binary_data}
    if is_versioned(config):
        body["immutable"] = True  # Whoever changes it by hand would change pods behind the release's back.
    return _wanted(ChildKind.CONFIG_MAP, name, service, revision, body)


def _endpoint(service: CafeAppService, revision: RevisionFact, endpoint: AppEndpoint) -> Wanted:
    spec = {"selector": revision.content.selector.match_labels, **endpoint.spec}
    metadata = {"labels": endpoint.labels, "annotations": endpoint.annotations}
    return _wanted(ChildKind.SERVICE, endpoint.name, service, revision, {"metadata": metadata, "spec": spec})


def _budget(service: CafeAppService, revision: RevisionFact) -> list[Wanted]:
    """Return the budget that evictions heed. A pod that is sick anyway may always be evicted (KEP-3017)."""
    disruption = revision.content.deploy.disruption
    if not disruption.is_guarded:
        return []
    spec = {
        "maxUnavailable": disruption.max_unavailable,
        "selector": {"matchLabels": {APP_LABEL: service.metadata.name}},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return [_wanted(ChildKind.BUDGET, service.metadata.name, service, revision, {"spec": spec})]


def _autoscaler(service: CafeAppService, revision: RevisionFact) -> list[Wanted]:
    """Return the autoscaler. A number that a person asks for holds it there, rather than fight with it."""
    wanted, held = revision.content.elasticity.autoscaling, service.spec.publish.replicas
    if wanted is None:
        return []
    # It leaves an application of no pods alone, and can't be held at none.
    least, most = (wanted.min_replicas, wanted.max_replicas) if held is None else (held or 1, held or 1)
    target = {"apiVersion": API_VERSION, "kind": "CafeDeployment", "name": service.metadata.name}
    spec: Body = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most}
    if wanted.metrics:
        spec["metrics"] = wanted.metrics
    if wanted.behavior:
        spec["behavior"] = wanted.behavior
    return [_wanted(ChildKind.AUTOSCALER, service.metadata.name, service, revision, {"spec": spec})]


def _binding(service: CafeAppService, revision: RevisionFact) -> list[Wanted]:
    """Return what binds the application to load balancers and registries, if anything is said of them."""
    traffic, name = revision.content.traffic, service.metadata.name
    if traffic == TrafficRules():
        return []
    spec = {"app": name, **msgspec.to_builtins(traffic)}
    return [_wanted(ChildKind.TRAFFIC_BINDING, name, service, revision, {"spec": spec})]


def replicas_of(service: CafeAppService, revision: RevisionFact, present: int | None) -> int:
    """Return how many pods the application shall ask for.

    What a person asks for goes first; then what the autoscaler has chosen, within its bounds.
    """
    elasticity, held = revision.content.elasticity, service.spec.publish.replicas
    if held is not None:
        return held
    bounds = elasticity.autoscaling
    if bounds is None:
        return elasticity.replicas
    chosen = elasticity.replicas if present is None else present
    return min(max(chosen, bounds.min_replicas), bounds.max_replicas)


def _application(
    service: CafeAppService, revision: RevisionFact, configs: Mapping[str, str], present: int | None
) -> Wanted:
    content, publish = revision.content, service.spec.publish
    template = msgspec.structs.replace(content.template, spec=renamed_configs(content.template.spec, configs))
    overrides = renamed_configs(msgspec.to_builtins(content.deploy.topology.overrides), configs)
    spec = CafeDeploymentSpec(
        selector=content.selector,
        template=template,
        replicas=replicas_of(service, revision, present),
        pod_set_type=content.deploy.pod_set_type,
        strategy=msgspec.structs.replace(
            content.deploy.strategy, pause=content.deploy.strategy.pause or publish.pause
        ),
        topology=msgspec.structs.replace(
            content.deploy.topology, overrides=msgspec.convert(overrides, list[UnitOverride])
        ),
        service_name=content.service_name,
        volume_claim_templates=content.volume_claim_templates,
        persistent_volume_claim_retention_policy=content.persistent_volume_claim_retention_policy,
        history_limit=service.spec.history_limit,
    )
    body = {"spec": msgspec.to_builtins(spec)}
    # What an autoscaler has chosen is no new wish.
    is_chosen = content.elasticity.autoscaling is not None and publish.replicas is None
    return _wanted(
        ChildKind.CAFE_DEPLOYMENT,
        service.metadata.name,
        service,
        revision,
        body,
        unsaid=("replicas",) if is_chosen else (),
    )


def _wanted(
    kind: ChildKind,
    name: str,
    service: CafeAppService,
    revision: RevisionFact,
    body: Mapping[str, Any],
    *,
    unsaid: Sequence[str] = (),
) -> Wanted:
    """Return the object; fields of its spec that are *unsaid* don't enter its digest."""
    given = body.get("metadata", {})
    metadata = {
        "labels": {**given.get("labels", {}), SERVICE_LABEL: service_label(service.metadata.name)},
        "annotations": {
            **given.get("annotations", {}),
            APP_REVISION_ANNOTATION: str(revision.number),
            **({CHANGE_CAUSE_ANNOTATION: cause(revision)} if kind is ChildKind.CAFE_DEPLOYMENT else {}),
        },
    }
    whole = {**body, "metadata": metadata}
    spec = body.get("spec", {})
    said = {**whole, "spec": {k: v for k, v in spec.items() if k not in unsaid}} if unsaid else whole
    digest = digest_of(said)
    metadata["annotations"] = {**metadata["annotations"], RENDERED_ANNOTATION: digest}
    return Wanted(kind, name, whole, digest)


def cause(revision: RevisionFact) -> str:
    """Return the cause of change that a release of *revision* is told with."""
    return f"revision {revision.number}" + (f": {revision.cause}" if revision.cause else "")
