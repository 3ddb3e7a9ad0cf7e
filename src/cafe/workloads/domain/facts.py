"""What a decision knows of the world, frozen at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cafe.api.overrides import UnitOverride
from cafe.traffic.contract import STUCK, UNGUARDED, Phase, TrafficFact

DOOMED = -(2**31) + 1
"""The deletion cost of a pod that is to go when its ReplicaSet shrinks; below any that people would write."""


@dataclass(frozen=True, slots=True)
class ContainerFact:
    """One container as the kubelet reported it last.

    Attributes:
        image: As the pod's spec asks for it.
        reported: The image as the kubelet names it.
        image_id: Digest of what runs; empty if nothing has run yet.
        container_id: Changes whenever the container is started anew.
        is_running: Whether the reported state is *running*.
        is_ready: Whether the kubelet calls it ready.
        problem: Why it waits or ended (`ImagePullBackOff`, `CrashLoopBackOff`…), else empty.
        asked: Its CPU and memory by the pod's spec; looked at while it is being resized only.
        given: The same as its node last reported it; None if it did not say.
    """

    image: str
    image_id: str = ""
    container_id: str = ""
    is_running: bool = False
    problem: str = ""
    reported: str = ""
    asked: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] | None = None
    is_ready: bool = True


@dataclass(frozen=True, slots=True)
class ContainerBefore:
    """What ran before an image was changed; completion is judged against it."""

    image_id: str
    container_id: str


@dataclass(frozen=True, slots=True)
class UpdateState:
    """An update in place that is under way, as the pod's annotation tells it.

    Attributes:
        revision: Hash of the revision the pod is brought to.
        since: When the gate was lowered.
        before: Per container with a new image what ran before; None while the image is still withheld.
        doubted: What runs anew, but of the image ID that ran before; see `proving`.
        sizes: CPU and memory that containers are to have, until their node says that they do; see `sizes`.
        later: Images that are written once the containers before them serve, in turn; see `launching`.
    """

    revision: str
    since: datetime
    before: Mapping[str, ContainerBefore] | None = None
    doubted: "Doubt | None" = None
    sizes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    later: tuple[Mapping[str, str], ...] = ()

    @property
    def is_withheld(self) -> bool:
        """Whether the gate has fallen but the image has not been written yet."""
        return self.before is None


@dataclass(frozen=True, slots=True)
class Resizing:
    """What a node says of a resize that is not complete.

    Attributes:
        reason: `Deferred` (no room now), `Infeasible` (never on this node), `Error`, or `InProgress`.
        message: The node's words, without the parts that change all the time.
    """

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Containers of which it can't be said yet whether they came of the change.

    Attributes:
        containers: Container ID by name.
        since: When they were first seen.
    """

    containers: Mapping[str, str]
    since: datetime


HOPE = timedelta(minutes=5)
"""How long a pod may be getting ready: a large image is pulled, a slow application starts."""


@dataclass(frozen=True, slots=True)
class PodFact:
    """One pod of a set.

    Attributes:
        revision: Hash of the revision it runs or is being brought to; empty if unlabelled.
        phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
        ready_since: When it last became Ready; None if it isn't.
        is_gated: Whether the update's readiness gate is False or not written yet, or the traffic's is though
            nobody wants the pod out of traffic.
        has_gate: Whether it has our readiness gate at all. One that was adopted or is a native set's has not,
            and can't be taken out of traffic in order to be changed.
        is_observed: Whether the kubelet's report covers the pod's newest generation.
        farewell: How long its containers may take to end.
        state: An update under way.
        resizing: What its node says of a resize that is not complete; None if it says nothing.
        is_skipped: Whether a person said that a release need not wait for it.
        starved_since: Since when no node has had room for it; None if that isn't what it waits for.
        instance: Number of the instance of its set that it is; None if it carries none.
        unready_since: When it last ceased to be Ready, or was made; None if it is Ready, or nobody knows.
        traffic: Who may send it requests, and who wants it out of traffic.
        has_traffic_gate: Whether it was made with the gate by which it leaves Services alive.
    """

    name: str
    uid: str
    resource_version: str
    revision: str
    phase: str = "Running"
    node: str = ""
    created_at: datetime | None = None
    ready_since: datetime | None = None
    is_deleting: bool = False
    is_gated: bool = False
    has_gate: bool = True
    is_observed: bool = True
    farewell: timedelta = timedelta(seconds=30)
    is_delete_wanted: bool = False
    deletion_cost: int = 0
    restarts: int = 0
    state: UpdateState | None = None
    resizing: Resizing | None = None
    is_skipped: bool = False
    starved_since: datetime | None = None
    unready_since: datetime | None = None
    instance: int | None = None
    traffic: TrafficFact = UNGUARDED
    has_traffic_gate: bool = True
    containers: Mapping[str, ContainerFact] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        """Whether the kubelet calls it Ready and the gate agrees."""
        return self.ready_since is not None and not self.is_gated

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good: failed or evicted pods never come back."""
        return self.phase in {"Failed", "Succeeded"}

    def is_available(self, now: datetime, min_ready: timedelta) -> bool:
        """Whether it serves: running, ready for *min_ready*, its traffic proven back, not being deleted.

        A pod serves on while it is resized without a restart. One whose image changes does not, whatever
        its gate says.

        Without *min_ready* the clocks are not compared: a node's may run ahead of ours (as in apps/v1
        `IsPodAvailable`).
        """
        return (
            self.phase == "Running"
            and not self.is_deleting
            and (self.state is None or self.state.before == {})
            and not self.is_gated
            and self.traffic.is_published
            and self.ready_since is not None
            and (not min_ready or now - self.ready_since >= min_ready)
        )

    def is_hopeless(self, now: datetime) -> bool:
        """Whether it won't serve soon: a container fails, no node has room, or it has not for long.

        One that waits for its traffic is not: to go on beside it would be to take another one from traffic.
        """
        if self.traffic.operations or (self.traffic.missing and self.ready_since is not None):
            return False
        if self.starved_since is not None or any(c.problem for c in self.containers.values()):
            return True
        return self.unready_since is not None and now - self.unready_since >= HOPE

    def traffic_problem(self) -> str:
        """Say in one phrase what is waited for until its traffic is gone, or back; empty if nothing is."""
        traffic = self.traffic
        if traffic.stuck:
            return f"{STUCK}: {traffic.told_stuck()}"
        if traffic.phase is Phase.DRAINING:
            return f"traffic is drained from {', '.join(traffic.holders) or 'its gate'}"
        if traffic.phase is Phase.HELD:
            who = ", ".join(sorted({op.actor for op in traffic.operations.values()}))
            return f"held out of traffic by {who or 'somebody'}"
        if traffic.missing and self.is_ready:
            return f"traffic is not back yet from {', '.join(traffic.missing)}"
        return ""

    def problem(self) -> str:
        """Say in one phrase why it isn't available, as far as it is known; empty if it isn't."""
        told = [f"{name}: {c.problem}" for name, c in sorted(self.containers.items()) if c.problem]
        if told:
            return ", ".join(told)
        if self.starved_since is not None:
            return "no node has room for it"
        if held := self.traffic_problem():
            return held
        if self.resizing is not None:
            words = {"InProgress": "being resized"}.get(self.resizing.reason, self.resizing.reason.lower())
            return f"resize {words}: {self.resizing.message}" if self.resizing.message else words
        if self.state is not None:
            return "out of traffic, in its grace period" if self.state.is_withheld else "being updated"
        return "ready, but not for minReadySeconds" if self.is_ready and not self.is_deleting else ""


@dataclass(frozen=True, slots=True)
class RevisionFact:
    """One stored revision of a template.

    Attributes:
        number: Rises with each release; an old revision that is used again gets a new number.
        template: The pod template as it was.
        overrides: What single units had otherwise; an InPlaceSet's has none.
        age: The number that it was made with; the lower, the older.
    """

    name: str
    hash: str
    number: int
    template: Mapping[str, Any]
    uid: str = ""
    cause: str = ""
    age: int = 0
    overrides: Sequence[UnitOverride] = ()
