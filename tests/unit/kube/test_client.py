"""The client asks, retries what may be retried, and says what it got."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from cafe.kernel import Conflict, ObjectKey, Unavailable
from cafe.kube.backoff import RateLimit
from cafe.kube.client import Client
from cafe.kube.errors import AlreadyExists, ApiConflict, NotFound, TooManyRequests
from cafe.kube.objects import DEPLOYMENTS, PODS, ObjectMeta, Pod
from cafe.kube.patches import ApplyPatch, JsonPatch, MergePatch, StrategicPatch
from cafe.kube.resources import Kind
from cafe.kube.transport import Request, Response
from tests.worlds.clock import LoopClock, SeededEntropy, in_virtual_time
from tests.worlds.scripted_api import ScriptedApi, pod, status

KEY = ObjectKey("default", "a")
PATH = "/api/v1/namespaces/default/pods/a"


def client_of(api: ScriptedApi, **options: Any) -> Client:  # noqa: ANN401
    return Client(api, LoopClock(), SeededEntropy(), **options)


class Failing:
    """A fault that happens a number of times."""

    def __init__(self, times: int, answer: Response | Unavailable) -> None:
        self.left = times
        self.answer = answer

    def __call__(self, _: Request) -> Response | Unavailable | None:
        self.left -= 1
        return self.answer if self.left >= 0 else None


def test_paths_are_escaped_and_know_groups_and_namespaces() -> None:
    assert PODS.path() == "/api/v1/pods"
    assert PODS.path("x", "y", "status") == "/api/v1/namespaces/x/pods/y/status"
    assert DEPLOYMENTS.path("x/..", "y?") == "/apis/apps/v1/namespaces/x%2F../deployments/y%3F"
    nodes: Kind[Any] = Kind("", "v1", "nodes", "Node", namespaced=False, type=dict)
    assert nodes.path("", "n") == "/api/v1/nodes/n"


@in_virtual_time
async def test_an_object_is_created_read_changed_and_deleted() -> None:
    client = client_of(ScriptedApi())
    made = await client.create(PODS, "default", pod("a"))
    assert made.metadata.uid
    with pytest.raises(AlreadyExists):
        await client.create(PODS, "default", pod("a"))
    patched = await client.patch(PODS, KEY, MergePatch({"metadata": {"labels": {"v": "2"}}}))
    assert (await client.get(PODS, KEY)).metadata.labels == {"v": "2"} == patched.metadata.labels
    stale = {"metadata": {"resourceVersion": made.metadata.resource_version}}
    with pytest.raises(ApiConflict):
        await client.patch(PODS, KEY, MergePatch(stale))
    with pytest.raises(Conflict):
        await client.delete(PODS, KEY, uid="another")
    await client.delete(PODS, KEY, uid=made.metadata.uid)
    with pytest.raises(NotFound):
        await client.get(PODS, KEY)


@in_virtual_time
async def test_a_partial_model_never_replaces_a_whole_object() -> None:
    api = ScriptedApi()
    partial = Pod(metadata=ObjectMeta(name="a", namespace="default"))
    with pytest.raises(TypeError, match="whole"):
        await client_of(api).replace(PODS, partial)  # type: ignore[arg-type]
    assert not api.requests


@in_virtual_time
async def test_a_patch_says_which_kind_it_is() -> None:
    api = ScriptedApi()
    api.faults.append(lambda _: Response(200, b"{}"))
    client = client_of(api)
    apply = ApplyPatch({"metadata": {"name": "a"}}, force=True, manager="someone")
    for patch in (MergePatch({}), StrategicPatch({}), apply):
        await client.patch(PODS, KEY, patch, "status")
    await client.patch(PODS, KEY, JsonPatch([{"op": "test", "path": "/x", "value": 1}]), dry_run=True)
    sent = [(r.content_type, dict(r.query)) for r in api.requests]
    assert [kind.split("/")[1].split("+")[0] for kind, _ in sent] == [
        "merge-patch",
        "strategic-merge-patch",
        "apply-patch",
        "json-patch",
    ]
    assert sent[2][1] == {"fieldManager": "someone", "force": "true"}
    assert sent[3][1] == {"fieldManager": "cafe", "dryRun": "All"}
    assert all(request.path == f"{PATH}/status" for request in api.requests[:3])
    assert json.loads(api.requests[2].body or b"")["kind"] == "Pod"


@in_virtual_time
async def test_a_question_about_an_object_goes_to_its_subresource() -> None:
    api = ScriptedApi()
    api.faults.append(lambda _: Response(201, b'{"status":{"token":"t"}}'))
    answer = await client_of(api).post(PODS, KEY, "token", {"spec": {"audiences": ["a"]}})
    assert answer == {"status": {"token": "t"}}
    (request,) = api.requests
    assert (request.method, request.path) == ("POST", f"{PATH}/token")


@in_virtual_time
async def test_a_read_is_tried_again_when_there_was_no_answer() -> None:
    api = ScriptedApi()
    api.put(PATH, pod("a"))
    api.faults.append(Failing(3, Unavailable("reset", is_outcome_known=False)))
    assert (await client_of(api).get(PODS, KEY)).metadata.name == "a"
    assert len(api.requests) == 4


@in_virtual_time
async def test_a_read_gives_up_after_a_few_attempts() -> None:
    api = ScriptedApi()
    api.faults.append(Failing(99, status(500, "InternalError")))
    with pytest.raises(Unavailable):
        await client_of(api).get(PODS, KEY)
    assert len(api.requests) == 5


@in_virtual_time
async def test_a_write_whose_outcome_is_unknown_is_not_repeated() -> None:
    for answer in (Unavailable("reset", is_outcome_known=False), status(500, "x"), status(503, "x")):
        api = ScriptedApi()
        api.faults.append(Failing(1, answer))
        with pytest.raises(Unavailable) as caught:
            await client_of(api).create(PODS, "default", pod("a"))
        assert not caught.value.is_outcome_known
        assert len(api.requests) == 1


@in_virtual_time
async def test_a_write_that_never_left_is_repeated() -> None:
    api = ScriptedApi()
    api.faults.append(Failing(2, Unavailable("refused", is_outcome_known=True)))
    await client_of(api).create(PODS, "default", pod("a"))
    assert len(api.requests) == 3


@in_virtual_time
async def test_a_busy_server_is_given_the_time_it_asks_for() -> None:
    api = ScriptedApi()
    api.faults.append(Failing(1, Response(429, b"", {"retry-after": "7"})))
    clock = LoopClock()
    await Client(api, clock, SeededEntropy()).create(PODS, "default", pod("a"))
    assert timedelta(seconds=7) <= clock.monotonic() <= timedelta(seconds=7 * 1.25 + 0.1)


@in_virtual_time
async def test_a_patch_that_tells_the_time_is_not_sent_again_later() -> None:
    api = ScriptedApi()
    api.faults.append(Failing(1, Response(429, b"", {"retry-after": "2"})))
    clock = LoopClock()
    patch = MergePatch({"metadata": {"annotations": {"since": "12:00"}}})
    with pytest.raises(TooManyRequests):
        await Client(api, clock, SeededEntropy()).patch(PODS, KEY, patch, may_retry=False)
    assert clock.monotonic() < timedelta(seconds=1)


@in_virtual_time
async def test_a_server_that_asks_for_minutes_is_left_to_the_queue() -> None:
    api = ScriptedApi()
    api.faults.append(Failing(1, Response(429, b"", {"retry-after": "120"})))
    with pytest.raises(TooManyRequests) as caught:
        await client_of(api).get(PODS, KEY)
    assert caught.value.retry_after == timedelta(minutes=2)
    assert asyncio.get_running_loop().time() < 1


@in_virtual_time
async def test_an_eviction_forbidden_by_a_budget_is_told_at_once() -> None:
    api = ScriptedApi()
    causes = [{"reason": "DisruptionBudget", "message": "needs 2 healthy pods"}]
    api.faults.append(Failing(1, status(429, "TooManyRequests", causes=causes, retryAfterSeconds=10)))
    with pytest.raises(TooManyRequests) as caught:
        await client_of(api).post(PODS, KEY, "eviction", {"metadata": {"name": "a"}})
    assert caught.value.has_cause("DisruptionBudget")
    assert len(api.requests) == 1


@in_virtual_time
async def test_a_collection_is_read_in_pages() -> None:
    api = ScriptedApi()
    for number in range(1203):
        api.put(f"/api/v1/namespaces/default/pods/p{number:04}", pod(f"p{number:04}"))
    items = await client_of(api).list_all(PODS, "default", label_selector="app=x")
    assert len({item.metadata.name for item in items}) == 1203
    assert len(api.requests) == 3
    assert all(("labelSelector", "app=x") in request.query for request in api.requests)


@in_virtual_time
async def test_the_rate_limit_lets_a_burst_through_and_then_keeps_the_pace() -> None:
    api = ScriptedApi()
    api.put(PATH, pod("a"))
    clock = LoopClock()
    client = Client(api, clock, SeededEntropy(), limit=RateLimit(clock, per_second=10, burst=5))
    await asyncio.gather(*(client.get(PODS, KEY) for _ in range(25)))
    assert timedelta(seconds=1.9) <= clock.monotonic() <= timedelta(seconds=2.1)
