"""A client that is just enough to start a cluster and to look at it: one request, one answer."""

import http.client
import json
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from testbed.certificates import KeyPair
from testbed.waiting import wait_for

STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"


class RequestFailed(Exception):
    """The API server said no.

    Attributes:
        status: HTTP status.
        reason: The API's reason, such as NotFound; empty if the body was not a Status.
        message: What it said.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Client:
    """Requests to one API server with one client certificate, a connection each."""

    def __init__(self, server: str, authority: Path, pair: KeyPair) -> None:
        self._address = urlsplit(server).netloc
        self._context = ssl.create_default_context(cafile=authority)
        self._context.load_cert_chain(pair.certificate, pair.key)

    def connect(self, timeout: timedelta | None = None) -> http.client.HTTPSConnection:
        """Return a connection of its own, to be closed by the caller; without *timeout* it waits for ever."""
        seconds = timeout.total_seconds() if timeout else None
        return http.client.HTTPSConnection(self._address, context=self._context, timeout=seconds)

    @property
    def context(self) -> ssl.SSLContext:
        """Return how we prove who we are, for a connection made by other means."""
        return self._context

    def text(self, method: str, path: str, body: str | None = None, content_type: str = "") -> str:
        """Make a request and return the body.

        Raises:
            RequestFailed: The status is 400 or more.
            OSError: There was no answer.
        """
        headers = {"Content-Type": content_type} if content_type else {}
        connection = self.connect(timedelta(seconds=30))
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:
            raise _failure(answer.status, text)
        return text

    def get(self, path: str) -> Any:  # noqa: ANN401 -- any kind of object
        """Return the object at *path*."""
        return json.loads(self.text("GET", path))

    def create(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 -- any kind of object
        """Create an object in the collection at *path*."""
        return json.loads(self.text("POST", path, json.dumps(body), "application/json"))

    def patch(self, path: str, body: dict[str, Any], kind: str = STRATEGIC) -> Any:  # noqa: ANN401 -- any kind
        """Patch the object at *path*; strategic merge by default."""
        return json.loads(self.text("PATCH", path, json.dumps(body), kind))

    def delete(self, path: str) -> None:
        """Delete the object or collection at *path*."""
        self.text("DELETE", path)

    def exists(self, path: str) -> bool:
        """Tell whether there is an object at *path*; False too while there is no answer."""
        try:
            self.text("GET", path)
        except (RequestFailed, OSError, http.client.HTTPException):
            return False
        return True

    def wait_exists(self, path: str, within: timedelta) -> None:
        """Wait for an object.

        Raises:
            TooLate: It was not there in time.
        """
        wait_for(f"{path} exists", lambda: self.exists(path), within)


def _failure(status: int, text: str) -> RequestFailed:
    try:
        said = json.loads(text)
        return RequestFailed(status, said.get("reason", ""), said.get("message", ""))
    except (ValueError, AttributeError):
        return RequestFailed(status, "", text[:256])
