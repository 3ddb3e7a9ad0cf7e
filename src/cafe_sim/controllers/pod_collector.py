"""Pods that nobody else would remove: on nodes that are gone, never started, or ended long ago."""

from datetime import timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import DeleteOptions, Json, StoreEvent
from cafe_sim.controllers.base import Controller, Plane
from cafe_sim.machinery.conditions import is_true, with_condition
from cafe_sim.machinery.objects import is_deleting, key_of, status_of, uid_of
from cafe_sim.machinery.pods import by_node, is_finished, node_of
from cafe_sim.machinery.queue import Queue

QUARANTINE = timedelta(seconds=40)
"""How long a node must be gone before its pods are: a node may be registered anew."""
PERIOD = timedelta(seconds=20)
TERMINATED_THRESHOLD = 12500
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


class PodCollector(Controller):
    """Removes orphaned pods. Its keys are nodes' names."""

    name = "pod-garbage-collector"

    def __init__(self, plane: Plane, terminated_threshold: int = TERMINATED_THRESHOLD) -> None:
        super().__init__(plane)
        self._threshold = terminated_threshold
        self._finished: dict[ObjectKey, None] = {}
        self._strays: Queue[ObjectKey] = Queue(plane.timeline, self._collect)
        self._nodes = self.client.informer("nodes")
        self._pods = self.client.informer("pods")
        self._pods.index("node", by_node)

    def start(self) -> None:
        """Follow nodes and pods."""
        self._nodes.follow(self._on_node)
        self._pods.follow(self._on_pod)

    def stop(self) -> None:
        """Do nothing any more."""
        super().stop()
        self._strays.stop()

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Remove the pods of one node, if it is gone or out of service."""
        node = self._nodes.get(key)
        bound = self._pods.by_index("node", key.name)
        if node is None:
            for pod in bound:
                self._remove(pod, "PodGC: node no longer exists")
        elif self._is_out_of_service(node):
            for pod in bound:
                if is_deleting(pod):
                    self._remove(pod, "PodGC: node is out of service")
        return None

    def _is_out_of_service(self, node: Json) -> bool:
        taints = node["spec"].get("taints") or ()
        return any(t["key"] == OUT_OF_SERVICE for t in taints) and not is_true(status_of(node), "Ready")

    def _on_node(self, event: StoreEvent) -> None:
        key = key_of(event.new)
        if event.type == "DELETED":
            self.queue.add_after(key, QUARANTINE)
        elif self._is_out_of_service(event.new):
            self.queue.add_after(key, PERIOD)

    def _on_pod(self, event: StoreEvent) -> None:
        pod, key = event.new, key_of(event.new)
        if event.type == "DELETED" or not is_finished(pod):
            self._finished.pop(key, None)
        else:
            self._finished[key] = None
            if len(self._finished) > self._threshold > 0:
                self._strays.add(next(iter(self._finished)))
        if event.type == "DELETED":
            return
        name = node_of(pod)
        if not name and is_deleting(pod):
            self._strays.add_after(key, PERIOD)
        elif name and self._nodes.get(ObjectKey("", name)) is None:
            self.queue.add_after(ObjectKey("", name), QUARANTINE)
        elif is_deleting(pod) and self._is_out_of_service(self._nodes.get(ObjectKey("", name)) or pod):
            self.queue.add_after(ObjectKey("", name), PERIOD)

    def _collect(self, key: ObjectKey) -> timedelta | None:
        pod = self._pods.get(key)
        if pod is None:
            self._finished.pop(key, None)
        elif not node_of(pod) and is_deleting(pod):
            self._remove(pod, "PodGC: pod is terminating and was never scheduled")
        elif is_finished(pod) and len(self._finished) > self._threshold:
            self._finished.pop(key, None)
            self._delete(pod)
        return None

    def _remove(self, pod: Json, why: str) -> None:
        if not is_finished(pod):
            condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
            condition |= {"message": why}
            conditions = with_condition(status_of(pod).get("conditions") or (), condition, self.now())
            patch = {
                "metadata": {"uid": uid_of(pod)},
                "status": {"phase": "Failed", "conditions": conditions},
            }
            self.client.patch("pods", key_of(pod), patch, "status")
        if pod["metadata"].get("deletionGracePeriodSeconds") == 0:
            return  # Only its finalizers hold it.
        self._delete(pod)

    def _delete(self, pod: Json) -> None:
        options = DeleteOptions(grace_period=timedelta(), uid=uid_of(pod), by="pod-garbage-collector")
        self.client.delete("pods", key_of(pod), options)
