"""Events say what happened, once, and never hold anybody up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cafe.kernel import Unavailable
from cafe.kube.client import Client
from cafe.kube.events import EventRecorder, News
from cafe.kube.objects import ObjectReference
from tests.worlds.clock import LoopClock, SeededEntropy, eventually, in_virtual_time
from tests.worlds.scripted_api import ScriptedApi

SET = ObjectReference(kind="InPlaceSet", namespace="shop", name="web", uid="u1")


@asynccontextmanager
async def recording(api: ScriptedApi) -> AsyncIterator[EventRecorder]:
    client = Client(api, LoopClock(), SeededEntropy())
    recorder = EventRecorder(client, "cafe.sofastack.io/inplaceset", "me")
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.wait([task])


def written(api: ScriptedApi) -> list[dict[str, Any]]:
    return list(api.objects.values())


@in_virtual_time
async def test_an_event_names_what_when_and_who() -> None:
    api = ScriptedApi()
    async with recording(api) as recorder:
        recorder.record(News(SET, "GroupDone", "Group 2 is done", "Warning", "Update"))
        await eventually(lambda: recorder.is_idle)
    (event,) = written(api)
    assert event["regarding"] == {"kind": "InPlaceSet", "namespace": "shop", "name": "web", "uid": "u1"}
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "GroupDone", "Update")
    assert event["note"] == "Group 2 is done"
    assert event["eventTime"] == "2026-01-01T00:00:00.000000Z"
    assert event["reportingController"] == "cafe.sofastack.io/inplaceset"
    assert "series" not in event
    assert event["metadata"]["namespace"] == "shop"


@in_virtual_time
async def test_the_same_news_again_raises_a_count() -> None:
    api = ScriptedApi()
    async with recording(api) as recorder:
        for _ in range(5):
            recorder.record(News(SET, "Waiting", "It waits"))
            await asyncio.sleep(30)
        recorder.record(News(SET, "Waiting", "It waits for something else"))
        await asyncio.sleep(1)
    first, second = written(api)
    assert first["series"]["count"] == 5
    assert "series" not in second


@in_virtual_time
async def test_news_that_repeats_before_it_is_written_is_written_once() -> None:
    api = ScriptedApi()
    async with recording(api) as recorder:
        for _ in range(100):
            recorder.record(News(SET, "Waiting", "It waits"))
        await eventually(lambda: recorder.is_idle)
    (event,) = written(api)
    assert event["series"]["count"] == 100
    assert len(api.requests) == 1


@in_virtual_time
async def test_old_news_begins_a_new_series() -> None:
    api = ScriptedApi()
    async with recording(api) as recorder:
        recorder.record(News(SET, "Waiting", "It waits"))
        await asyncio.sleep(3600)
        recorder.record(News(SET, "Waiting", "It waits"))
        await asyncio.sleep(1)
    assert len(written(api)) == 2


@in_virtual_time
async def test_an_event_that_expired_on_the_server_is_written_anew() -> None:
    api = ScriptedApi()
    async with recording(api) as recorder:
        recorder.record(News(SET, "Waiting", "It waits"))
        await asyncio.sleep(60)
        api.objects.clear()
        recorder.record(News(SET, "Waiting", "It waits"))
        await asyncio.sleep(1)
    (event,) = written(api)
    assert event["series"]["count"] == 2


@in_virtual_time
async def test_a_server_that_is_away_costs_events_and_no_time() -> None:
    api = ScriptedApi()
    api.faults.append(lambda _: Unavailable("away", is_outcome_known=False))
    async with recording(api) as recorder:
        for number in range(5000):
            recorder.record(News(SET, "Waiting", f"It waits {number}"))
        await eventually(lambda: recorder.is_idle)
        assert len(api.requests) <= 513
        api.faults.clear()
        recorder.record(News(SET, "Done", "It is done"))
        await eventually(lambda: recorder.is_idle)
    assert [event["reason"] for event in written(api)] == ["Done"]
