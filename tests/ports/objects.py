"""Objects that cases begin with."""

from typing import Any

from tests.ports.backend import Value

Json = dict[str, Any]


def config_map(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, *, labels: Json | None = None, **spec: Value) -> Json:
    container = {"name": "main", "image": "registry.invalid/main:1"}
    full = {"containers": [container], "schedulerName": "nobody", **spec}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": name}},
        "spec": full,
    }


def deployment(name: str, **spec: Value) -> Json:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(name)["spec"]}
    full = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": full}


def definition(kind: str, **version: Value) -> Json:
    plural, group = f"{kind.lower()}s", "ports.cafe.test"
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 0, "maximum": 10},
            "image": {"type": "string", "default": "main:1", "maxLength": 20},
            "mode": {"type": "string", "enum": ["fast", "slow"]},
            "fixed": {
                "type": "string",
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed is fixed"}],
            },
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "port": {"x-kubernetes-int-or-string": True},
            "items": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
                },
            },
        },
        "x-kubernetes-validations": [{"rule": "self.size != 7", "message": "seven is not wanted"}],
    }
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    full = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
        },
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
        **version,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [full],
        },
    }


def custom(kind: str, name: str, **spec: Value) -> Json:
    return {"apiVersion": "ports.cafe.test/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
