"""Whether a release gets on, and how programs are told.

The conditions follow apps/v1 (`Progressing`, `Available`) and kstatus (sigs.k8s.io/cli-utils): `Ready` is
True when the revision runs whole; `Reconciling` and `Stalled` are there only while they are True. So Argo CD,
Flux and `kubectl wait` can tell healthy from progressing from stuck.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from cafe.api.cafedeployment import CafeDeployment, CafeDeploymentStatus
from cafe.api.shapes import Condition
from cafe.kernel import Refusal
from cafe.workloads.domain.podsets.facts import UnitReport
from cafe.workloads.domain.times import write_time

EXCEEDED = "ProgressDeadlineExceeded"
"""The reason that apps/v1 Deployments give, too."""


def with_progress(
    app: CafeDeployment, status: CafeDeploymentStatus, now: datetime | None
) -> CafeDeploymentStatus:
    """Return a status with the time of the last progress; if that is too long ago, it says so."""
    stored = app.status
    if now is None:
        return msgspec.structs.replace(status, progress_time=stored.progress_time)
    is_news = not stored.progress_time or _standing(status) != _standing(stored)
    status = msgspec.structs.replace(
        status, progress_time=write_time(now) if is_news else stored.progress_time
    )
    waiting = status.waiting
    if waiting is None or not is_overdue(app, status, now):
        return status
    seconds = app.spec.strategy.progress_deadline_seconds
    told = msgspec.structs.replace(
        waiting, reason=EXCEEDED, message=f"No progress for {seconds} s: {waiting.message}"
    )
    return msgspec.structs.replace(status, waiting=told)


def _standing(status: CafeDeploymentStatus) -> tuple[object, ...]:
    """Return what a release has reached; whoever gets on changes it."""
    return (
        status.phase,
        status.plan.hash if status.plan else "",
        status.current_group,
        status.replicas,
        status.updated_replicas,
        status.updated_available_replicas,
        sum(unit.skipped for unit in status.units),
    )


def time_left(app: CafeDeployment, status: CafeDeploymentStatus, now: datetime) -> timedelta | None:
    """Return how long a release may still take for its next step; None if nobody counts."""
    seconds = app.spec.strategy.progress_deadline_seconds
    if not seconds or status.phase != "Progressing" or not status.progress_time:
        return None
    return datetime.fromisoformat(status.progress_time) + timedelta(seconds=seconds) - now


def is_overdue(app: CafeDeployment, status: CafeDeploymentStatus, now: datetime) -> bool:
    """Whether a release that nobody holds up has not got on for its deadline."""
    left = time_left(app, status, now)
    return left is not None and left <= timedelta()


def conditions(
    app: CafeDeployment,
    status: CafeDeploymentStatus,
    refusal: Refusal | None,
    sets: Sequence[UnitReport],
) -> list[Condition]:
    """Return the conditions of a status."""

    def say(kind: str, verdict: bool, reason: str, message: str) -> Condition:  # noqa: FBT001 -- local, one glance away
        return Condition(
            type=kind,
            status="True" if verdict else "False",
            reason=reason,
            message=message,
            observed_generation=app.metadata.generation,
        )

    waiting = status.waiting
    reason = waiting.reason if waiting else "Complete"
    message = waiting.message if waiting else "The revision runs in all pods"
    is_stuck = reason == EXCEEDED
    is_held = refusal is not None or is_stuck or status.phase == "Paused"
    serving = bool(sets) and all(s.is_serving for s in sets)
    counts = f"{status.available_replicas} of {app.spec.replicas} pods are available"
    told = [
        say(
            "Accepted",
            refusal is None,
            refusal.code if refusal else "Valid",
            str(refusal) if refusal else "The spec can be followed",
        ),
        say("Progressing", not is_held, reason, message),
        say("Available", serving, "MinimumAvailable" if serving else "PodsMissing", counts),
        say("Ready", status.phase == "Complete", reason, message),
    ]
    if refusal is not None or is_stuck:
        told.append(say("Stalled", True, reason, message))  # noqa: FBT003 -- a verdict
    elif status.phase != "Complete":
        told.append(say("Reconciling", True, reason, message))  # noqa: FBT003 -- as above
    return told
