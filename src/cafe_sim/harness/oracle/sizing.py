"""What must hold of sizes: of containers with another CPU, of cells without room, of growing releases."""

from collections.abc import Iterator

from cafe.api.names import UNIT_LABEL, UPDATE_STATE_ANNOTATION
from cafe.workloads.domain.facts import UpdateState
from cafe.workloads.domain.pods import read_state
from cafe_sim.contract import Json
from cafe_sim.harness.names import APPS, PODS, STATEFUL
from cafe_sim.harness.oracle.invariant import Invariant
from cafe_sim.harness.oracle.natives import goal_of
from cafe_sim.harness.oracle.reading import controller_uid, is_leaving
from cafe_sim.harness.oracle.releasing import pods_of_unit
from cafe_sim.harness.oracle.safety import count_of
from cafe_sim.harness.oracle.truth import Change, PodTruth, Truth


def _state_of(pod: Json | None) -> UpdateState | None:
    if pod is None:
        return None
    return read_state((pod["metadata"].get("annotations") or {}).get(UPDATE_STATE_ANNOTATION))


def sizes_keep_the_budget(truth: Truth, change: Change) -> str | None:
    """No more pods of a set are being resized to its revision at once than may be missing."""
    old, new = _state_of(change.old), _state_of(change.new)
    owner = truth.sets.get(controller_uid(change.new))
    if not change.is_ours or old is not None or new is None or not new.sizes or owner is None:
        return None
    members = [p for p in truth.members(controller_uid(change.new)) if not is_leaving(p.body)]
    under_way = sum(
        (state := _state_of(p.body)) is not None and bool(state.sizes) and state.revision == new.revision
        for p in members
    )
    wanted = max(owner.replicas.values(change.at))
    most = max(count_of(value, wanted) for value in owner.unavailable.values(change.at))
    most += max(0, len(members) - min(owner.replicas.values(change.at)))
    return None if under_way < most else f"{change.name} is resized beside {under_way} others, of {most}"


def sizes_are_proven(truth: Truth, change: Change) -> str | None:
    """A resize is forgotten only once the node gives what was asked for, by the containers that run there."""
    old, new = _state_of(change.old), _state_of(change.new)
    if not change.is_ours or change.is_gone or old is None or not old.sizes or (new and new.sizes):
        return None
    given = truth.given(str(change.new["metadata"]["uid"]))
    asked = {amounts.get("requests.cpu", "") for amounts in old.sizes.values()}
    if given in {"", *asked}:  # A node that lost its power has nothing left to ask.
        return None
    return f"{change.name} is taken for resized to {', '.join(sorted(asked))}, and has {given}"


def _limits(app: Json | None) -> dict[str, Json]:
    held = ((app or {}).get("status") or {}).get("rescheduled") or ()
    return {limit["name"]: limit for limit in held}


def only_pods_without_room_are_moved(truth: Truth, change: Change) -> str | None:
    """A cell is taken to have room for no fewer pods than have long been serving there."""
    if not change.is_ours or change.is_gone:
        return None
    before = _limits(change.old)
    for name, held in _limits(change.new).items():
        limit, was = held.get("limit", 0), before.get(name)
        if was is not None and was.get("limit", 0) <= limit:
            continue
        since = change.at - truth.view_age
        serving = sum(_has_served(p, since) for p in pods_of_unit(truth, name, change.at))
        if limit < serving:
            return f"{name} is held to {limit} pods, and {serving} are serving there"
    return None


def _has_served(pod: PodTruth, since: float) -> bool:
    return not is_leaving(pod.body) and pod.served_all_along(since)


def quotas_add_up(_: Truth, change: Change) -> str | None:
    """A plan gives all units together the pods that are wanted, and one for each unit that is tried."""
    old, new = ((app or {}).get("status") or {} for app in (change.old, change.new))
    plan = new.get("plan") or {}
    if not change.is_ours or not plan or (old.get("plan") or {}).get("hash") == plan["hash"]:
        return None
    if change.new["metadata"]["generation"] != new.get("observedGeneration"):
        return None
    tried = sum(bool(held.get("tried")) for held in _limits(change.new).values())
    wanted = change.new["spec"]["replicas"]
    planned = sum(unit["quota"] for unit in plan["units"])
    if wanted <= planned <= wanted + tried:
        return None
    return f"the plan has {planned} pods, {wanted} are wanted and {tried} units tried"


def growth_asks_nobody(truth: Truth, change: Change) -> str | None:
    """Pods that are added in mid-release are made at once, of the revision that is left."""
    old, new = (((app or {}).get("status") or {}).get("plan") or {} for app in (change.old, change.new))
    spec = change.new["spec"]
    left = (((change.old or {}).get("status") or {}).get("currentRevision")) or ""
    is_midway = old.get("revision") == new.get("revision") and left not in {"", new.get("revision")}
    if not change.is_ours or not new or not is_midway or spec["podSetType"] == STATEFUL:
        return None
    was, will = ({unit["name"]: unit for unit in plan["units"]} for plan in (old, new))
    if was.keys() != will.keys() or _pods(will) <= _pods(was):
        return None
    if spec["strategy"].get("scaleOut", "AtOnce") != "AtOnce":
        return None
    held = dict(_asked(truth))
    slow = [n for n, u in will.items() if 0 < held.get(n, 0) < u["quota"] and u["floor"] < u["quota"]]
    return f"{', '.join(slow)} grow only with the groups of plan {new['hash']}" if slow else None


def _pods(units: dict[str, Json]) -> int:
    return sum(unit["quota"] for unit in units.values())


def _asked(truth: Truth) -> Iterator[tuple[str, int]]:
    """Yield the units and how many pods they are asked for; of two ReplicaSets the newest is on record."""
    for one in truth.sets.values():
        labels = one.body["metadata"].get("labels") or {}
        yield labels.get(UNIT_LABEL, ""), int(one.body["spec"]["replicas"])
    natives = sorted(truth.natives.values(), key=lambda native: goal_of(native.body).release)
    for native in natives:
        yield native.unit, goal_of(native.body).replicas


SIZING: tuple[Invariant, ...] = (
    Invariant(
        "sizes keep the budget",
        "No more pods of a set are being resized at once than maxUnavailable.",
        "workloads.md (b): a size for which there is no room stops like a bad image",
        PODS,
        sizes_keep_the_budget,
    ),
    Invariant(
        "sizes are proven",
        "A resize counts as done only once the containers on the node have what was asked for.",
        "KEP-1287",
        PODS,
        sizes_are_proven,
    ),
    Invariant(
        "only pods without room are moved",
        "No cell is held to fewer pods than have long been serving there.",
        "docs/decisions/0013; kruise#2412",
        APPS,
        only_pods_without_room_are_moved,
    ),
    Invariant(
        "quotas add up",
        "A plan has as many pods as are wanted, and one more for each cell that is tried anew.",
        "docs/decisions/0013",
        APPS,
        quotas_add_up,
    ),
    Invariant(
        "growth asks nobody",
        "Pods that are added in mid-release are made at once; no group is waited for.",
        "docs/decisions/0013",
        APPS,
        growth_asks_nobody,
    ),
)
