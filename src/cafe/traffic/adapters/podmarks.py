"""The marks of traffic, written into pods; each write is guarded by the UID of the pod that was judged."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from cafe.api.names import ACK_PREFIX, ATTACHED_PREFIX, EXPECTED_ANNOTATION, TRAFFIC_GATE
from cafe.api.trafficmarks import Ack, employer_id, write_expected, write_mark
from cafe.kernel import Clock, Conflict, ObjectKey
from cafe.kube.client import Client
from cafe.kube.errors import Invalid, NotFound
from cafe.kube.objects import PODS, format_time
from cafe.kube.patches import StrategicPatch
from cafe.traffic.adapters.watched import WatchedTraffic
from cafe.traffic.contract import Asking
from cafe.traffic.domain.facts import Employer, PodTraffic

BEING_DELETED = "if the object is being deleted"
"""What the API server says when a finalizer is added to what has just begun to go."""


def scope_of(key: ObjectKey) -> Hashable:
    """Return the scope of own writes made for one pod's traffic."""
    return ("traffic", key)


class PodMarks:
    """Writes marks.

    What takes a protection away is guarded by the version that was judged: meanwhile somebody may have called
    the operation off. What adds one is not: it can only make others wait.
    """

    def __init__(self, client: Client, watched: WatchedTraffic, clock: Clock) -> None:
        self._client = client
        self._watched = watched
        self._clock = clock

    async def release(self, pod: PodTraffic, employer: Employer, evidence: str) -> None:
        """Take an employer's protection away, and acknowledge all operations: its traffic is gone."""
        asked = {name: op.start for name, op in pod.fact.operations.items()}
        ack = Ack(
            uid=pod.uid, restarts=pod.restarts, at=self._clock.now(), operations=asked, evidence=evidence
        )
        metadata = (
            _without(pod, [employer.finalizer]) if employer.finalizer in pod.protections else _guard(pod)
        )
        if asked and not pod.is_leaving:
            metadata["annotations"] = {ACK_PREFIX + employer_id(employer.name): write_mark(ack)}
        await self._patch(pod, {"metadata": metadata})

    async def publish(self, pod: PodTraffic, employer: Employer) -> None:
        """Put an employer's protection on: its traffic is back."""
        name = employer_id(employer.name)
        notes: dict[str, str | None] = {ACK_PREFIX + name: None}
        if employer.provider and pod.attached.get(name) != pod.ip:
            notes[ATTACHED_PREFIX + name] = pod.ip
        metadata: dict[str, Any] = {"uid": pod.uid, "finalizers": [employer.finalizer]}
        if employer.name not in pod.expected:
            notes[EXPECTED_ANNOTATION] = write_expected({**pod.expected, employer.name: employer.finalizer})
            metadata["resourceVersion"] = pod.resource_version
        try:
            await self._patch(pod, {"metadata": {**metadata, "annotations": notes}})
        except Invalid as error:
            if BEING_DELETED not in str(error):
                raise
            raise Conflict(f"Pod {pod.namespace}/{pod.name} is leaving") from error

    async def tell_stuck(self, pod: PodTraffic, employer: Employer, evidence: str) -> None:
        """Say on the pod what a drain waits for that has taken too long."""
        ack = Ack(uid=pod.uid, restarts=pod.restarts, at=self._clock.now(), evidence=evidence, is_stuck=True)
        notes = {ACK_PREFIX + employer_id(employer.name): write_mark(ack)}
        await self._patch(pod, {"metadata": {**_guard(pod), "annotations": notes}})

    async def drop(self, pod: PodTraffic, finalizers: Sequence[str], employers: Sequence[str]) -> None:
        """Take away what is nobody's any more."""
        left = {name: finalizer for name, finalizer in pod.expected.items() if name not in employers}
        notes: dict[str, str | None] = {
            prefix + employer_id(name): None for name in employers for prefix in (ACK_PREFIX, ATTACHED_PREFIX)
        }
        if employers:
            notes[EXPECTED_ANNOTATION] = write_expected(left) if left else None
        metadata = _without(pod, finalizers) if finalizers else _guard(pod)
        await self._patch(pod, {"metadata": metadata | ({"annotations": notes} if notes else {})})

    async def write(self, pod: PodTraffic, asking: Asking, why: str) -> None:
        """Write an operation's beginning or end."""
        body: dict[str, Any] = {"metadata": {**_guard(pod), "annotations": dict(asking.annotations)}}
        if asking.gate is not None:
            body["status"] = {
                "conditions": [gate_condition(asking.gate, why, format_time(self._clock.now()))]
            }
        await self._patch(pod, body, "status" if asking.gate is not None else "")

    async def _patch(self, pod: PodTraffic, body: Mapping[str, Any], subresource: str = "") -> None:
        key = ObjectKey(pod.namespace, pod.name)
        try:
            stored = await self._client.patch(PODS, key, StrategicPatch(body), subresource)
        except NotFound as error:
            raise Conflict(f"Pod {key} is gone") from error
        self._watched.pods.note_write(key, stored.metadata.resource_version, owner=scope_of(key))


def gate_condition(is_on: bool, why: str, at: str) -> dict[str, Any]:  # noqa: FBT001 -- a status has two values
    """Return the traffic gate's condition."""
    return {
        "type": TRAFFIC_GATE,
        "status": "True" if is_on else "False",
        "reason": "Serving" if is_on else "Draining",
        "message": why,
        "lastTransitionTime": at,
    }


def _guard(pod: PodTraffic) -> dict[str, Any]:
    return {"uid": pod.uid, "resourceVersion": pod.resource_version}


def _without(pod: PodTraffic, finalizers: Sequence[str]) -> dict[str, Any]:
    return {**_guard(pod), "$deleteFromPrimitiveList/finalizers": list(finalizers)}
