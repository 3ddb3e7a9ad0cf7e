"""What an API server says when it says no, as typed values that are also the kernel's errors.

ApiError
 ├── NotFound          404
 ├── AlreadyExists     409, is a `Conflict`
 ├── ApiConflict       409, is a `Conflict`: a stale resourceVersion, a wrong UID, an apply conflict
 ├── Expired           410, is a `Conflict`: the version or page asked for is no longer kept
 ├── ApiRefusal        other 4xx, is a `Refusal`: Invalid, Forbidden, Unauthorized, BadRequest
 └── ServerTrouble     5xx, is an `Unavailable`: TooManyRequests (429), ServerTrouble
"""

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from cafe.kernel import CafeError, Conflict, Refusal, Unavailable
from cafe.kube.codec import excerpt
from cafe.kube.transport import Response


@dataclass(frozen=True, slots=True)
class Cause:
    """One of the API's reasons, for instance the field that is invalid."""

    reason: str
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The API's no, read from a Status document or from whatever came in its place."""

    status: int
    reason: str
    message: str
    causes: tuple[Cause, ...] = ()
    retry_after: timedelta | None = None


class ApiError(CafeError):
    """The API server said no.

    Attributes:
        status: HTTP status.
        reason: The API's CamelCase reason; empty if a proxy answered.
        message: The API's message, cut to a sane length.
        causes: Details.
        retry_after: How long to wait, if the server said so.
    """

    def __init__(self, answer: Answer) -> None:
        Exception.__init__(self, answer.message)
        self.status = answer.status
        self.reason = answer.reason
        self.message = answer.message
        self.causes = answer.causes
        self.retry_after = answer.retry_after

    def has_cause(self, reason: str) -> bool:
        """Whether one of the causes has this reason, for instance `NamespaceTerminating`."""
        return any(cause.reason == reason for cause in self.causes)


class NotFound(ApiError):
    """There is no such object, or no such resource."""


class AlreadyExists(ApiError, Conflict):
    """An object of that name exists."""


class ApiConflict(ApiError, Conflict):
    """The object isn't what the request said it was: stale version, wrong UID, or another field manager."""


class Expired(ApiError, Conflict):
    """The resourceVersion or the page token is too old; list again."""


class ApiRefusal(ApiError, Refusal):
    """The API server refuses, and would refuse again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.code = answer.reason or f"Http{answer.status}"
        self.what = answer.message
        self.why = ""
        self.remedy = ""


class BadRequest(ApiRefusal):
    """The request makes no sense to the server."""


class Unauthorized(ApiRefusal):
    """The server doesn't know us."""


class Forbidden(ApiRefusal):
    """The server knows us and won't let us; or the namespace is going away."""


class Invalid(ApiRefusal):
    """The object breaks a rule of its schema or of admission."""


class ServerTrouble(ApiError, Unavailable):
    """The server could not answer now. A write may have happened: see `is_outcome_known`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        # A 503 that names a time to come back was refused at the door; any other 5xx may have passed it.
        self.is_outcome_known = answer.status == 503 and answer.retry_after is not None


class TooManyRequests(ServerTrouble):
    """The server is busy, or a disruption budget forbids an eviction now. Nothing happened."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.is_outcome_known = True


_CLASSES: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: ApiConflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}


UNTYPED_PATCH = "failed to create typed patch object"
"""How the server answers an applied document that doesn't fit its schema: with a bare 500, though nothing
happened and asking again changes nothing."""


def error_of(answer: Answer) -> ApiError:
    """Return the typed error for *answer*."""
    if answer.reason == "AlreadyExists":
        return AlreadyExists(answer)
    if (known := _CLASSES.get(answer.status)) is not None:
        return known(answer)
    if 400 <= answer.status < 500:
        return ApiRefusal(answer)
    if answer.message.startswith(UNTYPED_PATCH):
        return BadRequest(answer)
    return ServerTrouble(answer)


def error_of_response(response: Response, now: datetime) -> ApiError:
    """Return the typed error for a response that is no success. *now* dates a Retry-After given as a date."""
    asked = response.headers.get("retry-after")
    answer = answer_of_body(response.status, response.body, retry_after_of(asked, now))
    return error_of(answer)


def answer_of_body(status: int, body: bytes, retry_after: timedelta | None = None) -> Answer:
    """Read a Status document; anything else is kept as text."""
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        document = None
    if not isinstance(document, dict) or document.get("kind") != "Status":
        return Answer(status, "", excerpt(body) or f"HTTP status {status}", (), retry_after)
    return answer_of_status(document, status, retry_after)


def answer_of_status(
    document: Mapping[str, Any], status: int = 0, retry_after: timedelta | None = None
) -> Answer:
    """Read a decoded Status document, as in a response or as the object of a watch's ERROR event."""
    details = document.get("details") or {}
    causes = tuple(
        Cause(
            str(cause.get("reason") or ""),
            excerpt(str(cause.get("message") or "")),
            str(cause.get("field") or ""),
        )
        for cause in details.get("causes") or ()
    )
    seconds = details.get("retryAfterSeconds")
    if retry_after is None and isinstance(seconds, int) and seconds > 0:
        retry_after = timedelta(seconds=seconds)
    code = status or int(document.get("code") or 500)
    message = excerpt(str(document.get("message") or "")) or f"HTTP status {code}"
    return Answer(code, str(document.get("reason") or ""), message, causes, retry_after)


def retry_after_of(text: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After header: seconds or an HTTP date (RFC 9110 §10.2.3); None if absent or nonsense."""
    if not text:
        return None
    if text.strip().isdigit():
        return timedelta(seconds=min(int(text.strip()), 86_400))
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(timedelta(), moment - now) if moment.tzinfo else None
