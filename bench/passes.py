"""What one pass over a set costs when one of its pods has changed: `python -m bench.passes`.

No API server: the caches are filled by hand, and whatever is written is answered at once.
"""

import argparse
import asyncio
import cProfile
import json
import pstats
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from statistics import median
from typing import Any, Final

import msgspec

from bench.machine import machine
from cafe.api.inplaceset import InPlaceSet
from cafe.api.names import API_VERSION, REVISION_LABEL, UPDATE_GATE
from cafe.api.shapes import Metadata
from cafe.kernel import ObjectKey, SystemClock, SystemEntropy
from cafe.kube.caches import Caches
from cafe.kube.client import Client
from cafe.kube.objects import CONTROLLER_REVISIONS, PODS
from cafe.kube.transport import Request, Response, Stream
from cafe.workloads.adapters.sets import KubeSets
from cafe.workloads.adapters.watched import IN_PLACE_SETS, Watched
from cafe.workloads.domain.release import Note
from cafe.workloads.domain.revisions import hash_of
from cafe.workloads.reconcilers.inplacesets import InPlaceSetReconciler

KEY: Final = ObjectKey("bench", "web")
OWNER: Final = {
    "apiVersion": API_VERSION,
    "kind": "InPlaceSet",
    "name": "web",
    "uid": "set",
    "controller": True,
}
TEMPLATE: Final = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "app", "image": "app:v1"}]},
}
PASSES: Final = 30


class Agreeing:
    """A server that keeps nothing and agrees to everything."""

    def __init__(self) -> None:
        self.writes = 0

    async def send(self, request: Request) -> Response:
        """Answer a status write with a set."""
        self.writes += request.method != "GET"
        return Response(200, json.dumps(in_place_set(0)).encode(), {})

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Nobody watches."""
        raise NotImplementedError(request.path)
        yield

    async def close(self) -> None:
        """Nothing is open."""


class Silent:
    """Keeps events to itself."""

    def tell(self, kind: str, regarding: Metadata, note: Note) -> None:
        """Say nothing."""


def in_place_set(replicas: int) -> dict[str, Any]:
    """Return the set."""
    return {
        "metadata": {
            "name": "web",
            "namespace": "bench",
            "uid": "set",
            "resourceVersion": "1",
            "generation": 1,
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": TEMPLATE,
            "strategy": {"partition": replicas},
        },
    }


def pod(number: int, version: int, *, is_ready: bool = True) -> dict[str, Any]:
    """Return a pod of the set at its update revision."""
    since = "2026-01-01T00:00:00Z"
    ready = {"type": "Ready", "status": str(is_ready), "lastTransitionTime": since}
    gate = {"type": UPDATE_GATE, "status": "True", "lastTransitionTime": since}
    status = {"name": "app", "imageID": "sha256:1", "containerID": f"c://{number}", "ready": is_ready}
    return {
        "metadata": {
            "name": f"web-{number:05}",
            "namespace": "bench",
            "uid": f"pod-{number}",
            "resourceVersion": str(version),
            "labels": {"app": "web", REVISION_LABEL: revision_hash()},
            "ownerReferences": [OWNER],
            "creationTimestamp": since,
        },
        "spec": {"nodeName": f"node-{number % 500}", "containers": TEMPLATE["spec"]["containers"]},
        "status": {
            "phase": "Running",
            "conditions": [ready, gate],
            "containerStatuses": [{**status, "state": {"running": {"startedAt": since}}}],
        },
    }


def stored_template() -> dict[str, Any]:
    """Return the template as the API would hold it, defaults included."""
    parsed = msgspec.convert(in_place_set(1), InPlaceSet)
    found: dict[str, Any] = msgspec.to_builtins(parsed.spec.template)
    return found


def revision_hash() -> str:
    """Return the hash of the set's revision."""
    return hash_of(stored_template(), 0)


class Scene:
    """A set with its pods in the caches, and its reconciler."""

    def __init__(self, replicas: int) -> None:
        clock = SystemClock()
        self.server = Agreeing()
        client = Client(self.server, clock, SystemEntropy())
        caches = Caches(client)
        watched = Watched(caches, clock)
        self.pods = caches.cache(PODS)
        self.reconciler = InPlaceSetReconciler(KubeSets(client, watched, clock, Silent()), clock)
        watched.sets.apply(KEY, msgspec.convert(in_place_set(replicas), IN_PLACE_SETS.type))
        body = {
            "metadata": {
                "name": f"web-{revision_hash()}",
                "namespace": "bench",
                "uid": "revision",
                "resourceVersion": "1",
                "labels": {REVISION_LABEL: revision_hash()},
                "ownerReferences": [OWNER],
            },
            "data": {"spec": {"template": stored_template()}},
            "revision": 1,
        }
        revision = msgspec.convert(body, CONTROLLER_REVISIONS.type)
        watched.revisions.apply(ObjectKey("bench", f"web-{revision_hash()}"), revision)
        for number in range(replicas):
            self.change(number, 1)

    def change(self, number: int, version: int, *, is_ready: bool = True) -> None:
        """Let the watch tell of a pod."""
        body = pod(number, version, is_ready=is_ready)
        self.pods.apply(ObjectKey("bench", body["metadata"]["name"]), msgspec.convert(body, PODS.type))

    async def passes(self) -> list[timedelta]:
        """Time passes, each after one pod's change."""
        clock, took = SystemClock(), []
        await self.reconciler.reconcile(KEY)
        for number in range(PASSES):
            self.change(7, number + 2, is_ready=bool(number % 2))
            start = clock.monotonic()
            await self.reconciler.reconcile(KEY)
            took.append(clock.monotonic() - start)
        return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true", help="show where the time of 10,000 pods goes")
    options = parser.parse_args()
    print(machine())
    for replicas in (10, 100, 1000, 10_000):
        took = asyncio.run(Scene(replicas).passes())
        best, middle = (f"{1000 * t.total_seconds():7.2f} ms" for t in (min(took), median(took)))
        print(f"{replicas:6} pods, one changed: a pass takes {middle} (best {best})")
    if options.profile:
        with cProfile.Profile() as profile:
            asyncio.run(Scene(10_000).passes())
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
