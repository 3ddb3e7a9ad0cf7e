"""Evictions, judged before the API server makes them: they go through the same door as releases."""

from collections.abc import Callable
from datetime import timedelta

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import APP_LABEL
from cafe.kernel import Clock, ObjectKey, Refusal
from cafe.kube.admission import Denial, Review
from cafe.kube.kinds import IN_PLACE_SETS
from cafe.kube.objects import Pod
from cafe.traffic.contract import EVICTION, Drains, TrafficFact
from cafe.workloads.adapters.apps import KubeApps
from cafe.workloads.adapters.door import Door
from cafe.workloads.adapters.podfacts import convert
from cafe.workloads.adapters.sets import KubeSets
from cafe.workloads.adapters.watched import NATIVES, Watched, app_scope
from cafe.workloads.domain.budget import budget_within, count_of
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.evicting import EvictionFact, why_not
from cafe.workloads.domain.podsets.kinds import left_of

TOO_MANY = 429


class Evictions:
    """Judges evictions of pods of InPlaceSets, and of native sets that a CafeDeployment owns."""

    def __init__(
        self,
        watched: Watched,
        sets: KubeSets,
        apps: KubeApps,
        clock: Clock,
        may_judge: Callable[[], bool],
        drains: Drains | None = None,
    ) -> None:
        """Judge by what *watched* shows.

        Args:
            watched: The caches, and the door.
            sets: InPlaceSets.
            apps: CafeDeployments.
            clock: For pods that must have been ready for a while.
            may_judge: Whether we lead: only the leader knows what is being taken.
            drains: Takes guarded pods out of traffic first; None if nobody guards any.
        """
        self._drains = drains
        self._watched = watched
        self._sets = sets
        self._apps = apps
        self._clock = clock
        self._may_judge = may_judge

    @property
    def door(self) -> Door:
        """Where it is known who takes what."""
        return self._watched.door

    def judge(self, review: Review) -> Denial | None:
        """Return why a pod can't be evicted now; None lets the API server go on, to the pod's own budget."""
        pod = self._watched.pods.get(review.key)
        owner = pod.metadata.controller if pod is not None else None
        if pod is None or owner is None or pod.metadata.is_deleting:
            return None
        if not self._may_judge():
            return Denial("CAFE's controller is changing its leader; try again.", TOO_MANY, "TooManyRequests")
        try:
            fact = self._fact(pod, owner.kind, owner.name)
        except Refusal:
            return None  # A limit that can't be read is told by its owner's status, and forbids nothing.
        if fact is None:
            return None
        why = why_not(fact)
        if why is not None:
            return Denial(why, TOO_MANY, "TooManyRequests")
        return None if _is_rehearsed(review) else self._take(pod, owner.uid, serves=fact.serves)

    def _take(self, pod: Pod, owner: str, *, serves: bool) -> Denial | None:
        """Count a pod as taken, and have its traffic drained; return what is still waited for."""
        if serves:
            self.door.promise(owner, pod.metadata.uid)
        traffic = convert(pod).traffic
        if self._drains is None or not traffic.is_guarded:
            return None
        self._drains.ask(pod.key, pod.metadata.uid, EVICTION)
        if traffic.is_drained_for(EVICTION) and self._drains.is_confirmed(pod.key):
            return None
        return Denial(_wait_for(pod, traffic), TOO_MANY, "TooManyRequests")

    def _fact(self, pod: Pod, kind: str, owner: str) -> EvictionFact | None:
        key = ObjectKey(pod.metadata.namespace, owner)
        if kind == IN_PLACE_SETS.kind:
            return self._of_set(pod, key)
        app = self._watched.apps.get(ObjectKey(key.namespace, pod.metadata.labels.get(APP_LABEL, "")))
        if kind not in NATIVES or app is None:
            return None
        return self._of_native(pod, app)

    def _of_set(self, pod: Pod, key: ObjectKey) -> EvictionFact | None:
        owner = self._watched.sets.get(key)
        if owner is None or owner.metadata.uid != _owner_uid(pod):
            return None
        limit, total = owner.spec.strategy.max_unavailable, owner.spec.replicas
        elsewhere = self._sets.elsewhere(owner)
        shared = elsewhere.left(count_of(limit, elsewhere.replicas)) if elsewhere else None
        return EvictionFact(
            pod=str(pod.key),
            app=pod.metadata.labels.get(APP_LABEL, key.name),
            serves=self._serves(pod, owner.spec.min_ready_seconds),
            budget=budget_within(self._sets.use_of(owner), count_of(limit, total), shared),
            limit=limit,
            total=elsewhere.replicas if elsewhere else total,
        )

    def _of_native(self, pod: Pod, app: CafeDeployment) -> EvictionFact:
        key = ObjectKey(app.metadata.namespace, app.metadata.name)
        is_settled = self._watched.is_current(app_scope(key)) and not self.door.is_busy(key)
        units = self._apps.units(app)
        unit = next((u for u in units if _owner_uid(pod) in u.owners), None)
        left = left_of(app, units, unit.unit) if unit is not None and is_settled else None
        return EvictionFact(
            pod=str(pod.key),
            app=app.metadata.name,
            serves=self._serves(pod, app.spec.strategy.min_ready_seconds),
            budget=left,
            limit=app.spec.strategy.max_unavailable,
            total=app.spec.replicas,
        )

    def _serves(self, pod: Pod, min_ready_seconds: int) -> bool:
        dwell = Dwell(self._clock.now(), timedelta(seconds=min_ready_seconds))
        is_taken = pod.metadata.uid in self.door.away(_owner_uid(pod))
        return dwell.is_available(convert(pod)) and not is_taken


def _wait_for(pod: Pod, traffic: TrafficFact) -> str:
    if traffic.stuck:
        return f"Pod {pod.key} may not be evicted yet: its traffic doesn't go. {traffic.told_stuck()}."
    held = ", ".join(traffic.holders) or "nobody any more, which is being proven"
    return f"Pod {pod.key} leaves traffic first: it may still receive requests from {held}. Try again."


def _owner_uid(pod: Pod) -> str:
    owner = pod.metadata.controller
    return owner.uid if owner is not None else ""


def _is_rehearsed(review: Review) -> bool:
    """Whether nothing is to happen: kubectl says so in the eviction, where the review doesn't repeat it."""
    options = (review.body or {}).get("deleteOptions") or {}
    return review.is_dry_run or "All" in (options.get("dryRun") or ())
