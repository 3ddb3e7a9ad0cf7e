"""What must hold of pods at every commit. One readable list, at the end of the file."""

from cafe.api.names import SPECIFIED_DELETE_LABEL
from cafe_sim.harness.names import PODS
from cafe_sim.harness.oracle.invariant import Invariant
from cafe_sim.harness.oracle.reading import (
    aim_of,
    controller_uid,
    gate_of,
    image_of,
    is_leaving,
    ready_since,
    serves,
)
from cafe_sim.harness.oracle.truth import Change, Lately, SetTruth, Truth

CLOCK_ERROR = 0.4
"""Share of a lease's duration by which a grace period may be too short, though clocks be hours apart: leaders
go by the API server's clock, told to the second, and by clocks that run up to twice too fast between two
renewals; and the write that lowers a gate carries the time at which it was sent, at most a deadline before it
happens. For usual leases that is six seconds."""


def _owner(truth: Truth, change: Change) -> SetTruth | None:
    return truth.sets.get(controller_uid(change.new))


def _image_changes(change: Change) -> bool:
    return change.is_ours and change.old is not None and image_of(change.old) != image_of(change.new)


def gate_before_image(_: Truth, change: Change) -> str | None:
    """The gate stood False when the image was written."""
    if not _image_changes(change) or change.old is None or gate_of(change.old) == "False":
        return None
    return f"{change.name} got {image_of(change.new)} while its gate was {gate_of(change.old) or 'unset'}"


def grace_is_kept(truth: Truth, change: Change) -> str | None:
    """The gate stood False for the grace period when the image was written."""
    owner = _owner(truth, change)
    pod = truth.pods.get(change.new["metadata"]["uid"])
    if not _image_changes(change) or owner is None or pod is None or pod.gate_fell is None:
        return None
    least = min(owner.grace.values(change.at))
    waited = change.at - pod.gate_fell
    if waited >= least - CLOCK_ERROR * truth.lease:
        return None
    return f"{change.name} got its image {waited:.1f} s after its gate fell, not {least:.0f} s"


def only_the_wanted_image(truth: Truth, change: Change) -> str | None:
    """Nobody's image is written but the one that the set's template has."""
    owner = _owner(truth, change)
    if not _image_changes(change) or owner is None:
        return None
    wanted = set(owner.image.values(change.at))
    return None if image_of(change.new) in wanted else f"{change.name} got {image_of(change.new)}"


def partition_holds(truth: Truth, change: Change) -> str | None:
    """No more pods are brought to a revision than the partition allows."""
    owner = _owner(truth, change)
    if not change.is_ours or change.is_gone or owner is None:
        return None
    fresh = aim_of(change.new) - (aim_of(change.old) if change.old is not None else set())
    most = max(_partitions(owner).values(change.at))
    for revision in sorted(fresh):
        if not _is_update(truth, owner, revision):
            continue
        uid = change.new["metadata"]["uid"]
        others = [p for p in truth.members(controller_uid(change.new)) if p.body["metadata"]["uid"] != uid]
        aimed = 1 + sum(revision in aim_of(p.body) for p in others if not is_leaving(p.body))
        if aimed > most:
            return f"{change.name} is pod {aimed} at {revision}, but the partition is {most}"
    return None


def _partitions(owner: SetTruth) -> Lately:
    """Return the partitions that the update revision had lately: those before were another template's."""
    seen = (owner.body.get("status") or {}).get("observedGeneration", 0)
    return owner.opened if seen >= owner.template_generation else owner.partition


def _is_update(truth: Truth, owner: SetTruth, revision: str) -> bool:
    """Whether *revision* is what the set is being updated to, as far as its status says."""
    status = owner.body.get("status") or {}
    known = truth.app is None or status.get("currentRevision") != status.get("updateRevision")
    return known and bool(revision == status.get("updateRevision"))


def budget_holds(truth: Truth, change: Change) -> str | None:
    """Controllers keep no more pods from serving than maxUnavailable."""
    owner = _owner(truth, change)
    if not change.is_ours or owner is None or change.old is None or not serves(change.old):
        return None
    if (serves(change.new) and not change.is_gone) or not _has_dwelt(change, owner):
        return None
    members = truth.members(controller_uid(change.new))
    live = [p for p in members if not is_leaving(p.body)]
    if is_leaving(change.new) and len(live) > min(owner.replicas.values(change.at)):
        return None  # It is one too many.
    uid = change.new["metadata"]["uid"]
    serving = sum(serves(p.body) for p in live if p.body["metadata"]["uid"] != uid)
    *_, replicas = owner.replicas.values(change.at)
    # What is missing of fewer replicas than there were is no loss any more.
    away = max(1, replicas - serving)
    now = min(away, sum(p.disrupted is not None for p in live) + len(owner.lost) + 1)
    most = max(count_of(value, max(owner.replicas.values(change.at))) for value in _budgets(owner, change))
    return None if now <= most else f"{change.name} is the {now}th pod that is kept from serving, of {most}"


def _has_dwelt(change: Change, owner: SetTruth) -> bool:
    """Whether a pod has been ready for minReadySeconds: before that it counts as unavailable, and is free."""
    dwell = owner.body["spec"].get("minReadySeconds", 0)
    since = ready_since(change.old) if change.old is not None else None
    return not dwell or since is None or change.at - since >= dwell - 1


def _budgets(owner: SetTruth, change: Change) -> list[object]:
    return list(owner.unavailable.values(change.at))


def count_of(value: object, total: int) -> int:
    """Return a count or percentage of *total*, rounded up."""
    if isinstance(value, int):
        return value
    return -(-total * int(str(value).rstrip("%")) // 100)


def not_too_many_pods(truth: Truth, change: Change) -> str | None:
    """No pod is made beyond replicas."""
    owner = _owner(truth, change)
    if not change.is_ours or change.old is not None or owner is None:
        return None
    live = sum(not is_leaving(p.body) for p in truth.members(controller_uid(change.new)))
    most = max(owner.replicas.values(change.at))
    return None if live < most else f"{change.name} is pod {live + 1} of {most}"


def only_own_pods(truth: Truth, change: Change) -> str | None:
    """Controllers touch no pod that belongs to somebody else."""
    if not change.is_ours or change.old is None:
        return None
    owner = controller_uid(change.old)
    if not owner or owner in truth.sets or owner in truth.natives:
        return None
    return f"{change.name} of {owner} was changed"


def deleted_only_if_asked(truth: Truth, change: Change) -> str | None:
    """A pod that serves is deleted only if it was marked, or if there are too many."""
    owner = _owner(truth, change)
    is_deleted = change.is_gone or (is_leaving(change.new) and change.old and not is_leaving(change.old))
    if not change.is_ours or owner is None or not is_deleted or change.old is None or is_leaving(change.old):
        return None
    if SPECIFIED_DELETE_LABEL in (change.old["metadata"].get("labels") or {}):
        return None
    live = sum(not is_leaving(p.body) for p in truth.members(controller_uid(change.new)))
    if live > min(owner.replicas.values(change.at)):
        return None
    return f"{change.name} was deleted, one of {live}"


SAFETY: tuple[Invariant, ...] = (
    Invariant(
        "gate before image",
        "A pod's image is written only while its readiness gate is False.",
        "workloads.md (b); kruise#2276",
        PODS,
        gate_before_image,
    ),
    Invariant(
        "grace is kept",
        "Between the gate's fall and the image lies the grace period, whoever leads by then.",
        "workloads.md (b)",
        PODS,
        grace_is_kept,
    ),
    Invariant(
        "only the wanted image",
        "A controller writes only the image of the set's template into a pod.",
        "reliability.md (b): only planned targets change",
        PODS,
        only_the_wanted_image,
    ),
    Invariant(
        "partition holds",
        "No more pods are brought to the update revision than the partition allows.",
        "domain.md §2; reliability.md (b)",
        PODS,
        partition_holds,
    ),
    Invariant(
        "budget holds",
        "Controllers keep no more pods of a set from serving at once than maxUnavailable.",
        "reliability.md (b); kruise#898, kruise#2412",
        PODS,
        budget_holds,
    ),
    Invariant(
        "not too many pods",
        "No pod is made beyond replicas.",
        "k8s#129795",
        PODS,
        not_too_many_pods,
    ),
    Invariant(
        "only own pods",
        "A pod that belongs to another controller is not touched.",
        "reliability.md (b): foreign UID untouched",
        PODS,
        only_own_pods,
    ),
    Invariant(
        "deleted only if asked",
        "A living pod is deleted only if it was marked, or if there are more than replicas.",
        "workloads.md (b)",
        PODS,
        deleted_only_if_asked,
    ),
)
