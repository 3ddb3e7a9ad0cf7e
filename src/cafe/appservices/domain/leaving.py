"""An application service on its way to plain Kubernetes: the objects of one of its revisions, without it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from cafe.api.cafeapprevision import AppContent, CafeAppRevision
from cafe.api.cafeappservice import CafeAppService
from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import API_VERSION, CHANGE_CAUSE_ANNOTATION
from cafe.appservices.domain.content import content_of, demand_sound
from cafe.appservices.domain.facts import ChildKind, RevisionFact, Wanted
from cafe.appservices.domain.rendering import render
from cafe.kernel import Refusal

T = TypeVar("T")
Body = Mapping[str, Any]

VERSIONS = {
    ChildKind.CONFIG_MAP: "v1",
    ChildKind.SERVICE: "v1",
    ChildKind.BUDGET: "policy/v1",
    ChildKind.AUTOSCALER: "autoscaling/v2",
    ChildKind.TRAFFIC_BINDING: API_VERSION,
    ChildKind.CAFE_DEPLOYMENT: API_VERSION,
}

SERVICE, REVISION = "CafeAppService", "CafeAppRevision"


@dataclass(frozen=True, slots=True)
class Parting:
    """What stands for one document.

    Attributes:
        documents: Objects, of which one is a CafeDeployment if a service was unfolded.
        losses: What only a service does, as field, code and values.
        is_left_out: Nothing stands for it, and the losses say why.
    """

    documents: tuple[Body, ...]
    losses: tuple[tuple[str, str, Mapping[str, str]], ...] = ()
    is_left_out: bool = False


class Unfolding:
    """Documents, and the application services among them.

    Args:
        documents: All of them.
        is_live: They were read from a cluster: of a service counts what runs. In a file, its spec does,
            unless the revision that is live is in there too.
    """

    def __init__(self, documents: Sequence[Body], *, is_live: bool) -> None:
        self._is_live = is_live
        self._services = {_place(d) for d in documents if _is(d, SERVICE)}
        self._revisions = [d for d in documents if _is(d, REVISION)]
        self._apps = {_place(d): d for d in documents if _is(d, "CafeDeployment")}

    def part(self, body: Body) -> Parting:
        """Return what stands for a document: for a service its objects, for those themselves nothing.

        Raises:
            Refusal: `BrokenDocument`, or what a service would refuse.
        """
        if _is(body, SERVICE):
            return self._unfold(body)
        namespace, _ = _place(body)
        if any((namespace, name) in self._services for name in _makers(body)) or (
            _is(body, REVISION) and (namespace, _service_of(body)) in self._services
        ):
            return Parting(())
        return Parting((body,))

    def _unfold(self, body: Body) -> Parting:
        service = _read(body, CafeAppService)
        live = service.status.live_revision
        revision = self._revision(body, live) if live else None
        if self._is_live and revision is None:
            code = "revision_gone" if live else "nothing_live"
            return Parting((), (("status.liveRevision", code, {"number": str(live)}),), is_left_out=True)
        losses: list[tuple[str, str, Mapping[str, str]]] = [("spec.publish", "service", {})]
        if revision is None and live and live != service.status.spec_revision:
            losses.append(("status.liveRevision", "not_live", {"number": str(live)}))
        content = revision.spec.content if revision else content_of(service.spec)
        demand_sound(content)
        fact = RevisionFact(revision.spec.number if revision else 0, "", content)
        app = self._apps.get(_place(body))
        present = None if app is None else _read(app, CafeDeployment).spec.replicas
        rendered = render(service, fact, present)
        kept = [wanted for wanted in rendered if wanted.kind is not ChildKind.TRAFFIC_BINDING]
        if len(kept) < len(rendered):
            losses.append(("spec.traffic", "traffic", {}))
        documents = [self._document(body, wanted, content) for wanted in kept]
        return Parting(tuple(documents), tuple(losses))

    def _revision(self, service: Body, number: int) -> CafeAppRevision | None:
        wanted = _place(service)
        for body in self._revisions:
            if (_place(body)[0], _service_of(body)) == wanted and body["spec"].get("number") == number:
                return _read(body, CafeAppRevision)
        return None

    def _document(self, service: Body, wanted: Wanted, content: AppContent) -> Body:
        """Return a rendered object whole, with nothing that only CAFE's pods would answer to."""
        given = wanted.body["metadata"]
        metadata = {"name": wanted.name, **{k: v for k, v in given.items() if v}}
        metadata["annotations"] = {
            k: v for k, v in given["annotations"].items() if k != CHANGE_CAUSE_ANNOTATION
        }
        if namespace := _place(service)[0]:
            metadata["namespace"] = namespace
        rest = {k: v for k, v in wanted.body.items() if k != "metadata" and v != {}}
        if wanted.kind is ChildKind.BUDGET:
            rest["spec"] = {**rest["spec"], "selector": msgspec.to_builtins(content.selector)}
        if wanted.kind is ChildKind.CAFE_DEPLOYMENT and (found := self._apps.get(_place(service))):
            # What its controller has decided by now, such as the size of each unit.
            metadata["generation"] = _metadata(found).get("generation", 0)
            rest["status"] = found.get("status") or {}
        return {"apiVersion": VERSIONS[wanted.kind], "kind": wanted.kind.value, "metadata": metadata, **rest}


def _is(body: Body, kind: str) -> bool:
    return body.get("apiVersion") == API_VERSION and body.get("kind") == kind


def _place(body: Body) -> tuple[str, str]:
    meta = _metadata(body)
    return str(meta.get("namespace") or ""), str(meta.get("name"))


def _metadata(body: Body) -> Body:
    meta = body.get("metadata")
    return meta if isinstance(meta, Mapping) else {}


def _service_of(revision: Body) -> str:
    spec = revision.get("spec")
    return str(spec.get("service")) if isinstance(spec, Mapping) else ""


def _makers(body: Body) -> Iterator[str]:
    owners = _metadata(body).get("ownerReferences")
    for owner in owners if isinstance(owners, list) else []:
        if isinstance(owner, Mapping) and _is(owner, SERVICE):
            yield str(owner.get("name"))


def _read(body: Body, shape: type[T]) -> T:
    try:
        return msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        what = f"{body['kind']} {_place(body)[1]} can't be read."
        raise Refusal("BrokenDocument", what, f"{error}.", "Correct it and repeat.") from error
