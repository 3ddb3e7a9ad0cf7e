"""On real kubelets, with real HAProxy in front: what is refused by hand, and a node drained without loss."""

import asyncio
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bench.lossless.carriers import ByHAProxy
from bench.lossless.load import Load, handled
from bench.lossless.stage import NAME, V2, Stage, in_thread, stage
from cafe.api.names import APP_LABEL, FORCED_ANNOTATION, OPERATION_PREFIX
from cafe.api.trafficmarks import Operation, OperationType, employer_name, protection_of, write_mark

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def at() -> Iterator[Stage]:
    with stage() as built:
        yield built


def refused(at: Stage, *words: str) -> str:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        at.kubectl(*words)
    return str(failed.value.stderr)


def as_part(name: str) -> tuple[str, str]:
    """Return the words by which kubectl acts as a part of the cluster; it is an administrator otherwise."""
    return (f"--as=system:serviceaccount:kube-system:{name}", "--as-group=system:masters")


async def test_no_request_is_lost_while_pods_are_updated_and_a_node_is_drained(at: Stage) -> None:
    carrier = await asyncio.to_thread(ByHAProxy)
    load: Load | None = None
    try:
        await in_thread(lambda: at.bind(carrier.declared(), carrier.pool()))
        load = Load(carrier.choose(), 100, is_reusing=True)
        await in_thread(lambda: at.release(V2))
        await in_thread(at.drain)
        account = await load.end()
        load = None
        account.handled = handled(at.account)
        assert len(account.sent) > 1000
        assert account.lost == {}
        assert account.doubled == []
        assert account.handled.keys() == set(account.sent)
    finally:
        if load is not None:
            await load.end()
        await in_thread(at.unbind)
        await carrier.close()


async def test_what_is_done_by_hand_under_traffic_is_refused_and_says_what_to_do(at: Stage) -> None:
    pod = min(str(p["metadata"]["name"]) for p in at.pods.values())
    employer = employer_name("Service", "default", NAME)
    at.wait_published(protection_of(employer))
    told = refused(at, "delete", "pod", pod, "--wait=false")
    assert "is not deleted: it may still receive requests" in told
    assert "Lower the replicas of its application" in told
    told = refused(at, "set", "image", f"pod/{pod}", "app=cafe.test/nobody:v9")
    assert "gets no other image" in told
    assert "Change the image of its application" in told
    assert "keeps the label of its application" in refused(at, "label", "pod", pod, f"{APP_LABEL}-")
    for part in ("replicaset-controller", "node-controller"):
        told = refused(at, "delete", "pod", pod, "--dry-run=server", *as_part(part))
        assert "is not deleted: it may still receive requests" in told, part
    for part in ("pod-garbage-collector", "generic-garbage-collector", "namespace-controller"):
        at.kubectl("delete", "pod", pod, "--dry-run=server", *as_part(part))
    wish = f"{OPERATION_PREFIX}ann=" + write_mark(
        Operation(
            type=OperationType.DELETE,
            actor="ann",
            start=datetime(2026, 1, 1, tzinfo=UTC),
            force=3,
            reason="fire",
        )
    )
    record = f'{FORCED_ANNOTATION}={{"by":"ann","reason":"fire","level":3}}'
    assert "is not forced: neither" in refused(at, "annotate", "pod", pod, wish)
    at.kubectl("annotate", "pod", pod, wish, record)
    assert "stays on record" in refused(at, "annotate", "pod", pod, f"{FORCED_ANNOTATION}-")
    at.kubectl("delete", "pod", pod, "--wait=false")
    at.wait_complete()
    assert NAME in at.kubectl("get", "cafedeployments")
