"""The pods of each set as facts, kept from the cache's changes: what stays the same costs no second look."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cafe.api.shapes import LabelSelector
from cafe.kernel import ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.objects import Pod
from cafe.workloads.adapters.podfacts import convert
from cafe.workloads.adapters.watched import CONTROLLER
from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.selectors import matches


@dataclass(slots=True)
class _Known:
    """What is known of one set's pods.

    Attributes:
        changed: Pods to be looked at before the next answer.
    """

    selector: LabelSelector
    fitting: dict[ObjectKey, PodFact] = field(default_factory=dict)
    misfits: dict[ObjectKey, PodFact] = field(default_factory=dict)
    changed: dict[ObjectKey, None] = field(default_factory=dict)


class Members:
    """The pods that each set controls, by the set's UID."""

    def __init__(self, pods: Cache[Pod]) -> None:
        self._pods = pods
        self._known: dict[str, _Known] = {}
        pods.on_change(self._changed)

    def of(self, uid: str, selector: LabelSelector) -> tuple[Sequence[PodFact], Sequence[PodFact]]:
        """Return the pods of a set that match its selector, and those that don't."""
        known = self._known.get(uid)
        if known is None or known.selector != selector:
            known = self._known[uid] = _Known(selector)
            known.changed = dict.fromkeys(pod.key for pod in self._pods.by_index(CONTROLLER, uid))
        for key in known.changed:
            self._look(known, uid, key)
        known.changed = {}
        return tuple(known.fitting.values()), tuple(known.misfits.values())

    def forget(self, uid: str) -> None:
        """Drop what is known of a set that is gone."""
        self._known.pop(uid, None)

    def _look(self, known: _Known, uid: str, key: ObjectKey) -> None:
        pod = self._pods.get(key)
        owner = pod.metadata.controller if pod is not None else None
        if pod is None or owner is None or owner.uid != uid:
            known.fitting.pop(key, None)
            known.misfits.pop(key, None)
            return
        is_fitting = matches(known.selector, pod.metadata.labels)
        there, not_there = (known.fitting, known.misfits) if is_fitting else (known.misfits, known.fitting)
        there[key] = convert(pod)
        not_there.pop(key, None)

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            owner = pod.metadata.controller if pod is not None else None
            if pod is not None and owner is not None and (known := self._known.get(owner.uid)) is not None:
                known.changed[pod.key] = None
