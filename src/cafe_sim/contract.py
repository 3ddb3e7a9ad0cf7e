"""How the simulated API server and the simulated cluster (controllers, scheduler, kubelets) meet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeAlias

Json: TypeAlias = dict[str, Any]
"""A Kubernetes object. Objects are shared and never changed in place: copy what you change."""

EventType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """One commit to the store. *old* is None for ADDED; for DELETED, *new* is the last state."""

    type: EventType
    old: Json | None
    new: Json


class Timer(Protocol):
    """Something that was planned."""

    def cancel(self) -> None:
        """Take it back; harmless once it has run."""


class Timeline(Protocol):
    """The world's time, and the order in which things happen in it."""

    def now(self) -> datetime:
        """Return the world's time, aware, in UTC."""

    def soon(self, step: Callable[[], None]) -> None:
        """Run *step* next, after what is already due; never inside the caller."""

    def after(self, delay: timedelta, step: Callable[[], None]) -> Timer:
        """Run *step* once *delay* has passed."""


class ApiError(Exception):
    """The API server said no.

    Attributes:
        status: HTTP status, for instance 409.
        reason: The API's reason, for instance `Conflict` or `AlreadyExists`.
        message: As the real server words it.
        causes: `details.causes`, each with `reason`, `message`, `field`.
    """

    def __init__(
        self, status: int, reason: str, message: str, causes: tuple[Mapping[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a delete asks for; None leaves it to the kind's default.

    Attributes:
        by: Which part of the cluster deletes a pod: the name of its service account, or `node:<name>`.
            Policies judge who is named; other parts may do everything.
    """

    grace_period: timedelta | None = None
    propagation: Literal["Background", "Foreground", "Orphan"] | None = None
    uid: str | None = None
    resource_version: str | None = None
    by: str = ""


class Api(Protocol):
    """The API server as the cluster's own parts use it: one synchronous step a call, no network, no rights.

    *resource* is the plural name with its group, as in `kubectl api-resources -o name`: `pods`,
    `deployments.apps`, `inplacesets.apps.cafe.sofastack.io`. All rules of the real server hold (validation,
    admission, conflicts, finalizers, graceful deletion); its refusals are raised as `ApiError`.
    """

    def get(self, resource: str, namespace: str, name: str) -> Json | None:
        """Return the object, or None."""

    def list(self, resource: str, namespace: str | None = None) -> list[Json]:
        """Return all objects, of one namespace or of all, in the order of their names."""

    def scale(self, resource: str, namespace: str, name: str) -> Json:
        """Return the `autoscaling/v1` Scale of an object; 404 if it, or its kind, has none."""

    def create(self, resource: str, namespace: str, body: Json) -> Json:
        """Create *body* and return it as stored."""

    def update(self, resource: str, namespace: str, body: Json, subresource: str = "") -> Json:
        """Replace the object or its subresource, guarded by `metadata.resourceVersion` if *body* has one."""

    def patch(self, resource: str, namespace: str, name: str, patch: Json, subresource: str = "") -> Json:
        """Apply a JSON merge patch (RFC 7396)."""

    def delete(
        self, resource: str, namespace: str, name: str, options: DeleteOptions = DeleteOptions()
    ) -> Json | None:
        """Begin or finish deletion; return the object if it still stands (finalizers, grace period)."""

    def create_subresource(
        self, resource: str, namespace: str, name: str, subresource: str, body: Json
    ) -> Json:
        """Post to a subresource: `binding`, `eviction`."""

    def subscribe(self, resource: str, handler: Callable[[StoreEvent], None]) -> None:
        """Call *handler* for each later commit, each in a step of its own (`Timeline.soon`), in order."""
