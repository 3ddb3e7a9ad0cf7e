"""From CAFE's kinds to plain Kubernetes: what stands for each document, and what is lost on the way.

All or nothing: one document that can't be exported refuses the whole, so that nothing half is ever applied.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment, PodSetType
from cafe.api.names import API_VERSION, APP_LABEL, UNIT_LABEL
from cafe.kernel import Refusal
from cafe.placement.contract import Spread
from cafe.workloads.domain.importing import AS_IS
from cafe.workloads.domain.leaving.deployments import DeploymentLeaving
from cafe.workloads.domain.leaving.manifests import (
    Departure,
    Loss,
    broken,
    is_of_cafe,
    mapping_of,
    owner_of,
    owners_of,
    plain_metadata,
    pod_labels_in,
    refused,
)
from cafe.workloads.domain.leaving.statefulsets import StatefulSetLeaving
from cafe.workloads.domain.takeover.manifests import Document, Source, metadata_of

APP, SERVICE = "CafeDeployment", "CafeAppService"
TARGETS = ("scaleTargetRef", "targetRef")
"""Where autoscalers name what they scale."""

NAMED_ADDRESS = "None"
"""The clusterIP of a headless Service, which says something; any other is an address of one cluster."""

Place = tuple[str, str]
"""Namespace and name."""


@dataclass(slots=True)
class Company:
    """What must be known of all documents before one of them can go.

    Attributes:
        namespace: Where an object goes that names none; empty to leave that open.
        scaled: The applications that an autoscaler scales.
        selected: Applications whose label others select pods by.
        made: What became of each application, as kind and name.
    """

    namespace: str
    scaled: set[Place] = field(default_factory=set)
    selected: set[str] = field(default_factory=set)
    made: dict[Place, list[Place]] = field(default_factory=dict)

    def place(self, body: Document) -> Place:
        """Return where an object is."""
        meta = metadata_of(body)
        return str(meta.get("namespace") or self.namespace), str(meta.get("name"))


def export(sources: Sequence[Source], namespace: str, spread: Spread) -> list[Departure]:
    """Return what becomes of each document, in their order.

    Application services are unfolded before; here they are strangers.

    Args:
        sources: The documents.
        namespace: Where objects go that name none; empty to leave that open.
        spread: The rule of placement.

    Raises:
        Refusal: `BrokenDocument`, `UnknownKind`, `InvalidSpec` and the like; the document is named.
    """
    company = _gathered(sources, namespace)
    found: dict[int, Departure] = {}
    for index, source in enumerate(sources):
        if is_of_cafe(source.body):
            found[index] = _one_of_ours(source, company, spread)
            made = [(str(d["kind"]), str(d["metadata"]["name"])) for d in found[index].documents]
            company.made[company.place(source.body)] = made
    for index, source in enumerate(sources):
        if index not in found:
            found[index] = _stranger(source, company)
    departures = [found[index] for index in range(len(sources))]
    _demand_different(departures, company)
    return departures


def demand_named(source: Source) -> None:
    """Refuse a document that is no object.

    Raises:
        Refusal: `BrokenDocument`.
    """
    for needed in ("apiVersion", "kind"):
        if not isinstance(source.body.get(needed), str):
            raise broken(source, f"It has no {needed}.")
    name = metadata_of(source.body).get("name")
    if not isinstance(name, str) or not name:
        raise broken(source, "It has no metadata.name.")


def _gathered(sources: Sequence[Source], namespace: str) -> Company:
    company = Company(namespace)
    for source in sources:
        demand_named(source)
        spec = source.body.get("spec")
        for _, target in _targets(spec):
            where, _ = company.place(source.body)
            company.scaled.add((where, str(target.get("name"))))
        rest = {k: v for k, v in source.body.items() if k not in {"metadata", "status"}}
        if source.body["kind"] == APP and isinstance(spec, dict):
            # Its own selector may name the label, and then the template has it; what counts is the PodSpec.
            rest = dict(mapping_of(mapping_of(spec.get("template")).get("spec")))
        company.selected |= {value for label, value in pod_labels_in(rest) if label == APP_LABEL}
    return company


def _targets(spec: object) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the references to CAFE's kinds by which an autoscaler names what it scales."""
    if not isinstance(spec, dict):
        return []
    found = [(name, spec.get(name)) for name in TARGETS]
    return [(name, ref) for name, ref in found if isinstance(ref, dict) and is_of_cafe(ref)]


def _one_of_ours(source: Source, company: Company, spread: Spread) -> Departure:
    body = source.body
    kind, name = owner_of(body)
    if body["kind"] == "CafeAppRevision" or (kind and kind != SERVICE):
        owner = f"{kind}/{name}" if kind else f"{SERVICE}/{mapping_of(body.get('spec')).get('service')}"
        return Departure(source, (), (Loss("kind", "made_by_owner", {"owner": owner}),))
    if body["kind"] != APP or body["apiVersion"] != API_VERSION:
        raise refused(
            source,
            Refusal(
                "UnknownKind",
                f"This cafe can't export a {body['kind']} of {body['apiVersion']}.",
                f"It exports {APP} and {SERVICE} of {API_VERSION}",
                "Leave it out, or export the application that it belongs to.",
            ),
        )
    try:
        app = msgspec.convert(body, CafeDeployment)
        is_stateful = app.spec.pod_set_type is PodSetType.STATEFUL_SET
        leaving = StatefulSetLeaving if is_stateful else DeploymentLeaving
        name = app.metadata.name
        more = {APP_LABEL: name} if name in company.selected else {}
        is_scaled = company.place(body) in company.scaled
        return leaving(source, app, company.namespace, more, is_scaled=is_scaled).departure(spread)
    except msgspec.ValidationError as error:
        raise broken(source, f"{error}.") from error
    except Refusal as refusal:
        raise refused(source, refusal) from refusal


def _stranger(source: Source, company: Company) -> Departure:
    """Return an object that is no kind of ours, without what was written into it."""
    body = source.body
    if owner := _controller_of(body):
        return Departure(source, (), (Loss("kind", "made_by_owner", {"owner": owner}),))
    is_namespaced = (body["apiVersion"], body["kind"]) in AS_IS or body["kind"] in NAMESPACED
    document = {k: deepcopy(v) for k, v in body.items() if k != "status"}
    document["metadata"] = plain_metadata(body, company.namespace if is_namespaced else "")
    spec = document.get("spec")
    if body["kind"] == "Service" and isinstance(spec, dict) and metadata_of(body).get("uid"):
        _forget_address(spec)
    losses = [
        Loss("spec", "unit_label", {"unit": unit})
        for label, unit in pod_labels_in({k: v for k, v in document.items() if k != "metadata"})
        if label == UNIT_LABEL
    ]
    for name, target in _targets(spec):
        where, _ = company.place(body)
        made = company.made.get((where, str(target.get("name"))), [])
        if len(made) != 1:
            code = "many_targets" if made else "no_target"
            values = {"target": f"{target.get('kind')}/{target.get('name')}"}
            return Departure(source, (), (Loss(f"spec.{name}", code, values),), is_left_out=True)
        document["spec"][name] = {**target, "apiVersion": "apps/v1", "kind": made[0][0], "name": made[0][1]}
    return Departure(source, (document,), tuple(losses))


NAMESPACED = {"Deployment", "StatefulSet", "DaemonSet", "HorizontalPodAutoscaler", "Job", "CronJob"}
"""Further kinds that are sure to live in a namespace; of others it is not known here."""


def _controller_of(body: Document) -> str:
    """Return who makes an object anew if it is missing; empty if nobody but its author does.

    What an application service has made stays as it is when the service isn't among the documents.
    """
    for owner in owners_of(body):
        if owner.get("controller") and not (is_of_cafe(owner) and owner.get("kind") == SERVICE):
            return f"{owner.get('kind')}/{owner.get('name')}"
    return ""


def _forget_address(spec: dict[str, Any]) -> None:
    """Drop the addresses that one cluster gave to a Service: in another they may be taken."""
    if spec.get("clusterIP") != NAMED_ADDRESS:
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)


def _demand_different(departures: Sequence[Departure], company: Company) -> None:
    """Refuse two objects of one kind and name: the later would replace the former."""
    seen: dict[tuple[object, ...], Source] = {}
    for departure in departures:
        for document in departure.documents:
            group = str(document["apiVersion"]).rpartition("/")[0]
            identity = (group, document["kind"], *company.place(document))
            other = seen.setdefault(identity, departure.source)
            if other is departure.source:
                continue
            why = (
                f"It becomes {document['kind']} {document['metadata']['name']}, as does document "
                f"{other.number} of {other.source} ({other.body['kind']})"
            )
            raise broken(departure.source, f"{why}.", "Leave one of them out, or rename it.")
