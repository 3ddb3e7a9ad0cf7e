"""Nodes that fall silent: marked Unknown, tainted, and in time emptied.

    last heartbeat ── 50 s ── Ready: Unknown, taint unreachable, pods not ready
                                 └─ tolerationSeconds (300 by default) ── pods are deleted

Deleted pods of a silent node stay Terminating: only its kubelet can say that they stopped.
"""

from collections.abc import Callable
from datetime import timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import ApiError, Json
from cafe_sim.controllers.base import Controller, Plane
from cafe_sim.machinery.conditions import find_condition, with_condition
from cafe_sim.machinery.objects import key_of, status_of, text_of, time_of, uid_of
from cafe_sim.machinery.pods import by_node, is_ready
from cafe_sim.machinery.recorder import Note

GRACE = timedelta(seconds=50)
"""kube-controller-manager's `--node-monitor-grace-period`, 50 s since 1.32."""
LEASES, LEASE_NAMESPACE = "leases.coordination.k8s.io", "kube-node-lease"
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OURS = {NOT_READY, UNREACHABLE, UNSCHEDULABLE}
WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class NodeLifecycleController(Controller):
    """Judges nodes by their Leases, and keeps their taints.

    Args:
        plane: What all controllers share.
        is_beating: Tells for a node's name that its heartbeats arrive although its Lease isn't rewritten
            (simulated kubelets beat silently); for all others the Lease counts.
    """

    name = "node-controller"

    def __init__(self, plane: Plane, is_beating: Callable[[str], bool]) -> None:
        super().__init__(plane)
        self._is_beating = is_beating
        self._nodes = self.client.informer("nodes")
        self._leases = self.client.informer(LEASES)
        self._pods = self.client.informer("pods")
        self._pods.index("node", by_node)

    def start(self) -> None:
        """Follow nodes and their Leases."""
        self.follow("nodes")
        self._leases.follow(lambda event: self._on_lease(event.new))

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Judge one node."""
        node = self._nodes.get(key)
        if node is None:
            return None
        silence = self._silence(node)
        if silence is not None and silence >= GRACE:
            node = self._mark_unknown(node)
        self._taint(node)
        ready = find_condition(status_of(node), "Ready")
        if ready is not None and ready["status"] != "True":
            self._mark_pods(node)
        return GRACE - silence if silence is not None and silence < GRACE else None

    def _on_lease(self, lease: Json) -> None:
        if lease["metadata"]["namespace"] == LEASE_NAMESPACE:
            self.queue.add(ObjectKey("", lease["metadata"]["name"]))

    def _silence(self, node: Json) -> timedelta | None:
        """Return how long the node has been silent, None if it isn't."""
        name = node["metadata"]["name"]
        if self._is_beating(name):
            return None
        lease = self._leases.get(ObjectKey(LEASE_NAMESPACE, name))
        renewed = lease["spec"].get("renewTime") if lease is not None else None
        return self.now() - time_of(renewed or node["metadata"]["creationTimestamp"])

    def _mark_unknown(self, node: Json) -> Json:
        status = status_of(node)
        before = find_condition(status, "Ready")
        if before is not None and before["status"] == "Unknown":
            return node
        conditions: list[Json] = list(status.get("conditions") or ())
        for kind in WATCHED:
            had = find_condition(status, kind)
            never = had is None
            new: Json = {
                "type": kind,
                "status": "Unknown",
                "reason": "NodeStatusNeverUpdated" if never else "NodeStatusUnknown",
                "message": "Kubelet never posted node status."
                if never
                else "Kubelet stopped posting node status.",
                "lastHeartbeatTime": (had or {}).get("lastHeartbeatTime", text_of(self.now())),
            }
            conditions = with_condition(conditions, new, self.now())
        name = node["metadata"]["name"]
        note = Note("Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        self.event(node | {"kind": "Node"}, "v1", note)
        return self.client.patch("nodes", key_of(node), {"status": {"conditions": conditions}}, "status")

    def _taint(self, node: Json) -> None:
        taints: list[Json] = list(node["spec"].get("taints") or ())
        wanted = self._wanted(node)
        kept = [t for t in taints if t["key"] not in OURS or (t["key"], t["effect"]) in wanted]
        there = {(t["key"], t["effect"]) for t in kept}
        for key, effect in wanted:
            if (key, effect) not in there:
                taint = {"key": key, "effect": effect, "timeAdded": text_of(self.now())}
                kept.append(taint)
        if kept != taints:
            patch = {"spec": {"taints": kept or None}}
            self.client.patch("nodes", key_of(node), patch)

    def _wanted(self, node: Json) -> list[tuple[str, str]]:
        ready = find_condition(status_of(node), "Ready")
        wanted = []
        if ready is None or ready["status"] == "False":
            wanted += [(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]
        elif ready["status"] == "Unknown":
            wanted += [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]
        if node["spec"].get("unschedulable"):
            wanted.append((UNSCHEDULABLE, "NoSchedule"))
        return wanted

    def _mark_pods(self, node: Json) -> None:
        """Take the pods out of service: their kubelet can't."""
        for pod in self._pods.by_index("node", node["metadata"]["name"]):
            if not is_ready(pod):
                continue
            status = status_of(pod)
            before = find_condition(status, "Ready") or {}
            condition = {**before, "type": "Ready", "status": "False", "reason": "NodeNotReady"}
            conditions = with_condition(status["conditions"], condition, self.now())
            patch = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": conditions}}
            try:
                self.client.patch("pods", key_of(pod), patch, "status")
            except ApiError as error:
                if error.status not in {404, 422}:
                    raise
            note = Note("Warning", "NodeNotReady", "Node is not ready")
            self.event(pod | {"kind": "Pod"}, "v1", note)
