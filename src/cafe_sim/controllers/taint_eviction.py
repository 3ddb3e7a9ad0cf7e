"""Pods on nodes with NoExecute taints: deleted at once, or when their toleration runs out."""

from datetime import timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import ApiError, DeleteOptions, Json, StoreEvent
from cafe_sim.controllers.base import Controller, Plane, soonest
from cafe_sim.machinery.conditions import with_condition
from cafe_sim.machinery.objects import is_deleting, key_of, status_of, time_of, uid_of
from cafe_sim.machinery.pods import by_node, is_finished, node_of
from cafe_sim.machinery.recorder import Note
from cafe_sim.scheduler.affinity import tolerates


class TaintEvictionController(Controller):
    """Its keys are pods."""

    name = "taint-eviction-controller"

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane)
        self._nodes = self.client.informer("nodes")
        self._pods = self.client.informer("pods")
        self._pods.index("node", by_node)

    def start(self) -> None:
        """Follow nodes' taints, and pods that come to tainted nodes or change what they tolerate."""
        self._nodes.follow(self._on_node)
        self._pods.follow(self._on_pod)

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Delete one pod if it may not stay; else say how long it may."""
        pod = self._pods.get(key)
        if pod is None or is_deleting(pod) or is_finished(pod):
            return None
        node = self._nodes.get(ObjectKey("", node_of(pod)))
        taints = _evicting(node) if node is not None else []
        if not taints:
            return None
        left = self._may_stay(pod, taints)
        if left is None or left > timedelta():
            return left
        self._evict(pod)
        return None

    def _may_stay(self, pod: Json, taints: list[Json]) -> timedelta | None:
        """Return how long the pod may stay, None for ever."""
        tolerations = pod["spec"].get("tolerations") or ()
        ends = []
        for taint in taints:
            covering = [t for t in tolerations if tolerates([t], taint)]
            if not covering:
                return timedelta()
            seconds = [t["tolerationSeconds"] for t in covering if t.get("tolerationSeconds") is not None]
            if seconds:
                since = time_of(taint["timeAdded"]) if taint.get("timeAdded") else self.now()
                ends.append(since + timedelta(seconds=max(0, min(seconds))) - self.now())
        return soonest(*ends)

    def _evict(self, pod: Json) -> None:
        key = key_of(pod)
        told = f"Marking for deletion Pod {key}"
        self.event(pod | {"kind": "Pod"}, "v1", Note("Normal", "TaintManagerEviction", told))
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
        }
        conditions = with_condition(status_of(pod).get("conditions") or (), condition, self.now())
        patch = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": conditions}}
        try:
            self.client.patch("pods", key, patch, "status")
            self.client.delete("pods", key, DeleteOptions(uid=uid_of(pod), by="node-controller"))
        except ApiError as error:
            # Gone, or another pod has its name. The real one tries what is refused five times at once, and
            # then never again before the node's taints change.
            if error.status not in {403, 404, 409, 422}:
                raise

    def _on_node(self, event: StoreEvent) -> None:
        if event.type == "DELETED" or (event.old is None and not _evicting(event.new)):
            return
        if event.old is None or _evicting(event.old) != _evicting(event.new):
            for pod in self._pods.by_index("node", event.new["metadata"]["name"]):
                self.queue.add(key_of(pod))

    def _on_pod(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            self.queue.forget(key_of(event.new))
            return
        is_news = event.old is None or event.old["spec"] is not event.new["spec"]
        node = self._nodes.get(ObjectKey("", node_of(event.new))) if is_news else None
        if node is not None and _evicting(node):
            self.queue.add(key_of(event.new))


def _evicting(node: Json) -> list[Json]:
    return [taint for taint in node["spec"].get("taints") or () if taint["effect"] == "NoExecute"]
