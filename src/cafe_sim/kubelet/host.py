"""What a pod's worker has of its node."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from cafe_sim.contract import Json, Timeline
from cafe_sim.kubelet.images import Images
from cafe_sim.kubelet.runtime import Runtime
from cafe_sim.machinery.recorder import Note


@dataclass(slots=True)
class Timing:
    """How fast nodes work: measured on real nodes of the testbed, rounded. A fault may slow them all."""

    sandbox: timedelta = timedelta(milliseconds=200)
    start: timedelta = timedelta(milliseconds=300)
    resize: timedelta = timedelta(milliseconds=500)
    """How long it takes until a running container has got what it was allocated."""
    init_run: timedelta = timedelta(seconds=1)
    """How long an init container runs whose image doesn't say."""


class Post(Protocol):
    """Where a worker's events go."""

    def __call__(self, pod: Json, note: Note, container: str = "", *, is_init: bool = False) -> None:
        """Record *note* about the pod, or about one of its containers."""


class Lacking(Protocol):
    """Whether a pod finds room on the node besides the others."""

    def __call__(self, pod: Json) -> str:
        """Return what is lacking, in the kubelet's words; empty if nothing is."""


@dataclass(frozen=True, slots=True)
class Host:
    """What a worker has of its node."""

    timeline: Timeline
    runtime: Runtime
    images: Images
    timing: Timing
    address: str
    post: Post
    lacking: Lacking
