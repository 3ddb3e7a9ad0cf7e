"""Keeps the marks of each pod right: stale protections go, gates rise, evictions are asked for."""

from datetime import timedelta

from cafe.kernel import Clock, Note, ObjectKey, Outcome
from cafe.traffic.contract import Asking, end
from cafe.traffic.domain.keeping import HEARTBEAT, Action, Ask, Drop, GiveBack, LowerGate, keep
from cafe.traffic.ports import PodTrafficStore

RECHECK = timedelta(minutes=5)


class PodTrafficReconciler:
    """Takes one step for one pod."""

    def __init__(self, pods: PodTrafficStore, clock: Clock) -> None:
        self._pods = pods
        self._clock = clock

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Bring a pod's marks one step closer to what they should say."""
        view = self._pods.view(key)
        if view is None:
            return Outcome()
        actions = keep(
            view.pod, view.employers, self._clock.now(), asked=view.asked, is_served=view.is_served
        )
        for action in actions:
            await self._act(key, action)
        waits = [RECHECK]
        if view.asked or view.pod.fact.operations:
            waits.append(HEARTBEAT)
        return Outcome(recheck=min(waits))

    async def _act(self, key: ObjectKey, action: Action) -> None:
        view = self._pods.view(key)
        if view is None:
            return
        if isinstance(action, Drop):
            await self._pods.drop(view.pod, action)
            told = ", ".join(action.employers or action.finalizers)
            note = Note("ProtectionDropped", f"Nobody sends requests from there any more: {told}")
            await self._pods.tell(view.pod, note)
        elif isinstance(action, Ask):
            await self._pods.ask(view.pod, action.name, action.operation)
        elif isinstance(action, GiveBack):
            await self._pods.give_back(view.pod, end(view.pod.fact, action.name))
        elif isinstance(action, LowerGate):
            await self._pods.give_back(view.pod, Asking(gate=False))
        else:
            await self._pods.give_back(view.pod, end(view.pod.fact, ""))
