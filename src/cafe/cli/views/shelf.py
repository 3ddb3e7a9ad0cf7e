"""An application service and its revisions, gathered for looking at."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from cafe.api.cafeapprevision import CafeAppRevision
from cafe.api.cafeappservice import CafeAppService
from cafe.api.cafedeployment import CafeDeployment
from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Cluster, Document
from cafe.cli.resources import APP_REVISIONS, APP_SERVICES
from cafe.cli.views.picture import owned_by
from cafe.kernel import ObjectKey


@dataclass(frozen=True, slots=True)
class Shelf:
    """One service with all its revisions, oldest first.

    Attributes:
        documents: The revisions as the server holds them, by number.
    """

    service: CafeAppService
    document: Document
    revisions: Sequence[CafeAppRevision]
    documents: dict[int, Document]

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.metadata.name

    @property
    def live(self) -> CafeAppRevision | None:
        """The live revision; None if nothing is live, or if it was deleted."""
        number = self.service.status.live_revision
        return next((r for r in self.revisions if r.spec.number == number), None)

    def revision(self, number: int) -> CafeAppRevision:
        """Return the revision of that number.

        Raises:
            Problem: There is none.
        """
        for revision in self.revisions:
            if revision.spec.number == number:
                return revision
        known = ", ".join(str(r.spec.number) for r in self.revisions) or "none"
        raise Problem(
            Exit.NOT_FOUND,
            "RevisionUnknown",
            f"{self.name} has no revision {number}.",
            f"Stored are: {known}",
            f"cafe app revisions {self.name}",
        )


async def load_shelf(cluster: Cluster, key: ObjectKey) -> Shelf:
    """Read a service and its revisions.

    Raises:
        Problem: There is no such service, or it has a shape that this cafe does not know.
    """
    document = await cluster.get(APP_SERVICES, key)
    uid = str(document["metadata"].get("uid"))
    found = owned_by(uid, await cluster.list(APP_REVISIONS, key.namespace))
    try:
        service = msgspec.convert(document, CafeAppService)
        revisions = [msgspec.convert(d, CafeAppRevision) for d in found]
    except msgspec.ValidationError as error:
        raise Problem(
            Exit.FAILURE,
            "UnknownShape",
            f"CafeAppService {key.name} has a shape that this cafe does not know.",
            str(error),
            "cafe doctor",
        ) from error
    documents = {int(d["spec"]["number"]): d for d in found}
    return Shelf(service, document, sorted(revisions, key=lambda r: r.spec.number), documents)


def service_of(app: CafeDeployment) -> str:
    """Return the name of the CafeAppService that an application is rendered from; empty if it is not."""
    owners = (o for o in app.metadata.owner_references if o.controller and o.kind == APP_SERVICES.kind)
    return next((owner.name for owner in owners), "")
