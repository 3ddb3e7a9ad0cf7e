"""What runs already: read as manifests are, and counted where it runs."""

from collections import Counter
from collections.abc import Mapping, Sequence

from cafe.api.names import CELL_LABEL, ZONE_LABEL
from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Cluster, Document, ImportOptions, SourceDocument
from cafe.cli.resources import AUTOSCALERS, DEPLOYMENTS, NODES, PODS
from cafe.kernel import ObjectKey

NODE_LABELS = {"Cell": CELL_LABEL, "Zone": ZONE_LABEL}


async def read_live(cluster: Cluster, namespace: str, names: Sequence[str]) -> list[SourceDocument]:
    """Return the namespace's Deployments, all or those named, and the autoscalers that scale them.

    Services, ConfigMaps and the like need not be taken over: they go on as they are.

    Raises:
        Problem: There is none, or one of those named is missing.
    """
    found = [
        {"apiVersion": "apps/v1", "kind": "Deployment", **d} for d in await _all(cluster, namespace, names)
    ]
    if not found:
        raise Problem(
            Exit.NOT_FOUND,
            "NothingLive",
            f"No Deployment runs in {namespace}.",
            "",
            "Name another namespace with -n, or give files with -f.",
        )
    taken = {d["metadata"]["name"] for d in found}
    for scaler in await cluster.list(AUTOSCALERS, namespace):
        target = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
        if target.get("kind") == "Deployment" and target.get("name") in taken:
            kind = {"apiVersion": AUTOSCALERS.api_version, "kind": AUTOSCALERS.kind}
            found.append({**kind, **scaler})
    source = f"namespace {namespace}"
    return [SourceDocument(source, number, 0, body) for number, body in enumerate(found, start=1)]


async def _all(cluster: Cluster, namespace: str, names: Sequence[str]) -> Sequence[Document]:
    if names:
        return [await cluster.get(DEPLOYMENTS, ObjectKey(namespace, name)) for name in names]
    return await cluster.list(DEPLOYMENTS, namespace)


async def count_running(
    cluster: Cluster, options: ImportOptions, documents: Sequence[SourceDocument]
) -> Mapping[str, Mapping[str, int]]:
    """Return, of each Deployment that runs, how many pods it has in each unit.

    Raises:
        Problem: Pods run outside the units that were named; they could not be kept.
    """
    running = {d["metadata"]["name"]: d for d in await cluster.list(DEPLOYMENTS, options.namespace)}
    nodes = {n["metadata"]["name"]: n["metadata"].get("labels") or {} for n in await cluster.list(NODES)}
    label = NODE_LABELS.get(options.unit_type, "")
    counts: dict[str, Mapping[str, int]] = {}
    for document in documents:
        name = str((document.body.get("metadata") or {}).get("name"))
        if document.body.get("kind") != "Deployment" or name not in running:
            continue
        selector = (running[name]["spec"].get("selector") or {}).get("matchLabels") or {}
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
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
