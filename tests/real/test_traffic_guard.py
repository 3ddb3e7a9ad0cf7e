"""On real kubelets, with real HAProxy in front: what is refused by hand, and a node drained without loss."""

import asyncio
import subprocess
from collections.abc import Iterator

import pytest

from bench.lossless.carriers import ByHAProxy
from bench.lossless.load import Load, handled
from bench.lossless.stage import NAME, V2, Stage, in_thread, stage
from cafe.api.names import FORCED_ANNOTATION
from cafe.api.trafficmarks import employer_name, protection_of

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def at() -> Iterator[Stage]:
    with stage() as built:
        yield built


def refused(at: Stage, *words: str) -> str:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        at.kubectl(*words)
    return str(failed.value.stderr)


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
    told = refused(at, "set", "image", f"pod/{pod}", "app=cafe.test/bookinfo/productpage:v1")
    assert "gets no other image" in told
    assert "Change the image of its application" in told
    at.kubectl("annotate", "pod", pod, f'{FORCED_ANNOTATION}={{"by":"ann","reason":"fire"}}')
    assert "stays on record" in refused(at, "annotate", "pod", pod, f"{FORCED_ANNOTATION}-")
    at.kubectl("delete", "pod", pod, "--wait=false")
    at.wait_complete()
    assert NAME in at.kubectl("get", "cafedeployments")
