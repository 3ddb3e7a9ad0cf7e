"""Which resources there are."""

from collections.abc import Iterable

from cafe_sim.apiserver.resource import Resource


class Registry:
    """Resources by group, version and plural, and by their qualified name."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_name: dict[str, Resource] = {}
        for resource in resources:
            self.add(resource)

    def add(self, resource: Resource) -> None:
        """Serve a resource. Of several versions, the first that is added answers to the qualified name."""
        self._by_path[resource.group, resource.version, resource.plural] = resource
        self._by_name.setdefault(resource.name, resource)

    def remove(self, group: str, plural: str) -> None:
        """Serve a resource no longer, in any version."""
        for path in [path for path in self._by_path if path[0] == group and path[2] == plural]:
            found = self._by_path.pop(path)
            self._by_name.pop(found.name, None)

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return a resource in one version, or None."""
        return self._by_path.get((group, version, plural))

    def named(self, name: str) -> Resource | None:
        """Return a resource by its qualified name, such as `deployments.apps`."""
        return self._by_name.get(name)

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource of a kind."""
        for resource in self._by_path.values():
            if resource.kind == kind and resource.api_version == api_version:
                return resource
        return None

    def all(self) -> list[Resource]:
        """Return all resources in all versions, in the order in which they were added."""
        return list(self._by_path.values())

    def groups(self) -> dict[str, list[str]]:
        """Return the versions of each group, the preferred one first."""
        groups: dict[str, list[str]] = {}
        for group, version, _ in self._by_path:
            versions = groups.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return groups
