"""Whether an admission webhook or policy concerns a request, by its rules and selectors."""

from cafe_sim.apiserver.context import Target
from cafe_sim.apiserver.resource import Surroundings
from cafe_sim.apiserver.selectors import matches_selector
from cafe_sim.apiserver.values import Value, dig
from cafe_sim.contract import Json


def concerns(told: Json, target: Target, objects: tuple[Json, Json | None], around: Surroundings) -> bool:
    """Whether what is told (`rules`, `namespaceSelector`, `objectSelector`) fits a request.

    Args:
        told: Of a webhook or a policy.
        target: Of the request.
        objects: The object as it would be stored, and as it is.
        around: The world.
    """
    new, old = objects
    operation = operation_of(new, old)
    if not any(_fits(rule, target, operation) for rule in told.get("rules") or []):
        return False
    namespace = _labels_of_namespace(target, around)
    if namespace is not None and not matches_selector(told.get("namespaceSelector") or {}, namespace):
        return False
    selector = told.get("objectSelector") or {}
    labels = [dig(obj, "metadata", "labels") for obj in (new, old) if obj]
    return any(matches_selector(selector, each) for each in labels)


def operation_of(new: Json, old: Json | None) -> str:
    """Return what a request does."""
    if not new:
        return "DELETE"
    return "CREATE" if old is None else "UPDATE"


def _labels_of_namespace(target: Target, around: Surroundings) -> Json | None:
    name = target.namespace if target.resource.is_namespaced else ""
    if target.resource.key == "namespaces":
        name = target.name
    if not name:
        return None
    found = around.find("namespaces", "", name)
    return dig(found, "metadata", "labels") or {}


def _fits(rule: Json, target: Target, operation: str) -> bool:
    resource = target.resource
    path = f"{resource.plural}/{target.subresource}" if target.subresource else resource.plural
    wanted = rule.get("resources") or []
    scope = "Namespaced" if resource.is_namespaced else "Cluster"
    return (
        _listed(rule.get("operations"), operation)
        and _listed(rule.get("apiGroups"), resource.group)
        and _listed(rule.get("apiVersions"), resource.version)
        and rule.get("scope", "*") in {"*", scope}
        and any(_fits_path(item, path) for item in wanted)
    )


def _listed(words: Value, word: str) -> bool:
    return "*" in (words or []) or word in (words or [])


def _fits_path(pattern: str, path: str) -> bool:
    plural, _, subresource = pattern.partition("/")
    has, _, sub = path.partition("/")
    if pattern in {"*/*", path}:
        return True
    if plural not in {"*", has}:
        return False
    return subresource == sub or (subresource == "*" and bool(sub))
