"""A Deployment's status: counts, and whether it gets on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cafe_sim.contract import Json
from cafe_sim.controllers.deployment_history import History
from cafe_sim.controllers.rollout_arithmetic import room_of
from cafe_sim.machinery.conditions import find_condition, with_condition
from cafe_sim.machinery.objects import generation_of, status_of, text_of, time_of

NO_DEADLINE = 2**31 - 1
DEFAULT_DEADLINE = 600


@dataclass(frozen=True, slots=True)
class Progress:
    """A condition to be: status, reason, message."""

    status: str
    reason: str
    message: str


def _sum(sets: tuple[Json, ...], field: str) -> int:
    return sum(int(status_of(one).get(field) or 0) for one in sets)


def counts(deployment: Json, history: History) -> Json:
    """Return the numbers of the status; as in the API, zeros are left out."""
    new = (history.new,) if history.new is not None else ()
    available = _sum(history.all, "availableReplicas")
    total = sum(int(one["spec"].get("replicas", 1)) for one in history.all)
    found = {
        "replicas": _sum(history.all, "replicas"),
        "updatedReplicas": _sum(new, "replicas"),
        "readyReplicas": _sum(history.all, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total - available),
    }
    status: Json = {k: v for k, v in found.items() if v}
    status["observedGeneration"] = generation_of(deployment)
    status["terminatingReplicas"] = _sum(history.all, "terminatingReplicas")
    collisions = status_of(deployment).get("collisionCount")
    return status | ({"collisionCount": collisions} if collisions is not None else {})


def is_complete(deployment: Json, status: Mapping[str, Any]) -> bool:
    """Tell whether all replicas are new and available and no old one is left."""
    wanted = int(deployment["spec"].get("replicas", 1))
    return all(
        status.get(field, 0) == wanted for field in ("updatedReplicas", "replicas", "availableReplicas")
    )


def is_progressing(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether more is new, fewer are old, or more is ready or available than before."""

    def old_ones(status: Mapping[str, Any]) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    return (
        new.get("updatedReplicas", 0) > old.get("updatedReplicas", 0)
        or old_ones(new) < old_ones(old)
        or new.get("readyReplicas", 0) > old.get("readyReplicas", 0)
        or new.get("availableReplicas", 0) > old.get("availableReplicas", 0)
    )


def set_condition(conditions: list[Json], kind: str, wanted: Progress, now: datetime) -> list[Json]:
    """Set a condition; one that says the same already is left as it is, times and all."""
    before = find_condition({"conditions": conditions}, kind)
    if before is not None and (before["status"], before["reason"], before["message"]) == (
        wanted.status,
        wanted.reason,
        wanted.message,
    ):
        return conditions
    new: Json = {
        "type": kind,
        "status": wanted.status,
        "reason": wanted.reason,
        "message": wanted.message,
        "lastUpdateTime": text_of(now),
    }
    return with_condition(conditions, new, now)


def availability(deployment: Json, status: Mapping[str, Any]) -> Progress:
    """Return the Available condition."""
    room = room_of(deployment["spec"])
    if status.get("availableReplicas", 0) >= room.least:
        return Progress("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    return Progress("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")


def deadline_of(deployment: Json) -> int | None:
    """Return `progressDeadlineSeconds`, None if the user wants none."""
    seconds = int(deployment["spec"].get("progressDeadlineSeconds", DEFAULT_DEADLINE))
    return None if seconds == NO_DEADLINE else seconds


def progress(deployment: Json, history: History, new: Json, now: datetime) -> list[Json]:
    """Return the conditions with Progressing brought up to date.

    Args:
        deployment: With its old status.
        history: Its sets.
        new: The new counts.
        now: The time.
    """
    old = status_of(deployment)
    conditions: list[Json] = list(old.get("conditions") or ())
    current = find_condition(old, "Progressing")
    if deadline_of(deployment) is None:
        return [c for c in conditions if c["type"] != "Progressing"]
    name = deployment["metadata"]["name"]
    about = f'ReplicaSet "{history.new["metadata"]["name"]}"' if history.new else f'Deployment "{name}"'
    was_complete = current is not None and current["reason"] == "NewReplicaSetAvailable"
    if was_complete and new.get("replicas", 0) == new.get("updatedReplicas", 0):
        return conditions  # A finished rollout stays finished when pods fall ill later.
    if is_complete(deployment, new):
        wanted = Progress("True", "NewReplicaSetAvailable", f"{about} has successfully progressed.")
    elif is_progressing(old, new):
        return _moved(conditions, current, f"{about} is progressing.", now)
    elif is_late(deployment, now):
        wanted = Progress("False", "ProgressDeadlineExceeded", f"{about} has timed out progressing.")
    else:
        return conditions
    return set_condition(conditions, "Progressing", wanted, now)


def _moved(conditions: list[Json], current: Json | None, message: str, now: datetime) -> list[Json]:
    """Note progress: `lastUpdateTime`, from which the deadline counts, moves even if nothing else does."""
    moving = Progress("True", "ReplicaSetUpdated", message)
    if current is None or current["status"] != "True":
        return set_condition(conditions, "Progressing", moving, now)
    kept = {**current, "reason": moving.reason, "message": message, "lastUpdateTime": text_of(now)}
    return [kept if c["type"] == "Progressing" else c for c in conditions]


def is_late(deployment: Json, now: datetime) -> bool:
    """Tell whether the progress deadline has passed."""
    wait = time_to_deadline(deployment, now)
    return wait is not None and wait <= timedelta()


def time_to_deadline(deployment: Json, now: datetime) -> timedelta | None:
    """Return how long until the progress deadline, None if none is running."""
    seconds, current = deadline_of(deployment), find_condition(status_of(deployment), "Progressing")
    if seconds is None or current is None or deployment["spec"].get("paused"):
        return None
    if current["reason"] == "ProgressDeadlineExceeded":
        return timedelta()
    if current["reason"] in {"NewReplicaSetAvailable", "DeploymentPaused"}:
        return None
    return time_of(current["lastUpdateTime"]) + timedelta(seconds=seconds) - now
