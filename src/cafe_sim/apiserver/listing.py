"""Lists: whole, by pages that all show one moment, or as they were at an older version."""

import base64
import binascii
import json

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.errors import StatusError
from cafe_sim.apiserver.parameters import ListOptions
from cafe_sim.apiserver.resource import Resource
from cafe_sim.apiserver.store import Store
from cafe_sim.contract import Json

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new "
    "list without the continue parameter, or use the continue token in this response to retrieve the "
    "remainder of the results. Continuing with the provided token results in an inconsistent list - objects "
    "that were created, modified, or deleted between the time the first chunk was returned and now "
    "may show up in the list."
)


class ExpiredTokenError(StatusError):
    """410 for a continue token; carries one with which to go on from now."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", _TOO_OLD)
        self.token = token


def _token(version: int, key: str) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": key}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(content["rv"]), str(content["start"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise errors.bad_request(f"continue key is not valid: {error}") from error


def _key(obj: Json) -> str:
    meta = obj["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def listed(
    store: Store, resource: Resource, namespace: str | None, options: ListOptions
) -> tuple[list[Json], Json]:
    """Return the objects, in the resource's version, and the list's metadata.

    Raises:
        StatusError: 400, 410 or 504.
    """
    version, start = _moment(store, options)
    table = store.table(resource.key)
    rows = table.rows(namespace) if version == store.version else table.rows_at(version, namespace)
    if rows is None:
        if options.token:
            raise ExpiredTokenError(_token(-1, start))
        raise errors.expired("The resourceVersion for the provided list is too old.")
    if start:
        rows = [row for row in rows if _key(row) >= start]
    if resource.is_shown is not None:
        rows = [row for row in rows if resource.shows(row)]
    selected = rows if options.matches is None else [row for row in rows if options.matches(row)]
    meta: Json = {"resourceVersion": str(version)}
    if options.limit and len(selected) > options.limit:
        meta["continue"] = _token(version, _key(selected[options.limit]))
        if options.matches is None:
            meta["remainingItemCount"] = len(selected) - options.limit
        selected = selected[: options.limit]
    return [resource.present(row) for row in selected], meta


def _moment(store: Store, options: ListOptions) -> tuple[int, str]:
    """Return the version to show, and the key to begin with."""
    if options.token:
        if options.version is not None:
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        version, start = _read_token(options.token)
        return (version if version > 0 else store.version), start
    check_version(store, options)
    if options.version is not None and options.is_exact:
        return options.version, ""
    return store.version, ""


def check_version(store: Store, options: ListOptions) -> None:
    """Refuse to show what hasn't happened yet. The real server waits 3 s for it first.

    Raises:
        StatusError: 504.
    """
    if options.version is not None and options.version > store.version:
        raise errors.too_large_version(options.version, store.version)


def as_list(resource: Resource, rows: list[Json], meta: Json) -> Json:
    """Return a list object; items of built-in kinds don't repeat their kind, as Go writes them."""
    items = rows
    if resource.shape.is_builtin:
        items = [{k: v for k, v in row.items() if k not in {"kind", "apiVersion"}} for row in rows]
    kind = resource.list_kind or f"{resource.kind}List"
    return {"kind": kind, "apiVersion": resource.api_version, "metadata": meta, "items": items}
