"""Deployments: a new ReplicaSet for each template, and a rollout from the old ones to it."""

from datetime import timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import Json
from cafe_sim.controllers.base import APPS, GATHER, Controller, Plane
from cafe_sim.controllers.claims import claim
from cafe_sim.controllers.deployment_history import (
    DESIRED,
    REVISION,
    SETS,
    History,
    age,
    annotate,
    count_of,
    create_set,
    history_of,
    new_set_body,
    revision_of,
    set_annotations,
)
from cafe_sim.controllers.deployment_status import (
    Progress,
    availability,
    counts,
    is_complete,
    progress,
    set_condition,
    time_to_deadline,
)
from cafe_sim.controllers.rollout_arithmetic import (
    new_set_size,
    room_of,
    scale_in_proportion,
    shrink_old_sets,
)
from cafe_sim.machinery.conditions import find_condition
from cafe_sim.machinery.objects import (
    annotations_of,
    is_deleting,
    key_of,
    status_of,
)
from cafe_sim.machinery.pods import is_finished
from cafe_sim.machinery.recorder import Note
from cafe_sim.machinery.selectors import selector_of

RESOURCE = "deployments.apps"


class DeploymentController(Controller):
    """Rolls every Deployment out."""

    name = "deployment-controller"
    latency = GATHER

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane)
        self._deployments = self.client.informer(RESOURCE)
        self._sets = self.client.informer(SETS)
        self._pods = self.client.informer("pods")
        self._sets.index_by_owner()
        self._pods.index_by_owner()

    def start(self) -> None:
        """Follow Deployments and ReplicaSets; and pods, for Recreate waits until the old ones are gone."""
        self.follow(RESOURCE)
        self.follow_owned(SETS, "Deployment")
        self.follow_orphans(SETS, self._deployments)

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Take one step of the rollout, or of a scaling, and report."""
        deployment = self._deployments.get(key)
        if deployment is None:
            return None
        selector = selector_of(deployment["spec"].get("selector"))
        if selector.is_empty:
            note = Note("Warning", "SelectingAll", "This deployment is selecting all pods.")
            self.event(deployment, APPS, note)
            return None
        sets = claim(self, RESOURCE, deployment, SETS, selector)
        history = history_of(deployment, sets)
        if is_deleting(deployment):
            return self._report(deployment, history)
        deployment = self._mark_pause(deployment)
        if deployment["spec"].get("paused") or self._is_rescaled(deployment, history):
            return self._scale(deployment, history)
        if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
            return self._recreate(deployment, history)
        return self._roll(deployment, history)

    def _roll(self, deployment: Json, history: History) -> timedelta | None:
        room = room_of(deployment["spec"])
        history = self._ensure_new(deployment, history)
        if history.new is None:
            return timedelta()
        deployment = self._fresh(deployment)
        total = sum(count_of(one).wanted for one in history.all)
        size = new_set_size(room, count_of(history.new), total)
        if not self._resize(deployment, history.new, size):
            old = [count_of(one) for one in history.old if count_of(one).wanted > 0]
            by_name = {one["metadata"]["name"]: one for one in history.old}
            for name, wanted in shrink_old_sets(room, count_of(history.new), old).items():
                self._resize(deployment, by_name[name], wanted)
        return self._report(deployment, history)

    def _recreate(self, deployment: Json, history: History) -> timedelta | None:
        shrunk = [self._resize(deployment, one, 0) for one in history.old]
        if any(shrunk):
            return self._report(deployment, history)
        if any(not is_finished(pod) for one in history.old for pod in self._pods.owned(one)):
            return self._report(deployment, history)
        history = self._ensure_new(deployment, history)
        if history.new is None:
            return timedelta()
        deployment = self._fresh(deployment)
        self._resize(deployment, history.new, room_of(deployment["spec"]).replicas)
        return self._report(deployment, history)

    def _ensure_new(self, deployment: Json, history: History) -> History:
        """Find or make the set of the present template, and number it above all others."""
        room = room_of(deployment["spec"])
        revision = max((revision_of(one) for one in history.old), default=0) + 1
        new = history.new
        if new is None:
            total = sum(count_of(one).wanted for one in history.old)
            body = new_set_body(deployment, 0, revision, room)
            size = room.replicas
            if (deployment["spec"].get("strategy") or {}).get("type") != "Recreate":
                size = new_set_size(room, count_of(body), total)
            body["spec"]["replicas"] = size
            new = create_set(self, deployment, body)
            if new is None:
                return history
            name = new["metadata"]["name"]
            self._progress(deployment, "NewReplicaSetCreated", f'Created new replica set "{name}"')
            self._tell_scale(deployment, new, 0, size)
        else:
            new = annotate(self, SETS, new, set_annotations(deployment, new, revision, room))
            seconds = deployment["spec"].get("minReadySeconds")
            if seconds != new["spec"].get("minReadySeconds"):
                new = self.client.patch(SETS, key_of(new), {"spec": {"minReadySeconds": seconds}})
            if find_condition(status_of(deployment), "Progressing") is None:
                told = f'Found new replica set "{new["metadata"]["name"]}"'
                self._progress(deployment, "FoundNewReplicaSet", told)
        number = annotations_of(new).get(REVISION, str(revision))
        annotate(self, RESOURCE, deployment, {**annotations_of(deployment), REVISION: number})
        return History(new, history.old)

    def _is_rescaled(self, deployment: Json, history: History) -> bool:
        wanted = str(room_of(deployment["spec"]).replicas)
        return any(
            count_of(one).wanted > 0 and annotations_of(one).get(DESIRED, wanted) != wanted
            for one in history.all
        )

    def _scale(self, deployment: Json, history: History) -> timedelta | None:
        room = room_of(deployment["spec"])
        active = [one for one in history.all if count_of(one).wanted > 0]
        by_name = {one["metadata"]["name"]: one for one in history.all}
        if len(active) <= 1:
            target = active[0] if active else self._latest(history)
            if target is not None:
                self._resize(deployment, target, room.replicas)
        elif history.new is not None and self._is_saturated(history.new, room.replicas):
            for one in history.old:
                self._resize(deployment, one, 0)
        else:
            sizes = scale_in_proportion(room, [count_of(one) for one in sorted(active, key=age)])
            for one in active:
                name = one["metadata"]["name"]
                self._resize(deployment, by_name[name], sizes.get(name, count_of(one).wanted))
        return self._report(deployment, history)

    def _latest(self, history: History) -> Json | None:
        if history.new is not None:
            return history.new
        return history.old[-1] if history.old else None

    def _is_saturated(self, new: Json, replicas: int) -> bool:
        count = count_of(new)
        desired = annotations_of(new).get(DESIRED) == str(replicas)
        return desired and count.wanted == replicas and count.available == replicas

    def _resize(self, deployment: Json, one: Json, size: int) -> bool:
        """Scale a set if it must be, and note the Deployment's size on it; return whether it changed size."""
        room = room_of(deployment["spec"])
        before = count_of(one).wanted
        notes = {DESIRED: str(room.replicas), "deployment.kubernetes.io/max-replicas": str(room.most)}
        is_noted = notes.items() <= annotations_of(one).items()
        if before == size and (is_noted or size == 0):
            return False
        patch: Json = {"metadata": {"annotations": notes}}
        if before != size:
            patch["spec"] = {"replicas": size}
        self.client.patch(SETS, key_of(one), patch)
        self._tell_scale(deployment, one, before, size)
        return before != size

    def _tell_scale(self, deployment: Json, one: Json, before: int, after: int) -> None:
        if before == after:
            return
        way = "up" if after > before else "down"
        told = f"Scaled {way} replica set {one['metadata']['name']} from {before} to {after}"
        self.event(deployment, APPS, Note("Normal", "ScalingReplicaSet", told))

    def _mark_pause(self, deployment: Json) -> Json:
        if "progressDeadlineSeconds" not in deployment["spec"]:
            return deployment
        current = find_condition(status_of(deployment), "Progressing")
        is_marked = current is not None and current["reason"] == "DeploymentPaused"
        is_paused = bool(deployment["spec"].get("paused"))
        if is_paused == is_marked or (
            current is not None and current["reason"] == "ProgressDeadlineExceeded"
        ):
            return deployment
        reason = "DeploymentPaused" if is_paused else "DeploymentResumed"
        told = "Deployment is paused" if is_paused else "Deployment is resumed"
        return self._progress(deployment, reason, told, "Unknown")

    def _progress(self, deployment: Json, reason: str, message: str, status: str = "True") -> Json:
        fresh = self._fresh(deployment)
        old = list(status_of(fresh).get("conditions") or ())
        conditions = set_condition(old, "Progressing", Progress(status, reason, message), self.now())
        if conditions == old:
            return fresh
        patch = {"status": {"conditions": conditions}}
        return self.client.patch(RESOURCE, key_of(deployment), patch, "status")

    def _fresh(self, deployment: Json) -> Json:
        return self._deployments.get(key_of(deployment)) or deployment

    def _report(self, deployment: Json, history: History) -> timedelta | None:
        now = self.now()
        deployment = self._fresh(deployment)
        current = [self._sets.get(key_of(one)) or one for one in history.all]
        history = history_of(deployment, current)
        status = counts(deployment, history)
        conditions = set_condition(
            list(status_of(deployment).get("conditions") or ()),
            "Available",
            availability(deployment, status),
            now,
        )
        subject = {**deployment, "status": {**status_of(deployment), "conditions": conditions}}
        status["conditions"] = conditions
        if not deployment["spec"].get("paused"):
            status["conditions"] = progress(subject, history, status, now)
        self.patch_status(RESOURCE, deployment, status)
        if is_complete(deployment, status):
            self._forget_old(deployment, history)
        wait = time_to_deadline({**deployment, "status": status}, now)
        return wait if wait is not None and wait > timedelta() else None

    def _forget_old(self, deployment: Json, history: History) -> None:
        """Delete the oldest sets beyond `revisionHistoryLimit`; only such as have no pods."""
        limit = int(deployment["spec"].get("revisionHistoryLimit", 10))
        idle = [
            one
            for one in sorted(history.old, key=revision_of)
            if count_of(one).wanted == 0 and not status_of(one).get("replicas") and not is_deleting(one)
        ]
        for one in idle[: max(0, len(idle) - limit)]:
            self.client.delete(SETS, key_of(one))
