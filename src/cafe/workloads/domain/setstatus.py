"""What an InPlaceSet says of itself."""

from collections.abc import Collection

import msgspec

from cafe.api.inplaceset import InPlaceSet, InPlaceSetStatus
from cafe.api.selectors import selector_text
from cafe.api.shapes import Condition
from cafe.kernel import Refusal
from cafe.workloads.domain.budget import aims_at
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.scaling import SetGoal
from cafe.workloads.domain.times import write_time
from cafe.workloads.domain.updating import Progress


def set_status(
    owner: InPlaceSet, goal: SetGoal, pods: Collection[PodFact], progress: Progress, dwell: Dwell
) -> InPlaceSetStatus:
    """Return the status for what was seen; equal worlds give equal statuses, so nothing flaps."""
    crowd = Crowd.of(pods, dwell)
    target, calm, calm_new = goal.update_revision, crowd.calm_count(), crowd.calm_at(goal.update_revision)
    unsettled = crowd.unsettled()
    serving = [p for p in unsettled if dwell.is_available(p)]
    live, available = len(unsettled) + calm, len(serving) + calm
    new = sum(p.revision == target and not _is_withheld(p) for p in unsettled) + calm_new
    new_available = sum(aims_at(p, target) and p.state is None for p in serving) + calm_new
    starved = [p.starved_since for p in unsettled if p.starved_since is not None]
    skipped = sum(is_skipped(p, target, dwell) for p in unsettled)
    is_done = new_available + skipped >= goal.replicas == live
    return InPlaceSetStatus(
        observed_generation=owner.metadata.generation,
        replicas=live,
        ready_replicas=sum(p.is_ready for p in unsettled) + calm,
        available_replicas=available,
        updated_replicas=new,
        updated_available_replicas=new_available,
        skipped_replicas=skipped,
        starved_replicas=len(starved),
        starved_since=write_time(max(starved)) if starved else "",
        current_revision=goal.update_revision if is_done else goal.current_revision,
        update_revision=goal.update_revision,
        collision_count=owner.status.collision_count,
        label_selector=selector_text(owner.spec.selector),
        conditions=[_progressing(owner, progress), _available(owner, goal, available)],
    )


def is_skipped(pod: PodFact, revision: str, dwell: Dwell) -> bool:
    """Whether a pod of that revision is not waited for, though it does not serve."""
    return pod.is_skipped and pod.revision == revision and not dwell.is_done(pod)


def refused_status(owner: InPlaceSet, refusal: Refusal) -> InPlaceSetStatus:
    """Return the status of a set whose spec can't be followed: what was found before, and why it stays so."""
    refused = Condition(
        type="Progressing",
        status="False",
        reason=refusal.code,
        message=str(refusal),
        observed_generation=owner.metadata.generation,
    )
    others = [c for c in owner.status.conditions if c.type != refused.type]
    return msgspec.structs.replace(
        owner.status, observed_generation=owner.metadata.generation, conditions=[refused, *others]
    )


BUSY = {"Updating", "BudgetSpent", "WaitingForPods", "Scaling"}
"""Reasons of a set on its way: they change from pass to pass, and the next thing to wait for is another."""


def can_wait(old: InPlaceSetStatus, new: InPlaceSetStatus) -> bool:
    """Whether nobody acts on what changed: counts and messages of a set that is on its way and stays so.

    All else is news: that the set came to rest (a group is done, a partition reached), that it stopped, which
    spec and revisions the status speaks of, whether enough pods are available.
    """
    return _news(old) == _news(new)


def _news(status: InPlaceSetStatus) -> tuple[object, ...]:
    told = [(c.type, c.status, "" if c.reason in BUSY else c.reason) for c in status.conditions]
    return (
        status.observed_generation,
        status.current_revision,
        status.update_revision,
        status.collision_count,
        status.label_selector,
        status.skipped_replicas,
        status.starved_replicas,
        status.starved_since,
        tuple(told),
        any(c.reason in BUSY for c in status.conditions) or status,
    )


def _is_withheld(pod: PodFact) -> bool:
    return pod.state is not None and pod.state.is_withheld


def _progressing(owner: InPlaceSet, progress: Progress) -> Condition:
    stuck = progress.reason in {"InPlaceImpossible", "FailedCreate", "ResizeRefused"}
    return Condition(
        type="Progressing",
        status="False" if stuck else "True",
        reason=progress.reason,
        message=progress.message,
        observed_generation=owner.metadata.generation,
    )


def _available(owner: InPlaceSet, goal: SetGoal, available: int) -> Condition:
    floor = max(0, goal.replicas - goal.max_unavailable)
    enough = available >= floor
    return Condition(
        type="Available",
        status="True" if enough else "False",
        reason="MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        message=f"{available} pods are available, at least {floor} are wanted",
        observed_generation=owner.metadata.generation,
    )
