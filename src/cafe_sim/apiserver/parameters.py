"""What stands in a request's query and headers, read once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.errors import FieldError, StatusError, not_supported
from cafe_sim.apiserver.resource import Resource
from cafe_sim.apiserver.selectors import parse_fields, parse_labels
from cafe_sim.apiserver.values import Value, dig
from cafe_sim.contract import DeleteOptions, Json

Query = Mapping[str, str]
_MATCHES = ("Exact", "NotOlderThan")
_PROPAGATIONS = ("Foreground", "Background", "Orphan")


def is_true(query: Query, name: str) -> bool:
    """Tell whether a flag is set."""
    return query.get(name, "").lower() in {"1", "true", "t"}


def number(query: Query, name: str) -> int | None:
    """Return a whole number of the query, or None.

    Raises:
        StatusError: 400, it is no number.
    """
    text = query.get(name, "")
    if not text:
        return None
    if not text.lstrip("-").isdigit():
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _version(query: Query) -> int | None:
    text = query.get("resourceVersion", "")
    if not text or text.isdigit():
        return int(text) if text else None
    error = FieldError(
        "Invalid", "resourceVersion", text, f'strconv.ParseUint: parsing "{text}": invalid syntax'
    )
    told = f"{error.field}: {error.body()}"
    if is_true(query, "watch"):
        raise StatusError(500, "", told)  # So it is: the watch cache's error is nobody's.
    raise errors.bad_request(f"invalid resource version: {told}")


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list or a watch asks for.

    Attributes:
        matches: Tells whether an object is selected; None selects all.
        version: `resourceVersion`; None if unset or 0, which both mean what is here now.
        is_exact: The state at just that version.
    """

    matches: Callable[[Json], bool] | None
    version: int | None
    is_exact: bool
    limit: int
    token: str
    is_watch: bool
    is_watch_list: bool
    has_bookmarks: bool
    timeout: timedelta | None


def list_options(resource: Resource, query: Query, name: str = "") -> ListOptions:
    """Read the options of a list or a watch; *name* selects a single object.

    Raises:
        StatusError: 400 or 422.
    """
    found = _check_list(query)
    if found:
        raise errors.invalid("ListOptions", "meta.k8s.io", "", found)
    tests: list[Callable[[Json], bool]] = []
    if labels := query.get("labelSelector", ""):
        test = parse_labels(labels)
        tests.append(lambda obj: test(obj["metadata"].get("labels") or {}))
    if fields := query.get("fieldSelector", ""):
        tests.append(_by_fields(resource, fields))
    if name:
        tests.append(lambda obj: obj["metadata"]["name"] == name)
    version = _version(query)
    seconds = number(query, "timeoutSeconds")
    return ListOptions(
        matches=_all_of(tests),
        version=version or None,
        is_exact=query.get("resourceVersionMatch") == "Exact",
        limit=number(query, "limit") or 0,
        token=query.get("continue", ""),
        is_watch=is_true(query, "watch"),
        is_watch_list=is_true(query, "sendInitialEvents"),
        has_bookmarks=is_true(query, "allowWatchBookmarks"),
        timeout=timedelta(seconds=seconds) if seconds else None,
    )


def _by_fields(resource: Resource, text: str) -> Callable[[Json], bool]:
    try:
        return parse_fields(text, resource.selectable)
    except StatusError as error:
        if "known field" not in error.message or not resource.rules.fields:
            raise
        label = error.message.split('"')[1]
        raise errors.bad_request(
            f'Unable to find "{resource.api_version}, Resource={resource.plural}" that match label selector '
            f'"", field selector "{text}": field label not supported: {label}'
        ) from error


def _all_of(tests: list[Callable[[Json], bool]]) -> Callable[[Json], bool] | None:
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda obj: all(test(obj) for test in tests)


def _check_list(query: Query) -> list[FieldError]:
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    is_watch, initial = is_true(query, "watch"), query.get("sendInitialEvents")
    found: list[FieldError] = []
    at = "resourceVersionMatch"
    if is_watch:
        if initial is not None and match != "NotOlderThan":
            text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            found.append(FieldError("Forbidden", at, None, text))
        if match and initial is None:
            text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            found.append(FieldError("Forbidden", at, None, text))
        return found
    if initial is not None:
        text = "sendInitialEvents is forbidden for list"
        found.append(FieldError("Forbidden", "sendInitialEvents", None, text))
    if not match:
        return found
    if not version:
        text = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        found.append(FieldError("Forbidden", at, None, text))
    if query.get("continue"):
        text = "resourceVersionMatch is forbidden when continue is provided"
        found.append(FieldError("Forbidden", at, None, text))
    if match not in _MATCHES:
        found.append(not_supported(at, match, ("Exact", "NotOlderThan", "")))
    if match == "Exact" and version == "0":
        text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        found.append(FieldError("Forbidden", at, None, text))
    return found


def delete_options(query: Query, body: Value) -> tuple[DeleteOptions, bool]:
    """Read how to delete, and whether it is a dry run. If there is a body, the query is ignored, whole.

    Raises:
        StatusError: 400 or 422.
    """
    asked: Json = body if isinstance(body, dict) else {}
    if body is not None:
        query = {}
    if asked.get("kind", "DeleteOptions") != "DeleteOptions":
        raise errors.bad_request(
            f'unable to decode "{asked["kind"]}": decoded object cannot be converted to DeleteOptions'
        )
    grace = asked.get("gracePeriodSeconds", number(query, "gracePeriodSeconds"))
    propagation = _propagation(asked, query)
    options = DeleteOptions(
        grace_period=None if grace is None else timedelta(seconds=grace),
        propagation=propagation,  # type: ignore[arg-type]
        uid=dig(asked, "preconditions", "uid"),
        resource_version=dig(asked, "preconditions", "resourceVersion"),
    )
    is_dry = "All" in (asked.get("dryRun") or []) or check_dry_run(query)
    return options, is_dry


def _propagation(asked: Json, query: Query) -> str | None:
    chosen = asked.get("propagationPolicy") or query.get("propagationPolicy") or None
    orphan = asked.get("orphanDependents")
    found = []
    if chosen is not None and orphan is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        found.append(FieldError("Invalid", "propagationPolicy", chosen, text))
    if chosen is not None and chosen not in _PROPAGATIONS:
        found.append(not_supported("propagationPolicy", chosen, (*_PROPAGATIONS, "nil")))
    if found:
        raise errors.invalid("DeleteOptions", "meta.k8s.io", "", found)
    if chosen is None and orphan is not None:
        return "Orphan" if orphan else "Background"
    return chosen


def check_dry_run(query: Query) -> bool:
    """Tell whether the query asks for a dry run.

    Raises:
        StatusError: 422, by an unknown word.
    """
    value = query.get("dryRun", "")
    if value and value != "All":
        error = not_supported("dryRun", [value], ("All",))
        raise errors.invalid("CreateOptions", "meta.k8s.io", "", [error])
    return bool(value)
