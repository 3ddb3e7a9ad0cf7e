"""From a kind's declaration to its CustomResourceDefinition."""

from typing import Any

import msgspec

from cafe.api import (
    cafeapprevision,
    cafeappservice,
    cafedeployment,
    inplaceset,
    podroster,
    trafficbinding,
    trafficprovider,
)
from cafe.api.declaration import KindDeclaration
from cafe.api.names import GROUP, VERSION

Schema = dict[str, Any]

DECLARATIONS = (
    cafeappservice.DECLARATION,
    cafeapprevision.DECLARATION,
    cafedeployment.DECLARATION,
    inplaceset.DECLARATION,
    podroster.DECLARATION,
    trafficbinding.DECLARATION,
    trafficprovider.DECLARATION,
)
"""Every kind of CAFE."""

DROPPED = {"title", "default", "properties", "propertyNames", "additionalProperties", "items"}
"""Words of JSON schema that are rewritten or unknown to structural schemas."""


def crd_of(declaration: KindDeclaration) -> Schema:
    """Return the CustomResourceDefinition of one kind, ready to be applied.

    The schema is structural (KEP-1979): no `$ref`, no `anyOf` around types, a type for each node.
    """
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object_schema(declaration)},
        **({"subresources": found} if (found := _subresources(declaration)) else {}),
        "additionalPrinterColumns": [
            {
                "name": c.name,
                "type": c.type,
                "jsonPath": c.json_path,
                **({"priority": c.priority} if c.priority else {}),
            }
            for c in declaration.columns
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{declaration.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": declaration.kind,
                "listKind": f"{declaration.kind}List",
                "plural": declaration.plural,
                "singular": declaration.kind.lower(),
                "shortNames": list(declaration.short_names),
                "categories": ["cafe"],
            },
            "versions": [version],
        },
    }


def _subresources(declaration: KindDeclaration) -> Schema:
    found: Schema = {"status": {}} if has_status(declaration) else {}
    if scale := declaration.scale:
        found["scale"] = {
            "specReplicasPath": scale.spec_path,
            "statusReplicasPath": scale.status_path,
            "labelSelectorPath": scale.selector_path,
        }
    return found


def has_status(declaration: KindDeclaration) -> bool:
    """Whether objects of the kind tell what became of them."""
    return "status" in declaration.type.__struct_fields__


def _object_schema(declaration: KindDeclaration) -> Schema:
    (whole,), components = msgspec.json.schema_components([declaration.type])
    root = _structural(whole, components)
    spec = root["properties"]["spec"]
    spec["x-kubernetes-validations"] = [
        {
            "rule": rule.rule,
            "message": rule.message,
            "fieldPath": rule.field_path.removeprefix(".spec"),
        }
        for rule in declaration.rules
    ]
    parts = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": spec,
    }
    if status := root["properties"].get("status"):
        told = {k: v for k, v in status.items() if k not in {"default", "required"}}
        parts["status"] = _without_defaults(told)
    return {
        "type": "object",
        "description": declaration.description,
        "required": ["spec"],
        "properties": parts,
    }


def _structural(node: Schema, components: Schema) -> Schema:
    """Inline references and turn one JSON schema node into a structural one."""
    if ref := node.get("$ref"):
        target = components[ref.rsplit("/", 1)[-1]]
        return _structural({**target, **{k: v for k, v in node.items() if k != "$ref"}}, components)
    if alternatives := node.get("anyOf"):
        return _united(node, alternatives, components)
    result = {k: v for k, v in node.items() if k not in DROPPED}
    if node.get("default") not in (None, [], {}) or ("default" in node and "properties" in node):
        result["default"] = node["default"]
    if not result.get("required", True):
        del result["required"]
    if "enum" in result:
        result["type"] = "string"
    result |= _parts(node, components)
    if keys := result.get("x-kubernetes-list-map-keys"):
        result["x-kubernetes-list-type"] = "map"
        result["items"]["required"] = list(keys)
    return result


def _parts(node: Schema, components: Schema) -> Schema:
    """Return the schemas of an object's properties or a list's items."""
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return {}
    if "properties" in node:
        return {"properties": {k: _structural(v, components) for k, v in node["properties"].items()}}
    if node.get("type") == "object":
        return {"additionalProperties": _structural(node["additionalProperties"], components)}
    if node.get("type") == "array":
        return {"items": _structural(node["items"], components)}
    return {}


def _united(node: Schema, alternatives: list[Schema], components: Schema) -> Schema:
    """Handle the two unions that kinds use: *something or null*, and *count or percentage*."""
    rest = {k: v for k, v in node.items() if k != "anyOf"}
    types = {a.get("type") for a in alternatives}
    if types == {"integer", "string"}:
        kept = {k: v for k, v in rest.items() if k in {"description", "default"}}
        return {**kept, "x-kubernetes-int-or-string": True}
    real = [a for a in alternatives if a.get("type") != "null"]
    merged = {**real[0], **{k: v for k, v in rest.items() if v is not None}}
    return _structural(merged, components)


def _without_defaults(schema: Schema) -> Schema:
    """Return a status schema: nothing is defaulted or required there, or half a status would be refused."""
    kept = {k: v for k, v in schema.items() if k != "default"}
    if "required" in kept and "properties" in kept and kept["required"] != ["type"]:
        del kept["required"]
    if "properties" in kept:
        kept["properties"] = {k: _without_defaults(v) for k, v in kept["properties"].items()}
    for part in ("items", "additionalProperties"):
        if isinstance(kept.get(part), dict):
            kept[part] = _without_defaults(kept[part])
    return kept
