"""What must hold of a release at every commit: its plan, its groups, its confirmations. One readable list."""

from cafe.api.names import CONFIRM_ANNOTATION
from cafe_sim.contract import Json
from cafe_sim.harness.names import APPS
from cafe_sim.harness.oracle.invariant import Invariant
from cafe_sim.harness.oracle.reading import image_of
from cafe_sim.harness.oracle.truth import Change, PodTruth, Truth, opened_by


def _status(app: Json | None) -> Json:
    return (app or {}).get("status") or {}


def _plan_of(app: Json | None) -> Json:
    return _status(app).get("plan") or {}


def _asks(app: Json) -> bool:
    """Whether the plan that is followed asks before each group; on the way back it has a say of its own."""
    strategy = app["spec"]["strategy"]
    asking = strategy.get("rollback") or {} if _plan_of(app).get("rollback") else strategy
    return bool(asking.get("needWaitingForConfirm", False))


def only_the_way_back_does_without(truth: Truth, change: Change) -> str | None:
    """A plan without Beta and confirmations leads to a revision that was released before the one left."""
    old, new = _plan_of(change.old), _plan_of(change.new)
    if not change.is_ours or not new.get("rollback") or old.get("hash") == new["hash"]:
        return None
    if old.get("revision") == new["revision"]:
        return None if old.get("rollback") else f"plan {new['hash']} became a way back by itself"
    left = truth.revisions.get(old.get("revision", ""))
    if left is not None and truth.revisions.get(new["revision"], left) < left:
        return None
    return f"plan {new['hash']} leads from {old.get('revision')} forward to {new['revision']}"


def groups_open_by_confirmation(truth: Truth, change: Change) -> str | None:
    """The next group opens only after somebody confirmed the one before, of this plan."""
    old, new = _status(change.old), _status(change.new)
    before, now = old.get("currentGroup"), new.get("currentGroup")
    if not change.is_ours or before is None or now is None or now <= before:
        return None
    if _plan_of(change.old).get("hash") != _plan_of(change.new).get("hash"):
        return None
    needed = _asks(change.new)
    if not needed or f"{before}/{_plan_of(change.new)['hash']}" in truth.confirmed:
        return None
    return f"group {now} was opened, but nobody confirmed group {before} of {_plan_of(change.new)['hash']}"


def nothing_opens_by_planning_anew(truth: Truth, change: Change) -> str | None:
    """Whatever becomes of the plan in mid-release, no pod is opened without a further confirmation."""
    new = _status(change.new)
    revision, opened = _plan_of(change.new).get("revision"), opened_by(new)
    needed = _asks(change.new)
    most = truth.opened
    if not change.is_ours or not needed or most is None or most.revision != revision or opened <= most.pods:
        return None
    if truth.confirmations > most.confirmations:
        return None
    return f"{opened} pods are open, {most.pods} were, and nobody confirmed anything in between"


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
    """A group counts as done once each of its pods has served at the new revision, or was skipped at it.

    As many more may be lacking as `failureTolerance` says of each group.
    """
    old, new = _status(change.old), _status(change.new)
    before, now = old.get("currentGroup"), new.get("currentGroup")
    plan = _plan_of(change.new)
    if not change.is_ours or before is None or now is None or now <= before:
        return None
    if _plan_of(change.old).get("hash") != plan.get("hash"):
        return None
    image = change.new["spec"]["template"]["spec"]["containers"][0]["image"]
    lacking = 0
    for unit in plan["units"]:
        planned = unit["base"] + sum(
            g["units"].get(unit["name"], 0) for g in plan["groups"] if g["index"] <= before
        )
        pods = pods_of_unit(truth, unit["name"], change.at)
        settled = sum(image in p.proven or image in p.skipped for p in pods)
        lacking += max(0, planned - settled)
    opened = [sum(g["units"].values()) for g in plan["groups"] if g["index"] <= before]
    said = change.new["spec"]["strategy"].get("failureTolerance") or 0
    if lacking <= sum(min(said, size) for size in opened):
        return None
    return f"group {now} was opened; {lacking} pods before it have neither served nor been skipped"


def pods_of_unit(truth: Truth, unit: str, now: float) -> list[PodTruth]:
    """Return the pods of a unit that exist, or did within the age of a view."""
    bodies = (
        *((uid, found.body) for uid, found in truth.sets.items()),
        *((uid, found.body) for uid, found in truth.natives.items()),
    )
    sets = {
        uid
        for uid, body in bodies
        if (body["metadata"].get("labels") or {}).get("cafe.sofastack.io/unit", "") == unit
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


def plans_count_what_is_there(truth: Truth, change: Change) -> str | None:
    """A new plan takes no more pods for updated than run the wanted image, or did just now."""
    old, new = _plan_of(change.old), _plan_of(change.new)
    if not change.is_ours or not new or old.get("revision") == new["revision"]:
        return None
    if change.new["metadata"]["generation"] != _status(change.new)["observedGeneration"]:
        return None
    image = change.new["spec"]["template"]["spec"]["containers"][0]["image"]
    for unit in new["units"]:
        pods = pods_of_unit(truth, unit["name"], change.at)
        there = sum(image_of(p.body) == image or image in p.proven for p in pods)
        if unit["base"] > there:
            return f"the plan counts {unit['base']} updated pods in {unit['name']}; {there} run {image}"
    return None


def complete_is_true(truth: Truth, change: Change) -> str | None:
    """The status says Complete only if so many pods serve with the wanted image, or did just now."""
    new = _status(change.new)
    is_news = new.get("phase") == "Complete" and _status(change.old).get("phase") != "Complete"
    if not change.is_ours or not is_news or change.new["metadata"]["generation"] != new["observedGeneration"]:
        return None
    image = change.new["spec"]["template"]["spec"]["containers"][0]["image"]
    proven = sum(image in p.proven or image in p.skipped for p in truth.lately(change.at))
    wanted = change.new["spec"]["replicas"]
    return None if proven >= wanted else f"{proven} of {wanted} pods have served with {image}"


def confirmations_are_people_s(_: Truth, change: Change) -> str | None:
    """Controllers invite confirmations and take them away; they never give one."""
    new = (change.new["metadata"].get("annotations") or {}).get(CONFIRM_ANNOTATION)
    old = ((change.old or change.new)["metadata"].get("annotations") or {}).get(CONFIRM_ANNOTATION)
    if not change.is_ours or new == old or new in {None, "false"}:
        return None
    return f"a controller wrote {new!r}"


RELEASING: tuple[Invariant, ...] = (
    Invariant(
        "groups open by confirmation",
        "With needWaitingForConfirm a group opens only after a person confirmed the one before.",
        "architecture.md: Confirm",
        APPS,
        groups_open_by_confirmation,
    ),
    Invariant(
        "only the way back does without",
        "Only a plan that leads to an earlier revision goes by strategy.rollback, without Beta.",
        "domain.md §4.3: rollback is another grouped run",
        APPS,
        only_the_way_back_does_without,
    ),
    Invariant(
        "nothing opens by planning anew",
        "An edit of batchSize or replicas in mid-release opens no pod that nobody confirmed.",
        "architecture.md: Confirm; the first release: a template edited mid-release replans",
        APPS,
        nothing_opens_by_planning_anew,
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
        "plans count what is there",
        "A plan leaves out of its groups only pods that run the revision already.",
        "workloads.md (b): a plan made on the way back must not touch them, nor pass over any other",
        APPS,
        plans_count_what_is_there,
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
