"""The pods of each set as facts, kept from the cache's changes: what stays the same costs no second look.

A change is looked at when the set is next asked for, so that a `Crowd` given out stays as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cafe.api.selectors import matches
from cafe.api.shapes import LabelSelector, Metadata
from cafe.kernel import ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.objects import Pod
from cafe.workloads.adapters.podfacts import convert
from cafe.workloads.adapters.watched import CONTROLLER
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact


@dataclass(slots=True)
class _Known:
    """What is known of one set's pods.

    Attributes:
        namespace: Of the set, and so of its pods: an owner reference from elsewhere means nothing.
        changed: Pods to be looked at before the next answer.
    """

    namespace: str
    selector: LabelSelector
    fitting: Crowd
    misfits: dict[ObjectKey, PodFact] = field(default_factory=dict)
    changed: dict[ObjectKey, None] = field(default_factory=dict)

    def note(self, key: ObjectKey) -> None:
        """Remember to look at a pod."""
        if key.namespace == self.namespace:
            self.changed[key] = None


class Members:
    """The pods that each set controls, by the set's UID."""

    def __init__(self, pods: Cache[Pod]) -> None:
        self._pods = pods
        self._known: dict[str, _Known] = {}
        pods.on_change(self._changed)

    def of(self, owner: Metadata, selector: LabelSelector, dwell: Dwell) -> tuple[Crowd, Sequence[PodFact]]:
        """Return the pods of the set *owner* that match its selector, and those that don't.

        Only pods that changed since the last call, and those that are not calm, are looked at.
        """
        uid = owner.uid
        known = self._known.get(uid)
        if known is None or known.selector != selector:
            known = self._known[uid] = _Known(owner.namespace, selector, Crowd(dwell))
            for pod in self._pods.by_index(CONTROLLER, uid):
                known.note(pod.key)
        changes = {key.name: self._look(known, uid, key) for key in known.changed}
        known.fitting = known.fitting.after(changes, dwell)
        known.changed = {}
        return known.fitting, tuple(known.misfits.values())

    def forget(self, uid: str) -> None:
        """Drop what is known of a set that is gone."""
        self._known.pop(uid, None)

    def _look(self, known: _Known, uid: str, key: ObjectKey) -> PodFact | None:
        """Return the pod if it is the set's and matches its selector; keep it if it is a misfit."""
        pod = self._pods.get(key)
        owner = pod.metadata.controller if pod is not None else None
        if pod is None or owner is None or owner.uid != uid:
            known.misfits.pop(key, None)
            return None
        fact = convert(pod)
        if matches(known.selector, pod.metadata.labels):
            known.misfits.pop(key, None)
            return fact
        known.misfits[key] = fact
        return None

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            owner = pod.metadata.controller if pod is not None else None
            if pod is not None and owner is not None and (known := self._known.get(owner.uid)) is not None:
                known.note(pod.key)
