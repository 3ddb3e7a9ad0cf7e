"""Where cases run: the simulated API server, in this process or over HTTPS, and a real one."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from cafe.kernel import SystemClock, SystemEntropy
from cafe.kube.http import HttpTransport
from cafe.kube.kubeconfig import load_kubeconfig
from cafe.kube.transport import Request, Transport
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.certificates import make_certificates
from cafe_sim.apiserver.context import User
from cafe_sim.apiserver.http import Listen, serve, stop_serving
from cafe_sim.apiserver.steps import WebhookCall, WebhookFailure, WebhookReply
from cafe_sim.cluster import ClusterOptions, SimCluster
from cafe_sim.controllers.autoscaler_metrics import Autoscaling
from cafe_sim.timeline import LoopTimeline
from cafe_sim.transport import SimTransport
from tests.ports.backend import Case, Hook, Hooks, Json, World

CASE_LIMIT = timedelta(seconds=40)
AT_ONCE = 12
QUICK = Autoscaling(
    sync_period=timedelta(milliseconds=20),
    cpu_initialization_period=timedelta(),
    initial_readiness_delay=timedelta(),
)
"""As the real control plane of the tests is told, but for the period: there it is a second."""
Outcomes = Mapping[str, Exception | None]


class LocalHooks:
    """Webhooks that are functions of this process, behind addresses that nobody listens on."""

    def __init__(self) -> None:
        self._answers: dict[str, Hook] = {}

    def add(self, answer: Hook) -> Json:
        url = f"https://127.0.0.1:1/{len(self._answers)}"
        self._answers[url] = answer
        return {"url": url}

    def __call__(self, call: WebhookCall) -> WebhookReply:
        answer = self._answers.get(call.client.get("url", ""))
        if answer is not None:
            return _review(answer, call.review)
        return WebhookFailure(f'Post "{call.client.get("url")}": connection refused')


class NetworkHooks:
    """Webhooks on a loopback port, with a certificate of their own."""

    def __init__(self, url: str, authority: bytes) -> None:
        self._url = url
        self._bundle = base64.b64encode(authority).decode()
        self._answers: dict[str, Hook] = {}

    def add(self, answer: Hook) -> Json:
        path = f"/{len(self._answers)}"
        self._answers[path] = answer
        return {"url": f"{self._url}{path}", "caBundle": self._bundle}

    async def serve(self, request: web.Request) -> web.Response:
        return web.json_response(_review(self._answers[request.path], await request.json()))


def _review(answer: Hook, review: Mapping[str, Any]) -> Json:
    request = review["request"]
    response = {"uid": request["uid"], **answer(request)}
    return {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}


@asynccontextmanager
async def network_hooks(folder: Path) -> AsyncIterator[NetworkHooks]:
    """Listen for webhook calls until the context is left."""
    made = make_certificates(("127.0.0.1",), SystemClock().now())
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    late: list[NetworkHooks] = []

    async def answer(request: web.Request) -> web.Response:
        return await late[0].serve(request)

    app.router.add_post("/{path:.*}", answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=made.context(folder)).start()
    late.append(NetworkHooks(f"https://127.0.0.1:{runner.addresses[0][1]}", made.authority))
    try:
        yield late[0]
    finally:
        await stop_serving(runner)


@asynccontextmanager
async def simulated() -> AsyncIterator[tuple[Transport, Hooks]]:
    """A simulated cluster without nodes, in this process."""
    hooks, entropy = LocalHooks(), SystemEntropy()
    timeline = LoopTimeline(SystemClock())
    server = ApiServer(timeline, entropy, ask=hooks)
    cluster = SimCluster(server, timeline, entropy, ClusterOptions(autoscaling=QUICK))
    cluster.start()
    transport = SimTransport(server)
    try:
        yield transport, hooks
    finally:
        await transport.close()
        cluster.stop()


@asynccontextmanager
async def simulated_over_https(folder: Path) -> AsyncIterator[tuple[Transport, Hooks]]:
    """The same, on a port, spoken to as a real server is."""
    entropy = SystemEntropy()
    timeline = LoopTimeline(SystemClock())
    server = ApiServer(timeline, entropy)
    cluster = SimCluster(server, timeline, entropy, ClusterOptions(autoscaling=QUICK))
    keys = folder / "keys"
    keys.mkdir()
    async with AsyncExitStack() as stack:
        hooks = await stack.enter_async_context(network_hooks(folder))
        listen = Listen(folder=keys, tokens={entropy.uid(): User()})
        address = await stack.enter_async_context(serve(server, listen))
        cluster.start()
        stack.callback(cluster.stop)
        address.write_kubeconfig(folder / "kubeconfig")
        yield await stack.enter_async_context(reached(folder / "kubeconfig")), hooks


@asynccontextmanager
async def real(kubeconfig: Path, folder: Path) -> AsyncIterator[tuple[Transport, Hooks]]:
    """A real control plane."""
    async with network_hooks(folder) as hooks, reached(kubeconfig) as transport:
        yield transport, hooks


@asynccontextmanager
async def reached(kubeconfig: Path) -> AsyncIterator[Transport]:
    """A way to the server of a kubeconfig."""
    transport = HttpTransport(load_kubeconfig([kubeconfig]).access(SystemClock()))
    try:
        yield transport
    finally:
        await transport.close()


@asynccontextmanager
async def fresh_world(transport: Transport, hooks: Hooks) -> AsyncIterator[World]:
    """A namespace of its own, which is deleted afterwards."""
    name = f"ports-{SystemEntropy().suffix(8)}"
    world = World(transport, name, hooks)
    answer = await world.post("/api/v1/namespaces", {"metadata": {"name": name}})
    assert answer.status == 201, answer.body
    # Without its service account no pod is admitted.
    await world.until(world.path("serviceaccounts", "default"), lambda found: found.status == 200)
    # It comes at a time of its own, into whatever watches ConfigMaps.
    await world.until(world.path("configmaps", "kube-root-ca.crt"), lambda found: found.status == 200)
    try:
        yield world
    finally:
        await world.finish()
        await transport.send(Request("DELETE", f"/api/v1/namespaces/{name}"))


async def run_case(case: Case, transport: Transport, hooks: Hooks) -> None:
    """Run *case* in a world of its own."""
    async with asyncio.timeout(CASE_LIMIT.total_seconds()), fresh_world(transport, hooks) as world:
        await case(world)


async def run_cases(cases: Sequence[tuple[str, Case]], transport: Transport, hooks: Hooks) -> Outcomes:
    """Run *cases* side by side; return what went wrong in each."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> Exception | None:
        async with gate:
            try:
                await run_case(case, transport, hooks)
            except Exception as error:  # noqa: BLE001 -- each test raises its own
                return error
        return None

    found = await asyncio.gather(*(one(case) for _, case in cases))
    return {name: error for (name, _), error in zip(cases, found, strict=True)}
