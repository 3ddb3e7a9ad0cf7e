"""The pods of one workload, as a watch sees them while it is measured."""

import threading
from dataclasses import dataclass, field
from typing import Any

from bench.contestants import IMAGES
from cafe.kernel import SystemClock


@dataclass
class Pods:
    """The pods of one workload, as a watch sees them.

    Attributes:
        wanted: How many there shall be.
        image: Which they shall run.
        unavailable: Pod-seconds by which availability fell short so far.
        created: Pods that were not there when this was wanted.
        done: Set once all that are wanted, and no others, run the image and are available.
    """

    wanted: int
    image: str = IMAGES[0]
    unavailable: float = 0.0
    created: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._states: dict[str, tuple[bool, str]] = {}  # Available, and the image that runs.
        self._clock = SystemClock()
        self._last = self._clock.monotonic()
        self._available = 0

    def saw(self, event: str, pod: dict[str, Any]) -> None:
        """Take in one event."""
        now = self._clock.monotonic()
        self.unavailable += (now - self._last).total_seconds() * max(0, self.wanted - self._available)
        self._last = now
        uid = pod["metadata"]["uid"]
        if event == "DELETED":
            self._states.pop(uid, None)
        else:
            ready = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}.get("Ready")
            is_available = ready == "True" and "deletionTimestamp" not in pod["metadata"]
            self.created += uid not in self._states
            self._states[uid] = (is_available, running_image(pod))
        self._available = sum(available for available, _ in self._states.values())
        if len(self._states) == self.wanted and all(
            available and image == self.image for available, image in self._states.values()
        ):
            self.done.set()

    def want(self, wanted: int, image: str) -> None:
        """Expect something else from now on."""
        self.wanted, self.image = wanted, image
        self._last = self._clock.monotonic()
        self.unavailable = 0.0
        self.created = 0
        self.done.clear()


def running_image(pod: dict[str, Any]) -> str:
    """Return the image of the container that runs, by its node's word; empty if none does.

    Not the one in the spec: for a moment, a pod can have a new image there and still be Ready with the old.
    """
    statuses = pod["status"].get("containerStatuses", [])
    return next((of["image"] for of in statuses if "running" in of.get("state", {})), "")
