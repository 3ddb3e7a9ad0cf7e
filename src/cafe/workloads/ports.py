"""What workloads need from the world; the adapters make it real, tests lend a small one."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from cafe.api.cafedeployment import CafeDeployment, CafeDeploymentStatus
from cafe.api.inplaceset import InPlaceSet, InPlaceSetStatus
from cafe.kernel import Note, ObjectKey, Refusal
from cafe.workloads.domain.adopting import AdoptionAction, AdoptionView
from cafe.workloads.domain.budget import Elsewhere, Use
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.facts import PodFact, RevisionFact
from cafe.workloads.domain.podsets.facts import UnitFact
from cafe.workloads.domain.podsets.kinds import SetAction
from cafe.workloads.domain.release import ReleaseView
from cafe.workloads.domain.revisions import MakeRevision
from cafe.workloads.domain.roster import InstanceFact
from cafe.workloads.domain.scaling import Creation, Deletion
from cafe.workloads.domain.steps import Step


@dataclass(frozen=True, slots=True)
class SetView:
    """One InPlaceSet and all that is its own, never older than our own last writes.

    Attributes:
        pods: A `Crowd`, if passes shall cost no more than what changed.
        strays: Pods that match the selector and belong to nobody.
        misfits: Pods of the set whose labels no longer match its selector.
        is_taken: Whether any pod of the namespace has that name.
        instances: The set's roster; empty if there is none yet.
    """

    owner: InPlaceSet
    pods: Collection[PodFact]
    revisions: Sequence[RevisionFact]
    strays: Sequence[PodFact] = ()
    misfits: Sequence[PodFact] = ()
    is_taken: Callable[[str], bool] = lambda _: False
    instances: Sequence[InstanceFact] = ()


class RevisionTaken(Exception):
    """Another template is stored under the wanted name: a hash collision."""


class ResizeRefused(Refusal):
    """The API server won't resize a pod.

    Attributes:
        is_replaceable: Whether a new pod of that size might be let in: the server can't resize, or not
            in this way, or the pod's node is too small. Not if a quota or a permission is lacking: that
            holds for a new pod too.
    """

    def __init__(self, pod: str, why: str, *, is_replaceable: bool) -> None:
        super().__init__(
            "ResizeRefused",
            f"Pod {pod} can't be resized: {why.rstrip('.')}.",
            remedy="" if is_replaceable else "Take the change of resources back, or see to what is lacking.",
        )
        self.is_replaceable = is_replaceable


class SetStore(Protocol):
    """InPlaceSets, their pods and their revisions.

    Each write is guarded by UID and resourceVersion of what was judged. `cafe.kernel.Conflict` means that the
    world moved; `cafe.kernel.Unavailable` that there was no answer.
    """

    async def view(self, key: ObjectKey) -> SetView | None:
        """Return the set; None if it is gone, or if our own writes are not visible yet.

        In the latter case the key comes back when they are.
        """

    def promised(self, owner: InPlaceSet) -> Collection[str]:
        """Return the UIDs of the set's pods that somebody else may be taking, though they still serve."""

    def elsewhere(self, owner: InPlaceSet) -> Elsewhere | None:
        """Return what the other sets of its application take now; None if it belongs to none."""

    def take(self, owner: InPlaceSet, use: Use, pods: Collection[str], *, is_held_back: bool) -> None:
        """Put on record, before anything is written, what a pass takes out of service.

        Args:
            owner: The set; what it took before is visible to it, and so forgotten.
            use: What it took before this pass.
            pods: UIDs.
            is_held_back: Whether it would have taken more, had its siblings taken less: it comes back when
                they do.
        """

    async def adopt(self, view: SetView, pod: PodFact) -> None:
        """Make a stray pod the set's own, after a live look at the set."""

    async def release(self, view: SetView, pod: PodFact) -> None:
        """Let go of a misfit."""

    async def make_revision(self, owner: InPlaceSet, wanted: MakeRevision) -> RevisionFact:
        """Store a revision; return the stored one if it exists already.

        Raises:
            RevisionTaken: The name holds another template.
        """

    async def renumber_revision(self, owner: InPlaceSet, revision: RevisionFact, number: int) -> RevisionFact:
        """Give an old revision a new number."""

    async def delete_revision(self, owner: InPlaceSet, revision: RevisionFact) -> None:
        """Forget a revision."""

    async def create_pod(self, view: SetView, creation: Creation, revision: RevisionFact) -> None:
        """Create a pod; quietly accept that it exists already as the set's own.

        Raises:
            cafe.kernel.Refusal: The API server refuses such a pod.
        """

    async def delete_pod(self, view: SetView, deletion: Deletion) -> None:
        """Begin a pod's deletion."""

    async def take_step(self, view: SetView, step: Step) -> PodFact:
        """Make the one write of *step*; return the pod as stored then.

        Raises:
            ResizeRefused: The API server won't resize the pod.
        """

    async def write_status(self, owner: InPlaceSet, status: InPlaceSetStatus) -> timedelta | None:
        """Write the status, if it differs from the stored one.

        Returns:
            How long it is held back because nobody acts on what changed; then decide anew. None otherwise.
        """

    async def write_roster(self, owner: InPlaceSet, pods: Crowd, replicas: int) -> timedelta | None:
        """Bring the roster up to what is seen; return when to look again, if that isn't due yet."""

    async def tell(self, owner: InPlaceSet, note: Note) -> None:
        """Record an Event; equal ones are counted, not repeated."""


@dataclass(frozen=True, slots=True)
class AppView:
    """One CafeDeployment and all that is its own, never older than our own last writes.

    Attributes:
        sets: One per unit that has a set.
        known_units: Units that some node of the cluster belongs to.
        now: When this was seen.
        adopted: Per unit, pods of nobody that were labelled as the application's.
    """

    app: CafeDeployment
    revisions: Sequence[RevisionFact]
    sets: Sequence[UnitFact]
    known_units: frozenset[str]
    now: datetime | None = None
    adopted: Mapping[str, int] = field(default_factory=dict)


class AppStore(Protocol):
    """CafeDeployments, their revisions and their sets; guards and errors as for `SetStore`."""

    def busy(self, key: ObjectKey) -> AbstractContextManager[None]:
        """While a pass is under way, let no eviction take what the pass may be taking."""

    async def view(self, key: ObjectKey) -> AppView | None:
        """Return the application; None if it is gone, or if our own writes are not visible yet."""

    async def make_revision(self, app: CafeDeployment, wanted: MakeRevision) -> RevisionFact:
        """Store a revision; return the stored one if it exists already.

        Raises:
            RevisionTaken: The name holds another template.
        """

    async def renumber_revision(
        self, app: CafeDeployment, revision: RevisionFact, number: int
    ) -> RevisionFact:
        """Give an old revision a new number."""

    async def delete_revision(self, app: CafeDeployment, revision: RevisionFact) -> None:
        """Forget a revision."""

    async def change_set(self, view: ReleaseView, action: SetAction) -> None:
        """Create, change or delete one unit's set."""

    async def write_status(self, app: CafeDeployment, status: CafeDeploymentStatus) -> CafeDeployment:
        """Write the status if it differs from the stored one; return the application as stored then."""

    async def set_confirm(self, app: CafeDeployment, value: str | None) -> CafeDeployment:
        """Set the confirm annotation, or remove it; return the application as stored then."""

    async def tell(self, app: CafeDeployment, note: Note) -> None:
        """Record an Event; equal ones are counted, not repeated."""


class AdoptionStore(Protocol):
    """What a Deployment leaves behind; guards and errors as for `SetStore`."""

    async def view(self, app: CafeDeployment, source: str) -> AdoptionView:
        """Return what is there of the Deployment *source*, read afresh."""

    async def act(self, app: CafeDeployment, action: AdoptionAction) -> None:
        """Make the one write of *action*."""
