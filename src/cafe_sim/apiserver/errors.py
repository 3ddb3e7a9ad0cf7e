"""How the API server says no: `metav1.Status`, worded as the real one words it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from cafe_sim.apiserver.values import Value
from cafe_sim.contract import ApiError, Json

_TITLES = {
    "Required": "Required value",
    "Invalid": "Invalid value",
    "NotSupported": "Unsupported value",
    "Duplicate": "Duplicate value",
    "Forbidden": "Forbidden",
    "TooLong": "Too long",
    "TooMany": "Too many",
    "NotFound": "Not found",
    "TypeInvalid": "Invalid value",
}
_WITHOUT_VALUE = {"Required", "Forbidden", "TooLong", "TooMany"}


class Unshown(Enum):
    """Stands for a value that the message leaves out."""

    UNSHOWN = "unshown"


UNSHOWN = Unshown.UNSHOWN


@dataclass(frozen=True, slots=True)
class FieldError:
    """One cause of a 422, as `field.Error` of apimachinery.

    Attributes:
        kind: `Required`, `Invalid`, `NotSupported`, `Duplicate`, `Forbidden`, `TooLong`, `TooMany`,
            `NotFound` or `TypeInvalid`.
        field: Path in the object, such as `spec.containers[0].name`.
        value: The refused value, where the message shows one.
        detail: What would be right.
    """

    kind: str
    field: str
    value: Value | Unshown = None
    detail: str = ""

    def body(self) -> str:
        """Return the message without the field."""
        text = _TITLES[self.kind]
        if self.kind not in _WITHOUT_VALUE and not isinstance(self.value, Unshown):
            text += f": {shown(self.value)}"
        return text + (f": {self.detail}" if self.detail else "")

    def cause(self) -> dict[str, str]:
        """Return the entry of `details.causes`."""
        return {"reason": f"FieldValue{self.kind}", "message": self.body(), "field": self.field}


def shown(value: Value) -> str:
    """Return a value as field errors print it."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def not_supported(field: str, value: Value, allowed: Sequence[str]) -> FieldError:
    """A value that isn't one of an enumeration."""
    names = ", ".join(f'"{name}"' for name in allowed)
    return FieldError("NotSupported", field, value, f"supported values: {names}")


class StatusError(ApiError):
    """A refusal with everything that `metav1.Status` can carry.

    Attributes:
        details: `details` of the Status without its causes: `name`, `group`, `kind`, `uid`,
            `retryAfterSeconds`.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        causes: Sequence[Mapping[str, str]] = (),
        **details: Value,
    ) -> None:
        super().__init__(status, reason, message, tuple(causes))
        self.details: Json = {name: value for name, value in details.items() if value}


def status_of(error: ApiError) -> Json:
    """Return *error* as the `metav1.Status` that clients read."""
    details = dict(error.details) if isinstance(error, StatusError) else {}
    if error.causes:
        details["causes"] = [dict(cause) for cause in error.causes]
    status: Json = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
    }
    if error.reason:
        status["reason"] = error.reason
    if details:
        status["details"] = details
    return {**status, "code": error.status}


def qualified(plural: str, group: str) -> str:
    """Return `plural.group`, or the plural alone for the core group."""
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> StatusError:
    """404: there is no such object."""
    message = f'{qualified(plural, group)} "{name}" not found'
    return StatusError(404, "NotFound", message, name=name, group=group, kind=plural)


def no_such_path() -> StatusError:
    """404: there is no such resource, or no such path at all."""
    return StatusError(404, "NotFound", "the server could not find the requested resource")


def already_exists(plural: str, group: str, name: str) -> StatusError:
    """409: the name is taken."""
    message = f'{qualified(plural, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, name=name, group=group, kind=plural)


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(plural: str, group: str, name: str, why: str = MODIFIED) -> StatusError:
    """409: somebody else was first, or a precondition doesn't hold."""
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, name=name, group=group, kind=plural)


def invalid(kind: str, group: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422: the object breaks rules of its kind; one cause for each."""
    unique = list(dict.fromkeys(f"{error.field}: {error.body()}" for error in errors))
    text = unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
    message = f'{qualified(kind, group)} "{name}" is invalid: {text}'
    causes = [error.cause() for error in errors]
    return StatusError(422, "Invalid", message, causes, name=name, group=group, kind=kind)


def bad_request(message: str) -> StatusError:
    """400: the request can't be understood."""
    return StatusError(400, "BadRequest", message)


def forbidden(
    plural: str, group: str, name: str, why: str, causes: Sequence[Mapping[str, str]] = ()
) -> StatusError:
    """403: admission said no."""
    named = f' "{name}"' if name else ""
    message = f"{qualified(plural, group)}{named} is forbidden: {why}"
    return StatusError(403, "Forbidden", message, causes, name=name, group=group, kind=plural)


def not_allowed(plural: str, group: str, action: str) -> StatusError:
    """405: the resource doesn't know this verb."""
    message = f'{action} is not supported on resources of kind "{qualified(plural, group)}"'
    return StatusError(405, "MethodNotAllowed", message, group=group, kind=plural)


def unsupported_media(allowed: Sequence[str]) -> StatusError:
    """415: the body is in a form that this resource doesn't take."""
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(allowed)}"
    )
    return StatusError(415, "UnsupportedMediaType", message)


def not_acceptable(allowed: Sequence[str]) -> StatusError:
    """406: the client wants a form that the server hasn't."""
    message = f"only the following media types are accepted: {', '.join(allowed)}"
    return StatusError(406, "NotAcceptable", message)


def expired(message: str) -> StatusError:
    """410: the version asked for is gone."""
    return StatusError(410, "Expired", message)


def too_large_version(wanted: int, current: int) -> StatusError:
    """504: a version of the future was asked for."""
    return StatusError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {wanted}, current: {current}",
        [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        retryAfterSeconds=1,
    )


def internal(message: str) -> StatusError:
    """500: a step of the server itself failed, such as calling a webhook."""
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", [{"message": message}])
