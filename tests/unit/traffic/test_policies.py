"""The rules by which the API server guards pods, one table each: who may do what to which pod."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import cel
import pytest

from cafe.api.names import (
    APP_LABEL,
    EXPECTED_ANNOTATION,
    FORCED_ANNOTATION,
    OPERATION_PREFIX,
    TRAFFIC_GATE,
)
from cafe.api.trafficmarks import Operation, OperationType, protection_of, write_expected, write_mark
from cafe.processes.policies import POLICIES
from cafe_sim.apiserver.crds.expressions import FUNCTIONS

Object = dict[str, Any]
POOL, SERVICE = "Pool/default/edge/web", "Service/default/web"
EXPECTED = {name: protection_of(name) for name in (POOL, SERVICE)}
RECORD = '{"by":"ann","reason":"fire"}'
ACCOUNT = "system:serviceaccount:kube-system:"
MASTERS = ("system:masters",)


def verdict(
    name: str, new: Object | None, old: Object, user: str = "ann", groups: tuple[str, ...] = MASTERS
) -> str:
    """Return what the API server tells who asks; empty if it lets them."""
    policy = next(p for p in POLICIES if p.name == name)
    request = {"userInfo": {"username": user, "groups": list(groups)}}
    known = cel.Context(variables={"object": new, "oldObject": old, "request": request}, functions=FUNCTIONS)
    if not all(cel.evaluate(text, known) for text in policy.conditions.values()):
        return ""
    return "" if cel.evaluate(policy.rule, known) else str(cel.evaluate(policy.message, known))


def a_pod(
    protections: tuple[str, ...] = (POOL, SERVICE),
    notes: Mapping[str, str] | None = None,
    *,
    image: str = "web:1",
    is_ready: bool = True,
    is_on: bool = True,
    **status: Any,  # noqa: ANN401 -- any field
) -> Object:
    conditions = [
        {"type": "Ready", "status": "True" if is_ready else "False"},
        {"type": TRAFFIC_GATE, "status": "True" if is_on else "False"},
    ]
    metadata: Object = {
        "name": "web-1",
        "labels": {APP_LABEL: "web"},
        "annotations": {EXPECTED_ANNOTATION: write_expected(EXPECTED), **(notes or {})},
    }
    if protections:
        metadata["finalizers"] = [EXPECTED[name] for name in protections]
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "app", "image": image}]},
        "status": {"phase": "Running", "conditions": conditions, **status},
    }


def wish(
    force: int = 0, reason: str = "fire", skip: tuple[str, ...] = (), name: str = "ann"
) -> dict[str, str]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    told = Operation(
        type=OperationType.OFFLINE, actor="ann", start=start, force=force, reason=reason, skip=list(skip)
    )
    return {OPERATION_PREFIX + name: write_mark(told)}


def bare(**labels: str) -> Object:
    """Return a pod of an application that nobody sends requests to."""
    return {
        "metadata": {"name": "web-1", "labels": {APP_LABEL: "web", **labels}},
        "spec": {"containers": [{"name": "app", "image": "web:1"}]},
        "status": {},
    }


DRAINED = a_pod((), wish(), is_ready=False, is_on=False)
DELETIONS = {
    "a pod under traffic": (a_pod(), True),
    "one employer has let go": (a_pod((SERVICE,)), True),
    "not ready, but protected": (a_pod(is_ready=False), True),
    "asked for and not drained": (a_pod(notes=wish(), is_on=False), True),
    "being attached": (a_pod(()), True),
    "new, never ready": (a_pod((), is_ready=False), False),
    "new, its gate still down": (a_pod((), is_on=False), False),
    "drained": (DRAINED, False),
    "nobody sends it requests": (bare(), False),
    "ended": (a_pod(phase="Failed"), False),
    "forced by level 1": (a_pod(notes=wish(1), is_on=False), True),
    "level 2 without the employer": (a_pod((POOL,), wish(2, skip=(SERVICE,)), is_on=False), True),
    "level 2 with the employer that holds it": (a_pod((POOL,), wish(2, skip=(POOL,)), is_on=False), False),
    "level 2, and another one holds it, too": (a_pod(notes=wish(2, skip=(POOL,)), is_on=False), True),
    "level 2 without a reason": (a_pod((POOL,), wish(2, "", (POOL,)), is_on=False), True),
    "forced by level 3": (a_pod(notes=wish(3)), False),
    "level 3 without a reason": (a_pod(notes=wish(3, "")), True),
    "forced once, long ago": (a_pod(notes={FORCED_ANNOTATION: RECORD}), True),
}


@pytest.mark.parametrize("case", DELETIONS)
def test_who_may_still_receive_requests_is_neither_deleted_nor_changed_nor_relabelled(case: str) -> None:
    pod, is_refused = DELETIONS[case]
    told = verdict("no-delete-under-traffic", None, pod)
    assert bool(told) == is_refused
    other = {**pod, "spec": {"containers": [{"name": "app", "image": "web:2"}]}}
    assert bool(verdict("no-image-under-traffic", other, pod)) == is_refused
    stray = {**pod, "metadata": {**pod["metadata"], "labels": {}}}
    assert bool(verdict("no-escape-under-traffic", stray, pod)) == is_refused


def test_a_refusal_says_what_and_why_and_what_to_do() -> None:
    told = verdict("no-delete-under-traffic", None, a_pod())
    assert told.startswith("Pod web-1 is not deleted: it may still receive requests, since 2 protections")
    assert "Lower the replicas" in told
    assert "evict it" in told
    told = verdict("no-delete-under-traffic", None, a_pod(()))
    assert "it may receive requests at any moment, since it is being attached" in told


@pytest.mark.parametrize(
    ("user", "groups", "is_refused"),
    [
        ("ann", MASTERS, True),
        (f"{ACCOUNT}replicaset-controller", (), True),
        (f"{ACCOUNT}statefulset-controller", (), True),
        ("system:kube-scheduler", (), True),
        (f"{ACCOUNT}node-controller", (), True),
        ("system:node:n1", ("system:nodes",), False),
        (f"{ACCOUNT}pod-garbage-collector", (), False),
        (f"{ACCOUNT}generic-garbage-collector", (), False),
        (f"{ACCOUNT}namespace-controller", (), False),
        ("system:kube-controller-manager", (), False),
        ("system:serviceaccount:default:namespace-controller", (), True),
    ],
)
def test_only_who_clears_away_deletes_pods_under_traffic(
    user: str,
    groups: tuple[str, ...],
    is_refused: bool,  # noqa: FBT001 -- drawn from the table
) -> None:
    assert bool(verdict("no-delete-under-traffic", None, a_pod(), user, groups)) == is_refused


@pytest.mark.parametrize("name", ["node-controller", "taint-eviction-controller"])
def test_pods_of_a_lost_node_are_deleted_but_not_those_of_one_that_a_hand_has_tainted(name: str) -> None:
    assert verdict("no-delete-under-traffic", None, a_pod(is_ready=False), ACCOUNT + name, ()) == ""
    assert verdict("no-delete-under-traffic", None, a_pod(), ACCOUNT + name, ())


def test_a_pod_that_is_being_deleted_may_be_deleted_again() -> None:
    pod = a_pod()
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert verdict("no-delete-under-traffic", None, pod) == ""


def test_what_changes_no_image_and_no_application_is_nobodys_concern() -> None:
    pod = a_pod()
    noted = {**pod, "metadata": {**pod["metadata"], "labels": {APP_LABEL: "web", "note": "mine"}}}
    assert verdict("no-image-under-traffic", noted, pod) == ""
    assert verdict("no-escape-under-traffic", noted, pod) == ""
    assert verdict("no-escape-under-traffic", a_pod(), {**pod, "metadata": {"name": "a", "labels": {}}}) == ""


def test_a_sidecar_has_an_image_too() -> None:
    def with_sidecar(image: str) -> Object:
        pod = a_pod()
        return {**pod, "spec": {**pod["spec"], "initContainers": [{"name": "mesh", "image": image}]}}

    assert verdict("no-image-under-traffic", with_sidecar("mesh:2"), with_sidecar("mesh:1"))
    assert verdict("no-image-under-traffic", with_sidecar("mesh:1"), with_sidecar("mesh:1")) == ""


RECORDED = {FORCED_ANNOTATION: RECORD}
FORCINGS = {
    "an operation that forces nothing": (wish(0, ""), {}, False),
    "level 1 with reason and record": ({**wish(1), **RECORDED}, {}, False),
    "level 3 with reason and record": ({**wish(3), **RECORDED}, {}, False),
    "level 3 without a record": (wish(3), {}, True),
    "level 3 without a reason": ({**wish(3, ""), **RECORDED}, {}, True),
    "level 2 without a reason": ({**wish(2, "", (POOL,)), **RECORDED}, {}, True),
    "a record without a reason": ({**wish(3), FORCED_ANNOTATION: '{"by":"ann"}'}, {}, True),
    "one of two without a reason": ({**wish(3), **wish(3, "", name="bob"), **RECORDED}, {}, True),
    "what stood already": (wish(3, ""), wish(3, ""), False),
    "a level that rises": (wish(3), wish(1), True),
}


@pytest.mark.parametrize("case", FORCINGS)
def test_nobody_forces_anything_without_a_reason_and_a_record(case: str) -> None:
    new, old, is_refused = FORCINGS[case]
    assert bool(verdict("force-says-why", a_pod(notes=new), a_pod(notes=old))) == is_refused


def test_a_new_operation_on_a_pod_without_annotations_is_read_as_well() -> None:
    assert verdict("force-says-why", a_pod(notes=wish(3)), bare())


@pytest.mark.parametrize(
    ("record", "is_refused"),
    [(RECORD, False), (f'{RECORD}\n{{"by":"bob","reason":"flood"}}', False), ("{}", True), ("", True)],
)
def test_a_record_of_force_may_grow_and_never_shrinks(
    record: str,
    is_refused: bool,  # noqa: FBT001 -- drawn from the table
) -> None:
    new = a_pod(notes={FORCED_ANNOTATION: record} if record else {})
    assert bool(verdict("forced-stays", new, a_pod(notes=RECORDED))) == is_refused
