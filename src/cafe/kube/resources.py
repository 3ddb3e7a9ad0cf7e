"""Kinds: what the machinery must know of a resource to address and decode it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar
from urllib.parse import quote

T = TypeVar("T")


@lru_cache(maxsize=4096)
def _quoted(part: str) -> str:
    """Escape a part of a path. The same few names come again and again."""
    return quote(part, safe="")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One resource of the API and the type its objects are decoded to.

    Attributes:
        group: API group; empty for the core group.
        version: For instance `v1`.
        plural: As in the path: `pods`.
        kind: As in the objects: `Pod`.
        namespaced: Whether objects live in a namespace.
        type: A msgspec Struct of the fields that we read, or `dict` for whole objects.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    type: type[T]

    @property
    def api_version(self) -> str:
        """The `apiVersion` of the objects: `apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The plural with its group, as `kubectl api-resources -o name` prints it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Return the escaped URL path.

        Args:
            namespace: None or empty addresses all namespaces, or a cluster-wide object.
            name: None addresses the collection.
            subresource: For instance `status`; needs *name*.
        """
        parts = ["apis", self.group] if self.group else ["api"]
        parts.append(self.version)
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/" + "/".join(_quoted(part) for part in parts)

    def __str__(self) -> str:
        return self.resource
