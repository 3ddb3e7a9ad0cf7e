"""What application services need from the world; the adapters make it real, tests lend a small one."""

from typing import Protocol

from cafe.api.cafeappservice import CafeAppService, CafeAppServiceStatus
from cafe.appservices.domain.deciding import DropChild, WriteChild
from cafe.appservices.domain.facts import RevisionFact, ServiceView
from cafe.appservices.domain.numbering import MakeRevision
from cafe.kernel import Note, ObjectKey


class ServiceStore(Protocol):
    """CafeAppServices, their revisions and what is rendered from them.

    Each write is guarded by UID, and by resourceVersion where what was judged matters. `cafe.kernel.Conflict`
    means that the world moved; `cafe.kernel.Unavailable` that there was no answer; `cafe.kernel.Refusal` that
    the API server, or an object of that name that isn't ours, says no.
    """

    async def view(self, key: ObjectKey) -> ServiceView | None:
        """Return the service; None if it is gone, or if our own writes are not visible yet.

        In the latter case the key comes back when they are.
        """

    async def set_finalizer(self, service: CafeAppService, *, is_wanted: bool) -> None:
        """Add or remove the drain finalizer."""

    async def make_revision(self, service: CafeAppService, wanted: MakeRevision) -> None:
        """Store a revision; that it is stored already is fine."""

    async def delete_revision(self, service: CafeAppService, revision: RevisionFact) -> None:
        """Forget a revision."""

    async def try_child(self, view: ServiceView, write: WriteChild) -> None:
        """Ask the API server whether it would take an object, without any effect.

        Raises:
            cafe.kernel.Refusal: It would not.
        """

    async def write_child(self, view: ServiceView, write: WriteChild) -> None:
        """Create an object, or bring it to what is wanted, whoever changed it."""

    async def drop_child(self, view: ServiceView, drop: DropChild) -> None:
        """Delete an object of the service."""

    async def empty_application(self, view: ServiceView) -> None:
        """Scale the application to nothing."""

    async def write_status(self, service: CafeAppService, status: CafeAppServiceStatus) -> None:
        """Write the status if it differs from the stored one."""

    async def tell(self, service: CafeAppService, note: Note) -> None:
        """Record an Event; equal ones are counted, not repeated."""
