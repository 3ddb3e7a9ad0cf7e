"""What must come true once the world has healed. One readable list, at the end of the file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cafe.api.names import (
    CONFIRM_ANNOTATION,
    DELETION_COST_ANNOTATION,
    SPECIFIED_DELETE_LABEL,
    UNIT_LABEL,
    UPDATE_STATE_ANNOTATION,
)
from cafe_sim.contract import Json
from cafe_sim.harness.names import IN_PLACE, REPLICA, SETS, SETS_OF, SPACE, STATEFUL
from cafe_sim.harness.oracle.carrying import traffic_is_back
from cafe_sim.harness.oracle.natives import partition_of
from cafe_sim.harness.oracle.reading import controller_uid, cpu_of, image_of, is_leaving, serves
from cafe_sim.harness.people import Wishes

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

Test = Callable[["World", Wishes], str | None]


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that must come true.

    Attributes:
        name: For tapes and reports.
        sentence: What must be so in the end.
        source: Where the rule comes from.
        test: Returns what is amiss, or None.
    """

    name: str
    sentence: str
    source: str
    test: Test


def somebody_leads(world: "World", _: Wishes) -> str | None:
    """A controller leads."""
    return None if world.leader() is not None else "no controller leads"


def release_is_complete(world: "World", wishes: Wishes) -> str | None:
    """The status speaks of the newest spec, and says Complete."""
    app = world.app()
    if app is None:
        return "there is no application"
    status = app.get("status") or {}
    if status.get("observedGeneration") != app["metadata"]["generation"]:
        return "the status speaks of an older spec"
    if status.get("phase") != "Complete":
        return f"the phase is {status.get('phase')}: {(status.get('waiting') or {}).get('message')}"
    told = {name: status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    amiss = {name: count for name, count in told.items() if count != wishes.replicas}
    return f"the status counts {amiss} of {wishes.replicas}" if amiss else None


def pods_are_as_wished(world: "World", wishes: Wishes) -> str | None:
    """So many pods as wished serve, each with the wished image, spread evenly."""
    pods = world.pods()
    if any(is_leaving(pod) for pod in pods):
        return f"a pod is still leaving: {[p['metadata']['name'] for p in pods if is_leaving(p)]}"
    if len(pods) != wishes.replicas:
        return f"there are {len(pods)} pods, not {wishes.replicas}"
    amiss = next((how for pod in pods if (how := _amiss_with(pod, wishes))), None)
    if amiss is not None:
        return amiss
    counts = [sum(p["metadata"]["labels"].get(UNIT_LABEL) == cell for p in pods) for cell in world.cells]
    if max(counts) - min(counts) > 1:
        return f"the cells have {counts} pods"
    return None


def _amiss_with(pod: Json, wishes: Wishes) -> str | None:
    name = pod["metadata"]["name"]
    if not serves(pod):
        return f"{name} does not serve"
    if image_of(pod) != wishes.image:
        return f"{name} runs {image_of(pod)}, not {wishes.image}"
    if (pod["metadata"].get("annotations") or {}).get("note") != wishes.note:
        return f"{name} does not carry the annotation {wishes.note}"
    wanted = f"{wishes.cpu}m" if wishes.cpu else ""
    asked, given = (
        cpu_of(one) for one in (pod["spec"]["containers"][0], pod["status"]["containerStatuses"][0])
    )
    if (asked, given) != (wanted, wanted):
        return f"{name} asks for {asked or 'no'} CPU and has {given or 'none'}, not {wanted or 'none'}"
    if pod["spec"]["containers"][0]["env"][0]["value"] != wishes.environment:
        return f"{name} has an old environment"
    return None


def containers_are_as_reported(world: "World", wishes: Wishes) -> str | None:
    """What runs on the nodes is what the pods say."""
    running = [
        container
        for kubelet in world.kubelets()
        for sandbox in kubelet.runtime.sandboxes.values()
        for container in sandbox.running()
    ]
    wrong = sorted({c.image for c in running} - {wishes.image})
    if wrong:
        return f"containers of {wrong} are still running"
    return None if len(running) == wishes.replicas else f"{len(running)} containers run"


def statuses_are_true(world: "World", _: Wishes) -> str | None:
    """Each set, and the application for each unit, counts the pods that serve as there are."""
    pods = world.pods()
    for unit in ((world.app() or {}).get("status") or {}).get("units") or ():
        name = unit["name"]
        there = sum(serves(p) for p in pods if p["metadata"]["labels"].get(UNIT_LABEL) == name)
        if unit.get("available", 0) != there:
            return f"the status tells of {unit.get('available', 0)} available pods in {name}, not {there}"
    for found in world.server.list(SETS, SPACE):
        mine = [p for p in pods if controller_uid(p) == found["metadata"]["uid"]]
        told = (found.get("status") or {}).get("availableReplicas", 0)
        if told != sum(serves(p) for p in mine):
            return f"{found['metadata']['name']} tells of {told} available pods"
    return None


def nothing_is_left_over(world: "World", _: Wishes) -> str | None:
    """No pod carries the marks of an update or is to be replaced, and no confirmation or set is left."""
    for pod in world.pods():
        if SPECIFIED_DELETE_LABEL in (pod["metadata"].get("labels") or {}):
            return f"{pod['metadata']['name']} is marked, and not replaced yet"
        if UPDATE_STATE_ANNOTATION in (pod["metadata"].get("annotations") or {}):
            return f"{pod['metadata']['name']} still carries the state of an update"
        if DELETION_COST_ANNOTATION in (pod["metadata"].get("annotations") or {}):
            return f"{pod['metadata']['name']} is still priced to go first"
    if (how := _left_at(world.app())) is not None:
        return how
    kind = world.plan.shape.kind
    sets = world.server.list(SETS_OF[kind], SPACE)
    if shut := [s["metadata"]["name"] for s in sets if IS_SHUT[kind](s)]:
        return f"{shut} are not asked to update all their pods"
    return None if len(sets) == len(world.cells) else f"there are {len(sets)} sets"


def _left_at(app: Json | None) -> str | None:
    """Say what is left over at the application itself."""
    if app is not None and CONFIRM_ANNOTATION in (app["metadata"].get("annotations") or {}):
        return "the application still carries a confirmation"
    if app is not None and (app.get("status") or {}).get("rescheduled"):
        return "a cell is still taken to have no room, and will be tried again"
    return None


def _is_shut_in_place(found: Json) -> bool:
    return bool(found["spec"]["strategy"]["partition"] < found["spec"]["replicas"])


def _is_shut_ordinal(found: Json) -> bool:
    """Whether a pod that is made anew would be made of another revision than the newest."""
    status = found.get("status") or {}
    return partition_of(found) > 0 and status.get("currentRevision") != status.get("updateRevision")


IS_SHUT: Mapping[str, Callable[[Json], bool]] = {
    IN_PLACE: _is_shut_in_place,
    REPLICA: lambda _: False,
    STATEFUL: _is_shut_ordinal,
}
"""By kind of pod set, how one is told that keeps pods from the newest revision."""


LIVENESS: tuple[Promise, ...] = (
    Promise(
        "traffic is back",
        "Every pod has all its protections, no operation, and requests from every process; nobody else has.",
        "traffic-nodes-vm.md (b)",
        traffic_is_back,
    ),
    Promise(
        "somebody leads",
        "Soon after the world has healed, a controller leads.",
        "reliability.md (b): new leader acts within lease + retry",
        somebody_leads,
    ),
    Promise(
        "release is complete",
        "The release that was asked for last comes to its end, and the status says so.",
        "reliability.md (b): eventually stable reconciliation",
        release_is_complete,
    ),
    Promise(
        "pods are as wished",
        "As many pods as wished serve in each cell, with the wished template.",
        "reliability.md (b): eventually stable reconciliation",
        pods_are_as_wished,
    ),
    Promise(
        "containers are as reported",
        "The containers on the nodes are those that the pods tell of.",
        "reliability.md (b): truth, not caches",
        containers_are_as_reported,
    ),
    Promise(
        "statuses are true",
        "Sets count the pods that serve as there are.",
        "reliability.md (b): truth, not caches",
        statuses_are_true,
    ),
    Promise(
        "nothing is left over",
        "No mark of an update or a confirmation stays behind.",
        "reliability.md (b): every remaining mark has a named reason",
        nothing_is_left_over,
    ),
)

QUIET = "then silence"
"""The rule that nothing but leases is written once all promises are kept."""
ENDS = "comes to an end"
"""The rule that all promises are kept within the bound."""
NO_BUGS = "no bugs"
"""The rule that nothing in the product raises what it does not mean to raise."""
