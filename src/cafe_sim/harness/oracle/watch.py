"""Holds a world against all safety invariants while it runs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cafe_sim.apiserver.store import Commit
from cafe_sim.harness.carriers import senders
from cafe_sim.harness.faults.catalogue import CATALOGUE
from cafe_sim.harness.names import APPS, LEASES, PODS, REPLICA_SETS, SETS, STATEFUL_SETS
from cafe_sim.harness.oracle.carrying import CARRYING
from cafe_sim.harness.oracle.leading import LEADING
from cafe_sim.harness.oracle.natives import NATIVES
from cafe_sim.harness.oracle.releasing import RELEASING
from cafe_sim.harness.oracle.safety import SAFETY
from cafe_sim.harness.oracle.sizing import SIZING
from cafe_sim.harness.oracle.truth import Change, Truth

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

PROMPT = 20.0
"""Seconds within which controllers must act upon what they see, if nothing keeps them from seeing it."""
JUDGED = (PODS, SETS, REPLICA_SETS, STATEFUL_SETS, APPS)
SEEN = frozenset({*JUDGED, LEASES})
BENT = "clock runs wrongly"
"""The fault of which no election promises anything: clocks whose speed differs by more than the margin."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken.

    Attributes:
        rule: Its name.
        at: When, in seconds.
        how: One line.
    """

    rule: str
    at: float
    how: str


class Oracle:
    """Judges each commit.

    Attributes:
        violations: What was broken so far; the first one usually tells the most.
    """

    def __init__(self, world: "World") -> None:
        self.truth = Truth(world.started_last, world.given, world.plan.shape.lease)
        self.truth.are_clocks_even = all(fault.kind != BENT for fault in world.plan.faults)
        if all(CATALOGUE[fault.kind].place in {"node", "zone", "kubelet"} for fault in world.plan.faults):
            self.truth.view_age = PROMPT
        self.truth.senders = lambda pod: senders(world, pod)
        self.violations: list[Violation] = []
        self._world = world
        self._rules = {
            resource: [
                rule
                for rule in (*SAFETY, *RELEASING, *LEADING, *NATIVES, *SIZING, *CARRYING)
                if rule.resource == resource
            ]
            for resource in JUDGED
        }
        world.watchers.append(self._saw)

    def broke(self, rule: str, how: str) -> None:
        """Take note of a broken rule."""
        self.violations.append(Violation(rule, self._world.loop.now, how))
        self._world.tell("oracle", f"BROKEN {rule}: {how}")

    def _saw(self, resource: str, commit: Commit, author: str) -> None:
        if resource not in SEEN:
            return
        is_gone = commit.type == "DELETED"
        change = Change(self._world.loop.now, author, resource, commit.old, commit.new, is_gone)
        for rule in self._rules.get(resource, ()):
            how = rule.check(self.truth, change)
            if how is not None:
                self.broke(rule.name, how)
        self.truth.take_in(change)
