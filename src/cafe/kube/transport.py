"""The one seam to an API server: requests go out here, bytes come back, nothing else is known.

Everything above (retries, JSON, errors, watch decoding) runs unchanged on a real server, on the simulated
one over HTTP, and on the simulated one without sockets.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to an API server.

    Attributes:
        method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
        path: Absolute and already escaped, without the query: `/api/v1/namespaces/x/pods`.
        query: In order; repeated keys are allowed.
        body: Raw bytes; None sends no body.
        content_type: Of *body*; for patches it selects the patch type.
        accept: The wanted representation.
        timeout: For the whole exchange, or for a stream's response headers.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. Header names are lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that keeps coming.

    Attributes:
        status: HTTP status. Unless it is 200, *lines* yields the error's body as one piece.
        headers: Names in lower case.
        lines: One JSON document each, without the line end, of any length. Ends when the server ends the
            stream; raises `Unavailable` if the connection breaks, also in the middle of a line.
    """

    status: int
    headers: Mapping[str, str]
    lines: AsyncIterator[bytes]


class Transport(Protocol):
    """A way to one API server.

    Any HTTP status is an answer. No answer is `cafe.kernel.Unavailable`, with `is_outcome_known` True only if
    the request surely never reached the server.
    """

    async def send(self, request: Request) -> Response:
        """Send *request* and wait for the whole answer.

        Raises:
            Unavailable: There was no answer.
        """

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Open a watch or a log; leaving the context closes the connection.

        Raises:
            Unavailable: There was no answer.
        """

    async def close(self) -> None:
        """Close all connections."""
