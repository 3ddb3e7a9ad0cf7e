"""What the server tells about itself: versions, groups, resources, health, schemas."""

import json
from typing import TypeAlias

import msgspec

from cafe.kube.transport import Request, Response
from cafe_sim.apiserver.openapi import SchemaBook
from cafe_sim.apiserver.registry import Registry
from cafe_sim.apiserver.resource import Resource
from cafe_sim.contract import Json

KUBERNETES_VERSION = "v1.36.3"
_VERSION: Json = {
    "major": "1",
    "minor": "36",
    "gitVersion": f"{KUBERNETES_VERSION}+cafe-sim",
    "gitCommit": "simulated",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
_SUB_VERBS = {
    "status": ["get", "patch", "update"],
    "scale": ["get", "patch", "update"],
    "resize": ["get", "patch", "update"],
    "ephemeralcontainers": ["get", "patch", "update"],
    "finalize": ["update"],
    "log": ["get"],
    "binding": ["create"],
    "eviction": ["create"],
    "token": ["create"],
}
_SUB_KINDS = {
    "scale": ("autoscaling", "v1", "Scale"),
    "binding": ("", "v1", "Binding"),
    "eviction": ("policy", "v1", "Eviction"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
}
_HEALTH = {"/healthz", "/livez", "/readyz"}
_ACCEPTED = {"application/json", "*/*", "application/*", ""}
Found: TypeAlias = "Json | None"


class Discovery:
    """Answers the paths beside the resources."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._book = SchemaBook(registry)

    def answer(self, request: Request) -> Response | None:
        """Return the answer to a path of discovery, or None for any other."""
        path = request.path.rstrip("/") or "/"
        if request.method != "GET":
            return None
        if path in _HEALTH or path.rpartition("/")[0] in _HEALTH:
            return Response(200, b"ok", {"content-type": "text/plain"})
        if path.startswith("/openapi/"):
            return self._book.answer(path, request.accept)
        found = self._find(path)
        if found is None:
            return None
        return Response(200, msgspec.json.encode(found), {"content-type": "application/json"})

    def _find(self, path: str) -> Found:
        parts = path.strip("/").split("/")
        if path == "/":
            return {"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3",
                              "/readyz", "/version"]}  # fmt: skip
        if path == "/version":
            return _VERSION
        if path == "/api":
            address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}
        if path == "/apis":
            groups = [self._group(name) for name in self._registry.groups() if name]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        if parts[0] == "api" and len(parts) == 2:
            return self._resources("", parts[1])
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in self._registry.groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **self._group(parts[1])}
        if parts[0] == "apis" and len(parts) == 3:
            return self._resources(parts[1], parts[2])
        return None

    def _group(self, name: str) -> Json:
        versions = [
            {"groupVersion": f"{name}/{version}", "version": version}
            for version in self._registry.groups()[name]
        ]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def _resources(self, group: str, version: str) -> Found:
        if version not in self._registry.groups().get(group, []):
            return None
        entries: list[Json] = []
        for resource in self._registry.all():
            if (resource.group, resource.version) == (group, version):
                entries += _entries(resource)
        named = f"{group}/{version}" if group else version
        entries.sort(key=lambda entry: str(entry["name"]))
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": named, "resources": entries}


def _entries(resource: Resource) -> list[Json]:
    entry: Json = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.is_namespaced,
        "kind": resource.kind,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if "list" in resource.verbs:
        seed = json.dumps([resource.group, resource.plural]).encode()
        entry["storageVersionHash"] = msgspec.json.encode(seed).decode()[1:12]
    entries = [entry]
    for name in sorted(resource.subresources & _SUB_VERBS.keys()):
        group, version, kind = _SUB_KINDS.get(name, ("", "", resource.kind))
        sub: Json = {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.is_namespaced,
            "kind": kind,
            "verbs": _SUB_VERBS[name],
        }
        entries.append({**sub, "group": group, "version": version} if version else sub)
    return entries
