"""A tiny cluster in which the decisions over one set are carried out.

Containers are ground truth; a kubelet first reports a new generation and restarts later, as the real one
does. Every act of the controller is checked the moment it is done.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cafe.workloads.domain.budget import aims_at, budget_now
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import ContainerBefore, ContainerFact, PodFact, UpdateState
from cafe.workloads.domain.scaling import SetGoal, decide_scale
from cafe.workloads.domain.steps import LowerGate, MarkForDeletion, RaiseGate, Step, WriteChange
from cafe.workloads.domain.templates import InPlace, Recreate, change_between
from cafe.workloads.domain.updating import UpdateRules, decide_update
from tests.unit.workloads.facts import NOW, template

TEMPLATES: Mapping[str, Mapping[str, Any]] = {
    "v1": template("app:v1"),
    "v2": template("app:v2"),
    "bad": template("app:bad"),
    "v2gold": template("app:v2", labels={"app": "web", "tier": "gold"}),
    "badgold": template("app:bad", labels={"app": "web", "tier": "gold"}),
    "ssd": template("app:v2", nodeSelector={"disk": "ssd"}),
}
BAD_IMAGE = "app:bad"


@dataclass
class Pod:
    """One pod of the world; *running* is the image of the living container, None if there is none.

    Restarts are counted per generation, writes of an image per episode.
    """

    name: str
    uid: str
    revision: str
    image: str
    generation: int = 1
    observed: int = 0
    gate: bool = False
    state: UpdateState | None = None
    running: str | None = None
    number: int = 0
    ready_since: datetime | None = None
    phase: str = "Pending"
    is_deleting: bool = False
    is_marked: bool = False
    restarts: Counter[int] = field(default_factory=Counter)
    writes: Counter[int] = field(default_factory=Counter)

    def fact(self) -> PodFact:
        is_up = self.running is not None
        return PodFact(
            name=self.name,
            uid=self.uid,
            resource_version="1",
            revision=self.revision,
            phase=self.phase,
            node="node",
            created_at=NOW,
            ready_since=self.ready_since,
            is_deleting=self.is_deleting,
            is_gated=not self.gate,
            is_observed=self.observed == self.generation,
            is_delete_wanted=self.is_marked,
            state=self.state,
            containers={
                "app": ContainerFact(
                    image=self.image,
                    image_id=f"sha256:{self.running}" if is_up else "",
                    container_id=f"{self.uid}/{self.number}" if self.number else "",
                    is_running=is_up,
                    problem="" if is_up else "ImagePullBackOff",
                )
            },
        )


class World:
    """The set, its pods, its controller; *episode* counts the targets the set has had."""

    def __init__(self, replicas: int, max_unavailable: int, *, grace: int = 0, min_ready: int = 0) -> None:
        self.now = NOW
        self.pods: dict[str, Pod] = {}
        self.goal = SetGoal("web", "set", replicas, replicas, max_unavailable, "v1", "v1")
        self.grace, self.min_ready = timedelta(seconds=grace), timedelta(seconds=min_ready)
        self.is_paused = False
        self.is_in_place_only = False
        self.episode = 0
        self.born = 0
        self.is_harmed = True
        self.reason = ""

    # What is so

    @property
    def dwell(self) -> Dwell:
        return Dwell(self.now, self.min_ready)

    def facts(self) -> list[PodFact]:
        return [pod.fact() for pod in self.pods.values()]

    def available(self) -> int:
        return sum(self.dwell.is_available(p) for p in self.facts())

    def heading(self) -> int:
        """Count the pods that run the update revision or are on their way."""
        return sum(
            aims_at(p, self.goal.update_revision) for p in self.facts() if not p.is_deleting and not p.is_over
        )

    @property
    def floor(self) -> int:
        return self.goal.replicas - self.goal.max_unavailable

    def way(self, revision: str) -> InPlace | Recreate:
        return change_between(TEMPLATES[revision], TEMPLATES[self.goal.update_revision])

    # The controller

    def reconcile(self) -> bool:
        """Take one pass: scale, or else update. Return whether anything was done."""
        facts, goal = self.facts(), self.goal
        budget = budget_now(goal.replicas, goal.max_unavailable, facts, goal.update_revision, self.dwell)
        before, heading = self.available(), self.heading()
        scale = decide_scale(goal, facts, budget, self.dwell)
        steps: tuple[Step, ...] = ()
        for deletion in scale.delete:
            self.pods[deletion.pod.name].is_deleting = True
        for creation in scale.create:
            assert creation.name not in self.pods
            self.make(creation.name, creation.revision)
        if not scale:
            rules = UpdateRules(
                self.way, self.grace, is_paused=self.is_paused, is_in_place_only=self.is_in_place_only
            )
            progress = decide_update(goal, facts, budget, self.dwell, rules)
            steps, self.reason = progress.steps, progress.reason
            for step in steps:
                self.carry_out(step)
        assert self.available() >= min(before, self.floor), "the controller broke the budget"
        if goal.current_revision != goal.update_revision:
            assert self.heading() <= max(heading, goal.partition), "more pods are changed than was asked for"
        self.remember()
        self.look()
        return bool(scale) or bool(steps)

    def remember(self) -> None:
        """Keep what the status keeps: the revision that all pods had last."""
        serving = [p for p in self.facts() if self.dwell.is_available(p)]
        if len(serving) == len(self.pods) == self.goal.replicas == self.heading():
            self.goal = replace(self.goal, current_revision=self.goal.update_revision)

    def carry_out(self, step: Step) -> None:
        pod = self.pods[step.pod.name]
        if isinstance(step, LowerGate):
            pod.gate, pod.ready_since = False, None
            pod.state = UpdateState(step.revision, self.now)
        elif isinstance(step, WriteChange):
            self.write(pod, step)
        elif isinstance(step, MarkForDeletion):
            assert not self.is_in_place_only
            pod.is_marked = True
        elif isinstance(step, RaiseGate):
            assert pod.state is None or pod.state.before is None or pod.running == pod.image, (
                "raised too early"
            )
            pod.gate, pod.state = True, None

    def write(self, pod: Pod, step: WriteChange) -> None:
        if step.change.images:
            assert not pod.gate, "the image was written while the gate was up"
            pod.image = step.change.images["app"]
            pod.generation += 1
            pod.writes[self.episode] += 1
        if step.before is not None:
            pod.state = UpdateState(step.revision, self.now, dict(step.before))
        pod.revision = step.revision
        assert pod.image == TEMPLATES[step.revision]["spec"]["containers"][0]["image"]

    def make(self, name: str, revision: str) -> None:
        self.born += 1
        image = TEMPLATES[revision]["spec"]["containers"][0]["image"]
        self.pods[name] = Pod(name, f"uid-{self.born}", revision, image)

    # The rest of the world

    def look(self) -> None:
        """Check what must hold after every event."""
        if self.available() == self.goal.replicas:
            self.is_harmed = False
        assert self.is_harmed or self.available() >= self.floor
        for pod in self.pods.values():
            assert all(n == 1 for n in pod.writes.values()), "changed twice for one target"
            assert all(n == 1 for n in pod.restarts.values()), "restarted twice for one image"

    def kubelet(self, pod: Pod) -> bool:
        """Do one thing for *pod*: end it, report, restart, or call it ready. Return whether there was any."""
        if pod.is_deleting:
            del self.pods[pod.name]
        elif pod.phase == "Failed":
            return False
        elif pod.observed != pod.generation:
            pod.observed = pod.generation
        elif pod.running != pod.image and not (pod.image == BAD_IMAGE and pod.running is None):
            self.restart(pod)
        elif pod.running and pod.gate and pod.ready_since is None:
            pod.ready_since = self.now
        else:
            return False
        self.look()
        return True

    def restart(self, pod: Pod) -> None:
        if pod.running is not None:
            pod.restarts[pod.generation] += 1
        pod.phase, pod.ready_since = "Running", None
        pod.running = None if pod.image == BAD_IMAGE else pod.image
        pod.number += pod.running is not None

    def crash(self, pod: Pod) -> None:
        self.is_harmed = True
        pod.running, pod.ready_since = None, None

    def evict(self, pod: Pod) -> None:
        self.is_harmed = True
        pod.phase, pod.running, pod.ready_since = "Failed", None, None

    def settle(self, limit: int = 500) -> None:
        """Let everybody do what they have to until nobody has anything left."""
        for _ in range(limit):
            self.now += timedelta(seconds=5)
            busy = self.reconcile()
            for pod in list(self.pods.values()):
                busy |= self.kubelet(pod)
            waits = any(p.state and p.state.is_withheld for p in self.pods.values())
            if not busy and not waits and self.available() == self.settled_available():
                return
        raise AssertionError(f"never came to rest: {self.reason}")

    def settled_available(self) -> int:
        broken = sum(p.image == BAD_IMAGE for p in self.pods.values())
        return len(self.pods) - broken

    def containers(self) -> dict[str, ContainerBefore]:
        return {p.uid: ContainerBefore(p.running or "", str(p.number)) for p in self.pods.values()}
