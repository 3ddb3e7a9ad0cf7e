"""Watching: every change of a collection, in the order in which it happened, told as it comes."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from testbed.client import Client

Saw = Callable[[str, dict[str, Any]], None]
"""Called in the watching thread with the event's type (ADDED, MODIFIED, DELETED) and the object."""


class _Watch:
    """Reads one watch after the other, each from where the last one ended."""

    def __init__(self, client: Client, path: str, query: str, saw: Saw) -> None:
        self._client = client
        self._path = f"{path}?watch=true&{query}"
        self._saw = saw
        self._version = ""
        self._is_over = threading.Event()
        self._connection = client.connect()
        self._thread = threading.Thread(target=self._read, name=f"watching {path}")
        self.problem: Exception | None = None
        self._thread.start()

    def _read(self) -> None:
        while not self._is_over.is_set() and self.problem is None:
            try:
                self._read_once()
            except (OSError, ValueError, http.client.HTTPException) as problem:
                # The end of the block cuts the connection, whatever is being read from it.
                self.problem = None if self._is_over.is_set() else problem
            except Exception as problem:  # noqa: BLE001 -- told to the block, which is in another thread
                self.problem = problem
            finally:
                self._connection.close()

    def _read_once(self) -> None:
        """Read until the server ends the stream, as a busy one does to readers that don't keep up."""
        self._connection.request("GET", f"{self._path}&resourceVersion={self._version}")
        with self._connection.getresponse() as answer:
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise RuntimeError(event["object"].get("message", ""))
                self._version = event["object"]["metadata"]["resourceVersion"]
                self._saw(event["type"], event["object"])

    def end(self) -> None:
        """Cut the connection and wait until nothing more is told."""
        self._is_over.set()
        while self._thread.is_alive():
            if (wire := self._connection.sock) is not None:
                with contextlib.suppress(OSError):
                    # The plain socket's: TLS's own would take the layer from under the reading thread.
                    socket.socket.shutdown(wire, socket.SHUT_RDWR)
            self._thread.join(0.1)


@contextlib.contextmanager
def watching(client: Client, path: str, saw: Saw, query: str = "") -> Iterator[None]:
    """Tell *saw* of every object in the collection at *path* and of every change, while the block lasts.

    *query* narrows it, for instance `labelSelector=app%3Dweb`. A stream that the server ends is resumed.

    Raises:
        RuntimeError: The watch ended before the block did, or *saw* raised: what was seen is not all.
    """
    watch = _Watch(client, path, query, saw)
    try:
        yield
    finally:
        watch.end()
    if watch.problem is not None:
        raise RuntimeError(f"The watch of {path} is not whole") from watch.problem
