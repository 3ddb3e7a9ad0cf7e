"""Rows of everything that makes pods."""

from datetime import datetime

from cafe_sim.apiserver.columns.cells import Cell, age, columns, images
from cafe_sim.apiserver.subresources import selector_text
from cafe_sim.apiserver.values import dig
from cafe_sim.contract import Json


def _selector(obj: Json) -> str:
    return selector_text(dig(obj, "spec", "selector")) or "<none>"


def _deployment(obj: Json, now: datetime | None) -> list[Cell]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, pictures = images(spec)
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(obj["metadata"].get("creationTimestamp"), now),
        names,
        pictures,
        _selector(obj),
    ]


def _replica_set(obj: Json, now: datetime | None) -> list[Cell]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, pictures = images(spec)
    return [
        obj["metadata"]["name"],
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(obj["metadata"].get("creationTimestamp"), now),
        names,
        pictures,
        _selector(obj),
    ]


def _stateful_set(obj: Json, now: datetime | None) -> list[Cell]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, pictures = images(spec)
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        age(obj["metadata"].get("creationTimestamp"), now),
        names,
        pictures,
    ]


def _daemon_set(obj: Json, now: datetime | None) -> list[Cell]:
    status = obj.get("status") or {}
    names, pictures = images(obj["spec"])
    counts = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    node = dig(obj, "spec", "template", "spec", "nodeSelector") or {}
    return [
        obj["metadata"]["name"],
        *(status.get(name, 0) for name in counts),
        ",".join(f"{k}={v}" for k, v in sorted(node.items())) or "<none>",
        age(obj["metadata"].get("creationTimestamp"), now),
        names,
        pictures,
        _selector(obj),
    ]


def _revision(obj: Json, now: datetime | None) -> list[Cell]:
    owner = next((o for o in obj["metadata"].get("ownerReferences") or [] if o.get("controller")), None)
    group = "" if owner is None else owner["apiVersion"].rpartition("/")[0]
    text = (
        "<none>" if owner is None else f"{owner['kind'].lower()}.{group}/{owner['name']}".replace("./", "/")
    )
    meta = obj["metadata"]
    return [meta["name"], text, obj.get("revision", 0), age(meta.get("creationTimestamp"), now)]


def _budget(obj: Json, now: datetime | None) -> list[Cell]:
    spec = obj.get("spec") or {}
    return [
        obj["metadata"]["name"],
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        dig(obj, "status", "disruptionsAllowed") or 0,
        age(obj["metadata"].get("creationTimestamp"), now),
    ]


PRINTERS = {
    "deployments.apps": (
        columns("Name Ready Up-to-date Available Age Containers|wide Images|wide Selector|wide"),
        _deployment,
    ),
    "replicasets.apps": (
        columns("Name #Desired #Current #Ready Age Containers|wide Images|wide Selector|wide"),
        _replica_set,
    ),
    "statefulsets.apps": (columns("Name Ready Age Containers|wide Images|wide"), _stateful_set),
    "daemonsets.apps": (
        columns(
            "Name #Desired #Current #Ready #Up-to-date #Available Node_Selector Age Containers|wide Images|wide "
            "Selector|wide"
        ),
        _daemon_set,
    ),
    "controllerrevisions.apps": (columns("Name Controller #Revision Age"), _revision),
    "poddisruptionbudgets.policy": (
        columns("Name Min_Available Max_Unavailable #Allowed_Disruptions Age"),
        _budget,
    ),
}
