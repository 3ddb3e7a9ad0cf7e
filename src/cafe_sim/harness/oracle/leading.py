"""What must hold of whoever leads, and of what the leader claims. One more list like that of `safety`.

These look behind the product's own story: at the lease, at the containers on the nodes, at the spec as people
left it.
"""

from cafe.api.names import REVISION_LABEL, UNIT_LABEL, UPDATE_STATE_ANNOTATION
from cafe.workloads.domain.pods import read_state
from cafe_sim.harness.names import APPS, PODS, SETS
from cafe_sim.harness.oracle.safety import Invariant
from cafe_sim.harness.oracle.truth import Change, Truth, gate_of, image_of


def only_the_leader_writes(truth: Truth, change: Change) -> str | None:
    """Whoever writes holds the lease at that moment, as the store has it."""
    if not change.is_ours or not truth.are_clocks_even or truth.leader == change.author:
        return None
    return f"{change.author} changed {change.name}, but {truth.leader or 'nobody'} leads"


def gate_rises_by_proof(truth: Truth, change: Change) -> str | None:
    """A pod whose image was changed serves again only once that image is what was started last."""
    if not change.is_ours or change.old is None or change.is_gone:
        return None
    state = read_state((change.old["metadata"].get("annotations") or {}).get(UPDATE_STATE_ANNOTATION))
    is_raised = gate_of(change.old) == "False" and gate_of(change.new) == "True"
    if state is None or state.before is None or not is_raised:
        return None
    started = truth.started(str(change.new["metadata"]["uid"]))
    if started in {"", image_of(change.new)}:  # A node that lost its power has nothing left to ask.
        return None
    return f"{change.name} serves again, with a container of {started} instead of {image_of(change.new)}"


def pauses_open_nothing(_: Truth, change: Change) -> str | None:
    """While the spec says pause, no group opens: the status is bound to the version that was looked at."""
    old, new = (change.old or {}).get("status") or {}, change.new.get("status") or {}
    if not change.is_ours or not change.new["spec"]["strategy"].get("pause"):
        return None
    before, now = old.get("currentGroup"), new.get("currentGroup")
    if now is None or before == now:
        return None
    if (old.get("plan") or {}).get("hash") != (new.get("plan") or {}).get("hash"):
        return None
    return f"group {now} was opened during a pause"


def partitions_follow_the_status(truth: Truth, change: Change) -> str | None:
    """A set is asked for no more updated pods than the groups that the stored status calls open."""
    if not change.is_ours or change.is_gone or truth.app is None:
        return None
    status = truth.app.get("status") or {}
    plan, opened = status.get("plan") or {}, status.get("currentGroup")
    labels = change.new["metadata"].get("labels") or {}
    if plan.get("revision") != labels.get(REVISION_LABEL) or change.old is None:
        return None
    asked = change.new["spec"]["strategy"]["partition"]
    if asked <= change.old["spec"]["strategy"]["partition"]:
        return None
    name = labels.get(UNIT_LABEL, "")
    base = next((u["base"] for u in plan["units"] if u["name"] == name), 0)
    groups = [g for g in plan["groups"] if opened is not None and g["index"] <= opened]
    most = base + sum(g["units"].get(name, 0) for g in groups)
    return None if asked <= most else f"{change.name} is asked for {asked} updated pods, {most} are open"


def collisions_are_real(_: Truth, change: Change) -> str | None:
    """No hash ever collides in the simulated world: who counts a collision mistook a revision of its own."""
    count = (change.new.get("status") or {}).get("collisionCount", 0)
    return f"{change.name} counts {count} collisions" if change.is_ours and count else None


LEADING: tuple[Invariant, ...] = (
    *(
        Invariant(
            "only the leader writes",
            "What a controller writes takes effect only while the lease is its own.",
            "reliability.md (b) rule 4: stale token changes nothing",
            resource,
            only_the_leader_writes,
        )
        for resource in (PODS, SETS, APPS)
    ),
    Invariant(
        "gate rises by proof",
        "A pod serves again only once the image it was changed to has been started.",
        "workloads.md (b) step 4; kruise#2276",
        PODS,
        gate_rises_by_proof,
    ),
    Invariant(
        "pauses open nothing",
        "No group opens while the release is paused.",
        "workloads.md (b): paused comes before all else",
        APPS,
        pauses_open_nothing,
    ),
    Invariant(
        "partitions follow the status",
        "Sets are asked for what the stored status has opened, never for what is about to be.",
        "docs/decisions/0005",
        SETS,
        partitions_follow_the_status,
    ),
    *(
        Invariant(
            "collisions are real",
            "A revision that exists already is accepted if it is the owner's and equal.",
            "reliability.md (b) rule 1: adopted after UID and owner check",
            resource,
            collisions_are_real,
        )
        for resource in (SETS, APPS)
    ),
)
