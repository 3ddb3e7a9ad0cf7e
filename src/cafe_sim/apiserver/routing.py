"""From a path to what is asked for."""

from dataclasses import dataclass
from urllib.parse import unquote

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.context import Target
from cafe_sim.apiserver.registry import Registry


@dataclass(frozen=True, slots=True)
class Route:
    """A path below a resource.

    Attributes:
        target: What is asked for.
        is_everywhere: A collection over all namespaces.
    """

    target: Target
    is_everywhere: bool = False


def find_route(registry: Registry, path: str) -> Route:
    """Read the path of a resource.

    Raises:
        StatusError: 404, nothing is served there.
    """
    parts = [unquote(part) for part in path.strip("/").split("/")]
    group, version, rest = _split(parts)
    namespace = ""
    is_scoped = len(rest) >= 3 and rest[0] == "namespaces" and rest[2] not in {"status", "finalize"}
    if is_scoped:
        namespace, rest = rest[1], rest[2:]
    if not rest or len(rest) > 3:
        raise errors.no_such_path()
    plural, name, subresource = (*rest, "", "")[:3]
    resource = registry.find(group, version, plural)
    if resource is None or (is_scoped and not resource.is_namespaced):
        raise errors.no_such_path()
    if subresource and subresource not in resource.subresources:
        raise errors.no_such_path()
    if resource.is_namespaced and not namespace and name:
        raise errors.no_such_path()
    target = Target(resource, namespace, name, subresource)
    return Route(target, is_everywhere=resource.is_namespaced and not namespace)


def _split(parts: list[str]) -> tuple[str, str, list[str]]:
    if parts[0] == "api" and len(parts) > 2:
        return "", parts[1], parts[2:]
    if parts[0] == "apis" and len(parts) > 3:
        return parts[1], parts[2], parts[3:]
    raise errors.no_such_path()
