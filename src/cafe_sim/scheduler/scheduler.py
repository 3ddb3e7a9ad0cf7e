"""The scheduling loop: one pod a step, those that fit nowhere wait until something changes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import Json, StoreEvent, Timeline
from cafe_sim.machinery.client import Client
from cafe_sim.machinery.conditions import find_condition, with_condition
from cafe_sim.machinery.objects import is_deleting, key_of, labels_of, status_of, uid_of
from cafe_sim.machinery.pods import is_finished, node_of
from cafe_sim.machinery.queue import Queue
from cafe_sim.machinery.recorder import Note, Recorder, Source, reference
from cafe_sim.scheduler.filters import case_of, message, why_not
from cafe_sim.scheduler.nodes import NodeInfo
from cafe_sim.scheduler.scores import best

NAME = "default-scheduler"
FIRST_BACKOFF, LAST_BACKOFF = timedelta(seconds=1), timedelta(seconds=10)
GATED = "Scheduling is blocked due to non-empty scheduling gates"


@dataclass(slots=True)
class _Attempt:
    """A pod that found no node: how often, and when it may try again."""

    count: int
    not_before: datetime


class Scheduler:
    """Binds pods to nodes. Everything it counts it can count anew from the API."""

    def __init__(self, client: Client, timeline: Timeline, recorder: Recorder) -> None:
        self._client = client
        self._timeline = timeline
        self._recorder = recorder
        self._source = Source(NAME, is_new_style=True)
        self._nodes: dict[str, NodeInfo] = {}
        self._homeless: dict[str, dict[str, Json]] = {}
        self._placed: dict[str, str] = {}
        self._waiting: dict[ObjectKey, _Attempt] = {}
        self._queue: Queue[ObjectKey] = Queue(timeline, self._schedule)
        self._pods = client.informer("pods")

    def start(self) -> None:
        """Begin to place pods."""
        self._client.informer("nodes").follow(self._on_node)
        self._pods.follow(self._on_pod)

    def stop(self) -> None:
        """Place no more."""
        self._queue.stop()

    def _on_node(self, event: StoreEvent) -> None:
        name = event.new["metadata"]["name"]
        if event.type == "DELETED":
            info = self._nodes.pop(name, None)
            if info is not None and info.pods:
                self._homeless[name] = info.pods
            return
        info = self._nodes.get(name)
        if info is None:
            info = self._nodes[name] = NodeInfo(event.new)
            for pod in self._homeless.pop(name, {}).values():
                info.add(pod)
        before = (info.labels, info.taints, info.allocatable, info.node["spec"].get("unschedulable"))
        info.set_node(event.new)
        after = (info.labels, info.taints, info.allocatable, info.node["spec"].get("unschedulable"))
        if event.old is None or before != after:
            self._retry_all()

    def _on_pod(self, event: StoreEvent) -> None:
        pod = event.new
        if event.type == "DELETED" or is_finished(pod):
            self._waiting.pop(key_of(pod), None)
            if self._remove(uid_of(pod)):
                self._retry_all()
        elif node_of(pod):
            is_news = uid_of(pod) not in self._placed or (
                event.old is not None and labels_of(event.old) != labels_of(pod)
            )
            self._place(pod)
            if is_news and self._waiting:
                self._retry_all()  # Somebody's affinity may be fulfilled now.
        elif self._is_ours(pod) and (event.old is None or _concerns(event.old, pod)):
            self._waiting.pop(key_of(pod), None)
            self._queue.add(key_of(pod))

    def _is_ours(self, pod: Json) -> bool:
        return (pod["spec"].get("schedulerName") or NAME) == NAME and not is_deleting(pod)

    def _place(self, pod: Json) -> None:
        uid, name = uid_of(pod), node_of(pod)
        self._placed[uid] = name
        info = self._nodes.get(name)
        if info is not None:
            info.add(pod)
        else:
            self._homeless.setdefault(name, {})[uid] = pod

    def _remove(self, uid: str) -> bool:
        name = self._placed.pop(uid, None)
        if name is None:
            return False
        info = self._nodes.get(name)
        if info is not None:
            info.remove(uid)
        else:
            self._homeless.get(name, {}).pop(uid, None)
        return True

    def _retry_all(self) -> None:
        now = self._timeline.now()
        for key, attempt in self._waiting.items():
            if attempt.not_before <= now:
                self._queue.add(key)
            else:
                self._queue.add_after(key, attempt.not_before - now)

    def _schedule(self, key: ObjectKey) -> timedelta | None:
        pod = self._client.api.get("pods", *key)
        if pod is None or node_of(pod) or not self._is_ours(pod) or is_finished(pod):
            self._waiting.pop(key, None)
            return None
        if pod["spec"].get("schedulingGates"):
            self._say(pod, "SchedulingGated", GATED)
            return None
        nodes = sorted(self._nodes.values(), key=lambda info: info.name)
        case = case_of(pod, nodes)
        verdicts = [(node, why_not(case, node)) for node in nodes]
        fitting = [node for node, verdict in verdicts if verdict is None]
        if fitting:
            self._bind(pod, best(case, fitting))
            return None
        attempt = self._waiting.get(key)
        count = attempt.count + 1 if attempt else 1
        wait = min(FIRST_BACKOFF * 2 ** min(count - 1, 10), LAST_BACKOFF)
        self._waiting[key] = _Attempt(count, self._timeline.now() + wait)
        why = message(len(nodes), [verdict for _, verdict in verdicts if verdict is not None])
        self._recorder.record(
            self._source, reference(pod, "v1", "Pod"), Note("Warning", "FailedScheduling", why)
        )
        self._say(pod, "Unschedulable", why)
        return None

    def _bind(self, pod: Json, node: NodeInfo) -> None:
        key = key_of(pod)
        binding: Json = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": uid_of(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node.name},
        }
        self._client.post("pods", key, "binding", binding)
        self._waiting.pop(key, None)
        bound = self._client.api.get("pods", *key)
        if bound is not None and node_of(bound):
            self._place(bound)
        told = f"Successfully assigned {key} to {node.name}"
        self._recorder.record(self._source, reference(pod, "v1", "Pod"), Note("Normal", "Scheduled", told))

    def _say(self, pod: Json, reason: str, why: str) -> None:
        status = status_of(pod)
        condition: Json = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": why,
        }
        if pod["metadata"].get("generation"):
            condition["observedGeneration"] = pod["metadata"]["generation"]
        before = find_condition(status, "PodScheduled")
        if before is not None and {**before, "lastTransitionTime": None} == {
            **condition,
            "lastTransitionTime": None,
        }:
            return
        conditions = with_condition(status.get("conditions") or (), condition, self._timeline.now())
        patch = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": conditions}}
        self._client.patch("pods", key_of(pod), patch, "status")


def _concerns(old: Json, new: Json) -> bool:
    """Tell whether a change of an unbound pod may change where it fits: its status never does."""
    return bool(old["spec"] != new["spec"] or labels_of(old) != labels_of(new))
