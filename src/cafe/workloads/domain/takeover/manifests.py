"""The vocabulary of takeovers: documents, what is wished for, and what becomes of them."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from cafe.kernel import Refusal

Document = Mapping[str, Any]

WRITTEN_BY_OTHERS = {
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
}
"""Annotations that speak of the object that was, not of the one that will be."""

SERVER_FIELDS = {
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
}
"""Metadata that the server writes: present in what `kubectl get -o yaml` printed."""

DEPLOYMENT, STATEFUL_SET = "Deployment", "StatefulSet"

NO_DEADLINE = 2**31 - 1
"""The progressDeadlineSeconds by which a Deployment says that it waits for ever."""


@dataclass(frozen=True, slots=True)
class Source:
    """One document of a manifest; *number* counts from 1, *line* is where it begins."""

    source: str
    number: int
    line: int
    body: Document


@dataclass(frozen=True, slots=True)
class Wish:
    """How workloads are to be taken over.

    Attributes:
        pod_set: What a Deployment's pods are served by: `InPlaceSet` or `ReplicaSet`.
        replicas: Pods per workload's name, where it differs from the manifest.
        strategy: Fields of the strategy that override what is derived.
        adopted: By the Deployment's name, how many of its running pods are taken over in each unit.
    """

    namespace: str
    unit_type: str = "None"
    units: tuple[str, ...] = ()
    replicas: Mapping[str, int] = field(default_factory=dict)
    strategy: Mapping[str, Any] = field(default_factory=dict)
    adopted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pod_set: str = "InPlaceSet"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one field: `Mapped`, `Changed` or `NotMapped`."""

    field: str
    verdict: str
    to: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one object: `Converted`, `Applied` as it is, or `LeftOut` (without a document)."""

    source: Source
    outcome: str
    document: Document | None
    verdicts: tuple[Verdict, ...] = ()


def broken(source: Source, why: str, remedy: str = "Correct it and repeat.") -> Refusal:
    """Return the refusal of one document."""
    kind = source.body.get("kind") or "object"
    name = metadata_of(source.body).get("name") or "without a name"
    return Refusal(
        "BrokenDocument",
        f"Document {source.number} of {source.source}, line {source.line} ({kind} {name}) is broken; "
        "nothing was applied.",
        why,
        remedy,
    )


def metadata_of(body: Document) -> Mapping[str, Any]:
    """Return the metadata; empty if there is none worth the name."""
    meta = body.get("metadata")
    return meta if isinstance(meta, dict) else {}


def workload_kind(body: Document) -> str:
    """Return `Deployment` or `StatefulSet`; empty if it is no workload that is taken over."""
    kind = body.get("kind")
    is_ours = body.get("apiVersion") == "apps/v1" and kind in (DEPLOYMENT, STATEFUL_SET)
    return str(kind) if is_ours else ""


def cleaned(body: Document, namespace: str) -> dict[str, Any]:
    """Return *body* as its author meant it: without what a server wrote into it."""
    kept = {k: deepcopy(v) for k, v in body.items() if k != "status"}
    kept["metadata"] = {k: v for k, v in kept["metadata"].items() if k not in SERVER_FIELDS}
    kept["metadata"].setdefault("namespace", namespace)
    annotations = kept["metadata"].pop("annotations", None) or {}
    if annotations := {k: v for k, v in annotations.items() if k not in WRITTEN_BY_OTHERS}:
        kept["metadata"]["annotations"] = annotations
    return kept
