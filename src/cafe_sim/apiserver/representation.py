"""In what form objects are sent: as they are, as rows of a table, or by their metadata alone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.errors import FieldError
from cafe_sim.apiserver.listing import as_list
from cafe_sim.apiserver.resource import Resource
from cafe_sim.apiserver.tables import columns_of, row_of
from cafe_sim.contract import Json

_META = "meta.k8s.io/v1"
_ROWS_SHOW = {"", "Metadata", "Object", "None"}
_FORMS = {"Table", "PartialObjectMetadata", "PartialObjectMetadataList"}


@dataclass(frozen=True, slots=True)
class Representation:
    """One form.

    Attributes:
        name: Empty for objects as they are, else `Table` or `PartialObjectMetadata`.
        now: For the ages in tables.
        rows_show: What goes with each row of a table: `Metadata`, the whole `Object`, or `None`. kubectl
            sorts by what the rows show.
    """

    name: str = ""
    now: Callable[[], datetime] | None = None
    rows_show: str = "Metadata"

    @property
    def is_plain(self) -> bool:
        """Objects are sent as they are."""
        return not self.name

    def single(self, resource: Resource, obj: Json) -> Json:
        """Return one object in this form."""
        if self.is_plain or obj.get("kind") in {"Status", "Scale"}:
            return obj
        if self.name == "Table":
            return self._table(
                resource, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            )
        return _partial(obj)

    def many(self, resource: Resource, rows: list[Json], meta: Json) -> Json:
        """Return a list in this form."""
        if self.is_plain:
            return as_list(resource, rows, meta)
        if self.name == "Table":
            return self._table(resource, rows, meta)
        head = {"kind": "PartialObjectMetadataList", "apiVersion": _META}
        return {**head, "metadata": meta, "items": [_partial(row) for row in rows]}

    def event(self, resource: Resource, obj: Json) -> Json:
        """Return an object of a watch event in this form."""
        return self.single(resource, obj)

    def _table(self, resource: Resource, rows: list[Json], meta: Json) -> Json:
        now = self.now() if self.now is not None else None
        return {
            "kind": "Table",
            "apiVersion": _META,
            "metadata": meta,
            "columnDefinitions": columns_of(resource),
            "rows": [{"cells": row_of(resource, row, now), "object": self._shown(row)} for row in rows],
        }

    def _shown(self, obj: Json) -> Json | None:
        if self.rows_show == "Metadata":
            return _partial(obj)
        return obj if self.rows_show == "Object" else None


def _partial(obj: Json) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}


def wanted_representation(accept: str, now: Callable[[], datetime], rows_show: str = "") -> Representation:
    """Choose the first form of an Accept header that this server has.

    Args:
        accept: The header.
        now: For the ages in tables.
        rows_show: `includeObject` of the query.

    Raises:
        StatusError: 406, it has none of them; 400, a table's rows can't show that.
    """
    for part in accept.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        options = dict(item.partition("=")[::2] for item in parameters)
        if media not in {"application/json", "*/*", "application/*", ""}:
            continue
        form = options.get("as", "")
        if form and (form not in _FORMS or options.get("v", "v1") != "v1"):
            continue
        if form == "Table" and rows_show not in _ROWS_SHOW:
            error = FieldError(
                "Invalid", "includeObject", rows_show, "must be 'Metadata', 'Object', 'None', or empty"
            )
            raise errors.bad_request(
                f"Unable to convert to Table as requested: {error.field}: {error.body()}"
            )
        return Representation(form.removesuffix("List"), now, rows_show or "Metadata")
    raise errors.not_acceptable(("application/json", "application/yaml"))
