"""OpenAPI v3 and v2 documents, made from the table of built-in types and from the schemas of CRDs.

`kubectl explain` reads the schemas, `kubectl diff` and `apply --dry-run=server` look whether patches take
`dryRun` and `fieldValidation`.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources

import msgspec

from cafe.kube.transport import Response
from cafe_sim.apiserver.kinds.shapes import BuiltinShape
from cafe_sim.apiserver.registry import Registry
from cafe_sim.apiserver.resource import Resource
from cafe_sim.apiserver.schema.types import Field, struct
from cafe_sim.contract import Json

_PACKAGES = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta.v1",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
}
_PLAIN: dict[str, Json] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "date-time"},
    "duration": {"type": "string"},
    "quantity": {"type": "string"},
    "intstr": {"type": "string", "format": "int-or-string"},
    "any": {"type": "object"},
}
_QUERY = ("dryRun", "fieldManager", "fieldValidation", "force", "pretty")
_OBJECT_META = "meta/v1.ObjectMeta"
_JSON = {"content-type": "application/json"}


@cache
def descriptions() -> dict[str, str]:
    """Return what is said about types and fields, by `type` or `type.field`."""
    text = resources.files("cafe_sim.apiserver.schema").joinpath("descriptions.txt").read_text("utf-8")
    lines = (line.partition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: said for name, _, said in lines}


def component_name(type_name: str) -> str:
    """Return a declared type's name in OpenAPI documents."""
    package, _, name = type_name.rpartition(".")
    home, _, version = package.partition("/")
    return f"{_PACKAGES.get(home, f'io.k8s.api.{home}.{version}')}.{name}"


class SchemaBook:
    """Answers the paths below `/openapi`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def answer(self, path: str, accept: str) -> Response | None:
        """Return a document, or None if there is none at *path*."""
        if path == "/openapi/v3":
            return Response(200, msgspec.json.encode({"paths": self._index()}), _JSON)
        if path == "/openapi/v2":
            return self._version_two(accept)
        for group, versions in self._registry.groups().items():
            for version in versions:
                if path == f"/openapi/v3/{_base(group, version)}":
                    return Response(200, msgspec.json.encode(self._document(group, version)), _JSON)
        return None

    def _version_two(self, accept: str) -> Response:
        """kubectl asks for this one in Protocol Buffers first, and takes JSON if it may."""
        del accept
        definitions: Json = {}
        for group, versions in self._registry.groups().items():
            for version in versions:
                definitions |= self._document(group, version)["components"]["schemas"]
        text = msgspec.json.encode(definitions).replace(b"#/components/schemas/", b"#/definitions/")
        document = {
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": "v1.36.3"},
            "paths": {},
            "definitions": msgspec.Raw(text),
        }
        return Response(200, msgspec.json.encode(document), _JSON)

    def _index(self) -> Json:
        index: Json = {}
        for group, versions in self._registry.groups().items():
            for version in versions:
                digest = hashlib.sha256(msgspec.json.encode(self._document(group, version))).hexdigest()
                base = _base(group, version)
                index[base] = {"serverRelativeURL": f"/openapi/v3/{base}?hash={digest[:32].upper()}"}
        return index

    def _document(self, group: str, version: str) -> Json:
        found = [r for r in self._registry.all() if (r.group, r.version) == (group, version)]
        schemas: Json = {}
        paths: Json = {}
        for resource in found:
            _add_schema(schemas, resource)
            paths |= _paths(resource)
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.36.3"},
            "paths": paths,
            "components": {"schemas": schemas},
        }


def _base(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _gvk(resource: Resource) -> Json:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _paths(resource: Resource) -> Json:
    base = f"/{_base(resource.group, resource.version)}"
    scope = f"{base}/namespaces/{{namespace}}" if resource.is_namespaced else base
    operation = {
        "x-kubernetes-group-version-kind": _gvk(resource),
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _QUERY],
        "responses": {"200": {"description": "OK"}},
    }
    verbs = {"get": "get", "put": "put", "patch": "patch", "delete": "delete"}
    return {
        f"{scope}/{resource.plural}": {
            "get": {**operation, "x-kubernetes-action": "list"},
            "post": {**operation, "x-kubernetes-action": "post"},
        },
        f"{scope}/{resource.plural}/{{name}}": {
            verb: {**operation, "x-kubernetes-action": action} for verb, action in verbs.items()
        },
    }


def _add_schema(schemas: Json, resource: Resource) -> None:
    shape = resource.shape
    if isinstance(shape, BuiltinShape):
        _add_type(schemas, shape.struct.name)
        name = component_name(shape.struct.name)
    else:
        _add_type(schemas, _OBJECT_META)
        name = ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])
        schemas[name] = _custom(shape.openapi(), f"#/components/schemas/{component_name(_OBJECT_META)}")
    schemas[name] = {**schemas[name], "x-kubernetes-group-version-kind": [_gvk(resource)]}


def _custom(schema: Json, meta: str) -> Json:
    head = {
        "apiVersion": {"type": "string", "description": "Group and version of the schema of this object."},
        "kind": {"type": "string", "description": "What kind of object this is."},
        "metadata": {"description": "Standard object metadata.", "allOf": [{"$ref": meta}]},
    }
    return {**schema, "type": "object", "properties": {**(schema.get("properties") or {}), **head}}


def _add_type(schemas: Json, type_name: str) -> None:
    name = component_name(type_name)
    if name in schemas:
        return
    schemas[name] = {}
    found = struct(type_name)
    properties = {item.name: _property(type_name, item) for item in found.fields.values()}
    schema: Json = {"type": "object", "properties": properties}
    said = descriptions().get(type_name)
    if said:
        schema["description"] = said
    required = [item.name for item in found.fields.values() if item.is_required]
    if required:
        schema["required"] = required
    schemas[name] = schema
    for inner in _inner_types(found.fields.values()):
        _add_type(schemas, inner)


def _inner_types(fields: Iterable[Field]) -> list[str]:
    found = []
    for item in fields:
        name = item.inner.strip("[]{}") if item.kind in {"struct", "list", "map"} else ""
        if "/" in name:
            found.append(name)
    return found


def _property(type_name: str, item: Field) -> Json:
    schema = dict(_schema_of(item))
    said = descriptions().get(f"{type_name}.{item.name}")
    if said:
        schema["description"] = said
    if item.list_type:
        schema[f"x-kubernetes-{'list' if item.kind == 'list' else 'map'}-type"] = item.list_type
    if item.list_keys:
        schema["x-kubernetes-list-map-keys"] = list(item.list_keys)
    if item.merge_key is not None:
        schema["x-kubernetes-patch-strategy"] = "merge"
        if item.merge_key:
            schema["x-kubernetes-patch-merge-key"] = item.merge_key
    return schema


def _schema_of(item: Field) -> Json:
    if item.kind == "struct":
        return {"allOf": [{"$ref": f"#/components/schemas/{component_name(item.inner)}"}], "default": {}}
    if item.kind == "list":
        return {"type": "array", "items": _schema_of(item.element())}
    if item.kind == "map":
        return {"type": "object", "additionalProperties": _schema_of(item.element())}
    return _PLAIN[item.kind]
