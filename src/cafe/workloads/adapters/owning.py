"""Whose the sets of an application's units are."""

from typing import Any, Protocol

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import API_VERSION
from cafe.api.shapes import Metadata
from cafe.kernel import Note, Refusal
from cafe.kube.kinds import CAFE_DEPLOYMENTS
from cafe.kube.objects import ObjectMeta
from cafe.workloads.adapters.watched import controller_of


class Teller(Protocol):
    """Where events go."""

    def tell(self, kind: str, regarding: Metadata, note: Note) -> None:
        """Record an Event; never waits, never fails."""


def owner_reference_of(app: CafeDeployment) -> dict[str, Any]:
    """Return the reference by which a set belongs to *app*."""
    return {
        "apiVersion": API_VERSION,
        "kind": CAFE_DEPLOYMENTS.kind,
        "name": app.metadata.name,
        "uid": app.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def refuse_foreign(app: CafeDeployment, kind: str, live: Metadata | ObjectMeta, teller: Teller) -> None:
    """Tell if a set's name is taken for good: `a` in cell `b-c` and `a-b` in cell `c` are called alike.

    Raises:
        Refusal: The set there belongs to somebody else and is not on its way out.
    """
    owner = controller_of(live) if isinstance(live, Metadata) else live.controller
    is_ours = owner is not None and owner.uid == app.metadata.uid
    if is_ours or live.deletion_timestamp is not None:
        return
    refusal = Refusal(
        "NameTaken",
        f"{kind} {live.name} exists already.",
        f"It belongs to {owner.kind + ' ' + owner.name if owner else 'nobody'}.",
        "Rename the application or the unit, or delete that set.",
    )
    teller.tell(CAFE_DEPLOYMENTS.kind, app.metadata, Note(refusal.code, str(refusal), is_warning=True))
    raise refusal
