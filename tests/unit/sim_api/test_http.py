import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from cafe.kernel import SystemClock, SystemEntropy
from cafe.kube.http import HttpTransport
from cafe.kube.kubeconfig import load_kubeconfig
from cafe.kube.transport import Request
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.context import User
from cafe_sim.apiserver.http import Address, Listen, serve
from cafe_sim.timeline import LoopTimeline
from tests.ports.objects import config_map
from tests.worlds.clock import eventually

PATH = "/api/v1/namespaces/default/configmaps"
WITHIN = timedelta(seconds=10)
pytestmark = pytest.mark.slow


@pytest.fixture
async def server() -> ApiServer:
    return ApiServer(LoopTimeline(SystemClock()), SystemEntropy())


@pytest.fixture
async def address(server: ApiServer, tmp_path: Path) -> AsyncIterator[Address]:
    tokens = {"right": User("alice", ("system:authenticated",))}
    async with serve(server, Listen(folder=tmp_path, tokens=tokens)) as address:
        yield address


async def _transport(address: Address, path: Path) -> HttpTransport:
    address.write_kubeconfig(path)
    return HttpTransport(load_kubeconfig([path]).access(SystemClock()))


async def test_our_own_transport_speaks_to_it_over_tls(address: Address, tmp_path: Path) -> None:
    transport = await _transport(address, tmp_path / "config")
    made = await transport.send(Request("POST", PATH, body=json.dumps(config_map("a")).encode()))
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    who = await transport.send(
        Request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=json.dumps(review).encode())
    )
    await transport.close()
    assert made.status == 201
    assert json.loads(who.body)["status"]["userInfo"]["username"] == "alice"


async def test_a_wrong_token_is_unauthorized(address: Address, tmp_path: Path) -> None:
    transport = await _transport(Address(address.url, address.authority, "wrong"), tmp_path / "config")
    answer = await transport.send(Request("GET", PATH))
    await transport.close()
    assert (answer.status, json.loads(answer.body)["reason"]) == (401, "Unauthorized")


async def test_a_wish_for_aggregated_discovery_is_answered_with_the_plain_one(
    address: Address, tmp_path: Path
) -> None:
    wish = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    transport = await _transport(address, tmp_path / "config")
    for path, kind in (("/api", "APIVersions"), ("/apis", "APIGroupList")):
        answer = await transport.send(Request("GET", path, accept=wish))
        assert (answer.status, json.loads(answer.body)["kind"]) == (200, kind)
    await transport.close()


async def test_a_client_that_goes_frees_its_watch(
    server: ApiServer, address: Address, tmp_path: Path
) -> None:
    transport = await _transport(address, tmp_path / "config")
    table = server.store.table("configmaps")
    async with transport.stream(Request("GET", PATH, (("watch", "true"),))) as stream:
        server.create("configmaps", "default", config_map("a"))
        async for line in stream.lines:
            assert json.loads(line)["object"]["metadata"]["name"] == "a"
            break
        assert table.listeners == 1

    await eventually(lambda: table.listeners == 0, WITHIN)
    await transport.close()


async def test_a_webhook_is_called_over_the_network(
    server: ApiServer, address: Address, tmp_path: Path
) -> None:
    async def refuse(request: web.Request) -> web.Response:
        asked = (await request.json())["request"]
        response = {"uid": asked["uid"], "allowed": False, "status": {"message": f"no {asked['name']}"}}
        return web.json_response({"response": response})

    app = web.Application()
    app.router.add_post("/", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook = {
        "name": "hook.cafe.test",
        "clientConfig": {"url": f"http://127.0.0.1:{runner.addresses[0][1]}/"},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}
        ],
    }
    kind = "validatingwebhookconfigurations.admissionregistration.k8s.io"
    server.create(kind, "", {"metadata": {"name": "hooks"}, "webhooks": [hook]})
    transport = await _transport(address, tmp_path / "config")
    request = Request("POST", PATH, body=json.dumps(config_map("a")).encode())
    refused = await transport.send(request)
    await runner.cleanup()
    unreachable = await transport.send(request)
    await transport.close()
    assert refused.status == 400
    assert b'admission webhook \\"hook.cafe.test\\" denied the request: no a' in refused.body
    assert unreachable.status == 500
    assert b'failed calling webhook \\"hook.cafe.test\\"' in unreachable.body


async def test_it_ends_connections_to_peers_that_do_not_say_goodbye(
    server: ApiServer, tmp_path: Path
) -> None:
    async with serve(server, Listen(folder=tmp_path)) as address:
        assert address.authority is not None
        context = ssl.create_default_context(cadata=address.authority.decode())
        port = int(address.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(b"GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await reader.readline()
        writer.transport.pause_reading()  # type: ignore[attr-defined] -- a transport that reads
        assert _sockets_of(port) == 1

    left = _sockets_of(port)
    writer.transport.abort()
    assert left == 0


def _sockets_of(port: int) -> int:
    """How many connections this process has accepted on *port*."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            copy = socket.socket(fileno=os.dup(int(entry.name)))
        except OSError:
            continue  # Not a socket, or gone: the listing itself was one.
        with copy:
            if copy.type == socket.SOCK_STREAM and copy.family == socket.AF_INET:
                is_accepted = not copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                count += is_accepted and copy.getsockname()[1] == port
    return count
