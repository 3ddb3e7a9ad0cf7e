"""The transport on real sockets of the loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web

from cafe.kernel import Unavailable
from cafe.kube.access import Access, Tls
from cafe.kube.credentials import Credential, FixedCredential
from cafe.kube.http import HttpTransport
from cafe.kube.transport import Request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[HttpTransport]:
    runner = web.ServerRunner(web.Server(handler, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    transport = HttpTransport(
        Access(f"http://{host}:{port}", Tls(), FixedCredential(Credential("secret"))),
    )
    try:
        yield transport
    finally:
        await transport.close()
        await runner.cleanup()


async def streaming(request: web.Request, *pieces: bytes) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
        await asyncio.sleep(0)
    return response


async def test_a_request_goes_out_as_described() -> None:
    seen: list[tuple[str, str, str, str, bytes]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        headers = request.headers
        seen.append(
            (
                request.method,
                request.raw_path,
                headers["Authorization"],
                headers["Content-Type"],
                await request.read(),
            )
        )
        return web.json_response({"x": 1}, status=201, headers={"Retry-After": "3"})

    async with serving(handler) as transport:
        query = (("labelSelector", "a in (b,c)"), ("x", "1"), ("x", "2"))
        request = Request("PATCH", "/api/v1/a%2Fb", query, b"{}", "application/merge-patch+json")
        response = await transport.send(request)
    assert response.status == 201
    assert response.headers["retry-after"] == "3"
    assert response.body == b'{"x": 1}'
    path = "/api/v1/a%2Fb?labelSelector=a+in+%28b%2Cc%29&x=1&x=2"
    assert seen == [("PATCH", path, "Bearer secret", "application/merge-patch+json", b"{}")]


async def test_a_line_may_be_of_any_length_and_come_in_any_pieces() -> None:
    long = b"x" * 3_000_000

    async def handler(request: web.Request) -> web.StreamResponse:
        return await streaming(request, b"a\nb", b"c\n", long[:1000], long[1000:], b"\n", b"\nlast")

    async with serving(handler) as transport, transport.stream(Request("GET", "/")) as stream:
        lines = [line async for line in stream.lines]
    assert lines == [b"a", b"bc", long, b"", b"last"]


async def test_a_connection_that_breaks_in_a_line_is_no_answer() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await streaming(request, b'{"a":1}\n{"b"')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(handler) as transport, transport.stream(Request("GET", "/")) as stream:
        assert await anext(stream.lines) == b'{"a":1}'
        with pytest.raises(Unavailable):
            await anext(stream.lines)


async def test_requests_do_not_starve_behind_many_watches() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/watch":
            response = await streaming(request, b"{}\n")
            await asyncio.Event().wait()
            return response
        return web.Response(text="ok")

    async with serving(handler) as transport:
        watches = [transport.stream(Request("GET", "/watch")) for _ in range(80)]
        streams = [await watch.__aenter__() for watch in watches]
        answers = await asyncio.gather(*(transport.send(Request("GET", "/get")) for _ in range(100)))
        assert [answer.status for answer in answers] == [200] * 100
        assert len(streams) == 80
        for watch in watches:
            await watch.__aexit__(None, None, None)


async def test_a_request_that_never_left_is_known_to_have_done_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        access = Access(f"http://127.0.0.1:{port}", Tls(), FixedCredential(Credential()))
        transport = HttpTransport(access)
        with pytest.raises(Unavailable) as caught:
            await transport.send(Request("POST", "/", body=b"{}"))
        assert caught.value.is_outcome_known
        await transport.close()


async def test_a_request_without_an_answer_may_have_done_something() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/slow":
            await asyncio.Event().wait()
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(handler) as transport:
        for path in ("/slow", "/reset"):
            request = Request("POST", path, body=b"{}", timeout=timedelta(milliseconds=100))
            with pytest.raises(Unavailable) as caught:
                await transport.send(request)
            assert not caught.value.is_outcome_known


async def test_a_stream_outlives_the_timeout_of_its_beginning() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = await streaming(request, b"first\n")
        begun.set()
        await go.wait()
        await response.write(b"last\n")
        return response

    async with serving(handler) as transport:
        request = Request("GET", "/", timeout=timedelta(milliseconds=50))
        async with transport.stream(request) as stream:
            assert await anext(stream.lines) == b"first"
            await begun.wait()
            asyncio.get_running_loop().call_later(0.15, go.set)
            assert await anext(stream.lines) == b"last"


async def test_a_short_patience_is_not_inherited_by_the_next_request_on_the_connection() -> None:
    connections: set[object] = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        connections.add(request.transport)
        if request.path == "/slow":
            late = asyncio.Event()
            asyncio.get_running_loop().call_later(0.15, late.set)
            await late.wait()
        return web.Response(text="ok")

    async with serving(handler) as transport:
        await transport.send(Request("GET", "/quick", timeout=timedelta(milliseconds=100)))
        assert (await transport.send(Request("GET", "/slow"))).body == b"ok"
    assert len(connections) == 1


async def test_a_redirect_is_an_answer_and_carries_our_token_nowhere() -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with serving(handler) as transport:
        assert (await transport.send(Request("GET", "/"))).status == 307
    assert paths == ["/"]


@pytest.mark.parametrize("use_gzip", [True, False])
async def test_compression_is_asked_for_only_if_wanted(*, use_gzip: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.Response(text=request.headers["Accept-Encoding"] * 1000)
        response.enable_compression()
        return response

    async with serving(handler) as plain:
        transport = HttpTransport(plain._access, use_gzip=use_gzip)
        answer = await transport.send(Request("GET", "/"))
        await transport.close()
    assert answer.body == (b"gzip" if use_gzip else b"identity") * 1000


async def test_a_stream_that_never_answers_is_given_up_after_its_timeout() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with serving(handler) as transport:
        request = Request("GET", "/", timeout=timedelta(milliseconds=50))
        with pytest.raises(Unavailable):
            async with transport.stream(request):
                pass


async def test_a_refused_stream_carries_its_reason_as_one_piece() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=410, text='{\n "kind": "Status"\n}')

    async with serving(handler) as transport, transport.stream(Request("GET", "/")) as stream:
        assert stream.status == 410
        assert [line async for line in stream.lines] == [b'{\n "kind": "Status"\n}']


class Rotating:
    """Gives out a stale credential until it is rejected."""

    def __init__(self) -> None:
        self.token = "stale"

    async def credential(self) -> Credential:
        return Credential(self.token)

    def reject(self) -> None:
        self.token = "fresh"


async def test_a_401_is_tried_once_more_with_a_fresh_token() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        is_fresh = request.headers["Authorization"] == "Bearer fresh"
        return web.Response(status=200 if is_fresh else 401)

    async with serving(handler) as plain:
        transport = HttpTransport(Access(plain._access.server, Tls(), Rotating()))
        assert (await transport.send(Request("GET", "/"))).status == 200
        await transport.close()
        transport = HttpTransport(Access(plain._access.server, Tls(), Rotating()))
        async with transport.stream(Request("GET", "/")) as stream:
            assert stream.status == 200
        await transport.close()
