"""The runtime on a real API server: what unit tests assume of one is so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cafe.kernel import ObjectKey, SystemClock, SystemEntropy
from cafe.kube.cache import Cache
from cafe.kube.caches import Caches
from cafe.kube.client import Client
from cafe.kube.codec import encode
from cafe.kube.errors import AlreadyExists, ApiConflict, Invalid, NotFound, TooManyRequests
from cafe.kube.events import EventRecorder, News
from cafe.kube.http import HttpTransport
from cafe.kube.informer import Informer, Selection
from cafe.kube.kubeconfig import load_kubeconfig
from cafe.kube.leadership import Leadership, LeadershipSettings
from cafe.kube.objects import EVENTS, LEASES, NAMESPACES, PODS, ObjectReference, Pod
from cafe.kube.patches import ApplyPatch, JsonPatch, MergePatch, StrategicPatch
from cafe.kube.resources import Kind
from cafe.kube.transport import Request
from tests.worlds.clock import eventually

pytestmark = [pytest.mark.real, pytest.mark.slow]

WITHIN = timedelta(seconds=20)


@asynccontextmanager
async def speaking(kubeconfig: Path) -> AsyncIterator[tuple[Client, str]]:
    """A client and a fresh namespace."""
    clock, entropy = SystemClock(), SystemEntropy()
    transport = HttpTransport(load_kubeconfig([kubeconfig]).access(clock))
    client = Client(transport, clock, entropy)
    namespace = f"runtime-{entropy.suffix(6)}"
    await client.create(NAMESPACES, None, {"metadata": {"name": namespace}})
    # Without its service account no pod is admitted.
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    async with asyncio.timeout(WITHIN.total_seconds()):
        while not await exists(client, account):
            await clock.sleep(timedelta(milliseconds=50))
    try:
        yield client, namespace
    finally:
        await client.delete(NAMESPACES, ObjectKey("", namespace))
        await transport.close()


async def exists(client: Client, path: str) -> bool:
    try:
        await client.read(path)
    except NotFound:
        return False
    return True


def pod(name: str) -> dict[str, Any]:
    """A pod that no node will run."""
    container = {"name": "main", "image": "none:1"}
    return {
        "metadata": {"name": name, "labels": {"app": "runtime"}},
        "spec": {"containers": [container], "schedulerName": "nobody"},
    }


@asynccontextmanager
async def following(informer: Informer[Pod]) -> AsyncIterator[Cache[Pod]]:
    task = asyncio.create_task(informer.run())
    try:
        async with asyncio.timeout(WITHIN.total_seconds()):
            await informer.cache.wait_synced()
        yield informer.cache
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_errors_are_what_a_real_server_says(kubeconfig: Path) -> None:
    async with speaking(kubeconfig) as (client, namespace):
        key = ObjectKey(namespace, "a")
        with pytest.raises(NotFound):
            await client.get(PODS, key)
        made = await client.create(PODS, namespace, pod("a"))
        with pytest.raises(AlreadyExists):
            await client.create(PODS, namespace, pod("a"))
        with pytest.raises(Invalid) as caught:
            await client.create(PODS, namespace, pod("Not A Name"))
        assert caught.value.causes[0].field == "metadata.name"
        labelled = MergePatch({"metadata": {"labels": {"v": "2"}}})
        await client.patch(PODS, key, labelled)
        stale = {"metadata": {"resourceVersion": made.metadata.resource_version, "labels": {"v": "3"}}}
        with pytest.raises(ApiConflict):
            await client.patch(PODS, key, MergePatch(stale))
        with pytest.raises(ApiConflict):
            await client.delete(PODS, key, uid="another")
        await client.delete(PODS, key, uid=made.metadata.uid)
        with pytest.raises(NotFound):
            await client.get(PODS, key)


async def test_every_kind_of_patch_arrives(kubeconfig: Path) -> None:
    async with speaking(kubeconfig) as (client, namespace):
        key = ObjectKey(namespace, "a")
        await client.create(PODS, namespace, pod("a"))
        image = {"spec": {"containers": [{"name": "main", "image": "none:2"}]}}
        assert (await client.patch(PODS, key, StrategicPatch(image))).spec.containers[0].image == "none:2"
        replace = {"op": "replace", "path": "/spec/containers/0/image", "value": "none:3"}
        assert (await client.patch(PODS, key, JsonPatch([replace]))).spec.containers[0].image == "none:3"
        applied = {"metadata": {"name": "a", "namespace": namespace, "labels": {"by": "apply"}}}
        assert (await client.patch(PODS, key, ApplyPatch(applied))).metadata.labels["by"] == "apply"
        gate = {"type": "Gate", "status": "True", "lastTransitionTime": None}
        status = MergePatch({"status": {"conditions": [gate]}})
        assert (await client.patch(PODS, key, status, "status")).status.conditions[0].type == "Gate"
        unchanged = await client.patch(PODS, key, StrategicPatch(image), dry_run=True)
        assert unchanged.spec.containers[0].image == "none:2"
        assert (await client.get(PODS, key)).spec.containers[0].image == "none:3"


async def test_an_eviction_that_a_budget_forbids_is_told_at_once(kubeconfig: Path) -> None:
    async with speaking(kubeconfig) as (client, namespace):
        await client.create(PODS, namespace, pod("a"))
        await client.patch(
            PODS, ObjectKey(namespace, "a"), MergePatch({"status": {"phase": "Running"}}), "status"
        )
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "runtime"}}}
        path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
        budget = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "b"},
            "spec": spec,
        }
        await _post(client, path, budget)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
        with pytest.raises(TooManyRequests) as caught:
            await client.post(PODS, ObjectKey(namespace, "a"), "eviction", eviction)
        assert caught.value.has_cause("DisruptionBudget")


async def _post(client: Client, path: str, body: dict[str, Any]) -> None:
    await client.send(Request("POST", path, body=encode(body)), "poddisruptionbudgets.policy")


async def test_an_informer_follows_by_a_watch_list_and_sees_its_own_writes(kubeconfig: Path) -> None:
    async with speaking(kubeconfig) as (client, namespace):
        await client.create(PODS, namespace, pod("before"))
        informer = Informer(client, Selection(PODS, namespace))
        async with following(informer) as cache:
            assert informer._uses_watch_list
            assert [item.metadata.name for item in cache] == ["before"]
            made = await client.create(PODS, namespace, pod("after"))
            cache.note_write(made.key, made.metadata.resource_version, owner="me")
            async with asyncio.timeout(WITHIN.total_seconds()):
                await cache.writes.wait_current("me")
            assert cache.get(made.key) == made
            await client.delete(PODS, made.key)
            await eventually(lambda: made.key not in cache.items(), WITHIN)


async def test_an_informer_that_must_read_pages_comes_to_the_same(kubeconfig: Path) -> None:
    async with speaking(kubeconfig) as (client, namespace):
        for name in "abc":
            await client.create(PODS, namespace, pod(name))
        paging = Informer(client, Selection(PODS, namespace))
        paging._uses_watch_list = False
        watching = Informer(client, Selection(PODS, namespace, label_selector="app=runtime"))
        async with following(paging) as one, following(watching) as other:
            assert len(one) == 3
            assert one.items() == other.items()


async def test_a_lease_has_one_holder_and_is_handed_over(kubeconfig: Path) -> None:
    async with speaking(kubeconfig) as (client, namespace):
        key = ObjectKey(namespace, "controller")
        times = LeadershipSettings(timedelta(seconds=3), timedelta(seconds=2), timedelta(milliseconds=200))
        working: list[str] = []

        async def lead(name: str) -> None:
            async def work() -> None:
                working.append(name)
                await asyncio.Event().wait()

            await Leadership(client, key, name, times).lead(work)

        first = asyncio.create_task(lead("first"))
        await eventually(lambda: working == ["first"], WITHIN)
        second = asyncio.create_task(lead("second"))
        await asyncio.sleep(4)
        assert working == ["first"]
        first.cancel()
        await eventually(lambda: working == ["first", "second"], WITHIN)
        assert (await client.get(LEASES, key)).spec.lease_transitions == 1
        second.cancel()
        await asyncio.wait([first, second])
        assert (await client.get(LEASES, key)).spec.holder_identity == ""


async def test_an_event_is_accepted_and_counted(kubeconfig: Path) -> None:
    async with speaking(kubeconfig) as (client, namespace):
        recorder = EventRecorder(client, "cafe.sofastack.io/test", "me")
        task = asyncio.create_task(recorder.run())
        regarding = ObjectReference(api_version="v1", kind="Pod", namespace=namespace, name="a", uid="u")
        for _ in range(3):
            recorder.record(News(regarding, "Tested", "It was tested"))
            await eventually(lambda: recorder.is_idle, WITHIN)
        (event,) = (await client.list(EVENTS, namespace)).items
        assert event.note == "It was tested"
        assert event.series is not None
        assert event.series.count == 3
        task.cancel()
        await asyncio.wait([task])


async def test_caches_of_a_kind_that_is_missing_do_not_stop_the_others(kubeconfig: Path) -> None:
    async with speaking(kubeconfig) as (client, namespace):
        caches = Caches(client)
        pods = caches.cache(PODS, namespace)
        missing: Kind[dict[str, Any]] = Kind("no.such", "v1", "things", "Thing", namespaced=True, type=dict)
        caches.cache(missing, namespace)
        task = asyncio.create_task(caches.run())
        async with asyncio.timeout(WITHIN.total_seconds()):
            await pods.wait_synced()
        assert not caches.is_synced
        task.cancel()
        await asyncio.wait([task])
