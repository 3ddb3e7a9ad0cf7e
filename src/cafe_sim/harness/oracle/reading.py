"""What an object says of itself, as it is stored."""

import json
from datetime import datetime

from cafe.api.names import UPDATE_GATE, UPDATE_STATE_ANNOTATION
from cafe.api.trafficmarks import read_expected
from cafe_sim.contract import Json
from cafe_sim.harness.processes import EPOCH


def condition(obj: Json, kind: str) -> str:
    """Return a condition's status; empty if there is none."""
    for each in (obj.get("status") or {}).get("conditions") or ():
        if each["type"] == kind:
            return str(each["status"])
    return ""


def gate_of(pod: Json) -> str:
    """Return the status of the pod's readiness gate."""
    return condition(pod, UPDATE_GATE)


def image_of(pod: Json) -> str:
    """Return the image that the pod asks for."""
    return str(pod["spec"]["containers"][0]["image"])


def cpu_of(container: Json) -> str:
    """Return the CPU that a container asks for, or by its status has; empty if none."""
    return str(((container.get("resources") or {}).get("requests") or {}).get("cpu", ""))


def is_leaving(pod: Json) -> bool:
    """Whether the pod is being deleted or has ended."""
    phase = (pod.get("status") or {}).get("phase")
    return "deletionTimestamp" in pod["metadata"] or phase in {"Failed", "Succeeded"}


def serves(pod: Json) -> bool:
    """Whether the pod counts as serving; those of native sets have no gate of ours.

    One whose traffic is not proven back from everywhere doesn't count yet.
    """
    if is_leaving(pod) or condition(pod, "Ready") != "True" or not _is_published(pod):
        return False
    return gate_of(pod) == "True" or not _has_gate(pod)


def ready_since(pod: Json) -> float | None:
    """Return since when the pod has been ready, in seconds of the world's time; None if it isn't."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each["type"] == "Ready" and each["status"] == "True":
            return (datetime.fromisoformat(each["lastTransitionTime"]) - EPOCH).total_seconds()
    return None


def _is_published(pod: Json) -> bool:
    expected = read_expected(pod["metadata"].get("annotations") or {})
    return set(expected.values()) <= set(pod["metadata"].get("finalizers") or ())


def _has_gate(pod: Json) -> bool:
    return any(gate["conditionType"] == UPDATE_GATE for gate in pod["spec"].get("readinessGates") or ())


def controller_uid(obj: Json) -> str:
    """Return the UID of the object's controller; empty if it has none."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return ""


def aim_of(pod: Json) -> set[str]:
    """Return the revisions that the pod runs or is being brought to."""
    meta = pod["metadata"]
    aims = {(meta.get("labels") or {}).get("controller-revision-hash", "")}
    state = (meta.get("annotations") or {}).get(UPDATE_STATE_ANNOTATION)
    if state:
        try:
            aims.add(json.loads(state)["revision"])
        except (ValueError, KeyError, TypeError):  # Somebody corrupted it.
            aims.add("")
    return aims - {""}
