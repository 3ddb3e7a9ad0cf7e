"""What must hold of units that native sets serve: our controllers move numbers, Kubernetes' own move pods.

A number may be decided from a view as old as `Truth.view_age`. So a pod counts as serving if some such view
may show it so, and is only called lost if each of them shows it serving.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cafe.api.names import POD_REVISION_LABEL, REVISION_LABEL, UNIT_GOAL_ANNOTATION
from cafe_sim.contract import Json
from cafe_sim.harness.names import PODS, REPLICA_SETS, STATEFUL_SETS
from cafe_sim.harness.oracle.invariant import Invariant
from cafe_sim.harness.oracle.leading import open_in
from cafe_sim.harness.oracle.reading import controller_uid, is_leaving
from cafe_sim.harness.oracle.safety import count_of
from cafe_sim.harness.oracle.truth import Change, NativeTruth, PodTruth, Truth


@dataclass(frozen=True, slots=True)
class Goal:
    """What a unit is asked for, as it is on record at its sets."""

    replicas: int = 0
    partition: int = 0
    release: int = 0


def goal_of(native: Json) -> Goal:
    """Return the goal on record at a set; nothing, if there is none."""
    try:
        held = json.loads((native["metadata"].get("annotations") or {}).get(UNIT_GOAL_ANNOTATION, ""))
        return Goal(int(held["replicas"]), int(held["partition"]), int(held["release"]))
    except (ValueError, KeyError, TypeError):
        return Goal()


def partition_of(stateful: Json) -> int:
    """Return the lowest ordinal that a StatefulSet makes at its newest revision."""
    rolling = (stateful["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return int(rolling.get("partition") or 0)


def ordinal_of(pod: PodTruth) -> int:
    """Return the ordinal of a StatefulSet's pod."""
    return int(pod.body["metadata"]["name"].rpartition("-")[2])


def revision_of(pod: PodTruth) -> str:
    """Return the application's revision that a pod of a native set was made from."""
    return str(pod.body["metadata"]["labels"].get(POD_REVISION_LABEL, ""))


class Unit:
    """One unit as a commit of one of its sets leaves it."""

    def __init__(self, truth: Truth, change: Change, native: Json) -> None:
        self._truth, self._at = truth, change.at
        self.since = change.at - truth.view_age
        self.body = native
        self.uid = str(native["metadata"]["uid"])
        unit = NativeTruth(native, change.resource).unit
        self.sets = {uid: found.body for uid, found in truth.natives.items() if found.unit == unit}
        self.sets[self.uid] = native
        self.goal = max((goal_of(found) for found in self.sets.values()), key=lambda goal: goal.release)
        strategy = ((truth.app or {}).get("spec") or {}).get("strategy") or {}
        self.unavailable = count_of(strategy.get("maxUnavailable", 0), self.goal.replicas)
        self.surge = count_of(strategy.get("maxSurge", 0), self.goal.replicas)

    @property
    def floor(self) -> int:
        """Return how many pods must serve."""
        return max(0, self.goal.replicas - self.unavailable)

    def pods(self, uid: str) -> Iterator[PodTruth]:
        """Yield a set's pods that exist or did lately, but for those that a controller of ours deleted."""
        return (p for p in self._truth.lately(self._at) if p.set_uid == uid and not p.is_removed)

    def replicas_left(self, spared: str = "") -> int:
        """Return how many pods of its ReplicaSets may seem to serve and are asked for; *spared* is a UID."""
        left = 0
        for uid, found in self.sets.items():
            seeming = sum(
                p.may_seem_to_serve(self.since) and p.body["metadata"]["uid"] != spared
                for p in self.pods(uid)
            )
            left += min(int(found["spec"]["replicas"]), seeming)
        return left

    def ordinals_left(self, spared: str = "") -> int:
        """Return how many ordinals of its StatefulSet have a pod that may seem to serve, and to stay."""
        return len({o for o in self._seeming(spared) if o < int(self.body["spec"]["replicas"])})

    def _seeming(self, spared: str) -> Iterator[int]:
        for pod in self.pods(self.uid):
            is_kept = ordinal_of(pod) < partition_of(self.body) or self.is_new(pod)
            if is_kept and pod.may_seem_to_serve(self.since) and pod.body["metadata"]["uid"] != spared:
                yield ordinal_of(pod)

    def is_new(self, pod: PodTruth) -> bool:
        """Whether a pod of its StatefulSet was made from the set's newest revision."""
        return bool(revision_of(pod) == self.body["metadata"]["labels"].get(REVISION_LABEL))

    def sick_from(self, lowest: int) -> int:
        """Return how many ordinals from *lowest* up have no new pod that may seem to serve."""
        good = {
            ordinal_of(p) for p in self.pods(self.uid) if self.is_new(p) and p.may_seem_to_serve(self.since)
        }
        return sum(o not in good for o in range(lowest, int(self.body["spec"]["replicas"])))


def replica_sets_keep_the_budget(truth: Truth, change: Change) -> str | None:
    """A ReplicaSet gives up pods that serve only while enough are left over in all sets of its unit."""
    if not change.is_ours or change.is_gone or change.old is None:
        return None
    was, will = int(change.old["spec"]["replicas"]), int(change.new["spec"]["replicas"])
    if will >= was:
        return None
    unit = Unit(truth, change, change.new)
    steady = sum(p.served_all_along(unit.since) for p in truth.members(unit.uid))
    lost = max(0, steady - will) - max(0, steady - was)
    if not lost or unit.replicas_left() >= unit.floor:
        return None
    return f"{change.name} gives up {lost} serving pods; {unit.replicas_left()} are left, not {unit.floor}"


def ordinals_keep_the_budget(truth: Truth, change: Change) -> str | None:
    """A StatefulSet's partition falls only as far as the budget allows, for new pods that are sick too.

    While all new pods serve, one more may follow whatever the budget says: a sick old pod of a low ordinal
    can't be reached before those above it.
    """
    if not change.is_ours or change.is_gone or change.old is None:
        return None
    was, will = partition_of(change.old), partition_of(change.new)
    if will >= was or change.old["spec"]["template"] != change.new["spec"]["template"]:
        return None
    unit = Unit(truth, change, change.new)
    sick = unit.sick_from(will)
    if sick > max(1, unit.unavailable):
        return f"{change.name} is open from {will} on, where {sick} pods do not serve, of {unit.unavailable}"
    taken = [p for p in truth.members(unit.uid) if will <= ordinal_of(p) < was and not unit.is_new(p)]
    lost = sum(p.served_all_along(unit.since) for p in taken)
    may_go_on = lost <= 1 and not unit.sick_from(was)
    if not lost or may_go_on or unit.ordinals_left() >= unit.floor:
        return None
    return f"{change.name} gives up {lost} serving pods; {unit.ordinals_left()} are left, not {unit.floor}"


def _deleted(truth: Truth, change: Change) -> tuple[NativeTruth, PodTruth] | None:
    """Return the set and the pod if a controller of ours deletes a living pod of a native set."""
    if not change.is_ours or change.old is None or is_leaving(change.old):
        return None
    owner = truth.natives.get(controller_uid(change.old))
    pod = truth.pods.get(change.old["metadata"]["uid"])
    if owner is None or pod is None or not (change.is_gone or is_leaving(change.new)):
        return None
    return owner, pod


def _is_due(owner: NativeTruth, pod: PodTruth) -> bool:
    """Whether a StatefulSet's pod is old, and its ordinal is open."""
    if owner.resource != STATEFUL_SETS:
        return False
    is_old = revision_of(pod) != owner.body["metadata"]["labels"].get(REVISION_LABEL)
    return is_old and ordinal_of(pod) >= partition_of(owner.body)


def natives_lose_only_what_is_asked(truth: Truth, change: Change) -> str | None:
    """Of a native set's pods only those are deleted that were marked, or whose ordinal is open."""
    found = _deleted(truth, change)
    if found is None or found[1].is_marked:
        return None
    return None if _is_due(*found) else f"{change.name} was deleted, and nobody asked for it"


def marked_pods_keep_the_budget(truth: Truth, change: Change) -> str | None:
    """A pod that was marked and serves is deleted only while enough others serve."""
    found = _deleted(truth, change)
    if found is None or _is_due(*found):
        return None
    owner, pod = found
    unit = Unit(truth, change, owner.body)
    if not pod.served_all_along(unit.since):
        return None
    count: Callable[[str], int] = unit.replicas_left
    if owner.resource == STATEFUL_SETS:
        count = unit.ordinals_left
    left = count(str(pod.body["metadata"]["uid"]))
    return None if left >= unit.floor else f"{change.name} was deleted; {left} are left, not {unit.floor}"


def only_open_groups_are_new(truth: Truth, change: Change) -> str | None:
    """A native set makes no more pods of the newest revision than the stored status has opened."""
    if not change.is_ours or change.is_gone or not truth.app:
        return None
    status = truth.app.get("status") or {}
    revision = change.new["metadata"]["labels"].get(REVISION_LABEL)
    most = open_in(truth, change)
    if most is None:
        if revision != status.get("updateRevision"):
            return None  # The pods of another revision only come back as what they were.
        most = 0
    if change.old is not None and change.old["spec"]["template"] != change.new["spec"]["template"]:
        return None  # What it has of a revision that comes back, it was not made to have.
    before = 0 if change.old is None else _opened(truth, change, change.old)
    now = _opened(truth, change, change.new)
    if now <= max(most + _lent(truth, change), before):
        return None
    return f"{change.name} is asked for {now} pods of {revision}, {most} are open"


def _lent(truth: Truth, change: Change) -> int:
    """Return how many pods a ReplicaSet may make beside those of it that are to be replaced."""
    unit = Unit(truth, change, change.new)
    marked = sum(p.is_marked or (p.marked_at or 0.0) >= unit.since for p in unit.pods(unit.uid))
    return min(unit.surge, marked)


def _opened(truth: Truth, change: Change, native: Json) -> int:
    """Return how many pods a set makes of its revision, or has of it below its partition."""
    replicas = int(native["spec"]["replicas"])
    if change.resource == REPLICA_SETS:
        return replicas
    revision = change.new["metadata"]["labels"].get(REVISION_LABEL)
    # What came to be below the partition just now may be in no view yet.
    below = {
        ordinal_of(pod)
        for pod in truth.members(str(native["metadata"]["uid"]))
        if revision_of(pod) == revision
        and pod.made_at < change.at - truth.view_age
        and not is_leaving(pod.body)
    }
    return len({o for o in below if o < replicas} | set(range(partition_of(native), replicas)))


def goals_follow_the_status(truth: Truth, change: Change) -> str | None:
    """The goal on record at a native set is what the stored status has opened, never more."""
    if not change.is_ours or change.is_gone:
        return None
    new, old = goal_of(change.new), Goal() if change.old is None else goal_of(change.old)
    most = open_in(truth, change)
    if most is None or new == old:
        return None
    if new.partition > max(most, old.partition if new.release == old.release else 0):
        return f"{change.name} is asked for {new.partition} new pods, {most} are open"
    plan = ((truth.app or {}).get("status") or {}).get("plan") or {}
    unit = NativeTruth(change.new, change.resource).unit
    floor = next((u["floor"] for u in plan["units"] if u["name"] == unit), 0)
    if new.replicas > max(most, floor, old.replicas):
        return f"{change.name} is asked for {new.replicas} pods, the plan has {max(most, floor)} by now"
    return None


def no_pods_beyond_the_surge(truth: Truth, change: Change) -> str | None:
    """All ReplicaSets of a unit together grow to no more pods than its goal and the surge."""
    if not change.is_ours or change.is_gone:
        return None
    was = 0 if change.old is None else int(change.old["spec"]["replicas"])
    if int(change.new["spec"]["replicas"]) <= was:
        return None
    unit = Unit(truth, change, change.new)
    asked = sum(int(found["spec"]["replicas"]) for found in unit.sets.values())
    most = unit.goal.replicas + unit.surge
    return None if asked <= most else f"{change.name} grows, and {asked} pods are asked for, not {most}"


def ordinals_come_closed(_: Truth, change: Change) -> str | None:
    """A StatefulSet takes over another template with its partition above all of its pods."""
    if not change.is_ours or change.is_gone or change.old is None:
        return None
    if change.old["spec"]["template"] == change.new["spec"]["template"]:
        return None
    least = max(int(one["spec"]["replicas"]) for one in (change.old, change.new))
    partition = partition_of(change.new)
    return None if partition >= least else f"{change.name} got a template and partition {partition} at once"


def only_empty_sets_go(truth: Truth, change: Change) -> str | None:
    """No native set is deleted that has pods, but for such as came to be a moment ago."""
    is_deleted = change.is_gone or "deletionTimestamp" in change.new["metadata"]
    if not change.is_ours or not is_deleted:
        return None
    since = change.at - truth.view_age
    held = [p for p in truth.members(str(change.new["metadata"]["uid"])) if p.made_at < since]
    live = [p for p in held if not is_leaving(p.body)]
    return f"{change.name} is deleted with {len(live)} pods" if live else None


NATIVES: tuple[Invariant, ...] = (
    Invariant(
        "replica sets keep the budget",
        "The ReplicaSets of a unit shrink under one budget: enough pods of all of them serve.",
        "docs/decisions/0012; apps/v1 Deployments: maxUnavailable",
        REPLICA_SETS,
        replica_sets_keep_the_budget,
    ),
    Invariant(
        "no pods beyond the surge",
        "The ReplicaSets of a unit together ask for no more pods than wanted and maxSurge.",
        "docs/decisions/0012; apps/v1 Deployments: maxSurge",
        REPLICA_SETS,
        no_pods_beyond_the_surge,
    ),
    Invariant(
        "ordinals keep the budget",
        "A StatefulSet's partition falls only as far as maxUnavailable allows; sick new pods count.",
        "docs/decisions/0012; k8s#67250",
        STATEFUL_SETS,
        ordinals_keep_the_budget,
    ),
    Invariant(
        "ordinals come closed",
        "A StatefulSet takes over a new template with its partition above all pods.",
        "docs/decisions/0012",
        STATEFUL_SETS,
        ordinals_come_closed,
    ),
    Invariant(
        "native pods go only if asked",
        "A native set's pod is deleted only if it was marked, or if its ordinal is open and it is old.",
        "docs/decisions/0012",
        PODS,
        natives_lose_only_what_is_asked,
    ),
    Invariant(
        "marked pods keep the budget",
        "A native set's pod that was marked and serves is deleted only while enough others serve.",
        "workloads.md (b)",
        PODS,
        marked_pods_keep_the_budget,
    ),
    *(
        Invariant(name, sentence, "docs/decisions/0005, 0012", resource, check)
        for resource in (REPLICA_SETS, STATEFUL_SETS)
        for name, sentence, check in (
            (
                "only open groups are new",
                "Native sets make no more pods of the newest revision than the stored status has opened.",
                only_open_groups_are_new,
            ),
            (
                "goals follow the status",
                "What a native set is asked for on record is what the stored status has opened.",
                goals_follow_the_status,
            ),
            (
                "only empty sets go",
                "No native set is deleted that has pods.",
                only_empty_sets_go,
            ),
        )
    ),
)
