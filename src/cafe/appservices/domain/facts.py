"""What decisions about an application service are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cafe.api.cafeapprevision import AppContent
from cafe.api.cafeappservice import CafeAppService
from cafe.api.cafedeployment import CafeDeployment


class ChildKind(StrEnum):
    """Kinds of objects that a revision is rendered to, in the order in which they are written.

    What pods refer to comes before the pods.
    """

    CONFIG_MAP = "ConfigMap"
    SERVICE = "Service"
    BUDGET = "PodDisruptionBudget"
    AUTOSCALER = "HorizontalPodAutoscaler"
    TRAFFIC_BINDING = "TrafficBinding"
    CAFE_DEPLOYMENT = "CafeDeployment"


@dataclass(frozen=True, slots=True)
class RevisionFact:
    """One stored revision.

    Attributes:
        hold: Why it may not be made live; empty if it may.
        cause: Why the change was made, if it was said.
        is_intact: Whether its content still has its digest.
    """

    number: int
    digest: str
    content: AppContent
    name: str = ""
    uid: str = ""
    hold: str = ""
    cause: str = ""
    is_intact: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object as the live revision renders it.

    Attributes:
        body: Its labels and annotations, and whatever its kind holds: `spec`, `data`.
        digest: Of the body; the object carries it, so that a later pass tells drift from a new wish.
    """

    kind: ChildKind
    name: str
    body: Mapping[str, Any]
    digest: str

    @property
    def title(self) -> str:
        """Kind and name, as a person says them."""
        return f"{self.kind.value} {self.name}"


@dataclass(frozen=True, slots=True)
class ChildFact:
    """One stored object of the service.

    Attributes:
        digest: Of the body that it was last given.
        body: The object as it is.
    """

    kind: ChildKind
    name: str
    uid: str
    digest: str
    body: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Kind and name, as a person says them."""
        return f"{self.kind.value} {self.name}"


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One application service and all that is its own, never older than our own last writes.

    Attributes:
        app: Its CafeDeployment, if there is one.
        pods: How many pods it has, those that are going counted too.
    """

    service: CafeAppService
    revisions: Sequence[RevisionFact] = ()
    children: Sequence[ChildFact] = ()
    app: CafeDeployment | None = None
    pods: int = 0

    def child(self, kind: ChildKind, name: str) -> ChildFact | None:
        """Return the object of that kind and name, if it exists and is the service's own."""
        return next((c for c in self.children if c.kind is kind and c.name == name), None)

    def revision(self, number: int | None) -> RevisionFact | None:
        """Return the revision of that number, or None."""
        return next((r for r in self.revisions if r.number == number), None)
