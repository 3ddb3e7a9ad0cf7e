"""ReplicaSets: as many pods as wanted, made and removed in the order of the real controller."""

from collections import Counter
from datetime import timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import ApiError, DeleteOptions, Json, StoreEvent
from cafe_sim.controllers.base import APPS, GATHER, Controller, Plane, soonest
from cafe_sim.controllers.claims import claim
from cafe_sim.controllers.deletion_order import deletion_order
from cafe_sim.controllers.pod_creation import BURST, pod_from_template, slow_start
from cafe_sim.machinery.conditions import find_condition, with_condition
from cafe_sim.machinery.objects import (
    controller_reference,
    controller_uid,
    generation_of,
    is_deleting,
    key_of,
    labels_of,
    status_of,
    uid_of,
)
from cafe_sim.machinery.pods import PodFacts, facts_of, is_active, node_of, set_cares
from cafe_sim.machinery.recorder import Note
from cafe_sim.machinery.selectors import selector_of

RESOURCE = "replicasets.apps"


class ReplicaSetController(Controller):
    """Keeps the number of pods of every ReplicaSet."""

    name = "replicaset-controller"
    latency = GATHER

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane)
        self._sets = self.client.informer(RESOURCE)
        self._pods = self.client.informer("pods")
        self._known: dict[str, tuple[Json, PodFacts]] = {}
        self._sets.index_by_owner()
        self._pods.index_by_owner()

    def start(self) -> None:
        """Follow ReplicaSets and pods."""
        self.follow(RESOURCE)
        self.follow_owned("pods", "ReplicaSet", set_cares)
        self._pods.follow(self._forget)
        self.follow_orphans("pods", self._sets)

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Create or delete pods until their number is right, then report."""
        owner = self._sets.get(key)
        if owner is None:
            return None
        selector = selector_of(owner["spec"].get("selector"))
        pods = claim(self, RESOURCE, owner, "pods", selector)
        active = [pod for pod in pods if self._facts(pod).is_active]
        failure: ApiError | None = None
        reason = ""
        if not is_deleting(owner):
            missing = self._wanted(owner) - len(active)
            if missing > 0:
                failure, reason = self._create(owner, missing), "FailedCreate"
            elif missing < 0:
                failure, reason = self._delete(owner, active, -missing), "FailedDelete"
        held = [pod for pod in self._pods.owned(owner) if not self._facts(pod).is_finished]
        recheck = self._report(owner, held, failure, reason)
        if failure is not None:
            raise failure
        return recheck

    def _facts(self, pod: Json) -> PodFacts:
        """Read a pod's facts once for each state of it: a pass then costs next to nothing per pod."""
        known = self._known.get(uid_of(pod))
        if known is None or known[0] is not pod:
            known = self._known[uid_of(pod)] = (pod, facts_of(pod))
        return known[1]

    def _forget(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            self._known.pop(uid_of(event.new), None)

    def _wanted(self, owner: Json) -> int:
        return int(owner["spec"].get("replicas", 1))

    def _create(self, owner: Json, missing: int) -> ApiError | None:
        ref = controller_reference(owner, APPS, "ReplicaSet")
        prefix = f"{owner['metadata']['name']}-"
        body = pod_from_template(owner["spec"]["template"], ref, prefix=prefix)

        def create() -> None:
            try:
                pod = self.client.create("pods", owner["metadata"]["namespace"], body)
            except ApiError as error:
                self.event(owner, APPS, Note("Warning", "FailedCreate", f"Error creating: {error.message}"))
                raise
            told = f"Created pod: {pod['metadata']['name']}"
            self.event(owner, APPS, Note("Normal", "SuccessfulCreate", told))

        return slow_start(min(missing, BURST), create)

    def _delete(self, owner: Json, active: list[Json], surplus: int) -> ApiError | None:
        doomed = deletion_order(active, self._crowd(owner), self.now())[: min(surplus, BURST)]
        failure: ApiError | None = None
        for pod in doomed:
            name = pod["metadata"]["name"]
            try:
                self.client.delete(
                    "pods", key_of(pod), DeleteOptions(uid=uid_of(pod), by="replicaset-controller")
                )
            except ApiError as error:
                if error.status == 409:
                    continue  # Another pod took its name: ours is gone.
                failure = failure or error
                told = f"Error deleting: {error.message}"
                self.event(owner, APPS, Note("Warning", "FailedDelete", told))
            else:
                self.event(owner, APPS, Note("Normal", "SuccessfulDelete", f"Deleted pod: {name}"))
        return failure

    def _crowd(self, owner: Json) -> Counter[str]:
        """Count the pods of this set and of its siblings under the same Deployment, by node."""
        parent = controller_uid(owner)
        sets = self._sets.by_index("owner", parent) if parent else [owner]
        return Counter(
            node_of(pod) for one in sets for pod in self._pods.owned(one) if is_active(pod) and node_of(pod)
        )

    def _report(
        self, owner: Json, held: list[Json], failure: ApiError | None, reason: str
    ) -> timedelta | None:
        now = self.now()
        seconds = int(owner["spec"].get("minReadySeconds") or 0)
        live = [pod for pod in held if not self._facts(pod).is_deleting]
        ready = [since for pod in live if (since := self._facts(pod).ready_since) is not None]
        waits = [since + timedelta(seconds=seconds) - now for since in ready] if seconds else []
        unavailable = sum(wait > timedelta() for wait in waits)
        template = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
        counts = {
            "fullyLabeledReplicas": sum(template.items() <= labels_of(pod).items() for pod in live),
            "readyReplicas": len(ready),
            "availableReplicas": len(ready) - unavailable,
        }
        status: Json = {"replicas": len(live), **{k: v for k, v in counts.items() if v}}
        status["terminatingReplicas"] = len(held) - len(live)
        status["observedGeneration"] = generation_of(owner)
        conditions = self._conditions(owner, failure, reason)
        if conditions:
            status["conditions"] = conditions
        fresh = self._sets.get(key_of(owner))
        if fresh is not None and uid_of(fresh) == uid_of(owner):
            self.patch_status(RESOURCE, fresh, status)
        return soonest(*(wait for wait in waits if wait > timedelta()))

    def _conditions(self, owner: Json, failure: ApiError | None, reason: str) -> list[Json]:
        old = status_of(owner)
        conditions: list[Json] = list(old.get("conditions") or ())
        if failure is None:
            return [c for c in conditions if c["type"] != "ReplicaFailure"]
        if find_condition(old, "ReplicaFailure") is not None:
            return conditions
        new = {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": failure.message}
        return with_condition(conditions, new, self.now())
