"""How Envoys hear of their endpoints: by a discovery service over REST (xDS v3), or by files that they watch.

    Envoy ── POST /v3/discovery:endpoints {version_info, resource_names, node} ──▶ held until there is news
          ◀── DiscoveryResponse ─────────────────────────────────────────────┘

A cluster of which nothing is known here is not answered for: Envoys keep what they have. So a controller that
has just begun to lead takes nothing from anybody.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from cafe.traffic.adapters.endpointsets import ASSIGNMENT, Endpoints, version_of

HOLD = 20.0
"""Seconds for which a request is held if there is nothing new; clusters need a longer `request_timeout`."""

PATH = "/v3/discovery:endpoints"


class Delivery(Protocol):
    """Brings endpoints to the Envoys of one provider."""

    def get(self, cluster: str) -> Endpoints | None:
        """Return what was told of a cluster; None if nothing was yet."""

    def put(self, endpoints: Endpoints) -> None:
        """Tell a cluster's endpoints."""


class Discovery:
    """A discovery service for any number of providers, told apart by the `cluster` of an Envoy's node."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, Endpoints]] = {}
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False

    def close(self) -> None:
        """Answer all requests that are held, and hold none any more."""
        self._is_over = True
        self._notify()

    def of(self, provider: str) -> Delivery:
        """Return the delivery to the Envoys of a provider."""
        return _Served(self._told.setdefault(provider, {}), self._notify)

    def application(self) -> web.Application:
        """Return what serves it."""
        app = web.Application()
        app.add_routes([web.post(PATH, self._discover)])
        return app

    def _notify(self) -> None:
        async def wake() -> None:
            async with self._changed:
                self._changed.notify_all()

        task = asyncio.ensure_future(wake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _discover(self, request: web.Request) -> web.Response:
        try:
            asked = json.loads(await request.read())
            names = [str(name) for name in asked.get("resource_names") or ()]
            provider = str((asked.get("node") or {}).get("cluster", ""))
        except (ValueError, AttributeError, TypeError):
            return web.json_response({"code": 400, "message": "no DiscoveryRequest"}, status=400)
        known = str(asked.get("version_info") or "")
        answer = await self._newer(provider, names, known)
        return web.json_response(answer) if answer is not None else web.Response(status=304)

    async def _newer(self, provider: str, names: Sequence[str], known: str) -> dict[str, Any] | None:
        """Return an answer that differs from the version *known*, or None if there is none for a while."""

        def is_newer() -> bool:
            return self._is_over or (
                bool(found := self._found(provider, names)) and version_of(found) != known
            )

        try:
            async with asyncio.timeout(HOLD), self._changed:
                await self._changed.wait_for(is_newer)
        except TimeoutError:
            return None
        if self._is_over:
            return None
        found = self._found(provider, names)
        resources = [one.assignment() for one in found]
        return {"version_info": version_of(found), "resources": resources, "type_url": ASSIGNMENT}

    def _found(self, provider: str, names: Sequence[str]) -> list[Endpoints]:
        told = self._told.get(provider, {})
        return [told[name] for name in names or sorted(told) if name in told]


class _Served:
    """The delivery of one provider by the service."""

    def __init__(self, told: dict[str, Endpoints], notify: Callable[[], None]) -> None:
        self._told = told
        self._notify = notify

    def get(self, cluster: str) -> Endpoints | None:
        """Return what was told of a cluster."""
        return self._told.get(cluster)

    def put(self, endpoints: Endpoints) -> None:
        """Tell a cluster's endpoints."""
        if self._told.get(endpoints.cluster) != endpoints:
            self._told[endpoints.cluster] = endpoints
            self._notify()


class Files:
    """A file for each cluster in a directory that all Envoys of a provider watch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: dict[str, Endpoints] = {}

    def get(self, cluster: str) -> Endpoints | None:
        """Return what was told of a cluster."""
        return self._told.get(cluster)

    def put(self, endpoints: Endpoints) -> None:
        """Write a cluster's file: whole, and moved into its place, as Envoy asks for.

        Raises:
            OSError: It can't be written.
        """
        if self._told.get(endpoints.cluster) == endpoints:
            return
        body = {"version_info": endpoints.version, "resources": [endpoints.assignment()]}
        with tempfile.NamedTemporaryFile(
            "w", dir=self._folder, prefix=".cafe-", suffix=".json", delete=False
        ) as written:
            json.dump(body, written)
        path = Path(written.name)
        path.chmod(0o644)
        path.replace(self._folder / f"{endpoints.cluster}.json")
        self._told[endpoints.cluster] = endpoints


@asynccontextmanager
async def serving_discovery(discovery: Discovery, bind: str, port: int) -> AsyncIterator[int]:
    """Serve; yields the port, which is chosen free if *port* is 0."""
    runner = web.AppRunner(discovery.application(), access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, bind, port).start()
        yield int(runner.addresses[0][1])
    finally:
        discovery.close()
        await runner.cleanup()
