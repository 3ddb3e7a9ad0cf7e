"""What must hold at every commit. One readable list, at the end of the file."""

from collections.abc import Callable
from dataclasses import dataclass

from cafe.api.names import CONFIRM_ANNOTATION, SPECIFIED_DELETE_LABEL
from cafe_sim.contract import Json
from cafe_sim.harness.names import APPS, PODS
from cafe_sim.harness.oracle.truth import (
    Change,
    PodTruth,
    SetTruth,
    Truth,
    aim_of,
    controller_uid,
    gate_of,
    image_of,
    is_leaving,
    serves,
)

Check = Callable[[Truth, Change], str | None]

CLOCK_ERROR = 6.0
"""Seconds by which a grace period may be too short, though clocks be hours apart: leaders go by the API
server's clock, told to the second, and by clocks that run up to twice too fast in between; and the write that
lowers a gate carries the time at which it was sent, four seconds before it happens at most."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that must hold.

    Attributes:
        name: For tapes, reports and `--only`.
        sentence: What must hold.
        source: Where the rule comes from.
        resource: Commits of which it judges.
        check: Returns how it is broken, or None. It sees the truth *before* the commit.
    """

    name: str
    sentence: str
    source: str
    resource: str
    check: Check


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
    least = min(owner.grace.values(change.at)) - CLOCK_ERROR
    waited = change.at - pod.gate_fell
    if waited >= least:
        return None
    return f"{change.name} got its image {waited:.1f} s after its gate fell, not {least + CLOCK_ERROR:.0f} s"


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
    most = max(owner.partition.values(change.at))
    for revision in sorted(fresh):
        if not _is_update(truth, owner, revision):
            continue
        uid = change.new["metadata"]["uid"]
        others = [p for p in truth.members(controller_uid(change.new)) if p.body["metadata"]["uid"] != uid]
        aimed = 1 + sum(revision in aim_of(p.body) for p in others if not is_leaving(p.body))
        if aimed > most:
            return f"{change.name} is pod {aimed} at {revision}, but the partition is {most}"
    return None


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
    if serves(change.new) and not change.is_gone:
        return None
    members = truth.members(controller_uid(change.new))
    live = [p for p in members if not is_leaving(p.body)]
    if is_leaving(change.new) and len(live) > min(owner.replicas.values(change.at)):
        return None  # It is one too many.
    now = sum(p.disrupted is not None for p in live) + len(owner.lost) + 1
    most = max(count_of(value, max(owner.replicas.values(change.at))) for value in _budgets(owner, change))
    return None if now <= most else f"{change.name} is the {now}th pod that is kept from serving, of {most}"


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
    if not owner or owner in truth.sets:
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


def _status(app: Json | None) -> Json:
    return (app or {}).get("status") or {}


def _plan_of(app: Json | None) -> Json:
    return _status(app).get("plan") or {}


def groups_open_by_confirmation(truth: Truth, change: Change) -> str | None:
    """The next group opens only after somebody confirmed the one before, of this plan."""
    old, new = _status(change.old), _status(change.new)
    before, now = old.get("currentGroup"), new.get("currentGroup")
    if not change.is_ours or before is None or now is None or now <= before:
        return None
    if _plan_of(change.old).get("hash") != _plan_of(change.new).get("hash"):
        return None
    needed = change.new["spec"]["strategy"].get("needWaitingForConfirm", False)
    if not needed or f"{before}/{_plan_of(change.new)['hash']}" in truth.confirmed:
        return None
    return f"group {now} was opened, but nobody confirmed group {before} of {_plan_of(change.new)['hash']}"


def groups_open_in_order(_: Truth, change: Change) -> str | None:
    """Within one plan the open group never goes back, and never steps over one."""
    old, new = _status(change.old), _status(change.new)
    if not change.is_ours or _plan_of(change.old).get("hash") != _plan_of(change.new).get("hash"):
        return None
    before, now = old.get("currentGroup"), new.get("currentGroup")
    # A plan that was cut anew for fewer pods may have lost the group that is open.
    following = (
        g["index"] for g in _plan_of(change.new).get("groups") or () if before is None or g["index"] > before
    )
    if now == before or now == next(following, None):
        return None
    return f"from group {before} to group {now}"


def groups_are_done_by_proof(truth: Truth, change: Change) -> str | None:
    """A group counts as done once each of its pods has served at the new revision."""
    old, new = _status(change.old), _status(change.new)
    before, now = old.get("currentGroup"), new.get("currentGroup")
    plan = _plan_of(change.new)
    if not change.is_ours or before is None or now is None or now <= before:
        return None
    if _plan_of(change.old).get("hash") != plan.get("hash"):
        return None
    image = change.new["spec"]["template"]["spec"]["containers"][0]["image"]
    for unit in plan["units"]:
        planned = unit["base"] + sum(
            g["units"].get(unit["name"], 0) for g in plan["groups"] if g["index"] <= before
        )
        proven = sum(image in p.proven for p in _pods_of_unit(truth, unit["name"], change.at))
        if proven < planned:
            return f"group {now} was opened; in {unit['name']} {proven} of {planned} pods have served"
    return None


def _pods_of_unit(truth: Truth, unit: str, now: float) -> list[PodTruth]:
    sets = {
        uid
        for uid, found in truth.sets.items()
        if (found.body["metadata"].get("labels") or {}).get("cafe.sofastack.io/unit", "") == unit
    }
    return [p for p in truth.lately(now) if p.set_uid in sets]


def plans_are_kept(_: Truth, change: Change) -> str | None:
    """A plan is followed until somebody changes what it was made for."""
    old, new = _plan_of(change.old), _plan_of(change.new)
    if (
        not change.is_ours
        or not old
        or not new
        or old["hash"] == new["hash"]
        or _made_for(old) != _made_for(new)
    ):
        return None
    return f"plan {old['hash']} became {new['hash']}, though nothing was asked for anew"


def _made_for(plan: Json) -> object:
    quotas = {unit["name"]: unit["quota"] for unit in plan["units"]}
    return plan["revision"], plan.get("batchSize"), plan.get("upgradeType"), quotas


def complete_is_true(truth: Truth, change: Change) -> str | None:
    """The status says Complete only if so many pods serve with the wanted image, or did just now."""
    new = _status(change.new)
    is_news = new.get("phase") == "Complete" and _status(change.old).get("phase") != "Complete"
    if not change.is_ours or not is_news or change.new["metadata"]["generation"] != new["observedGeneration"]:
        return None
    image = change.new["spec"]["template"]["spec"]["containers"][0]["image"]
    proven = sum(image in p.proven for p in truth.lately(change.at))
    wanted = change.new["spec"]["replicas"]
    return None if proven >= wanted else f"{proven} of {wanted} pods have served with {image}"


def confirmations_are_people_s(_: Truth, change: Change) -> str | None:
    """Controllers invite confirmations and take them away; they never give one."""
    new = (change.new["metadata"].get("annotations") or {}).get(CONFIRM_ANNOTATION)
    old = ((change.old or change.new)["metadata"].get("annotations") or {}).get(CONFIRM_ANNOTATION)
    if not change.is_ours or new == old or new in {None, "false"}:
        return None
    return f"a controller wrote {new!r}"


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
    Invariant(
        "groups open by confirmation",
        "With needWaitingForConfirm a group opens only after a person confirmed the one before.",
        "architecture.md: Confirm",
        APPS,
        groups_open_by_confirmation,
    ),
    Invariant(
        "groups open in order",
        "Within one plan groups open one after the other and never close.",
        "domain.md §2: Group algorithm",
        APPS,
        groups_open_in_order,
    ),
    Invariant(
        "groups are done by proof",
        "The next group opens only once every pod of the groups before has served at the new revision.",
        "domain.md §2: a group finishes when all its pods are ready",
        APPS,
        groups_are_done_by_proof,
    ),
    Invariant(
        "plans are kept",
        "A plan is followed until a person changes what it was made for.",
        "the first release: the group plan as a pure function with a stable hash",
        APPS,
        plans_are_kept,
    ),
    Invariant(
        "complete is true",
        "The status says Complete only if all pods have served with the wanted image.",
        "reliability.md (b): SUCCEEDED means truth equals desired",
        APPS,
        complete_is_true,
    ),
    Invariant(
        "confirmations are people's",
        "No controller ever writes a confirmation.",
        "architecture.md: Confirm",
        APPS,
        confirmations_are_people_s,
    ),
)
