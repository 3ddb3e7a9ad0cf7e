"""The images of one node, and the patience with those that can't be pulled."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cafe_sim.kubelet.registry import Image, Registry, normalised, repository_of

FIRST_BACKOFF = timedelta(seconds=10)
LAST_BACKOFF = timedelta(minutes=5)
"""Both for pulls and for restarts, as in the kubelet."""


class Images:
    """What has been pulled here. References to one content share it, as in containerd."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._pulled: dict[str, Image] = {}
        self._references: dict[str, list[str]] = {}

    def find(self, reference: str) -> Image | None:
        """Return the image if it is here."""
        return self._pulled.get(normalised(reference))

    def add(self, reference: str, image: Image) -> None:
        """Keep what was pulled."""
        full = normalised(reference)
        self._pulled[full] = image
        references = self._references.setdefault(image.digest, [])
        if full not in references:
            references.append(full)
            references.sort()

    def reported(self, image: Image) -> str:
        """Return `status.image`: the first of all references to that content, not the one that was asked for.

        So a pod may report another tag than its spec names, as on a real node (k8s#51017).
        """
        return self._references[image.digest][0]

    def image_id(self, image: Image) -> str:
        """Return `status.imageID`: repository and digest."""
        return f"{repository_of(self._references[image.digest][0])}@{image.digest}"


@dataclass(slots=True)
class Backoff:
    """One key's exponential patience, as client-go's `flowcontrol.Backoff` with a cap of 5 minutes."""

    delay: timedelta = timedelta()
    updated_at: datetime | None = None

    def remaining(self, since: datetime, now: datetime) -> timedelta:
        """Return how long to wait still, for something that failed at *since*."""
        if self.updated_at is None or since - self.updated_at > 2 * LAST_BACKOFF:
            return timedelta()
        return max(since + self.delay - now, timedelta())

    def fail(self, at: datetime) -> None:
        """Double the patience; after 10 quiet minutes begin anew."""
        if self.updated_at is None or at - self.updated_at > 2 * LAST_BACKOFF:
            self.delay = FIRST_BACKOFF
        else:
            self.delay = min(self.delay * 2, LAST_BACKOFF)
        self.updated_at = at
