"""What people do at the wrong moment, and what stored data suffers."""

from functools import partial
from typing import TYPE_CHECKING

from cafe.api.names import (
    CONFIRM_ANNOTATION,
    REVISION_LABEL,
    SPECIFIED_DELETE_LABEL,
    UPDATE_GATE,
    UPDATE_STATE_ANNOTATION,
)
from cafe_sim.contract import ApiError, Json
from cafe_sim.harness.chance import Chance
from cafe_sim.harness.faults.kinds import Args, FaultKind, Undo, no_undo, nothing
from cafe_sim.harness.names import APP, APPS, IN_PLACE, PODS, SETS_OF, SPACE, STATEFUL
from cafe_sim.harness.oracle.reading import gate_of
from cafe_sim.harness.plan import Shape

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

KUBECTL = "somebody with kubectl"


def _patch(world: "World", resource: str, name: str, body: Json) -> bool:
    try:
        world.act(KUBECTL, lambda: world.server.patch(resource, SPACE, name, body))
    except ApiError as error:
        world.tell(KUBECTL, f"is refused: {error.message}")
        return False
    return True


def _confirm(world: "World", args: Args, _: Chance) -> Undo:
    """Confirm twice, early, late or nonsense: whatever is written must count for what was shown alone."""
    app = world.app()
    if app is None:
        return no_undo
    status = app.get("status") or {}
    plan = (status.get("plan") or {}).get("hash", "")
    group = status.get("currentGroup") or 0
    values = {
        "again": f"{group}/{plan}",
        "early": f"{group + 1}/{plan}",
        "foreign": f"{group}/0123456789ab",
        "nonsense": "yes please",
        "bare": "true",
    }
    body = {"metadata": {"annotations": {CONFIRM_ANNOTATION: values[args["what"]]}}}
    if _patch(world, APPS, APP, body):
        world.met("somebody confirms wrongly")
    return no_undo


def _draw_confirm(chance: Chance, _: Shape) -> Args:
    return {"what": chance.one_of(("again", "early", "foreign", "nonsense", "bare"))}


def _revert_set(world: "World", args: Args, _: Chance) -> Undo:
    """A GitOps tool, or a hand, puts a set's spec back to what it was."""
    resource = SETS_OF[world.plan.shape.kind]
    sets = world.server.list(resource, SPACE)
    if sets:
        found = sets[args["which"] % len(sets)]
        if _patch(world, resource, found["metadata"]["name"], {"spec": _reverted(found)}):
            world.met("somebody reverts a set")
    return no_undo


def _reverted(found: Json) -> Json:
    """Return what of a set's spec was another once: nothing opened yet, or a pod less."""
    replicas = int(found["spec"]["replicas"])
    if found["kind"] == IN_PLACE:
        return {"strategy": {"partition": 0}}
    if found["kind"] == STATEFUL:
        return {"updateStrategy": {"rollingUpdate": {"partition": replicas}}}
    return {"replicas": max(0, replicas - 1)}


def _draw_which(chance: Chance, _: Shape) -> Args:
    return {"which": chance.below(100)}


def _edit_pod(world: "World", args: Args, _: Chance) -> Undo:
    """A hand changes a pod's image."""
    pods = world.pods()
    if pods:
        pod = pods[args["which"] % len(pods)]
        body = {"metadata": {"annotations": {"edited-by": "hand"}}}
        if _patch(world, PODS, pod["metadata"]["name"], body):
            world.met("somebody edits a pod")
    return no_undo


def _raise_gate(world: "World", args: Args, _: Chance) -> Undo:
    """A script that wants all pods ready says so of one that is being changed."""
    low = [p for p in world.pods() if gate_of(p) == "False"]
    if low:
        pod = low[args["which"] % len(low)]
        kept = [c for c in pod["status"]["conditions"] if c["type"] != UPDATE_GATE]
        raised = {"type": UPDATE_GATE, "status": "True", "reason": "Script"}
        body = {"status": {"conditions": [*kept, raised]}}
        name = pod["metadata"]["name"]
        try:
            world.act(KUBECTL, lambda: world.server.patch(PODS, SPACE, name, body, "status"))
            world.met("somebody raises a gate")
        except ApiError as error:
            world.tell(KUBECTL, f"is refused: {error.message}")
    return no_undo


def _take_mark_back(world: "World", args: Args, _: Chance) -> Undo:
    """Somebody marks a pod for replacement, and thinks better of it."""
    pods = world.pods()
    if not pods:
        return no_undo
    name = pods[args["which"] % len(pods)]["metadata"]["name"]

    def mark(value: str | None) -> bool:
        return _patch(world, PODS, name, {"metadata": {"labels": {SPECIFIED_DELETE_LABEL: value}}})

    mark("true")

    def undo() -> None:
        if mark(None):
            world.met("somebody takes a mark back")

    return undo


def _delete_pods(world: "World", _: Args, __: Chance) -> Undo:
    for pod in world.pods():
        name = pod["metadata"]["name"]
        world.act(KUBECTL, partial(world.server.delete, PODS, SPACE, name))
        world.met("somebody deletes all pods")
    return no_undo


def _corrupt_state(world: "World", args: Args, _: Chance) -> Undo:
    pods = [
        p
        for p in world.pods()
        if UPDATE_STATE_ANNOTATION in (p["metadata"].get("annotations") or {})
    ]  # fmt: skip
    if pods:
        name = pods[args["which"] % len(pods)]["metadata"]["name"]
        body = {"metadata": {"annotations": {UPDATE_STATE_ANNOTATION: "{corrupt"}}}
        if _patch(world, PODS, name, body):
            world.met("state of an update is corrupted")
    return no_undo


def _corrupt_label(world: "World", args: Args, _: Chance) -> Undo:
    """A pod no longer says which revision it runs; InPlaceOnly forbids to replace it, and says so."""
    pods = world.pods()
    shape = world.plan.shape
    if pods and shape.policy != "InPlaceOnly" and shape.kind == IN_PLACE:
        name = pods[args["which"] % len(pods)]["metadata"]["name"]
        if _patch(world, PODS, name, {"metadata": {"labels": {REVISION_LABEL: "corrupted"}}}):
            world.met("label is corrupted")
    return no_undo


def _orphan(world: "World", args: Args, _: Chance) -> Undo:
    pods = world.pods()
    if pods:
        name = pods[args["which"] % len(pods)]["metadata"]["name"]
        if _patch(world, PODS, name, {"metadata": {"ownerReferences": None}}):
            world.met("pod loses its owner")
    return no_undo


HUMAN_FAULTS: tuple[FaultKind, ...] = (
    FaultKind("somebody confirms wrongly", "human", _draw_confirm, _confirm, longest=0.0),
    FaultKind("somebody reverts a set", "human", _draw_which, _revert_set, longest=0.0),
    FaultKind("somebody edits a pod", "human", _draw_which, _edit_pod, longest=0.0),
    FaultKind("somebody raises a gate", "human", _draw_which, _raise_gate, longest=0.0),
    FaultKind("somebody takes a mark back", "human", _draw_which, _take_mark_back, longest=3.0),
    FaultKind("somebody deletes all pods", "human", nothing, _delete_pods, longest=0.0),
    FaultKind("state of an update is corrupted", "data", _draw_which, _corrupt_state, 0.0, is_contract=False),
    FaultKind("label is corrupted", "data", _draw_which, _corrupt_label, 0.0, is_contract=False),
    FaultKind("pod loses its owner", "data", _draw_which, _orphan, 0.0, is_contract=False),
)
