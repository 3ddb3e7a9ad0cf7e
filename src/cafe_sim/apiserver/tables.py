"""Tables: what `kubectl get` prints. Columns as in `pkg/printers/internalversion` of Kubernetes 1.36."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from cafe_sim.apiserver.columns import autoscaling, cluster, workloads
from cafe_sim.apiserver.columns import pods as pod_columns
from cafe_sim.apiserver.columns.cells import Cell, Column, age, jsonpath
from cafe_sim.apiserver.resource import Resource
from cafe_sim.contract import Json

Printer = tuple[Sequence[Column], Callable[[Json, datetime | None], list[Cell]]]

_PRINTERS: Mapping[str, Printer] = {
    **pod_columns.PRINTERS,
    **workloads.PRINTERS,
    **cluster.PRINTERS,
    **autoscaling.PRINTERS,
}
_NAME = Column("Name", "string", "name", 0)
_AGE = Column("Age", "string", "", 0)
_CREATED = Column("Created At", "date", "", 0)


def columns_of(resource: Resource) -> list[Json]:
    """Return the column definitions of a resource."""
    if not resource.shape.is_builtin:
        return [_NAME.definition(), *(_custom(item) for item in _custom_columns(resource))]
    columns, _ = _printer(resource)
    return [column.definition() for column in columns]


def row_of(resource: Resource, obj: Json, now: datetime | None) -> list[Cell]:
    """Return the cells of one object."""
    if not resource.shape.is_builtin:
        return [obj["metadata"]["name"], *(_cell(item, obj, now) for item in _custom_columns(resource))]
    _, cells = _printer(resource)
    return cells(obj, now)


def _printer(resource: Resource) -> Printer:
    """Return a resource's own columns, those of what it shows in another form, or names alone."""
    plain = ((_NAME, _CREATED), _plain_row)
    return _PRINTERS.get(resource.name) or _PRINTERS.get(resource.key, plain)


def _plain_row(obj: Json, now: datetime | None) -> list[Cell]:
    del now
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


def _custom_columns(resource: Resource) -> tuple[Json, ...]:
    return resource.columns or ({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},)


def _custom(item: Json) -> Json:
    return {
        "name": item["name"],
        "type": item["type"],
        "format": item.get("format", ""),
        "description": item.get(
            "description", f"Custom resource definition column (in JSONPath format): {item['jsonPath']}"
        ),
        "priority": item.get("priority", 0),
    }


def _cell(item: Json, obj: Json, now: datetime | None) -> Cell:
    found = jsonpath(obj, item["jsonPath"])
    if item["type"] == "date":
        return None if found is None else age(str(found), now)
    if found is None:
        return None
    if item["type"] == "integer":
        return found if isinstance(found, int) else None
    return found if isinstance(found, str | bool | int | float) else str(found)
