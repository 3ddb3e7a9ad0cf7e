"""The way out: application services and applications as plain Kubernetes objects."""

from collections.abc import Mapping
from typing import Any

import msgspec

from cafe.api.cafeapprevision import AppContent
from cafe.api.cafeappservice import CafeAppService
from cafe.api.cafedeployment import CafeDeployment
from cafe.appservices.domain.content import content_of, demand_sound, digest_of_content
from cafe.appservices.domain.facts import ChildKind, RevisionFact, Wanted
from cafe.appservices.domain.rendering import render
from cafe.cli.ports import Document, Exported
from cafe.kernel import Refusal
from cafe.kube.kinds import CAFE_DEPLOYMENTS
from cafe.kube.objects import AUTOSCALERS, CONFIG_MAPS, DISRUPTION_BUDGETS, SERVICES
from cafe.kube.resources import Kind
from cafe.workloads.domain.leaving import leave, plain_metadata

KINDS: Mapping[ChildKind, Kind[Any]] = {
    ChildKind.CONFIG_MAP: CONFIG_MAPS,
    ChildKind.SERVICE: SERVICES,
    ChildKind.BUDGET: DISRUPTION_BUDGETS,
    ChildKind.AUTOSCALER: AUTOSCALERS,
    ChildKind.CAFE_DEPLOYMENT: CAFE_DEPLOYMENTS,
}


class RealExporter:
    """Renders as the controllers do, and lets go of what only CAFE knows."""

    def leave(self, document: Document, content: Document | None) -> Exported:
        """Return the objects that take an application's place.

        Raises:
            cafe.kernel.Refusal: `BrokenSpec`, or what the controller would refuse.
        """
        name = str((document.get("metadata") or {}).get("name"))
        try:
            if document.get("kind") == "CafeAppService":
                service = msgspec.convert(document, CafeAppService)
                held = None if content is None else msgspec.convert(content, AppContent)
                return _service(service, held or content_of(service.spec))
            plain, losses = leave(msgspec.convert(document, CafeDeployment))
        except msgspec.ValidationError as error:
            raise Refusal(
                "BrokenSpec", f"{document.get('kind')} {name} can't be read.", f"{error}.", "Correct it."
            ) from error
        return Exported((plain,), f"CafeDeployment {name}", losses)


def _service(service: CafeAppService, content: AppContent) -> Exported:
    demand_sound(content)
    number = service.status.live_revision or 1
    wanted = render(service, RevisionFact(number, str(digest_of_content(content)), content), None)
    meta = service.metadata
    app = _application(wanted[-1], meta.namespace)
    plain, losses = leave(app, is_autoscaled=any(w.kind is ChildKind.AUTOSCALER for w in wanted))
    selector = msgspec.to_builtins(content.selector)
    others = [_object(one, meta.namespace, plain, selector) for one in wanted[:-1]]
    return Exported((*others, plain), f"CafeAppService {meta.name}", losses)


def _application(wanted: Wanted, namespace: str) -> CafeDeployment:
    metadata = {**wanted.body["metadata"], "name": wanted.name, "namespace": namespace}
    return msgspec.convert({**wanted.body, "metadata": metadata}, CafeDeployment)


def _object(
    wanted: Wanted, namespace: str, workload: Mapping[str, Any], selector: Mapping[str, Any]
) -> Document:
    """Return one rendered object, pointed at the plain workload and its pods."""
    kind = KINDS[wanted.kind]
    body = {key: value for key, value in wanted.body.items() if key != "metadata" and value != {}}
    if wanted.kind is ChildKind.BUDGET:
        body["spec"] = {**body["spec"], "selector": selector}
    if wanted.kind is ChildKind.AUTOSCALER:
        target = {"apiVersion": "apps/v1", "kind": workload["kind"], "name": workload["metadata"]["name"]}
        body["spec"] = {**body["spec"], "scaleTargetRef": target}
    meta = plain_metadata({**wanted.body["metadata"], "name": wanted.name, "namespace": namespace})
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **body}
