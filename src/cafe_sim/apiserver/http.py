"""The simulated API server on a socket: HTTP or HTTPS, for unmodified `kubectl` and for our own client.

async with serve(server, port=0, folder=folder) as address:
    address.write_kubeconfig(path)
"""

import asyncio
import base64
import hmac
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml
from aiohttp import ClientError, ClientSession, ClientTimeout, web

from cafe.kube.transport import Request, Response
from cafe_sim.apiserver.certificates import Certificates, make_certificates
from cafe_sim.apiserver.context import User
from cafe_sim.apiserver.dispatch import Caller
from cafe_sim.apiserver.errors import StatusError, status_of
from cafe_sim.apiserver.logs import LogStream
from cafe_sim.apiserver.server import ApiServer
from cafe_sim.apiserver.steps import Steps, WebhookCall, WebhookFailure, WebhookReply
from cafe_sim.apiserver.watching import Watch

T = TypeVar("T")
_BODY_LIMIT = 3 * 1024 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
TURNS_TO_CLOSE = 2
"""An aborted transport closes its socket in the next turn; one of TLS tells the one below in that turn."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Attributes:
        url: For instance `https://127.0.0.1:6443`.
        authority: The PEM of its CA; None without TLS.
        token: The administrator's bearer token; None if everybody is administrator.
    """

    url: str
    authority: bytes | None = None
    token: str | None = None

    def kubeconfig(self, namespace: str = "default") -> dict[str, object]:
        """Return a kubeconfig with one cluster, one user and one context, all named `cafe-sim`."""
        cluster: dict[str, object] = {"server": self.url}
        if self.authority is not None:
            cluster["certificate-authority-data"] = base64.b64encode(self.authority).decode()
        # Without any credential kubectl asks for a password, even where nobody checks one.
        user = {"token": self.token or "anybody"}
        name = "cafe-sim"
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
            "current-context": name,
        }

    def write_kubeconfig(self, path: Path, namespace: str = "default") -> None:
        """Write the kubeconfig to *path*, readable for its owner alone."""
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(self.kubeconfig(namespace), sort_keys=False), "utf-8")


@dataclass(frozen=True, slots=True)
class Listen:
    """How to listen.

    Attributes:
        host: The address to bind.
        port: 0 takes a free one.
        folder: Where TLS keys are kept; None speaks plain HTTP.
        tokens: Bearer tokens with their users; empty lets everybody in as administrator.
    """

    host: str = "127.0.0.1"
    port: int = 0
    folder: Path | None = None
    tokens: Mapping[str, User] = field(default_factory=dict)


@asynccontextmanager
async def serve(server: ApiServer, listen: Listen = Listen()) -> AsyncIterator[Address]:
    """Serve *server* until the context is left. Leaving it closes all watches.

    Raises:
        OSError: The port is taken.
    """
    made: Certificates | None = None
    if listen.folder is not None:
        hosts = tuple(dict.fromkeys((listen.host, *_LOOPBACK)))
        made = make_certificates(hosts, server.now())
    async with ClientSession() as session:
        front = _Front(server, listen.tokens, session)
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", front.handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        context = made.context(listen.folder) if made is not None and listen.folder is not None else None
        site = web.TCPSite(runner, listen.host, listen.port, ssl_context=context)
        await site.start()
        try:
            port = runner.addresses[0][1]
            scheme = "http" if context is None else "https"
            token = next(iter(listen.tokens), None)
            authority = None if made is None else made.authority
            yield Address(f"{scheme}://{listen.host}:{port}", authority, token)
        finally:
            front.close()
            await stop_serving(runner)


async def stop_serving(runner: web.AppRunner) -> None:
    """End a server with all of its connections, also to peers that don't answer TLS's goodbye.

    Such a connection would outlive its event loop: asyncio waits for the answer for half a minute.
    """
    peers = runner.server.connections if runner.server is not None else []
    transports = [peer.transport for peer in peers if peer.transport is not None]
    await runner.cleanup()
    for transport in transports:
        transport.abort()
    for _ in range(TURNS_TO_CLOSE):
        await asyncio.sleep(0)


class _Front:
    """Turns aiohttp's requests into the server's, and its answers back."""

    def __init__(self, server: ApiServer, tokens: Mapping[str, User], session: ClientSession) -> None:
        self._server = server
        self._tokens = tokens
        self._session = session
        self._open: dict[int, Watch | LogStream] = {}

    def close(self) -> None:
        """End all streams."""
        for source in list(self._open.values()):
            source.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        if user is None:
            error = StatusError(401, "Unauthorized", "Unauthorized")
            return web.json_response(status_of(error), status=401)
        body = await request.read() if request.body_exists else None
        asked = Request(
            method=request.method,
            path=request.rel_url.raw_path,
            query=tuple(request.rel_url.query.items()),
            body=body or None,
            content_type=request.headers.get("Content-Type", "application/json"),
            accept=request.headers.get("Accept", "application/json"),
        )
        caller = Caller(user, request.headers.get("User-Agent", "unknown"))
        answer = await self._drive(self._server.dispatcher.serve(asked, caller))
        if isinstance(answer, Response):
            return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))
        return await self._stream(request, answer)

    def _user(self, request: web.Request) -> User | None:
        if not self._tokens:
            return User()
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        for token, user in self._tokens.items():
            if hmac.compare_digest(token, given):
                return user
        return None

    async def _stream(self, request: web.Request, source: Watch | LogStream) -> web.StreamResponse:
        # Imported late: the transport stands on this package and not the other way round.
        from cafe_sim.transport import lines_of  # noqa: PLC0415 -- as said above

        is_log = isinstance(source, LogStream)
        response = web.StreamResponse(
            headers={"Content-Type": "text/plain" if is_log else "application/json"}
        )
        self._open[id(source)] = source
        try:
            await response.prepare(request)
            async for line in lines_of(source):
                await response.write(line + b"\n")
            await response.write_eof()
        except ConnectionError:
            pass  # The client went; that is how watches usually end.
        finally:
            source.close()
            self._open.pop(id(source), None)
        return response

    async def _drive(self, steps: Steps[T]) -> T:
        """Drive a request's steps, calling webhooks over the network."""
        try:
            call = next(steps)
            while True:
                call = steps.send(await self._ask(call))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    async def _ask(self, call: WebhookCall) -> WebhookReply:
        url = call.client.get("url")
        if not url:
            return WebhookFailure(
                "the simulated API server reaches webhooks by `url` alone, not by `service`"
            )
        bundle = call.client.get("caBundle")
        timeout = ClientTimeout(total=call.timeout.total_seconds())
        try:
            async with self._session.post(
                url, data=msgspec.json.encode(call.review), timeout=timeout, ssl=_trusting(bundle),
                headers={"Content-Type": "application/json"},
            ) as reply:  # fmt: skip
                content = await reply.read()
                if reply.status != 200:
                    return WebhookFailure(f'Post "{url}": the webhook answered {reply.status}')
                return msgspec.json.decode(content, type=dict)
        except TimeoutError:
            return WebhookFailure(f'Post "{url}": context deadline exceeded')
        except (ClientError, OSError, msgspec.DecodeError) as error:
            return WebhookFailure(f'Post "{url}": {error}')


def _trusting(bundle: str | None) -> ssl.SSLContext | bool:
    if not bundle:
        return True
    return ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
