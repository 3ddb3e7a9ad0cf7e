"""Watching: every change of a collection, in the order in which it happened, told as it comes."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from testbed.client import Client

Saw = Callable[[str, dict[str, Any]], None]
"""Called in the watching thread with the event's type (ADDED, MODIFIED, DELETED) and the object."""


@contextmanager
def watching(client: Client, path: str, saw: Saw, query: str = "") -> Iterator[None]:
    """Tell *saw* of every object in the collection at *path* and of every change, while the block lasts.

    *query* narrows it, for instance `labelSelector=app%3Dweb`.

    Raises:
        RuntimeError: The watch ended before the block did, or *saw* raised: what was seen is not all.
    """
    connection = client.connect()
    connection.request("GET", f"{path}?watch=true&{query}")
    answer = connection.getresponse()
    wire = connection.sock
    is_over = threading.Event()
    problems: list[Exception] = []

    def read() -> None:
        try:
            for line in answer:
                event = json.loads(line)
                saw(event["type"], event["object"])
        except (OSError, ValueError, http.client.HTTPException) as problem:
            if not is_over.is_set():
                problems.append(problem)
        except Exception as problem:  # noqa: BLE001 -- told to the block, which is in another thread
            problems.append(problem)
        else:
            if not is_over.is_set():
                problems.append(EOFError("the watch ended"))

    thread = threading.Thread(target=read, name=f"watching {path}")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        # The plain socket's shutdown: TLS's own would take the layer from under the reading thread.
        socket.socket.shutdown(wire, socket.SHUT_RDWR)
        thread.join()
        answer.close()
        connection.close()
    if problems:
        raise RuntimeError(f"The watch of {path} is not whole") from problems[0]
