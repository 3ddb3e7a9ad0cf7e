"""How an object is called within its kind."""

from typing import NamedTuple


class ObjectKey(NamedTuple):
    """Namespace and name; the namespace is empty for objects of the whole cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name
