"""What runs already: read as manifests are, and counted where it runs."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from cafe.api.cafedeployment import NODE_LABELS, UnitType
from cafe.api.selectors import selector_text
from cafe.api.shapes import LabelSelector
from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Cluster, Document, ImportOptions, Resource, SourceDocument
from cafe.cli.resources import AUTOSCALERS, DEPLOYMENTS, NODES, PODS, STATEFUL_SETS
from cafe.kernel import ObjectKey

WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS)
"""What can be taken over, in the order in which a bare name is looked up."""

KIND_WORDS = {
    "Deployment": {"deploy", "deployment", "deployments", "deployment.apps", "deployments.apps"},
    "StatefulSet": {"sts", "statefulset", "statefulsets", "statefulset.apps", "statefulsets.apps"},
}
"""How people write a kind before a name, as kubectl takes it."""


async def read_live(cluster: Cluster, namespace: str, names: Sequence[str]) -> list[SourceDocument]:
    """Return the namespace's Deployments and StatefulSets, all or those named, and what scales them.

    A name may say its kind, as in `statefulset/db`. What CAFE made itself is not taken over again. Services,
    ConfigMaps and the like need not be taken over: they go on as they are.

    Raises:
        Problem: There is none, or one of those named is missing.
    """
    found = await _named(cluster, namespace, names) if names else await _all(cluster, namespace)
    if not found:
        raise Problem(
            Exit.NOT_FOUND,
            "NothingLive",
            f"No Deployment and no StatefulSet runs in {namespace}.",
            "",
            "Name another namespace with -n, or give files with -f.",
        )
    taken = {(d["kind"], d["metadata"]["name"]) for d in found}
    for scaler in await _autoscalers(cluster, namespace):
        target = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) in taken:
            kind = {"apiVersion": AUTOSCALERS.api_version, "kind": AUTOSCALERS.kind}
            found.append({**kind, **scaler})
    source = f"namespace {namespace}"
    return [SourceDocument(source, number, 0, body) for number, body in enumerate(found, start=1)]


async def _autoscalers(cluster: Cluster, namespace: str) -> Sequence[Document]:
    """Return the namespace's autoscalers; a server that doesn't know the kind has none."""
    try:
        return await cluster.list(AUTOSCALERS, namespace)
    except Problem as problem:
        if problem.code != "NoKind":
            raise
        return ()


def is_cafes(document: Document) -> bool:
    """Whether CAFE's controllers made it, as they make the sets of an application."""
    owners = document["metadata"].get("ownerReferences") or []
    return any(owner.get("kind") == "CafeDeployment" for owner in owners)


def _whole(resource: Resource, document: Document) -> Document:
    """Return a listed object with the kind that lists leave out."""
    return {"apiVersion": resource.api_version, "kind": resource.kind, **document}


async def _all(cluster: Cluster, namespace: str) -> list[Document]:
    return [
        _whole(resource, document)
        for resource in WORKLOADS
        for document in await cluster.list(resource, namespace)
        if not is_cafes(document)
    ]


async def _named(cluster: Cluster, namespace: str, names: Sequence[str]) -> list[Document]:
    """Return what is named, each once, in the order of the names."""
    return [await _one(cluster, namespace, name) for name in dict.fromkeys(names)]


async def _one(cluster: Cluster, namespace: str, said: str) -> Document:
    kind, _, name = said.rpartition("/")
    wanted = [r for r in WORKLOADS if not kind or kind.lower() in KIND_WORDS[r.kind]]
    for resource in wanted:
        try:
            document = await cluster.get(resource, ObjectKey(namespace, name))
        except Problem as problem:
            if problem.code != "NotFound":
                raise
            continue
        if is_cafes(document):
            raise Problem(
                Exit.CONFLICT,
                "TakenOver",
                f"{resource.kind} {name} is CAFE's own; nothing was applied.",
                "A CafeDeployment owns it",
                "Take over plain workloads only; see applications with: cafe app list",
            )
        return _whole(resource, document)
    kinds = " and no ".join(r.kind for r in wanted) or f"{kind} that can be taken over and is called"
    raise Problem(
        Exit.NOT_FOUND,
        "NotFound",
        f"There is no {kinds} {name} in {namespace}; nothing was applied.",
        "",
        f"kubectl get deployments,statefulsets -n {namespace}",
    )


async def count_running(
    cluster: Cluster, options: ImportOptions, documents: Sequence[SourceDocument]
) -> Mapping[str, Mapping[str, int]]:
    """Return, of each Deployment that runs, how many pods it has in each unit.

    Raises:
        Problem: Pods run outside the units that were named; they could not be kept.
    """
    running = {d["metadata"]["name"]: d for d in await cluster.list(DEPLOYMENTS, options.namespace)}
    nodes = {n["metadata"]["name"]: n["metadata"].get("labels") or {} for n in await cluster.list(NODES)}
    label = NODE_LABELS.get(UnitType(options.unit_type), "")
    counts: dict[str, Mapping[str, int]] = {}
    for document in documents:
        name = str((document.body.get("metadata") or {}).get("name"))
        if document.body.get("kind") != "Deployment" or name not in running:
            continue
        selector = msgspec.convert(running[name]["spec"]["selector"], LabelSelector)
        labels = selector_text(selector)
        pods = await cluster.list(PODS, options.namespace, labels=labels)
        there = Counter(
            nodes.get((p["spec"] or {}).get("nodeName") or "", {}).get(label, "") if label else ""
            for p in pods
            if "deletionTimestamp" not in p["metadata"]
        )
        if outside := sorted(set(there) - set(options.units or ("",))):
            raise Problem(
                Exit.CONFLICT,
                "OutsideUnits",
                f"Pods of Deployment {name} run outside the units; nothing was applied.",
                f"They are in: {', '.join(unit or 'no unit' for unit in outside)}",
                "Name these units too, or import without --adopt to have new pods made.",
            )
        counts[name] = dict(there)
    return counts
