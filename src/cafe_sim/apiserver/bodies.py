"""Bodies of requests: JSON, YAML, and the Protocol Buffers of kubectl's typed commands."""

import msgspec
import yaml

from cafe.kube.transport import Request
from cafe_sim.apiserver import errors
from cafe_sim.apiserver.duplicates import duplicates
from cafe_sim.apiserver.schema import protobuf
from cafe_sim.apiserver.schema.types import table
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

JSON, YAML = "application/json", "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
_WHOLE = (JSON, YAML, PROTOBUF, "application/x-yaml", "application/cbor")
_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_decode = msgspec.json.Decoder().decode


class Unescaped(dict[str, Value]):
    """The `data` of a revision that was sent with signs in it that Go would have escaped."""


GO_ESCAPES = "<>&\u2028\u2029"
_SIGNS = tuple(sign.encode() for sign in GO_ESCAPES)


def read_object(request: Request) -> Json:
    """Return the object in the body of a create or an update.

    Raises:
        StatusError: 400, it can't be read, or is no object. 415, its form isn't known here.
    """
    media = request.content_type.partition(";")[0].strip()
    if media not in _WHOLE:
        raise errors.unsupported_media((JSON, YAML, PROTOBUF))
    body = read_body(request)
    if not isinstance(body, dict):
        raise errors.bad_request("couldn't get version/kind; the body is no object")
    if body.get("kind") == "ControllerRevision" and isinstance(body.get("data"), dict):
        raw = request.body or b""
        if any(sign in raw for sign in _SIGNS):
            return {**body, "data": Unescaped(body["data"])}
    return body


def read_body(request: Request) -> Value:
    """Return what a request's body says.

    Raises:
        StatusError: 400, it can't be read. 415, its form isn't known here.
    """
    media = request.content_type.partition(";")[0].strip()
    body = request.body or b""
    if media in {YAML, "application/x-yaml"}:
        return read_yaml(body)
    if media == PROTOBUF:
        return _read_protobuf(body)
    if media == "application/cbor":
        raise errors.unsupported_media((JSON, YAML, PROTOBUF))
    try:
        return _decode(body)
    except msgspec.DecodeError as error:
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def read_twice(request: Request) -> list[str]:
    """Return the paths of the fields that a readable body of JSON gives twice."""
    body = request.body or b""
    return duplicates(body) if body[:1] in {b"{", b"["} and b"\n" not in body.strip() else []


def read_yaml(text: bytes) -> Value:
    """Return what a YAML text says.

    Raises:
        StatusError: 400, it can't be read.
    """
    try:
        return yaml.load(text, Loader=_SAFE)  # noqa: S506 -- the C twin of the safe loader
    except yaml.YAMLError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from error


def _read_protobuf(body: bytes) -> Value:
    try:
        version, kind, raw = protobuf.read_envelope(body)
        home = "meta" if kind.endswith("Options") else _home(version)
        struct = table().get(f"{home}/{version.rpartition('/')[2]}.{kind}")
        if struct is None:
            raise errors.bad_request(f'no kind "{kind}" is registered for version "{version}"')
        return {"apiVersion": version, "kind": kind, **protobuf.read_message(struct, raw)}
    except (protobuf.BadMessageError, UnicodeDecodeError) as error:
        raise errors.bad_request(f"proto: {error}") from error


def _home(version: str) -> str:
    """Return the package of a group: `rbac.authorization.k8s.io/v1` is in `rbac`."""
    return version.partition("/")[0].partition(".")[0] if "/" in version else "core"
