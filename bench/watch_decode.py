"""What a watch event and a cached pod cost: `python bench/watch_decode.py`.

10,000 pods averaging 5.8 KiB come in as a watch-list over an in-process transport, then 50,000 events. Goals:
at most 40 µs per event (decode, share, cache, one index, one handler) and 60 MB for the cache. The process
needs nothing but itself; run it on a quiet machine and trust ratios more than the last fifth.
"""

import asyncio
import gc
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cafe.kernel import SystemClock, SystemEntropy
from cafe.kube.client import Client
from cafe.kube.indexes import by_controller
from cafe.kube.informer import Informer, Selection
from cafe.kube.objects import PODS
from cafe.kube.runtime import collector_held
from cafe.kube.transport import Request, Response, Stream

PODS_COUNT, EVENTS_COUNT = 10_000, 50_000
SIZE = 5_940
GOAL_MICROSECONDS, GOAL_MEGABYTES = 40, 60


def managed_fields(number: int) -> list[dict[str, Any]]:
    """Return what a real server keeps for each manager, and we skip."""
    fields = {f"f:field-{i}": {".": {}, "f:value": {}} for i in range(30)}
    return [{"manager": f"m{number % 3}", "operation": "Update", "fieldsV1": fields} for _ in range(2)]


def status(number: int, app: int, stamp: str) -> dict[str, Any]:
    """Return a running pod's status."""
    kinds = (
        "PodReadyToStartContainers",
        "Initialized",
        "InPlaceUpdateReady",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    )
    conditions = [
        {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": stamp} for kind in kinds
    ]
    return {
        "phase": "Running",
        "podIP": f"10.{number % 200}.{number % 250}.7",
        "hostIP": f"192.168.0.{number % 250}",
        "startTime": stamp,
        "conditions": conditions,
        "containerStatuses": [
            {
                "name": "main",
                "image": f"registry/app-{app}:v1",
                "imageID": f"registry/app-{app}@sha256:{app:064}",
                "containerID": f"containerd://{number:064}",
                "ready": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": stamp}},
            }
        ],
    }


def pod(number: int, version: int) -> dict[str, Any]:
    """A pod as a real cluster has it: most of it is nothing we read."""
    app, name = number // 50, f"app-{number // 50}-{number:05}"
    stamp = f"2026-01-01T{number % 24:02}:{version % 60:02}:00Z"
    owner = {
        "apiVersion": "v1",
        "kind": "Set",
        "name": f"app-{app}",
        "uid": f"owner-{app}",
        "controller": True,
    }
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": f"ns-{app % 20}",
            "uid": f"00000000-0000-4000-8000-{number:012}",
            "resourceVersion": str(version),
            "creationTimestamp": stamp,
            "labels": {
                "app": f"app-{app}",
                "revision": f"app-{app}-6d4cf56db6",
                "cell": f"cell-{number % 4}",
            },
            "annotations": {"cafe.sofastack.io/group": str(number % 5)},
            "ownerReferences": [owner],
            "managedFields": managed_fields(number),
        },
        "spec": {
            "nodeName": f"node-{number % 500}",
            "containers": [{"name": "main", "image": f"registry/app-{app}:v1", "env": []}],
            "readinessGates": [{"conditionType": "InPlaceUpdateReady"}],
        },
        "status": status(number, app, stamp),
    }
    padding = SIZE - len(json.dumps(body, separators=(",", ":")))
    body["spec"]["containers"][0]["env"] = [
        {"name": f"VARIABLE_{i}", "value": "x" * 30} for i in range(padding // 62)
    ]
    return body


def line(kind: str, body: dict[str, Any]) -> bytes:
    """Return one watch event."""
    return json.dumps({"type": kind, "object": body}, separators=(",", ":")).encode()


def bookmark(version: int) -> bytes:
    """Return the end of the initial events."""
    meta = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
    return line("BOOKMARK", {"metadata": meta, "spec": {"containers": None}})


class Played:
    """A transport that plays lines, and then stays silent. A thousand distinct events are played in turn."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.go = asyncio.Event()
        self.ended = asyncio.Event()

    async def send(self, request: Request) -> Response:
        """Nothing but the watch is asked for."""
        raise AssertionError(request.path)

    @asynccontextmanager
    async def stream(self, _: Request) -> AsyncIterator[Stream]:
        """Play."""
        yield Stream(200, {}, self._lines())

    async def _lines(self) -> AsyncIterator[bytes]:
        with (self._directory / "initial").open("rb") as file:
            for number, one in enumerate(file):
                yield one
                if number % 100 == 0:
                    await asyncio.sleep(0)
        await self.go.wait()
        with (self._directory / "events").open("rb") as file:
            for number, one in enumerate(file):
                yield one
                if number % 100 == 0:
                    await asyncio.sleep(0)
        self.ended.set()
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing to close."""


def resident() -> float:
    """Megabytes of the process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def write_lines(directory: Path) -> float:
    """Prepare the lines, in another process's memory. Returns the mean size of a pod in KiB."""
    size = 0
    with (directory / "initial").open("wb") as file:
        for number in range(PODS_COUNT):
            one = line("ADDED", pod(number, number + 1))
            size += len(one)
            file.write(one + b"\n")
        file.write(bookmark(PODS_COUNT) + b"\n")
    with (directory / "events").open("wb") as file:
        for number in range(EVENTS_COUNT):
            file.write(line("MODIFIED", pod(number * 7919 % PODS_COUNT, PODS_COUNT + number + 1)) + b"\n")
    return size / PODS_COUNT / 1024


async def measure(directory: Path) -> tuple[float, ...]:
    """Return MB before and after the events, µs per initial pod and per event, ms of a full collection."""
    clock = SystemClock()
    transport = Played(directory)
    informer = Informer(Client(transport, clock, SystemEntropy()), Selection(PODS))
    informer.cache.add_index("owner", by_controller)
    told = 0

    def tell(_: object, __: object) -> None:
        nonlocal told
        told += 1

    informer.cache.on_change(tell)
    gc.collect()
    before, start = resident(), time.process_time()
    async with collector_held():
        task = asyncio.create_task(informer.run())
        await informer.cache.wait_synced()
    initial = (time.process_time() - start) / PODS_COUNT * 1e6
    megabytes = resident() - before
    start = time.process_time()
    transport.go.set()
    await transport.ended.wait()
    each = (time.process_time() - start) / EVENTS_COUNT * 1e6
    later = resident() - before
    assert told == PODS_COUNT + EVENTS_COUNT, told
    gc.unfreeze()
    start = time.process_time()
    gc.collect()
    full = (time.process_time() - start) * 1e3
    task.cancel()
    await asyncio.wait([task])
    return megabytes, later, initial, each, full


def main() -> None:
    """Measure in this process; the lines are written by a child, so that its memory is not counted."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            kib = pool.apply(write_lines, (directory,))
        megabytes, later, initial, each, full = asyncio.run(measure(directory))
    print(f"pods                  {PODS_COUNT:>8,} of {kib:.1f} KiB; {EVENTS_COUNT:,} events")
    print(f"initial pod           {initial:>8.1f} µs")
    print(f"watch event           {each:>8.1f} µs   goal {GOAL_MICROSECONDS}")
    print(f"cache                 {megabytes:>8.1f} MB   goal {GOAL_MEGABYTES}")
    print(f"after the events      {later:>8.1f} MB")
    print(f"full collection       {full:>8.1f} ms")


if __name__ == "__main__":
    main()
