"""What controllers ask about a pod."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cafe_sim.contract import Json
from cafe_sim.machinery.conditions import find_condition, is_true
from cafe_sim.machinery.objects import is_deleting, status_of, time_of


def phase_of(pod: Json) -> str:
    """Return the pod's phase, `Pending` if nobody said."""
    return str(status_of(pod).get("phase") or "Pending")


def node_of(pod: Json) -> str:
    """Return the name of the node the pod is bound to, or an empty text."""
    return str(pod["spec"].get("nodeName") or "")


def by_node(pod: Json) -> tuple[str, ...]:
    """Index pods by the node they are bound to."""
    name = node_of(pod)
    return (name,) if name else ()


def is_finished(pod: Json) -> bool:
    """Tell whether all of the pod's containers ended for good."""
    return phase_of(pod) in {"Succeeded", "Failed"}


def is_active(pod: Json) -> bool:
    """Tell whether the pod counts towards replicas: neither finished nor being deleted."""
    return not is_finished(pod) and not is_deleting(pod)


def is_ready(pod: Json) -> bool:
    """Tell whether the pod's Ready condition is True."""
    return is_true(status_of(pod), "Ready")


def ready_since(pod: Json) -> datetime | None:
    """Return since when the pod is ready, None if it isn't."""
    condition = find_condition(status_of(pod), "Ready")
    if condition is None or condition["status"] != "True":
        return None
    since = condition.get("lastTransitionTime")
    # A condition that somebody wrote without a time counts from its pod's beginning.
    return time_of(since or pod["metadata"]["creationTimestamp"])


def available_in(pod: Json, min_ready_seconds: int, now: datetime) -> timedelta | None:
    """Return how long until the pod is available: zero or less if it is, None if it isn't even ready."""
    since = ready_since(pod)
    if since is None:
        return None
    if min_ready_seconds == 0:
        return timedelta()
    return since + timedelta(seconds=min_ready_seconds) - now


def is_available(pod: Json, min_ready_seconds: int, now: datetime) -> bool:
    """Tell whether the pod has been ready for *min_ready_seconds*."""
    wait = available_in(pod, min_ready_seconds, now)
    return wait is not None and wait <= timedelta()


def restarts_of(pod: Json) -> int:
    """Return the restarts of the pod's most restarted container."""
    statuses = status_of(pod).get("containerStatuses") or ()
    return max((int(status.get("restartCount") or 0) for status in statuses), default=0)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What a set that owns a pod wants to know of it."""

    is_finished: bool
    is_deleting: bool
    ready_since: datetime | None

    @property
    def is_active(self) -> bool:
        """Whether the pod counts towards replicas."""
        return not self.is_finished and not self.is_deleting


def facts_of(pod: Json) -> PodFacts:
    """Read the facts from a pod."""
    return PodFacts(is_finished(pod), is_deleting(pod), ready_since(pod))


def set_cares(old: Json, new: Json) -> bool:
    """Tell whether a pod's change matters to the set that owns it: its image or address doesn't."""
    before, after = old["metadata"], new["metadata"]
    return any(
        before.get(field) != after.get(field)
        for field in ("labels", "annotations", "ownerReferences", "deletionTimestamp")
    ) or facts_of(old) != facts_of(new)
