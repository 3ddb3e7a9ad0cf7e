"""A CafeDeployment, its forgetful controller, a person, and sets that reach their goals slowly."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment, CafeDeploymentSpec, CafeDeploymentStatus, Topology
from cafe.api.inplaceset import InPlaceSetSpec, InPlaceSetStatus
from cafe.api.names import CONFIRM_ANNOTATION
from cafe.api.shapes import Condition, LabelSelector, Metadata, PodTemplate, TemplateMetadata
from cafe.api.strategy import CafeDeploymentStrategy
from cafe.kernel import Refusal
from cafe.placement.domain.spread import spread
from cafe.workloads.domain.groups import UnitGoal, goals, settled_sizes
from cafe.workloads.domain.podsets.facts import Release, UnitFact
from cafe.workloads.domain.podsets.inplace import DropSet, MakeSet, report_of
from cafe.workloads.domain.release import Decision, ReleaseView, decide_release

BAD = "bad"


def application(replicas: int = 10, units: str = "ab", image: str = "v1", **strategy: Any) -> CafeDeployment:  # noqa: ANN401 -- any field
    """Return an application over cells of one letter each."""
    values = list(units)
    return CafeDeployment(
        metadata=Metadata(name="shop", namespace="default", generation=1),
        spec=CafeDeploymentSpec(
            selector=LabelSelector(match_labels={"app": "shop"}),
            template=pods_of(image),
            replicas=replicas,
            strategy=CafeDeploymentStrategy(**{"batch_size": 4, **strategy}),
            topology=Topology(unit_type="Cell" if values else "None", values=values),
        ),
    )


def pods_of(image: str) -> PodTemplate:
    return PodTemplate(
        metadata=TemplateMetadata(labels={"app": "shop"}),
        spec={"containers": [{"name": "shop", "image": image}]},
    )


def image_of(template: PodTemplate) -> str:
    return str(template.spec["containers"][0]["image"])


@dataclass
class Pod:
    revision: str
    is_available: bool = False


@dataclass
class Set:
    """A stand-in for an InPlaceSet: does one small thing at a time."""

    unit: str
    revision: str
    spec: InPlaceSetSpec
    pods: list[Pod] = field(default_factory=list)
    generation: int = 1
    current: str = ""
    status: InPlaceSetStatus = field(default_factory=InPlaceSetStatus)

    def step(self) -> bool:
        """Do the next thing; return whether there was any."""
        target = image_of(self.spec.template)
        self.current = self.current or target
        new = sum(p.revision == target for p in self.pods)
        due = new < self.spec.strategy.partition and not self.spec.strategy.paused
        old = sorted((p for p in self.pods if p.revision != target), key=lambda p: p.is_available)
        slow = next((p for p in self.pods if not p.is_available and p.revision != BAD), None)
        if len(self.pods) > self.spec.replicas:
            self.pods.remove(min(self.pods, key=lambda p: p.is_available))
        elif len(self.pods) < self.spec.replicas:
            self.pods.append(Pod(target if new < self.spec.strategy.partition else self.current))
        elif slow:
            slow.is_available = True
        elif due and old and (not old[0].is_available or all(p.is_available for p in self.pods)):
            old[0].revision, old[0].is_available = target, False
        elif self.told() != self.status:
            self.status = self.told()
        else:
            return False
        return True

    def told(self) -> InPlaceSetStatus:
        target = image_of(self.spec.template)
        fit = [p for p in self.pods if p.is_available]
        if len(fit) == self.spec.replicas == sum(p.revision == target for p in self.pods):
            self.current = target
        return InPlaceSetStatus(
            observed_generation=self.generation,
            replicas=len(self.pods),
            ready_replicas=len(fit),
            available_replicas=len(fit),
            updated_replicas=sum(p.revision == target for p in self.pods),
            updated_available_replicas=sum(p.revision == target for p in fit),
            conditions=[
                Condition(type="Progressing", status="True", reason="Updating", message="On its way")
            ],
        )

    def fact(self, name: str) -> UnitFact:
        return UnitFact(
            unit=self.unit,
            revision=self.revision,
            goal=UnitGoal(self.spec.replicas, self.spec.strategy.partition),
            held=self.spec,
            report=report_of(self.status),
            is_observed=self.status.observed_generation == self.generation,
            name=name,
        )


class World:
    """What the API server holds, and who acts on it."""

    def __init__(self, app: CafeDeployment) -> None:
        self.app = app
        self.sets: dict[str, Set] = {}
        self.confirmed: set[tuple[int, str]] = set()
        self.told: list[str] = []
        self.opened: list[tuple[str, int]] = []
        self.least = 0
        self.had: dict[str, int] = {}
        self.written = 0
        self.dies_before: int | None = None

    # The controller

    def view(self) -> ReleaseView:
        spec = self.app.spec
        units = spec.topology.values or [""]
        by_unit = {s.unit: (name, s) for name, s in self.sets.items()}
        asked = {s.unit: s.spec.replicas for s in self.sets.values()}
        ties = settled_sizes(self.app.status.plan, asked)
        quotas: dict[str, int] | Refusal
        try:
            quotas = spread(spec.replicas, units, spec.topology.unit_replicas, ties)
        except Refusal as refusal:
            quotas = refusal
        return ReleaseView(
            app=self.app,
            release=Release(image_of(spec.template)),
            quotas=quotas,
            units=[by_unit[u][1].fact(by_unit[u][0]) if u in by_unit else UnitFact(u) for u in units],
            retired=[s.fact(name) for name, s in self.sets.items() if s.unit not in units],
        )

    def writes(self, decision: Decision) -> Iterator[Callable[[], None]]:
        """Yield the writes of a decision in the order in which they must be made."""
        if decision.announce:
            yield lambda: self.annotate("false")
        if decision.status != self.app.status:
            yield lambda: self.report(decision.status)
        if decision.clear:
            yield lambda: self.annotate(None)
        for action in decision.sets:
            yield lambda action=action: self.act(action, decision)  # type: ignore[misc]

    def reconcile(self, budget: int | None = None) -> int:
        """Take one pass, dying after *budget* writes or where `dies_before` says; count the writes."""
        decision = decide_release(self.view())
        made = 0
        for write in self.writes(decision):
            if made == budget:
                return made
            if self.written == self.dies_before:
                self.dies_before = None
                return made + 1
            write()
            made += 1
            self.written += 1
            self.check()
        self.told += [note.reason for note in decision.notes]
        return made

    def annotate(self, value: str | None) -> None:
        old = self.app.metadata
        rest = {k: v for k, v in old.annotations.items() if k != CONFIRM_ANNOTATION}
        added = {} if value is None else {CONFIRM_ANNOTATION: value}
        metadata = msgspec.structs.replace(old, annotations=rest | added)
        self.app = msgspec.structs.replace(self.app, metadata=metadata)

    def report(self, status: CafeDeploymentStatus) -> None:
        before = self.app.status
        kept = msgspec.json.decode(msgspec.json.encode(status), type=CafeDeploymentStatus)
        self.app = msgspec.structs.replace(self.app, status=kept)
        if status.plan != before.plan and status.plan:
            self.had = {u.name: self.new_pods(u.name) for u in status.plan.units}
        if status.plan and status.current_group is not None and status.current_group != before.current_group:
            self.check_opening(before, status)

    def check_opening(self, before: CafeDeploymentStatus, after: CafeDeploymentStatus) -> None:
        """A group may open only once the one before is done and, if that is asked for, confirmed."""
        assert before.plan is not None
        assert before.plan == after.plan, "a plan is shown before its first group opens"
        assert after.current_group is not None
        self.opened.append((image_of(self.app.spec.template), after.current_group))
        for unit, goal in goals(before.plan, before.current_group).items():
            assert self.new_pods(unit, fit=True) >= goal.partition, "opened before the last group was done"
        if self.app.spec.strategy.need_waiting_for_confirm and before.current_group is not None:
            assert (before.current_group, before.plan.hash) in self.confirmed, "opened unconfirmed"
        assert not self.app.spec.strategy.pause

    def act(self, action: object, decision: Decision) -> None:
        assert isinstance(decision, Decision)
        revision = image_of(self.app.spec.template)
        if isinstance(action, MakeSet):
            assert action.name not in self.sets
            self.sets[action.name] = Set(action.unit, revision, action.spec)
        elif isinstance(action, DropSet):
            assert not self.sets[action.name].pods
            del self.sets[action.name]
        else:
            found = self.sets[action.name]  # type: ignore[attr-defined]
            found.spec, found.revision = action.spec, revision  # type: ignore[attr-defined]
            found.generation += 1

    # The rest of the world

    def new_pods(self, unit: str, *, fit: bool = False) -> int:
        target = image_of(self.app.spec.template)
        return sum(
            p.revision == target and (p.is_available or not fit)
            for s in self.sets.values()
            if s.unit == unit
            for p in s.pods
        )

    def check(self) -> None:
        """Check what must hold after every event."""
        plan, status = self.app.status.plan, self.app.status
        if plan and plan.revision == image_of(self.app.spec.template):
            for unit, goal in goals(plan, status.current_group).items():
                most = max(goal.partition, self.had.get(unit, 0))
                assert self.new_pods(unit) <= most, "a pod was touched before its group opened"
        assert sum(s.spec.replicas for s in self.sets.values()) >= self.least, "capacity was given away"

    def step_set(self, number: int) -> bool:
        busy = bool(self.sets) and list(self.sets.values())[number % len(self.sets)].step()
        self.check()
        return busy

    def person_confirms(self, value: str | None = None) -> bool:
        """Answer the question that the status asks, as the command line would."""
        waiting = self.app.status.waiting
        asks = self.app.metadata.annotations.get(CONFIRM_ANNOTATION) == "false"
        if not asks or waiting is None or waiting.reason != "WaitingForConfirm" or waiting.group is None:
            return False
        self.confirmed.add((waiting.group, waiting.plan_hash))
        self.annotate(value or f"{waiting.group}/{waiting.plan_hash}")
        return True

    def edit(self, **spec: Any) -> None:  # noqa: ANN401 -- any field
        """Change the spec as a user does."""
        metadata = msgspec.structs.replace(self.app.metadata, generation=self.app.metadata.generation + 1)
        changed = msgspec.structs.replace(self.app.spec, **spec)
        self.app = msgspec.structs.replace(self.app, spec=changed, metadata=metadata)

    def edit_strategy(self, **strategy: Any) -> None:  # noqa: ANN401 -- any field
        self.edit(strategy=msgspec.structs.replace(self.app.spec.strategy, **strategy))

    def settle(self, *, confirming: bool = True, limit: int = 600) -> None:
        """Let everybody act until nobody has anything left to do."""
        for _ in range(limit):
            busy = self.reconcile() > 0
            for number in range(len(self.sets)):
                while self.step_set(number):
                    busy = True
            if confirming:
                busy |= self.person_confirms()
            if not busy:
                return
        raise AssertionError(f"never came to rest: {self.app.status.waiting}")

    def pods(self) -> dict[str, list[str]]:
        return {s.unit: sorted(p.revision for p in s.pods) for s in self.sets.values()}
