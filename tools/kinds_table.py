"""Write the field table of Kubernetes' built-in kinds from the type declarations of its Go modules.

The simulated API server decodes, defaults, prunes, merges and explains built-in kinds by this table, so a
field's zero value, its pointer and its merge key must be those of the real one. Only names, types and
markers are taken. Run it after choosing another Kubernetes version:

    python tools/kinds_table.py $(go env GOMODCACHE)/k8s.io v0.36.3

One line a field: `name type flags`. Types: `string`, `bool`, `int`, `float`, `bytes`, `time`, `microtime`,
`duration`, `quantity`, `intstr`, `any`, a declared type, `[T]` for lists and `{T}` for maps. Flags: `*` the
field is a pointer (its zero value is kept), `-` its zero value is not written, `!` it is required,
`@map:k1,k2` / `@set` / `@atomic` how server-side apply merges it, `^key` and `&` its strategic merge key and
`retainKeys`, `#n` its number in Protocol Buffers (`#2.1`: in an inlined message).
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

OUT = Path(__file__).parent.parent / "src/cafe_sim/apiserver/schema/kinds.txt"
SOURCES = {
    "meta/v1": "apimachinery@{v}/pkg/apis/meta/v1/types.go",
    "core/v1": "api@{v}/core/v1/types.go",
    "apps/v1": "api@{v}/apps/v1/types.go",
    "autoscaling/v1": "api@{v}/autoscaling/v1/types.go",
    "autoscaling/v2": "api@{v}/autoscaling/v2/types.go",
    "coordination/v1": "api@{v}/coordination/v1/types.go",
    "discovery/v1": "api@{v}/discovery/v1/types.go",
    "events/v1": "api@{v}/events/v1/types.go",
    "networking/v1": "api@{v}/networking/v1/types.go",
    "policy/v1": "api@{v}/policy/v1/types.go",
    "rbac/v1": "api@{v}/rbac/v1/types.go",
    "scheduling/v1": "api@{v}/scheduling/v1/types.go",
    "storage/v1": "api@{v}/storage/v1/types.go",
    "admissionregistration/v1": "api@{v}/admissionregistration/v1/types.go",
    "authentication/v1": "api@{v}/authentication/v1/types.go",
    "authorization/v1": "api@{v}/authorization/v1/types.go",
    "metrics/v1beta1": "metrics@{v}/pkg/apis/metrics/v1beta1/types.go",
    "apiextensions/v1": "apiextensions-apiserver@{v}/pkg/apis/apiextensions/v1/types.go",
}
SCHEMA_TYPES = "apiextensions-apiserver@{v}/pkg/apis/apiextensions/v1/types_jsonschema.go"
ROOTS = [
    "meta/v1.DeleteOptions",
    "meta/v1.Status",
    "meta/v1.PartialObjectMetadata",
    "core/v1.Namespace",
    "core/v1.Node",
    "core/v1.Pod",
    "core/v1.Service",
    "core/v1.Endpoints",
    "core/v1.ConfigMap",
    "core/v1.Secret",
    "core/v1.ServiceAccount",
    "core/v1.PersistentVolumeClaim",
    "core/v1.PersistentVolume",
    "core/v1.Event",
    "core/v1.Binding",
    "core/v1.ResourceQuota",
    "core/v1.LimitRange",
    "core/v1.PodTemplate",
    "core/v1.ReplicationController",
    "apps/v1.Deployment",
    "apps/v1.ReplicaSet",
    "apps/v1.StatefulSet",
    "apps/v1.DaemonSet",
    "apps/v1.ControllerRevision",
    "autoscaling/v1.Scale",
    "autoscaling/v2.HorizontalPodAutoscaler",
    "coordination/v1.Lease",
    "discovery/v1.EndpointSlice",
    "events/v1.Event",
    "networking/v1.Ingress",
    "networking/v1.NetworkPolicy",
    "networking/v1.IngressClass",
    "policy/v1.PodDisruptionBudget",
    "policy/v1.Eviction",
    "rbac/v1.Role",
    "rbac/v1.RoleBinding",
    "rbac/v1.ClusterRole",
    "rbac/v1.ClusterRoleBinding",
    "scheduling/v1.PriorityClass",
    "storage/v1.StorageClass",
    "storage/v1.CSINode",
    "storage/v1.CSIDriver",
    "storage/v1.VolumeAttachment",
    "admissionregistration/v1.ValidatingWebhookConfiguration",
    "admissionregistration/v1.ValidatingAdmissionPolicy",
    "admissionregistration/v1.ValidatingAdmissionPolicyBinding",
    "admissionregistration/v1.MutatingWebhookConfiguration",
    "authentication/v1.TokenReview",
    "authentication/v1.TokenRequest",
    "authentication/v1.SelfSubjectReview",
    "authorization/v1.SubjectAccessReview",
    "authorization/v1.SelfSubjectAccessReview",
    "authorization/v1.SelfSubjectRulesReview",
    "authorization/v1.LocalSubjectAccessReview",
    "apiextensions/v1.CustomResourceDefinition",
    "metrics/v1beta1.PodMetrics",
]
ALIASES = {"v1": "core/v1", "metav1": "meta/v1", "corev1": "core/v1", "api": "core/v1", "apiv1": "core/v1"}
PLAIN = {
    "string": "string", "bool": "bool", "int": "int", "int32": "int32", "int64": "int64", "float64": "float",
    "uint8": "int", "metav1.Time": "time", "Time": "time", "metav1.MicroTime": "microtime",
    "MicroTime": "microtime", "metav1.Duration": "duration", "resource.Quantity": "quantity",
    "intstr.IntOrString": "intstr", "runtime.RawExtension": "any", "JSON": "any", "types.UID": "string",
    "FieldsV1": "any", "runtime.Object": "any", "[]byte": "bytes", "JSONSchemaPropsOrBool": "any",
    "JSONSchemaPropsOrArray": "any", "JSONSchemaPropsOrStringArray": "any", "v1.Time": "time",
    "v1.MicroTime": "microtime", "struct{}": "any", "JSONSchemaDefinitions": "any",
}  # fmt: skip


class Source:
    """All declarations of all packages."""

    def __init__(self, base: Path, version: str) -> None:
        self.structs: dict[str, tuple[bool, list[tuple[list[str], str]]]] = {}
        self.names: dict[str, str] = {}
        for package, path in SOURCES.items():
            self.read(package, (base / path.format(v=version)).read_text())
        self.read("apiextensions/v1", (base / SCHEMA_TYPES.format(v=version)).read_text())

    def read(self, package: str, text: str) -> None:
        """Take in the declarations of one file."""
        markers: list[str] = []
        lines = iter(text.splitlines())
        for line in lines:
            if line.startswith("//"):
                markers.append(line[2:].strip())
            elif found := re.match(r"type (\w+) struct \{(\})?", line):
                fields = [] if found[2] else list(self.fields(lines))
                self.structs[f"{package}.{found[1]}"] = ("+structType=atomic" in markers, fields)
                markers = []
            elif found := re.match(r"type (\w+) (.+)", line):
                self.names[f"{package}.{found[1]}"] = found[2].strip()
                markers = []
            elif line.strip():
                markers = []

    @staticmethod
    def fields(lines: Iterator[str]) -> Iterator[tuple[list[str], str]]:
        """Yield the fields of a struct with the markers above each."""
        markers: list[str] = []
        for line in lines:
            text = line.strip()
            if text == "}":
                return
            if text.startswith("//"):
                markers.append(text[2:].strip())
            elif text:
                yield markers, text
                markers = []

    def resolve(self, package: str, go: str) -> str:
        """Return a Go type in the table's notation."""
        go = go.removeprefix("*")
        if go in PLAIN and not (go in {"Time", "MicroTime"} and package != "meta/v1"):
            return PLAIN[go]
        if go.startswith("[]"):
            return f"[{self.resolve(package, go[2:])}]"
        if found := re.match(r"map\[[\w.]+\](.+)", go):
            return f"{{{self.resolve(package, found[1])}}}"
        prefix, _, name = go.rpartition(".")
        home = ALIASES.get(prefix, prefix) if prefix else package
        if package == "discovery/v1" and prefix == "v1":
            home = "core/v1"
        full = f"{home}.{name}"
        if (
            full not in self.structs
            and f"meta/v1.{name}" in self.structs
            and prefix in {"v1", "metav1", "corev1"}
        ):
            full = f"meta/v1.{name}"
        if full in self.structs:
            return full
        if full in self.names:
            return self.resolve(home, self.names[full])
        return "string" if prefix == "types" else sys.exit(f"unknown type {go} in {package}")

    def lines(self, full: str) -> Iterator[tuple[str, str, str]]:
        """Yield name, type and flags of each field, inlined ones included."""
        package = full.rpartition(".")[0]
        for markers, text in self.structs[full][1]:
            found = re.match(r"(?:(\w+)\s+)?(\S+)\s+`(.*)`", text)
            if not found or 'json:"-"' in found[3]:
                continue
            tags = dict(re.findall(r'(\w+):"([^"]*)"', found[3]))
            name, *options = tags.get("json", "").split(",")
            go = found[2] if found[1] or found[2] else ""
            if not name:
                inner = self.resolve(package, go)
                if inner == "meta/v1.TypeMeta":
                    yield "apiVersion", "string", "-"
                    yield "kind", "string", "-"
                else:
                    outer = tags.get("protobuf", ",").split(",")[1]
                    for inner_name, kind, flags in self.lines(inner):
                        # An inlined struct is a message of its own in Protocol Buffers.
                        yield inner_name, kind, flags.replace("#", f"#{outer}.", 1) if outer else flags
                continue
            number = tags.get("protobuf", ",").split(",")[1]
            flags = self.flags(markers, go, options, tags) + (f" #{number}" if number else "")
            yield name, self.resolve(package, go), flags.strip()

    @staticmethod
    def flags(markers: list[str], go: str, options: list[str], tags: dict[str, str]) -> str:
        """Return the flags of a field."""
        omit = "omitempty" in options or "omitzero" in options
        flags = [*("*" if go.startswith("*") else ""), *("-" if omit else "")]
        flags += ["0"] if "omitzero" in options else []
        flags += ["!"] if not omit and "+optional" not in markers else []
        kinds = [m.removeprefix("+listType=") for m in markers if m.startswith("+listType=")]
        kinds += [m.removeprefix("+mapType=") for m in markers if m.startswith("+mapType=")]
        kinds += [m.removeprefix("+structType=") for m in markers if m.startswith("+structType=")]
        keys = [m.removeprefix("+listMapKey=") for m in markers if m.startswith("+listMapKey=")]
        if kinds and kinds[0] != "granular":
            flags.append(f"@{kinds[0]}" + (":" + ",".join(keys) if keys else ""))
        strategy = tags.get("patchStrategy", "").split(",")
        if "merge" in strategy:
            flags.append("^" + tags.get("patchMergeKey", ""))
        if "retainKeys" in strategy or "replace" in strategy:
            flags += ["&"] if "retainKeys" in strategy else []
        return " ".join(flags)


def reachable(source: Source) -> list[str]:
    """Return every struct that the roots need, roots first."""
    found = list(ROOTS)
    for full in found:
        for _, kind, _ in source.lines(full):
            inner = kind.strip("[]{}")
            if "/" in inner and inner not in found:
                found.append(inner)
    return found


def main() -> None:
    """Write the table."""
    source = Source(Path(sys.argv[1]), sys.argv[2])
    out = [f"# Generated by tools/kinds_table.py from Kubernetes {sys.argv[2]}; do not edit."]
    for full in sorted(reachable(source)):
        out.append(f"{full}{' atomic' if source.structs[full][0] else ''}")
        out += [f" {name} {kind} {flags}".rstrip() for name, kind, flags in source.lines(full)]
    OUT.write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
