"""The single writes by which a pod is changed, or taken out of service."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cafe.workloads.domain.facts import ContainerBefore, PodFact
from cafe.workloads.domain.launching import Images
from cafe.workloads.domain.sizes import Amounts
from cafe.workloads.domain.templates import InPlace


@dataclass(frozen=True, slots=True)
class LowerGate:
    """Take the pod out of traffic; the image follows after the grace period."""

    pod: PodFact
    revision: str


@dataclass(frozen=True, slots=True)
class WriteChange:
    """Write images, labels and annotations into the pod.

    Attributes:
        before: What the state annotation shall remember, under *revision*; None leaves the annotation alone,
            because there is nothing to wait for.
        sizes: CPU and memory that the state shall name: the change's, and what is outstanding.
        later: Images that the state shall name, for writes to come.
    """

    pod: PodFact
    revision: str
    change: InPlace
    before: Mapping[str, ContainerBefore] | None
    sizes: Mapping[str, Amounts] = field(default_factory=dict)
    later: tuple[Images, ...] = ()


@dataclass(frozen=True, slots=True)
class Resize:
    """Have the pod's node give containers other amounts of CPU and memory."""

    pod: PodFact
    sizes: Mapping[str, Amounts]


@dataclass(frozen=True, slots=True)
class NoteDoubt:
    """Remember containers that run anew, but by their report not of the image that was asked for."""

    pod: PodFact
    containers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RaiseGate:
    """Give the pod back to traffic and forget the update, but for sizes that are outstanding."""

    pod: PodFact


@dataclass(frozen=True, slots=True)
class MarkForDeletion:
    """Have the pod replaced, because the change can't be made in place."""

    pod: PodFact
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take the pod out of traffic; it is deleted once that is proven gone.

    Attributes:
        reason: Why it is to go.
    """

    pod: PodFact
    reason: str = ""


Step = LowerGate | WriteChange | Resize | NoteDoubt | RaiseGate | MarkForDeletion | Withdraw
Beginning = LowerGate | WriteChange | MarkForDeletion
"""Steps by which a change may begin."""
