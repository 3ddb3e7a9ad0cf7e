"""The three ways in which something doesn't happen; anything else that is raised is a bug.

CafeError
 ├── Refusal      a rule said no; asking again changes nothing
 ├── Conflict     someone else was first; look again and retry, silently
 └── Unavailable  no answer, or "not now"; back off and retry
"""

from datetime import timedelta


class CafeError(Exception):
    """Base of all errors that CAFE raises on purpose."""


class Refusal(CafeError):
    """A rule said no.

    Attributes:
        code: Stable, in CamelCase, for programs and for the reference page.
        what: What happened, one sentence.
        why: Why, one sentence.
        remedy: What to do next, one sentence.
    """

    def __init__(self, code: str, what: str, why: str = "", remedy: str = "") -> None:
        super().__init__(" ".join(part for part in (what, why, remedy) if part))
        self.code = code
        self.what = what
        self.why = why
        self.remedy = remedy


class Conflict(CafeError):
    """The object changed since it was read, or exists already."""


class Unavailable(CafeError):
    """There was no answer, or the answer was "not now".

    Attributes:
        retry_after: How long the other side asked us to wait, if it did.
        is_outcome_known: False when the request may have taken effect although no answer came.
    """

    def __init__(
        self, message: str, *, retry_after: timedelta | None = None, is_outcome_known: bool = True
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_outcome_known = is_outcome_known
