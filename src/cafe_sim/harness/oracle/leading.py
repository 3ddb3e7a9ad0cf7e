"""What must hold of whoever leads, and of what the leader claims. One more list like that of `safety`.

These look behind the product's own story: at the lease, at the containers on the nodes, at the spec as people
left it.
"""

from cafe.api.names import REVISION_LABEL, UNIT_LABEL, UPDATE_STATE_ANNOTATION
from cafe.workloads.domain.pods import read_state
from cafe_sim.harness.names import APPS, PODS, REPLICA_SETS, SETS, STATEFUL_SETS
from cafe_sim.harness.oracle.invariant import Invariant
from cafe_sim.harness.oracle.reading import (
    aim_of,
    controller_uid,
    gate_of,
    image_of,
    is_leaving,
    serves,
)
from cafe_sim.harness.oracle.safety import count_of
from cafe_sim.harness.oracle.truth import Change, PodTruth, Truth


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


def gate_rises_on_what_runs(_: Truth, change: Change) -> str | None:
    """A gate is raised after a change only on a pod of which the kubelet says that all its containers run."""
    if not change.is_ours or change.old is None or change.is_gone:
        return None
    state = read_state((change.old["metadata"].get("annotations") or {}).get(UPDATE_STATE_ANNOTATION))
    is_raised = gate_of(change.old) == "False" and gate_of(change.new) == "True"
    if state is None or state.before is None or not is_raised:
        return None
    told = (change.old.get("status") or {}).get("containerStatuses") or []
    idle = [c["name"] for c in told if "running" not in c["state"]]
    return f"{change.name} serves again, though {', '.join(idle)} does not run" if idle else None


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
    if not change.is_ours or change.is_gone or change.old is None:
        return None
    most = open_in(truth, change)
    asked = change.new["spec"]["strategy"]["partition"]
    if most is None or asked <= most or asked <= change.old["spec"]["strategy"]["partition"]:
        return None
    return f"{change.name} is asked for {asked} updated pods, {most} are open"


def open_in(truth: Truth, change: Change) -> int | None:
    """Return how many pods of a set the stored status has opened; None if its plan is for another one."""
    status = (truth.app or {}).get("status") or {}
    plan, opened = status.get("plan") or {}, status.get("currentGroup")
    labels = change.new["metadata"].get("labels") or {}
    if not plan or plan.get("revision") != labels.get(REVISION_LABEL):
        return None
    name = labels.get(UNIT_LABEL, "")
    base = next((u["base"] for u in plan["units"] if u["name"] == name), 0)
    groups = [g for g in plan["groups"] if opened is not None and g["index"] <= opened]
    return int(base + sum(g["units"].get(name, 0) for g in groups))


def templates_come_closed(truth: Truth, change: Change) -> str | None:
    """A set that takes over another template is asked for no updated pod that no plan has opened."""
    if not change.is_ours or change.is_gone or change.old is None:
        return None
    was = (change.old["metadata"].get("labels") or {}).get(REVISION_LABEL)
    will = (change.new["metadata"].get("labels") or {}).get(REVISION_LABEL)
    asked = change.new["spec"]["strategy"]["partition"]
    if was == will or asked <= (open_in(truth, change) or 0):  # On the way back a plan may still hold.
        return None
    return f"{change.name} got the template of {will} and is asked for {asked} updated pods at once"


def collisions_are_real(_: Truth, change: Change) -> str | None:
    """No hash ever collides in the simulated world: who counts a collision mistook a revision of its own."""
    count = (change.new.get("status") or {}).get("collisionCount", 0)
    return f"{change.name} counts {count} collisions" if change.is_ours and count else None


def _falls(change: Change) -> bool:
    """Whether a controller takes a pod out of traffic for a change."""
    was_up = change.old is not None and gate_of(change.old) == "True"
    return change.is_ours and not change.is_gone and was_up and gate_of(change.new) == "False"


def _sick(truth: Truth, change: Change) -> tuple[list[PodTruth], int]:
    """Return the set's other pods that have not served for long, and how many may not."""
    owner = truth.sets[controller_uid(change.new)]
    uid = change.new["metadata"]["uid"]
    others = [p for p in truth.members(controller_uid(change.new)) if p.body["metadata"]["uid"] != uid]
    long = change.at - truth.view_age
    sick = [p for p in others if not is_leaving(p.body) and p.idle_since is not None and p.idle_since < long]
    wanted = max(owner.replicas.values(change.at))
    return sick, max(count_of(value, wanted) for value in owner.unavailable.values(change.at))


def budget_counts_the_sick(truth: Truth, change: Change) -> str | None:
    """A pod that serves is taken out only if those that are sick for reasons of their own leave room."""
    if not _falls(change) or controller_uid(change.new) not in truth.sets:
        return None
    sick, most = _sick(truth, change)
    if change.old is None or not serves(change.old) or len(sick) < most:
        return None
    return f"{change.name} was taken out beside {len(sick)} that have long been sick, of {most}"


def bad_images_stop(truth: Truth, change: Change) -> str | None:
    """No further pod is brought to a revision whose sick pods have used up the budget."""
    if not _falls(change) or change.old is None or controller_uid(change.new) not in truth.sets:
        return None
    fresh = aim_of(change.new) - aim_of(change.old)
    sick, most = _sick(truth, change)
    stuck = [p for p in sick if fresh & aim_of(p.body)]
    if len(stuck) < most:
        return None
    return f"{change.name} is brought to where {len(stuck)} pods have long been sick, of {most}"


LEADING: tuple[Invariant, ...] = (
    *(
        Invariant(
            "only the leader writes",
            "What a controller writes takes effect only while the lease is its own.",
            "reliability.md (b) rule 4: stale token changes nothing",
            resource,
            only_the_leader_writes,
        )
        for resource in (PODS, SETS, REPLICA_SETS, STATEFUL_SETS, APPS)
    ),
    Invariant(
        "gate rises by proof",
        "A pod serves again only once the image it was changed to has been started.",
        "workloads.md (b) step 4; kruise#2276",
        PODS,
        gate_rises_by_proof,
    ),
    Invariant(
        "gate rises on what runs",
        "A pod serves again only while its containers run, by the very report that was judged.",
        "workloads.md (b) steps 4 and 5; kruise#2274",
        PODS,
        gate_rises_on_what_runs,
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
    Invariant(
        "templates come closed",
        "A set takes over a new template with nothing opened.",
        "docs/decisions/0005",
        SETS,
        templates_come_closed,
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
    Invariant(
        "budget counts the sick",
        "Controllers take no serving pod out while others of its set use up maxUnavailable by being sick.",
        "workloads.md (c): count NotReady pods; kruise#1857",
        PODS,
        budget_counts_the_sick,
    ),
    Invariant(
        "bad images stop",
        "No pod is brought to a revision whose sick pods already use up maxUnavailable.",
        "workloads.md (b): unavailable pods of the target revision never exceed the allowance",
        PODS,
        bad_images_stop,
    ),
)
