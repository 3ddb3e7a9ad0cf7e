"""StatefulSets: pods with names that stay, made and replaced in order."""

from datetime import timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import ApiError, DeleteOptions, Json
from cafe_sim.controllers.base import APPS, Controller, Plane, soonest
from cafe_sim.controllers.claims import claim
from cafe_sim.controllers.revisions import REVISIONS, ordered, update_revision
from cafe_sim.controllers.stateful_pods import (
    claims_for,
    ordinal_of,
    ordinals,
    pod_revision,
    stateful_pod,
)
from cafe_sim.machinery.objects import generation_of, is_deleting, key_of, status_of, uid_of
from cafe_sim.machinery.pods import available_in, is_finished, is_ready, set_cares
from cafe_sim.machinery.recorder import Note
from cafe_sim.machinery.selectors import selector_of

RESOURCE = "statefulsets.apps"


class StatefulSetController(Controller):
    """Keeps the pods of every StatefulSet."""

    name = "statefulset-controller"

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane)
        self._sets = self.client.informer(RESOURCE)
        self._pods = self.client.informer("pods")
        self._revisions = self.client.informer(REVISIONS)
        self._pods.index_by_owner()
        self._revisions.index_by_owner()

    def start(self) -> None:
        """Follow StatefulSets and pods."""
        self.follow(RESOURCE)
        self.follow_owned("pods", "StatefulSet", set_cares)
        self.follow_orphans("pods", self._sets)

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Make, replace or remove what its order allows now, then report."""
        owner = self._sets.get(key)
        if owner is None:
            return None
        selector = selector_of(owner["spec"].get("selector"))
        pods = [p for p in claim(self, RESOURCE, owner, "pods", selector) if ordinal_of(owner, p) is not None]
        revisions = ordered(self._revisions.owned(owner))
        if is_deleting(owner):
            return None
        update, collisions = update_revision(self, owner, revisions)
        current = self._current(owner, revisions, update)
        failure: ApiError | None = None
        try:
            self._step(owner, pods, current, update)
        except ApiError as error:
            failure = error
        recheck = self._report(owner, current, update, collisions)
        self._forget_old(owner, current, update)
        if failure is not None:
            raise failure
        return recheck

    def _current(self, owner: Json, revisions: list[Json], update: Json) -> Json:
        name = status_of(owner).get("currentRevision")
        return next((one for one in revisions if one["metadata"]["name"] == name), update)

    def _step(self, owner: Json, pods: list[Json], current: Json, update: Json) -> None:
        by_ordinal = {ordinal_of(owner, pod): pod for pod in pods}
        is_parallel = owner["spec"].get("podManagementPolicy") == "Parallel"
        for ordinal in ordinals(owner):
            pod = by_ordinal.get(ordinal)
            if pod is not None and is_finished(pod) and not is_deleting(pod):
                self._delete(owner, pod)  # Its name must become free before it can be made anew.
                pod = self._pods.get(key_of(pod))
                if not is_parallel:
                    return
            if pod is None:
                self._create(owner, ordinal, self._revision_for(owner, ordinal, current, update))
            if not is_parallel and (pod is None or not self._is_settled(owner, pod)):
                return
        wanted = ordinals(owner)
        surplus = [by_ordinal[n] for n in sorted(n for n in by_ordinal if n is not None and n not in wanted)]
        for pod in reversed(surplus):
            if not is_deleting(pod):
                self._delete(owner, pod)
            if not is_parallel:
                return
        self._update(owner, by_ordinal, update)

    def _revision_for(self, owner: Json, ordinal: int, current: Json, update: Json) -> Json:
        """Pods below the partition are made at the current revision, so that they come back as they were."""
        strategy = owner["spec"].get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return update
        partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
        return current if ordinal < ordinals(owner).start + partition else update

    def _is_settled(self, owner: Json, pod: Json) -> bool:
        if is_deleting(pod):
            return False
        wait = available_in(pod, int(owner["spec"].get("minReadySeconds") or 0), self.now())
        return wait is not None and wait <= timedelta()

    def _update(self, owner: Json, by_ordinal: dict[int | None, Json], update: Json) -> None:
        strategy = owner["spec"].get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return
        wanted = ordinals(owner)
        partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
        for ordinal in reversed(wanted):
            pod = by_ordinal.get(ordinal)
            if ordinal < wanted.start + partition or pod is None:
                return
            if pod_revision(pod) != update["metadata"]["name"] and not is_deleting(pod):
                self._delete(owner, pod)
                return
            if not self._is_settled(owner, pod):
                return  # One at a time, from the highest down.

    def _create(self, owner: Json, ordinal: int, revision: Json) -> None:
        namespace = owner["metadata"]["namespace"]
        for body in claims_for(owner, ordinal):
            if self.client.api.get("persistentvolumeclaims", namespace, body["metadata"]["name"]) is None:
                self.client.create("persistentvolumeclaims", namespace, body)
                claim_name = body["metadata"]["name"]
                self._tell(owner, "SuccessfulCreate", f"create Claim {claim_name} Pod in StatefulSet")
        body = stateful_pod(owner, revision, ordinal)
        name, pod_name = owner["metadata"]["name"], body["metadata"]["name"]
        told = f"create Pod {pod_name} in StatefulSet {name}"
        try:
            self.client.create("pods", namespace, body)
        except ApiError as error:
            note = Note("Warning", "FailedCreate", f"{told} failed error: {error.message}")
            self.event(owner, APPS, note)
            raise
        self._tell(owner, "SuccessfulCreate", f"{told} successful")

    def _delete(self, owner: Json, pod: Json) -> None:
        options = DeleteOptions(uid=uid_of(pod), by="statefulset-controller")
        self.client.delete("pods", key_of(pod), options)
        name, pod_name = owner["metadata"]["name"], pod["metadata"]["name"]
        self._tell(owner, "SuccessfulDelete", f"delete Pod {pod_name} in StatefulSet {name} successful")

    def _tell(self, owner: Json, reason: str, message: str) -> None:
        self.event(owner, APPS, Note("Normal", reason, message))

    def _report(self, owner: Json, current: Json, update: Json, collisions: int) -> timedelta | None:
        now = self.now()
        seconds = int(owner["spec"].get("minReadySeconds") or 0)
        pods = [p for p in self._pods.owned(owner) if ordinal_of(owner, p) is not None]
        live = [p for p in pods if not is_deleting(p)]
        waits = [available_in(p, seconds, now) for p in live]
        at_update = sum(pod_revision(p) == update["metadata"]["name"] for p in live)
        ready = sum(is_ready(p) for p in live)
        wanted = len(ordinals(owner))
        is_done = at_update == wanted == len(pods) == ready
        if is_done and self._is_rolling(owner):
            current = update
        at_current = sum(pod_revision(p) == current["metadata"]["name"] for p in live)
        status: Json = {"observedGeneration": generation_of(owner), "replicas": len(pods)}
        found = {"readyReplicas": ready, "currentReplicas": at_current, "updatedReplicas": at_update}
        status |= {k: v for k, v in found.items() if v}
        status["availableReplicas"] = sum(w is not None and w <= timedelta() for w in waits)
        status["currentRevision"] = current["metadata"]["name"]
        status["updateRevision"] = update["metadata"]["name"]
        status["collisionCount"] = collisions
        self.patch_status(RESOURCE, self._sets.get(key_of(owner)) or owner, status)
        return soonest(*(w for w in waits if w is not None and w > timedelta()))

    def _is_rolling(self, owner: Json) -> bool:
        strategy = owner["spec"].get("updateStrategy") or {}
        return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")

    def _forget_old(self, owner: Json, current: Json, update: Json) -> None:
        """Delete the oldest revisions that no pod uses, beyond `revisionHistoryLimit`."""
        live = {current["metadata"]["name"], update["metadata"]["name"]}
        live |= {pod_revision(pod) for pod in self._pods.owned(owner)}
        limit = int(owner["spec"].get("revisionHistoryLimit", 10))
        idle = [r for r in ordered(self._revisions.owned(owner)) if r["metadata"]["name"] not in live]
        for revision in idle[: max(0, len(idle) - limit)]:
            self.client.delete(REVISIONS, key_of(revision))
