"""The truth about the world, as commits and containers have it: never what a cache shows.

Controllers act on views that may be old. What people changed less than `VIEW_AGE` ago may therefore still be
acted upon, and counts in its older form too; what controllers did themselves counts at once, for they must
wait for their own writes.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cafe.api.names import (
    CONFIRM_ANNOTATION,
    CONTROLLER_LEASE,
    SKIP_ANNOTATION,
    SPECIFIED_DELETE_LABEL,
    UNIT_LABEL,
)
from cafe_sim.contract import Json
from cafe_sim.harness.names import APPS, LEASES, PODS, REPLICA_SETS, SETS, STATEFUL_SETS
from cafe_sim.harness.oracle.reading import controller_uid, gate_of, image_of, is_leaving, serves

VIEW_AGE = 240.0
"""Seconds: the silence after which an informer gives a watch up, a request's time-out, and room."""


@dataclass(frozen=True, slots=True)
class Change:
    """One commit.

    Attributes:
        at: The world's time, in seconds.
        author: A life of a controller, a person, or empty for the cluster's own parts.
        old: None for what is new.
        is_gone: The object was removed; *new* is its last state.
    """

    at: float
    author: str
    resource: str
    old: Json | None
    new: Json
    is_gone: bool

    @property
    def is_ours(self) -> bool:
        """Whether a controller of ours did it."""
        return self.author.startswith("controller-")

    @property
    def name(self) -> str:
        """Return the object's name."""
        return str(self.new["metadata"]["name"])


def _skips(change: "Change") -> bool:
    """Whether a person says that a pod need not serve."""
    old, new = (
        None if one is None else (one["metadata"].get("annotations") or {}).get(SKIP_ANNOTATION)
        for one in (change.old, change.new)
    )
    return bool(new) and new != old


def opened_by(status: Json) -> int:
    """Return how many pods a status has opened, with those that ran the revision before its plan."""
    current, plan = status.get("currentGroup"), status.get("plan")
    if current is None or not plan:
        return 0
    groups = sum(sum(g["units"].values()) for g in plan["groups"] if g["index"] <= current)
    return int(groups + sum(unit["base"] for unit in plan["units"]))


@dataclass(frozen=True, slots=True)
class Opened:
    """How far a release that is not whole was opened.

    Attributes:
        pods: The most pods so far.
        confirmations: How many people had given by then.
    """

    revision: str
    pods: int
    confirmations: int


class Lately:
    """The values that something had within the age of a view."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, Any]] = deque()

    def set(self, at: float, value: Any) -> None:  # noqa: ANN401 -- any value
        """Take note of a new value."""
        if not self._values or self._values[-1][1] != value:
            self._values.append((at, value))

    def values(self, now: float) -> Iterator[Any]:
        """Yield what it was within the age of a view, the newest last."""
        while len(self._values) > 1 and self._values[1][0] < now - VIEW_AGE:
            self._values.popleft()
        return (value for _, value in self._values)


@dataclass
class PodTruth:
    """One pod.

    Attributes:
        set_uid: Of the InPlaceSet that owns it.
        gate_fell: When its gate last became False.
        served_at: When it last served.
        proven: The images with which it has served.
        skipped: The images with which a person said that it need not serve.
        disrupted: Since when a controller keeps it from serving; None while it isn't so.
        idle_since: Since when it has not served, for whatever reason; None while it serves.
        serves_since: Since when it has served without a break; None while it doesn't.
        marked_at: Until when its replacement was asked for; None if it never was, or still is.
        is_removed: Whether a controller of ours deleted it.
    """

    body: Json
    set_uid: str
    made_at: float
    gate_fell: float | None = None
    served_at: float | None = None
    proven: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    disrupted: float | None = None
    idle_since: float | None = None
    serves_since: float | None = None
    marked_at: float | None = None
    is_removed: bool = False

    def becomes(self, change: Change) -> None:
        """Learn of the pod's next state."""
        if self.is_marked:
            self.marked_at = change.at
        self.body, self.set_uid = change.new, controller_uid(change.new)
        if _skips(change):
            self.skipped.add(image_of(change.new))
        if gate_of(change.new) == "False" and (change.old is None or gate_of(change.old) != "False"):
            self.gate_fell = change.at
        self.is_removed |= change.is_ours and is_leaving(change.new)
        if not serves(change.new):
            self.serves_since = None
            self.idle_since = change.at if self.idle_since is None else self.idle_since
            return
        self.serves_since = change.at if self.serves_since is None else self.serves_since
        self.idle_since = self.disrupted = None
        self.served_at = change.at
        self.proven.add(image_of(change.new))

    def goes(self, change: Change) -> None:
        """Learn that the pod is gone."""
        self.is_removed |= change.is_ours
        self.idle_since = change.at if self.idle_since is None else self.idle_since

    @property
    def is_marked(self) -> bool:
        """Whether its replacement is asked for."""
        return SPECIFIED_DELETE_LABEL in (self.body["metadata"].get("labels") or {})

    def may_seem_to_serve(self, since: float) -> bool:
        """Whether a view from *since* or later may show it serving."""
        return self.idle_since is None or (self.served_at is not None and self.idle_since >= since)

    def served_all_along(self, since: float) -> bool:
        """Whether each view from *since* on shows it serving."""
        return self.serves_since is not None and self.serves_since <= since


@dataclass
class SetTruth:
    """One InPlaceSet.

    Attributes:
        lost: When pods that served were deleted by a controller and not yet replaced.
    """

    body: Json
    partition: Lately = field(default_factory=Lately)
    opened: Lately = field(default_factory=Lately)
    template_generation: int = 0
    replicas: Lately = field(default_factory=Lately)
    unavailable: Lately = field(default_factory=Lately)
    image: Lately = field(default_factory=Lately)
    grace: Lately = field(default_factory=Lately)
    lost: list[float] = field(default_factory=list)


@dataclass
class NativeTruth:
    """One ReplicaSet or StatefulSet that serves a unit."""

    body: Json
    resource: str

    @property
    def unit(self) -> str:
        """Return the unit that it serves."""
        return str(self.body["metadata"]["labels"].get(UNIT_LABEL, ""))


class Truth:
    """Follows all commits.

    Args:
        started: Returns the image of the container that was started last for a pod's UID; empty if none was.
        given: Returns the CPU that the running container of a pod has, by its UID; empty if none runs.

    Attributes:
        pods: By UID, those that exist.
        sets: By UID, the InPlaceSets that exist.
        natives: By UID, the native sets that exist.
        app: The application, None while there is none.
        confirmed: What people confirmed so far, as `<group>/<planHash>`.
        confirmations: How often people wrote one.
        opened: How far the release was opened; None if it is whole.
        revisions: By hash, the how-manieth template of the application each of them is.
        lease: Seconds for which the controllers' lease holds.
        senders: Returns who may send a pod requests, or waits for its answer.
        leader: The life of a controller that holds the lease; empty if nobody does.
        are_clocks_even: Whether all clocks run at the world's speed.
        view_age: How old a view may be that is acted upon; less than `VIEW_AGE` where nothing delays views.
    """

    def __init__(
        self, started: Callable[[str], str], given: Callable[[str], str], lease: float = 15.0
    ) -> None:
        self.started = started
        self.given = given
        self.lease = lease
        self.senders: Callable[[Json], list[str]] = lambda _: []
        self.leader = ""
        self.are_clocks_even = True
        self.view_age = VIEW_AGE
        self.pods: dict[str, PodTruth] = {}
        self.sets: dict[str, SetTruth] = {}
        self.natives: dict[str, NativeTruth] = {}
        self.app: Json | None = None
        self.confirmed: set[str] = set()
        self.confirmations = 0
        self.opened: Opened | None = None
        self.revisions: dict[str, int] = {}
        self._templates: dict[str, int] = {}
        self._gone: deque[tuple[float, PodTruth]] = deque()

    def take_in(self, change: Change) -> None:
        """Learn of a commit, after it was judged."""
        if change.resource == PODS:
            self._take_pod(change)
        elif change.resource == SETS:
            self._take_set(change)
        elif change.resource in {REPLICA_SETS, STATEFUL_SETS}:
            self.natives[change.new["metadata"]["uid"]] = NativeTruth(change.new, change.resource)
            if change.is_gone:
                del self.natives[change.new["metadata"]["uid"]]
        elif change.resource == APPS:
            self._take_app(change)
        elif change.resource == LEASES and change.name == CONTROLLER_LEASE:
            holder = (change.new.get("spec") or {}).get("holderIdentity") or ""
            self.leader = holder.partition("_")[0]

    def lately(self, now: float) -> list[PodTruth]:
        """Return all pods that exist, or did within the age of a view."""
        while self._gone and self._gone[0][0] < now - VIEW_AGE:
            self._gone.popleft()
        return [*self.pods.values(), *(pod for _, pod in self._gone)]

    def members(self, set_uid: str) -> list[PodTruth]:
        """Return the pods of a set."""
        return [pod for pod in self.pods.values() if pod.set_uid == set_uid]

    def _take_app(self, change: Change) -> None:
        self.app = None if change.is_gone else change.new
        if change.author and not change.is_ours:
            said = (change.new["metadata"].get("annotations") or {}).get(CONFIRM_ANNOTATION)
            if said == "true":
                waiting = (change.new.get("status") or {}).get("waiting") or {}
                said = f"{waiting.get('group')}/{waiting.get('planHash')}"
            if said and said != "false":
                self.confirmed.add(said)
                self.confirmations += 1
        status = change.new.get("status") or {}
        # Stored when its template is first seen, however late, if ever, the status tells of it.
        template = json.dumps(change.new["spec"]["template"], sort_keys=True)
        age = self._templates.setdefault(template, len(self._templates))
        if status.get("observedGeneration") == change.new["metadata"]["generation"]:
            self.revisions.setdefault(status.get("updateRevision", ""), age)
        revision, pods = (status.get("plan") or {}).get("revision", ""), opened_by(status)
        if change.is_gone or revision in {"", status.get("currentRevision")}:
            self.opened = None  # It was whole once: what is opened later is a scale-out of its own.
        elif self.opened is None or self.opened.revision != revision or pods > self.opened.pods:
            self.opened = Opened(revision, pods, self.confirmations) if pods else None

    def _take_pod(self, change: Change) -> None:
        uid = change.new["metadata"]["uid"]
        pod = self.pods.get(uid)
        if change.is_gone:
            if pod is not None:
                del self.pods[uid]
                pod.goes(change)
                self._gone.append((change.at, pod))
            return
        if pod is None:
            pod = self.pods[uid] = PodTruth(change.new, controller_uid(change.new), change.at)
        pod.becomes(change)
        if serves(change.new):
            self._replaced(pod, change.at)
        elif change.is_ours and change.old is not None and serves(change.old):
            owner = self.sets.get(pod.set_uid)
            if not is_leaving(change.new):
                pod.disrupted = change.at
            elif owner is not None and not self._is_surplus(owner, pod, change.at):
                owner.lost.append(change.at)

    def _is_surplus(self, owner: SetTruth, pod: PodTruth, at: float) -> bool:
        """Whether a pod that leaves was one too many."""
        live = sum(not is_leaving(p.body) for p in self.members(pod.set_uid))
        return bool(live >= min(owner.replicas.values(at)))

    def _replaced(self, pod: PodTruth, at: float) -> None:
        """A pod serves: it may make good for one that was deleted before it was made."""
        owner = self.sets.get(pod.set_uid)
        if owner is None or not owner.lost:
            return
        if len(pod.proven) == 1 and pod.made_at >= owner.lost[0] and at >= pod.made_at:
            owner.lost.pop(0)

    def _take_set(self, change: Change) -> None:
        uid = change.new["metadata"]["uid"]
        if change.is_gone:
            self.sets.pop(uid, None)
            return
        found = self.sets.get(uid)
        if found is None:
            found = self.sets[uid] = SetTruth(change.new)
        spec, at = change.new["spec"], change.at
        strategy = spec["strategy"]
        if found.body["spec"]["template"] != spec["template"]:
            found.opened, found.template_generation = Lately(), change.new["metadata"]["generation"]
        found.body = change.new
        found.partition.set(at, strategy["partition"])
        found.opened.set(at, strategy["partition"])
        found.replicas.set(at, spec["replicas"])
        found.unavailable.set(at, strategy["maxUnavailable"])
        found.grace.set(at, strategy["gracePeriodSeconds"])
        found.image.set(at, spec["template"]["spec"]["containers"][0]["image"])
