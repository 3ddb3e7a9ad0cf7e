"""Units served by a native StatefulSet: names and volumes stay, ordinals are updated from the top.

A StatefulSet's partition is the lowest ordinal that is made at the newest revision. It is lowered ordinal by
ordinal, as the open group and the budget allow, and the pods above it are replaced at once rather than one at
a time. A new template raises it above all pods in the same write, so nothing moves unasked.

Pods are made in parallel: with `OrderedReady` one sick pod of a low ordinal keeps all others from ever being
made again (k8s#67250), and groups order a first deployment better than ordinals do.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment
from cafe.workloads.domain.budget import Budget, Use, is_hopeless
from cafe.workloads.domain.children import child_name
from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.podsets.facts import Release, StatefulSetFact, UnitFact, UnitReport
from cafe.workloads.domain.podsets.natives import (
    STATEFUL_SET,
    ChangeNative,
    DropNative,
    Found,
    Limits,
    MakeNative,
    NativeAction,
    digest_of_template,
    floor_of,
    limits_of,
    report_of,
    selector_of,
    template_of,
)
from cafe.workloads.domain.scaling import Deletion, due_to_go

ORDINAL = re.compile(r"-([0-9]+)$")


def unit_report(app: CafeDeployment, revision: str, goal: UnitGoal, held: StatefulSetFact) -> UnitReport:
    """Return what the pods of a unit's StatefulSet are found to be."""
    return report_of([held.pods], Found(revision, floor_of(app, goal.replicas)), held.pods.dwell)


@dataclass(frozen=True, slots=True)
class Place:
    """One ordinal and its pod.

    Attributes:
        pod: None while it is away.
        is_new: Whether it is at the newest revision, or will be once it is made again.
        serves: Whether its pod serves, and is not about to be replaced.
        is_hopeless: Whether its pod is old and stays so, and won't serve soon.
    """

    ordinal: int
    pod: PodFact | None
    is_new: bool
    serves: bool
    is_hopeless: bool = False


def places(held: StatefulSetFact, revision: str, replicas: int) -> list[Place]:
    """Return the ordinals below *replicas*, from the top."""
    by_ordinal = {ordinal_of(p): p for p in held.pods if not p.is_deleting and not p.is_over}
    found: list[Place] = []
    for ordinal in reversed(range(replicas)):
        pod = by_ordinal.get(ordinal)
        is_at = pod is not None and pod.revision == revision
        is_due = ordinal >= held.partition
        serves = pod is not None and (is_at or not is_due) and held.pods.dwell.is_available(pod)
        lost = pod is not None and not is_at and not is_due and is_hopeless(pod, held.pods.dwell)
        found.append(Place(ordinal, pod, is_at or is_due, serves, is_hopeless=lost))
    return found


def ordinal_of(pod: PodFact) -> int:
    """Return a pod's ordinal; -1 if its name has none."""
    found = ORDINAL.search(pod.name)
    return int(found[1]) if found else -1


def decide_partition(goal: UnitGoal, found: Sequence[Place], partition: int, limits: Limits) -> int:
    """Return the partition that may be written next.

    Old pods are taken from the top until the group is full or the budget is spent. A sick pod costs nothing
    to replace; new ones that are sick use the budget up, so a bad image stops. A sick *old* pod further down
    can't be reached before those above it, so it must not hold them up for ever: if none but such are
    missing, and they won't serve soon, one may always follow, as a StatefulSet would go on by itself.

    Args:
        goal: Of the unit: pods, and how many of them may be new.
        found: The ordinals from the top.
        partition: As it is.
        limits: What may be missing.
    """
    new = [p for p in found if p.is_new]
    sick_new = sum(not p.serves for p in new)
    serving = sum(p.serves for p in found)
    healthy = serving - (goal.replicas - limits.serving)
    if not sick_new and goal.replicas > serving >= goal.replicas - sum(p.is_hopeless for p in found):
        healthy = max(1, healthy)
    target = limits.unavailable - sick_new
    left = goal.partition - len(new)
    for place in found:
        if place.is_new:
            continue
        if left <= 0 or target <= 0 or (place.serves and healthy <= 0):
            break
        left, target, healthy = left - 1, target - 1, healthy - place.serves
        partition = min(partition, place.ordinal)
    return partition


def use_of(_: CafeDeployment, fact: UnitFact, goal: UnitGoal, revision: str) -> Use:
    """Return what the unit takes of a budget."""
    if not isinstance(fact.held, StatefulSetFact):
        return Use(goal.replicas, goal.replicas)
    found = places(fact.held, revision, goal.replicas)
    return Use(
        missing=goal.replicas - sum(p.serves for p in found),
        pending=sum(p.is_new and not p.serves for p in found),
        hopeless=sum(p.is_hopeless for p in found),
    )


def taken(_: UnitFact, actions: Sequence[NativeAction]) -> int:
    """Return how many pods *actions* take away at most."""
    return sum(isinstance(a, Deletion) for a in actions)


def follow(
    app: CafeDeployment, fact: UnitFact, goal: UnitGoal, release: Release, shared: Budget
) -> list[NativeAction]:
    """Return what brings the unit's StatefulSet one step closer to its goal."""
    revision = release.of_pods(fact.unit)
    template = template_of(app, fact.unit, revision)
    rendered = digest_of_template(template)
    held = fact.held
    if not isinstance(held, StatefulSetFact):
        name = child_name(app.metadata.name, fact.unit)
        fresh = _new_spec(app, fact.unit, goal, template)
        return [MakeNative(STATEFUL_SET, fact.unit, name, release, goal, rendered, fresh)]
    spec: dict[str, Any] = {}
    if app.spec.strategy.min_ready_seconds != held.min_ready_seconds:
        spec["minReadySeconds"] = app.spec.strategy.min_ready_seconds
    if held.replicas != goal.replicas:
        spec["replicas"] = goal.replicas
    if held.retention not in (None, retention := _retention(app)):
        spec["persistentVolumeClaimRetentionPolicy"] = retention
    partition, pods = held.partition, list[Deletion]()
    if held.rendered != rendered:
        spec["template"] = template
        # Above all pods, those included that go: nothing moves before its group is open.
        partition = max(held.replicas, goal.replicas)
    else:
        partition, pods = _moved(app, goal, held, revision, shared)
    if partition != held.partition:
        spec["updateStrategy"] = {"rollingUpdate": {"partition": partition}}
    if spec or fact.goal != goal or fact.revision != release.revision:
        return [ChangeNative(STATEFUL_SET, held.name, spec, release, goal, rendered), *pods]
    return [*pods]


def retire(_: CafeDeployment, fact: UnitFact) -> list[NativeAction]:
    """Return what empties the StatefulSet of a unit that is no longer wanted, and then deletes it."""
    held = fact.held
    if not isinstance(held, StatefulSetFact):
        return []
    if held.replicas:
        return [ChangeNative(STATEFUL_SET, held.name, {"replicas": 0})]
    return [] if held.pods else [DropNative(STATEFUL_SET, held.name)]


def _moved(
    app: CafeDeployment, goal: UnitGoal, held: StatefulSetFact, revision: str, shared: Budget
) -> tuple[int, list[Deletion]]:
    """Return the next partition, and the pods to replace now."""
    limits = limits_of(app, goal.replicas).within(shared)
    found = places(held, revision, goal.replicas)
    partition = held.partition
    if not app.spec.strategy.pause:
        partition = decide_partition(goal, found, held.partition, limits)
    due = [p.pod for p in found if p.ordinal >= partition and p.pod and p.pod.revision != revision]
    pods = [Deletion(pod, "its group is open") for pod in due]
    if not pods and partition == held.partition:
        healthy = sum(p.serves for p in found) - (goal.replicas - limits.serving)
        pods = due_to_go(held.pods.restless, healthy, held.pods.dwell)
    return partition, pods


def _retention(app: CafeDeployment) -> dict[str, str]:
    policy: dict[str, str] = msgspec.to_builtins(app.spec.persistent_volume_claim_retention_policy)
    return policy


def _new_spec(app: CafeDeployment, unit: str, goal: UnitGoal, template: dict[str, Any]) -> dict[str, Any]:
    partition = max(0, goal.replicas - goal.partition)
    spec: dict[str, Any] = {
        "replicas": goal.replicas,
        "minReadySeconds": app.spec.strategy.min_ready_seconds,
        "selector": selector_of(app, unit),
        "template": template,
        "serviceName": app.spec.service_name,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
        "persistentVolumeClaimRetentionPolicy": _retention(app),
    }
    if app.spec.volume_claim_templates:
        spec["volumeClaimTemplates"] = app.spec.volume_claim_templates
    return spec
