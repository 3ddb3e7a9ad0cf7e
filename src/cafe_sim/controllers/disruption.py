"""PodDisruptionBudgets: how many pods may be evicted now.

The API server's eviction takes from `status.disruptionsAllowed` and notes the pod in `disruptedPods`; this
controller counts anew, and forgets a noted pod once it is seen going, or after two minutes.
"""

from datetime import timedelta
from typing import NamedTuple

from cafe.kernel import ObjectKey
from cafe_sim.contract import Json, StoreEvent
from cafe_sim.controllers.base import GATHER, Controller, Plane, by_namespace, soonest
from cafe_sim.machinery.conditions import find_condition, with_condition
from cafe_sim.machinery.objects import (
    controller_of,
    generation_of,
    is_deleting,
    key_of,
    labels_of,
    status_of,
    time_of,
    uid_of,
)
from cafe_sim.machinery.pods import is_finished, is_ready
from cafe_sim.machinery.quantities import scaled
from cafe_sim.machinery.recorder import Note
from cafe_sim.machinery.selectors import Selector, selector_of

RESOURCE = "poddisruptionbudgets.policy"
DELETION_TIMEOUT = timedelta(minutes=2)


class Budget(NamedTuple):
    """Pods that ought to be there, and how many of them must stay healthy."""

    expected: int
    desired_healthy: int


def budget_of(spec: Json, matching: int, scale: int) -> Budget:
    """Resolve a budget's numbers.

    Percentages round up. A whole `minAvailable` counts the pods that are there; all others count *scale*,
    what the pods' controllers want.
    """
    if "maxUnavailable" in spec:
        unavailable = scaled(spec["maxUnavailable"], scale, round_up=True)
        return Budget(scale, max(0, scale - unavailable))
    minimum = spec.get("minAvailable", 1)
    if isinstance(minimum, int):
        return Budget(matching, minimum)
    return Budget(scale, scaled(minimum, scale, round_up=True))


class DisruptionController(Controller):
    """Keeps the status of every PodDisruptionBudget."""

    name = "controllermanager"
    latency = GATHER

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane)
        self._budgets = self.client.informer(RESOURCE)
        self._pods = self.client.informer("pods")

    def start(self) -> None:
        """Follow budgets and pods."""
        self._budgets.index("namespace", by_namespace)
        self._pods.index("namespace", by_namespace)
        self.follow(RESOURCE)
        self._pods.follow(self._on_pod)

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Count the budget's pods."""
        budget = self._budgets.get(key)
        if budget is None:
            return None
        selector = _selector(budget)
        pods = [
            pod
            for pod in self._pods.by_index("namespace", key.namespace)
            if selector.matches(labels_of(pod)) and not is_finished(pod)
        ]
        try:
            scale = self._scale(pods)
        except LookupError as error:
            self._report_failure(budget, str(error))
            return None
        numbers = budget_of(budget["spec"], len(pods), scale)
        disrupted, wait = self._disrupted(budget, pods)
        healthy = sum(
            is_ready(pod) and not is_deleting(pod) and pod["metadata"]["name"] not in disrupted
            for pod in pods
        )
        allowed = healthy - numbers.desired_healthy
        if numbers.expected == 0 or allowed < 0:
            allowed = 0
        self._report(budget, numbers, healthy, allowed, disrupted)
        return wait

    def _on_pod(self, event: StoreEvent) -> None:
        versions = [obj for obj in (event.old, event.new) if obj is not None]
        for budget in self._budgets.by_index("namespace", event.new["metadata"]["namespace"]):
            selector = _selector(budget)
            if any(selector.matches(labels_of(obj)) for obj in versions):
                self.queue.add(key_of(budget))

    def _scale(self, pods: list[Json]) -> int:
        """Sum what the pods' controllers want; a pod without a controller is not expected to be.

        Raises:
            LookupError: A controller is of a kind that has no scale.
        """
        total, seen = 0, set()
        for pod in pods:
            ref = controller_of(pod)
            if ref is None:
                continue
            if ref["uid"] not in seen:
                seen.add(ref["uid"])
                owner = self._top_owner(pod["metadata"]["namespace"], ref)
                if owner is None:
                    continue
                uid, replicas = owner
                if uid == ref["uid"] or uid not in seen:
                    seen.add(uid)
                    total += replicas
        return total

    def _top_owner(self, namespace: str, ref: Json) -> tuple[str, int] | None:
        """Return UID and replicas of the controller; a Deployment speaks for its ReplicaSets."""
        kind = self.plane.catalogue.kind_of(ref["apiVersion"], ref["kind"])
        owner = self.client.api.get(kind.resource, namespace, ref["name"]) if kind is not None else None
        if owner is None or uid_of(owner) != ref["uid"]:
            return None
        above = controller_of(owner) if ref["kind"] == "ReplicaSet" else None
        if above is not None:
            return self._top_owner(namespace, above)
        if "replicas" not in owner["spec"]:
            raise LookupError(f"{ref['kind']} {ref['name']} does not implement the scale subresource")
        return uid_of(owner), int(owner["spec"]["replicas"])

    def _disrupted(self, budget: Json, pods: list[Json]) -> tuple[Json, timedelta | None]:
        """Return the evicted pods whose going isn't visible yet, and when the first is to be forgotten."""
        by_name = {pod["metadata"]["name"]: pod for pod in pods}
        kept: Json = {}
        waits = []
        for name, stamp in (status_of(budget).get("disruptedPods") or {}).items():
            pod = by_name.get(name)
            left = time_of(stamp) + DELETION_TIMEOUT - self.now()
            if pod is None or is_deleting(pod):
                continue
            if left <= timedelta():
                told = f"Pod was expected by PDB {key_of(budget)} to be deleted but it wasn't"
                self.event(pod | {"kind": "Pod"}, "v1", Note("Warning", "NotDeleted", told))
                continue
            kept[name] = stamp
            waits.append(left)
        return kept, soonest(*waits)

    def _report(self, budget: Json, numbers: Budget, healthy: int, allowed: int, disrupted: Json) -> None:
        reason = "SufficientPods" if allowed > 0 else "InsufficientPods"
        status: Json = {
            "observedGeneration": generation_of(budget),
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": numbers.desired_healthy,
            "expectedPods": numbers.expected,
            "conditions": self._conditions(budget, reason, "", is_allowed=allowed > 0),
        }
        if disrupted:
            status["disruptedPods"] = disrupted
        self.patch_status(RESOURCE, budget, status)

    def _report_failure(self, budget: Json, message: str) -> None:
        """When the pods can't be counted nothing may be evicted: fail safe."""
        status = {**status_of(budget), "disruptionsAllowed": 0, "observedGeneration": generation_of(budget)}
        status["conditions"] = self._conditions(budget, "SyncFailed", message, is_allowed=False)
        for field in ("currentHealthy", "desiredHealthy", "expectedPods"):
            status.setdefault(field, 0)
        self.patch_status(RESOURCE, budget, status)

    def _conditions(self, budget: Json, reason: str, message: str, *, is_allowed: bool) -> list[Json]:
        new: Json = {
            "type": "DisruptionAllowed",
            "status": "True" if is_allowed else "False",
            "reason": reason,
            "message": message,
            "observedGeneration": generation_of(budget),
        }
        old: list[Json] = list(status_of(budget).get("conditions") or ())
        before = find_condition({"conditions": old}, "DisruptionAllowed")
        if before is not None and all(before.get(field) == value for field, value in new.items()):
            return old
        return with_condition(old, new, self.now())


def _selector(budget: Json) -> Selector:
    return selector_of(budget["spec"].get("selector"))
