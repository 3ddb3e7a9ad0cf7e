"""Rows of HorizontalPodAutoscalers, and of what pods use."""

from datetime import datetime

from cafe_sim.apiserver.columns.cells import Cell, age, columns
from cafe_sim.apiserver.schema.quantities import amount
from cafe_sim.apiserver.values import dig
from cafe_sim.contract import Json

_SHOWN = 2
"""Metrics with a text of their own; the rest is counted."""


def _autoscaler(obj: Json, now: datetime | None) -> list[Cell]:
    spec, status = obj["spec"], obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    least = spec.get("minReplicas")
    return [
        obj["metadata"]["name"],
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(spec.get("metrics") or [], status.get("currentMetrics") or []),
        "<unset>" if least is None else str(least),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age(obj["metadata"].get("creationTimestamp"), now),
    ]


def _targets(specs: list[Json], statuses: list[Json]) -> str:
    if not specs:
        return "<none>"
    texts = [
        _target(spec, statuses[index] if index < len(statuses) else {}) for index, spec in enumerate(specs)
    ]
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" + {more} more..." if more > 0 else "")


def _target(spec: Json, status: Json) -> str:
    kind = spec["type"]
    field = kind[:1].lower() + kind[1:]
    target = dig(spec, field, "target") or {}
    current = dig(status, field, "current") or {}
    average = target.get("averageValue")
    if kind in {"Resource", "ContainerResource"}:
        name = dig(spec, field, "name")
        if average is not None:
            return f"{name}: {current.get('averageValue', '<unknown>')}/{average}"
        percent = current.get("averageUtilization")
        shown = "<unknown>" if percent is None else f"{percent}%"
        return f"{name}: {shown}/{target['averageUtilization']}%"
    if kind == "Pods":
        return f"{current.get('averageValue', '<unknown>')}/{average}"
    if average is not None:
        return f"{current.get('averageValue', '<unknown>')}/{average} (avg)"
    return f"{current.get('value', '<unknown>')}/{target.get('value')}"


def _usage(obj: Json, now: datetime | None) -> list[Cell]:
    del now
    used = [container["usage"] for container in obj["containers"]]
    cpu, memory = (sum(amount(each.get(name, "0")) for each in used) for name in ("cpu", "memory"))
    mebibytes = int(memory) // 1024**2
    return [obj["metadata"]["name"], f"{int(cpu * 1000)}m", f"{mebibytes}Mi", obj["window"]]


PRINTERS = {
    "horizontalpodautoscalers.autoscaling": (
        columns("Name Reference Targets MinPods MaxPods Replicas Age"),
        _autoscaler,
    ),
    "pods.metrics.k8s.io": (columns("Name cpu memory Window"), _usage),
}
