"""JSON in and out. The one module that knows the JSON library.

Models are clean: a field has its type and a default. The API, however, writes `null` for what is absent
(bookmarks carry `containers: null`, k8s conditions `lastProbeTime: null`). So decoding goes fast and typed
first, and only a document that does not fit is read again with its nulls dropped.
"""

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec
from msgspec import Struct

from cafe.kernel import CafeError, ObjectKey, Unavailable

T = TypeVar("T")

LONGEST_FOREIGN_TEXT = 1000
"""Characters of somebody else's text that we pass on: enough for a person, too few to flood a log."""


class Undecodable(CafeError):
    """The API sent a document that doesn't fit the model; asking again changes nothing."""


class ListMeta(Struct, frozen=True, rename="camel", gc=False):
    """The metadata of a list or of a bookmark."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None
    annotations: dict[str, str] | None = None


class Page(Struct, Generic[T], frozen=True, gc=False):
    """A list, or one page of it."""

    metadata: ListMeta = ListMeta()
    items: tuple[T, ...] = ()

    @property
    def resource_version(self) -> str:
        """The version of the whole collection, from which a watch may go on."""
        return self.metadata.resource_version

    @property
    def continue_(self) -> str:
        """The token of the next page; empty on the last one."""
        return self.metadata.continue_


class Changed(Struct, Generic[T], frozen=True, gc=False):
    """A watch event about an object; for `DELETED` it is the last state, with a new resourceVersion."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: T


class _RawPage(Struct, frozen=True):
    metadata: ListMeta = ListMeta()
    items: list[msgspec.Raw] | None = None


class _Named(Struct, frozen=True):
    name: str = ""
    namespace: str = ""


class _Inner(Struct, frozen=True):
    metadata: _Named = _Named()


class _Anything(Struct, frozen=True):
    metadata: _Named = _Named()
    object: _Inner | None = None


_AS_GO = (
    (b"&", b"\\u0026"),
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def encode(body: object) -> bytes:
    """Write a dict or a Struct as JSON, escaped as Go does it.

    The API server keeps the data of a ControllerRevision as the bytes that were sent, and compares it with
    Go's own writing when it is patched: a revision whose template holds `sh -c "a && b"` could never get
    another number, and its application never go back to it.
    """
    written = msgspec.json.encode(body)
    for sign, escaped in _AS_GO:  # Outside of strings JSON has none of these.
        if sign in written:
            written = written.replace(sign, escaped)
    return written


def decode_json(raw: bytes) -> Any:  # noqa: ANN401 -- a JSON document may be anything
    """Read any JSON document.

    Raises:
        Unavailable: *raw* is no JSON: a proxy's page, or an answer that was cut.
    """
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise Unavailable(f"The answer is no JSON: {excerpt(raw)}", is_outcome_known=False) from error


def excerpt(raw: bytes | str) -> str:
    """Return the beginning of a foreign text, printable and short enough to log."""
    text = raw if isinstance(raw, str) else raw[: 4 * LONGEST_FOREIGN_TEXT].decode(errors="replace")
    text = text.strip()
    return text if len(text) <= LONGEST_FOREIGN_TEXT else text[:LONGEST_FOREIGN_TEXT] + "…"


def key_in(raw: bytes | msgspec.Raw) -> ObjectKey | None:
    """Return the key of an object, or of a watch event's object, whose rest may not fit any model.

    None if it has no metadata.
    """
    try:
        outer = msgspec.json.decode(raw, type=_Anything)
    except msgspec.MsgspecError:
        return None
    named = outer.metadata if outer.object is None else outer.object.metadata
    return ObjectKey(named.namespace, named.name)


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 -- any JSON value
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value


class Decoder(Generic[T]):
    """Reads documents of one type, leniently about nulls and strictly about everything else."""

    def __init__(self, wanted: type[T]) -> None:
        self._type = wanted
        self._decoder = msgspec.json.Decoder(wanted)

    def decode(self, raw: bytes | msgspec.Raw) -> T:
        """Read one document.

        Raises:
            Undecodable: It doesn't fit the type.
            Unavailable: It is no JSON at all.
        """
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError:
            return self._decode_leniently(raw)
        except msgspec.DecodeError as error:
            raise Unavailable(
                f"The answer is no JSON: {excerpt(bytes(raw))}", is_outcome_known=False
            ) from error

    def _decode_leniently(self, raw: bytes | msgspec.Raw) -> T:
        try:
            return msgspec.convert(_without_nulls(msgspec.json.decode(raw)), self._type)
        except msgspec.ValidationError as error:
            name = getattr(self._type, "__name__", str(self._type))
            raise Undecodable(f"An object at {key_in(raw) or '?'} is no {name}: {error}") from error


class Codec(Generic[T]):
    """The decoders of one kind."""

    def __init__(self, wanted: type[T]) -> None:
        self.one = Decoder(wanted)
        model: Any = wanted  # mypy knows no type that is a value
        self.page: Decoder[Page[T]] = Decoder(Page[model])
        self.change: Decoder[Changed[T]] = Decoder(Changed[model])

    def read_page(self, raw: bytes) -> tuple[Page[T], tuple[ObjectKey, ...]]:
        """Read a list of which single objects may be unreadable.

        Returns:
            The page without them, and their keys. One broken object must not blind us to all others, and
            its absence from the page must not be taken for its deletion.
        """
        try:
            return self.page.decode(raw), ()
        except Undecodable:
            loose = msgspec.json.decode(raw, type=_RawPage)
        items: list[T] = []
        broken: list[ObjectKey] = []
        for item in loose.items or ():
            try:
                items.append(self.one.decode(item))
            except Undecodable:
                broken += [key for key in (key_in(item),) if key]
        return Page(loose.metadata, tuple(items)), tuple(broken)


@lru_cache(maxsize=256)
def _codec(wanted: Hashable) -> Codec[Any]:
    return Codec(cast("type[Any]", wanted))


def codec_for(wanted: type[T]) -> Codec[T]:
    """Return the codec of a type; building one takes milliseconds, so it happens once."""
    return _codec(cast("Hashable", wanted))


def metadata_text(body: object, name: str) -> str:
    """Return a metadata field (`name`, `namespace`, `uid`, `resourceVersion`) of a dict or a Struct."""
    if isinstance(body, Mapping):
        return str((body.get("metadata") or {}).get(name) or "")
    field = {"resourceVersion": "resource_version"}.get(name, name)
    return str(getattr(getattr(body, "metadata", None), field, "") or "")


def key_of(body: Any) -> ObjectKey:  # noqa: ANN401 -- dict or Struct
    """Return the key of an object, whether dict or Struct."""
    if isinstance(body, Mapping):
        return ObjectKey(metadata_text(body, "namespace"), metadata_text(body, "name"))
    meta = body.metadata
    return ObjectKey(meta.namespace, meta.name)


def version_of(body: Any) -> int:  # noqa: ANN401 -- dict or Struct
    """Return an object's resourceVersion as a number: versions of one resource are ordered (KEP-5504)."""
    text = (
        metadata_text(body, "resourceVersion")
        if isinstance(body, Mapping)
        else body.metadata.resource_version
    )
    return int(text) if text else 0
