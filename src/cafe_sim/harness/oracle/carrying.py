"""What must hold of pods while somebody sends them requests. One readable list, at the end of the file."""

from typing import TYPE_CHECKING

from cafe.api.names import CONTROLLER_NAMESPACE, OPERATION_PREFIX, PROTECTION_PREFIX
from cafe.api.trafficmarks import read_expected
from cafe_sim.contract import Json
from cafe_sim.harness.names import IN_PLACE, PODS, PROVIDERS
from cafe_sim.harness.oracle.invariant import Invariant
from cafe_sim.harness.oracle.reading import image_of, is_leaving
from cafe_sim.harness.oracle.truth import Change, Truth
from cafe_sim.harness.people import Wishes

if TYPE_CHECKING:
    from cafe_sim.harness.world import World


def protections_of(pod: Json) -> set[str]:
    """Return the finalizers by which employers protect a pod."""
    return {f for f in pod["metadata"].get("finalizers") or () if f.startswith(PROTECTION_PREFIX)}


def operations_of(pod: Json) -> set[str]:
    """Return the names of the operations that stand on a pod."""
    notes = pod["metadata"].get("annotations") or {}
    return {key.removeprefix(OPERATION_PREFIX) for key in notes if key.startswith(OPERATION_PREFIX)}


def _is_touched(change: Change) -> bool:
    if not change.is_ours or change.old is None or is_leaving(change.old):
        return False
    return is_leaving(change.new) or change.is_gone or image_of(change.old) != image_of(change.new)


def nothing_under_traffic(truth: Truth, change: Change) -> str | None:
    """Nobody sends a pod requests, or waits for its answer, when it is changed or deleted."""
    if not _is_touched(change) or change.old is None or not (at := truth.senders(change.old)):
        return None
    return f"{change.name} was touched while {', '.join(at)} had requests for it"


def nothing_under_protection(_: Truth, change: Change) -> str | None:
    """No protection stands on a pod when it is changed or deleted."""
    if not _is_touched(change) or change.old is None or not (left := protections_of(change.old)):
        return None
    return f"{change.name} was touched under {len(left)} protections"


def protected_while_served(truth: Truth, change: Change) -> str | None:
    """A protection is taken off only when the traffic is gone."""
    if not change.is_ours or change.old is None or is_leaving(change.new) or change.is_gone:
        return None
    gone = protections_of(change.old) - protections_of(change.new)
    names = {finalizer: name for name, finalizer in read_expected(_notes(change.old)).items()}
    serving = truth.senders(change.old)
    for finalizer in sorted(gone):
        is_service = names.get(finalizer, "").startswith("Service/")
        if any((at == "a Service") == is_service for at in serving):
            return f"{change.name} lost the protection of {names.get(finalizer)} while {serving} served it"
    return None


def _notes(pod: Json) -> dict[str, str]:
    return pod["metadata"].get("annotations") or {}


def _is_met(provider: Json) -> bool:
    conditions = (provider.get("status") or {}).get("conditions") or ()
    return all(c["status"] == "True" for c in conditions if c["type"] == "Reachable")


def traffic_is_back(world: "World", _: Wishes) -> str | None:
    """Every pod of ours is protected by all that it expects, and is a member everywhere; nobody else is."""
    if world.balancer is None or world.plan.shape.kind != IN_PLACE:
        return None
    for pod in world.pods():
        name, expected = pod["metadata"]["name"], set(read_expected(_notes(pod)).values())
        if left := operations_of(pod):
            return f"{left} still stands on {name}"
        if protections_of(pod) != expected or len(expected) != 2:
            return f"{name} has {len(protections_of(pod))} protections, and expects {len(expected)}"
    for provider in world.server.list(PROVIDERS, CONTROLLER_NAMESPACE):
        if not _is_met(provider):
            return f"provider {provider['metadata']['name']} is said to be out of reach"
    wanted = {f"{pod['status']['podIP']}:8080" for pod in world.pods()}
    for process in world.balancer.processes.values():
        members = {a for a, e in process.pools["web"].items() if e.state.value == "serving"}
        if members != wanted:
            return f"{process.name} serves {sorted(members ^ wanted)} otherwise than it should"
    return None


CARRYING: tuple[Invariant, ...] = (
    Invariant(
        "nothing under traffic",
        "A pod is changed or deleted only when nobody sends it requests or waits for its answer.",
        "traffic-nodes-vm.md (b)",
        PODS,
        nothing_under_traffic,
    ),
    Invariant(
        "nothing under protection",
        "A pod is changed or deleted only when no employer's protection stands on it.",
        "domain.md §3; k8s#73584",
        PODS,
        nothing_under_protection,
    ),
    Invariant(
        "protected while served",
        "A protection is taken off a living pod only when that employer's traffic is gone.",
        "traffic-nodes-vm.md (b)",
        PODS,
        protected_while_served,
    ),
)
