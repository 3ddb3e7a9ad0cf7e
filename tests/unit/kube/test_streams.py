"""Watches and logs through the client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from cafe.kernel import ObjectKey, Unavailable
from cafe.kube.client import Client
from cafe.kube.codec import Changed
from cafe.kube.errors import Expired, Invalid
from cafe.kube.objects import PODS
from cafe.kube.transport import Request, Stream
from cafe.kube.watching import Bookmark, WatchOptions
from cafe.observe.metrics import ClientMetrics
from tests.worlds.clock import LoopClock, SeededEntropy, in_virtual_time
from tests.worlds.scripted_api import CUT, END, ScriptedApi, pod

WATCH_LIST = WatchOptions(initial_events=True, lasting=timedelta(minutes=5), label_selector="app=x")


def client_of(api: ScriptedApi) -> Client:
    return Client(api, LoopClock(), SeededEntropy())


@in_virtual_time
async def test_a_watch_yields_typed_events_until_the_server_ends_it() -> None:
    api = ScriptedApi()
    api.put("/api/v1/pods/a", pod("a"))
    async with client_of(api).watch(PODS, None, WATCH_LIST) as watch:
        asyncio.get_running_loop().call_later(1, api.say, END)
        events = [event async for event in watch]
    first, second = events
    assert isinstance(first, Changed)
    assert (first.type, first.object.metadata.name) == ("ADDED", "a")
    assert second == Bookmark(str(api.version), ends_initial=True)
    assert api.watches == []
    assert dict(api.requests[0].query) == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "timeoutSeconds": "300",
        "labelSelector": "app=x",
    }


@in_virtual_time
async def test_a_watch_from_a_forgotten_version_is_expired() -> None:
    api = ScriptedApi()
    api.compact()
    async with client_of(api).watch(PODS, None, WatchOptions(resource_version="7")) as watch:
        with pytest.raises(Expired):
            await anext(aiter(watch))


@in_virtual_time
async def test_a_watch_that_breaks_says_so() -> None:
    api = ScriptedApi()
    async with client_of(api).watch(PODS) as watch:
        api.say(CUT)
        with pytest.raises(Unavailable):
            await anext(aiter(watch))


@in_virtual_time
async def test_a_refused_watch_is_counted_and_raised_as_what_it_is() -> None:
    api = ScriptedApi()
    api.knows_watch_list = False
    registry = CollectorRegistry()
    client = Client(api, LoopClock(), SeededEntropy(), metrics=ClientMetrics(registry))
    with pytest.raises(Invalid, match="sendInitialEvents"):
        async with client.watch(PODS, None, WATCH_LIST):
            pytest.fail("it was refused")
    labels = {"verb": "WATCH", "resource": "pods", "code": "422"}
    assert registry.get_sample_value("cafe_api_requests_total", labels) == 1


class Talking(ScriptedApi):
    """A server whose pods say two lines."""

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        self.requests.append(request)

        async def lines() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        yield Stream(200, {}, lines())


@in_virtual_time
async def test_a_log_comes_line_by_line() -> None:
    api = Talking()
    key = ObjectKey("default", "a")
    async with client_of(api).logs(PODS, key, (("container", "main"), ("tailLines", "2"))) as lines:
        assert [line async for line in lines] == [b"one", b"two"]
    assert api.requests[0].path == "/api/v1/namespaces/default/pods/a/log"
    assert api.requests[0].query == (("container", "main"), ("tailLines", "2"))
