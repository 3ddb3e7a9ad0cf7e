"""One watch: bytes of a stream turned into typed events.

The type of an event is looked at first, because a bookmark's object is a husk of its kind, full of nulls,
and an error's object is a Status.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from cafe.kernel import Unavailable
from cafe.kube.codec import Changed, Codec, ListMeta, decode_json, excerpt
from cafe.kube.errors import answer_of_status, error_of
from cafe.kube.transport import Stream

T = TypeVar("T")

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""Annotation of the bookmark that ends the initial events of a watch-list (KEP-3157)."""

_PLAIN = (b'{"type":"MODIFIED"', b'{"type":"ADDED"', b'{"type":"DELETED"')


@dataclass(frozen=True, slots=True)
class Bookmark:
    """The server's word that everything up to *resource_version* has been sent.

    Attributes:
        ends_initial: It ends the initial events of a watch-list.
    """

    resource_version: str
    ends_initial: bool = False


WatchEvent: TypeAlias = Changed[T] | Bookmark


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What to watch.

    Attributes:
        resource_version: Go on after this version; empty begins at the newest state.
        initial_events: Send the present state first, ended by a bookmark: a watch-list.
        label_selector: As in `kubectl -l`.
        field_selector: For instance `spec.nodeName=n1`.
        lasting: The server ends the stream after this time; None leaves it to the server.
        timeout: For the response's headers.
    """

    resource_version: str = ""
    initial_events: bool = False
    label_selector: str = ""
    field_selector: str = ""
    lasting: timedelta | None = None
    timeout: timedelta = timedelta(seconds=30)

    def query(self) -> tuple[tuple[str, str], ...]:
        """Return the query of the request."""
        pairs = [("watch", "true"), ("allowWatchBookmarks", "true")]
        if self.initial_events:
            pairs += [("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]
        if self.resource_version:
            pairs.append(("resourceVersion", self.resource_version))
        if self.lasting is not None:
            pairs.append(("timeoutSeconds", str(max(1, round(self.lasting.total_seconds())))))
        pairs += selectors(self.label_selector, self.field_selector)
        return tuple(pairs)


def selectors(label_selector: str, field_selector: str) -> list[tuple[str, str]]:
    """Return the query pairs of the selectors that are not empty."""
    pairs = [("labelSelector", label_selector), ("fieldSelector", field_selector)]
    return [pair for pair in pairs if pair[1]]


class _BookmarkObject(msgspec.Struct, frozen=True):
    metadata: ListMeta = ListMeta()


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_BOOKMARK = msgspec.json.Decoder(_BookmarkObject)


def read_event(codec: Codec[T], line: bytes) -> WatchEvent[T]:
    """Turn one line into an event.

    Raises:
        ApiError: The line is an ERROR event, for instance `Expired` in a stream of HTTP status 200.
        Undecodable: The object doesn't fit its model.
        Unavailable: The line is no event at all.
    """
    if line.startswith(_PLAIN):  # What a real server sends: one pass over the bytes.
        return codec.change.decode(line)
    try:
        envelope = _ENVELOPE.decode(line)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"The watch sent no event: {excerpt(line)}") from error
    if envelope.type == "BOOKMARK":
        meta = _BOOKMARK.decode(envelope.object).metadata
        ends = (meta.annotations or {}).get(INITIAL_EVENTS_END) == "true"
        return Bookmark(meta.resource_version, ends)
    if envelope.type == "ERROR":
        status: Any = decode_json(bytes(envelope.object))
        raise error_of(answer_of_status(status if isinstance(status, dict) else {}))
    return codec.change.decode(line)


class Watch(Generic[T]):
    """The events of one open watch, in order. Ends when the server ends it."""

    def __init__(self, codec: Codec[T], stream: Stream) -> None:
        self._codec = codec
        self._lines = stream.lines

    async def __aiter__(self) -> AsyncIterator[WatchEvent[T]]:
        """Yield events; see `read_event` for what is raised."""
        codec = self._codec
        async for line in self._lines:
            if line:
                yield read_event(codec, line)

    async def raw(self) -> AsyncIterator[bytes]:
        """Yield undecoded lines, for a reader that survives single broken objects."""
        async for line in self._lines:
            if line:
                yield line
