"""CustomResourceDefinitions themselves: what a good one looks like, and how it lives."""

from collections.abc import Iterator

from cafe_sim.apiserver.crds.expressions import BadRuleError, Judge
from cafe_sim.apiserver.crds.validation import check_structural
from cafe_sim.apiserver.errors import FieldError
from cafe_sim.apiserver.names import dns_label_1035, dns_subdomain
from cafe_sim.apiserver.resource import Rules, Surroundings
from cafe_sim.apiserver.values import dig, with_meta
from cafe_sim.contract import Json

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


class DefinitionRules(Rules):
    """The rules of CustomResourceDefinitions."""

    has_status = True
    has_generation = True
    status_keeps = ("labels", "annotations", "finalizers", "ownerReferences")

    def first_status(self, obj: Json) -> Json:
        """Not served yet."""
        stored = [v["name"] for v in obj["spec"].get("versions") or [] if v.get("storage")]
        return {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}

    def prepare_create(self, obj: Json, around: Surroundings) -> Json:
        """Fill in the names that follow from others."""
        return super().prepare_create(_named(obj), around)

    def prepare_update(self, new: Json, old: Json, around: Surroundings) -> Json:
        """As on creation."""
        return super().prepare_update(_named(new), old, around)

    def check(self, obj: Json) -> list[FieldError]:
        """Check names, versions and schemas."""
        spec = obj["spec"]
        return [*_check_names(obj["metadata"]["name"], spec), *_check_versions(spec)]

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """Group, scope and plural stay."""
        found = self.check(new) if new["spec"] is not old["spec"] else []
        for path in (("group",), ("scope",), ("names", "plural"), ("names", "kind")):
            value = dig(new, "spec", *path)
            if value != dig(old, "spec", *path):
                found.append(FieldError("Invalid", f"spec.{'.'.join(path)}", value, "field is immutable"))
        return found

    def begin_deletion(self, obj: Json) -> Json | None:
        """Its objects go first."""
        meta = obj["metadata"]
        if meta.get("deletionTimestamp"):
            return obj if meta.get("finalizers") else None
        return with_meta(obj, finalizers=[*(meta.get("finalizers") or []), CLEANUP])


def _named(obj: Json) -> Json:
    spec = obj["spec"]
    names = spec.get("names") or {}
    kind = names.get("kind", "")
    full = {"singular": kind.lower(), "listKind": f"{kind}List", **names}
    conversion = spec.get("conversion") or {"strategy": "None"}
    if full == names and conversion is spec.get("conversion"):
        return obj
    return {**obj, "spec": {**spec, "names": full, "conversion": conversion}}


def _check_names(name: str, spec: Json) -> Iterator[FieldError]:
    names, group = spec.get("names") or {}, spec.get("group", "")
    plural = names.get("plural", "")
    if name != f"{plural}.{group}":
        yield FieldError("Invalid", "metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if not group:
        yield FieldError("Required", "spec.group")
    elif dns_subdomain(group):
        yield FieldError("Invalid", "spec.group", group, dns_subdomain(group)[0])
    elif "." not in group:
        yield FieldError("Invalid", "spec.group", group, "should be a domain with at least one dot")
    if spec.get("scope") not in {"Cluster", "Namespaced"}:
        text = 'supported values: "Cluster", "Namespaced"'
        yield FieldError("NotSupported", "spec.scope", spec.get("scope", ""), text)
    for field in ("plural", "singular", "kind"):
        value = names.get(field, "")
        at = f"spec.names.{field}"
        if not value:
            yield FieldError("Required", at)
        elif dns_label_1035(value.lower()):
            yield FieldError("Invalid", at, value, dns_label_1035(value.lower())[0])


def _check_versions(spec: Json) -> Iterator[FieldError]:
    versions = spec.get("versions") or []
    stored = [version for version in versions if version.get("storage")]
    if len(stored) != 1:
        text = "must have exactly one version marked as storage version"
        yield FieldError("Invalid", "spec.versions", versions, text)
    for index, version in enumerate(versions):
        at = f"spec.versions[{index}]"
        schema = dig(version, "schema", "openAPIV3Schema")
        if schema is None:
            yield FieldError("Required", f"{at}.schema.openAPIV3Schema", None, "schemas are required")
            continue
        yield from check_structural(schema, f"{at}.schema.openAPIV3Schema")
        try:
            Judge(schema)
        except BadRuleError as error:
            where = f"{at}.schema.openAPIV3Schema.x-kubernetes-validations"
            yield FieldError("Invalid", where, None, str(error))
