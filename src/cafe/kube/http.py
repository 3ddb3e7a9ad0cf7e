"""The transport over real sockets: aiohttp, and nothing above it knows."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from cafe.kernel import Unavailable
from cafe.kube.access import Access
from cafe.kube.credentials import Credential, KeyPair
from cafe.kube.transport import Request, Response, Stream

REQUEST_CONNECTIONS = 32
"""More only grew the worst latency when measured."""

USER_AGENT = "cafe/0.1"


class HttpTransport:
    """One API server over HTTP/1.1.

    Watches have a connection pool of their own and as many connections as they want: in a shared pool they
    hold all connections and requests starve (tomplus/kubernetes_asyncio#74). Streams have no total timeout;
    aiohttp's default of five minutes would cut them.

    Args:
        access: The server, and who we are.
        use_gzip: Ask for compressed answers: for far-away servers; near ones cost more CPU than they save.
        user_agent: How we call ourselves.
    """

    def __init__(self, access: Access, *, use_gzip: bool = False, user_agent: str = USER_AGENT) -> None:
        self._access = access
        self._headers = {
            "User-Agent": user_agent,
            "Accept-Encoding": "gzip" if use_gzip else "identity",
        }
        self._contexts: dict[KeyPair | None, ssl.SSLContext] = {}
        self._requests: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Response:
        """Send *request* and wait for the whole answer. A 401 is tried once more with a fresh credential.

        Raises:
            Unavailable: There was no answer.
            Refusal: There is no credential.
        """
        response = await self._send_once(request)
        if response.status == 401:
            self._access.credentials.reject()
            response = await self._send_once(request)
        return response

    async def _send_once(self, request: Request) -> Response:
        credential = await self._access.credentials.credential()
        if self._requests is None:
            self._requests = self._session(REQUEST_CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=request.timeout.total_seconds(), sock_connect=10)
        with _no_answer_is_unavailable(request):
            async with self._call(self._requests, request, credential, timeout) as response:
                body = await response.read()
                return Response(response.status, body, _lower(response.headers))

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Open a watch or a log; leaving the context closes the connection.

        Raises:
            Unavailable: There was no answer.
            Refusal: There is no credential.
        """
        response = await self._open(request)
        if response.status == 401:
            response.close()
            self._access.credentials.reject()
            response = await self._open(request)
        try:
            lines = _lines(response, request) if response.status == 200 else _whole(response, request)
            yield Stream(response.status, _lower(response.headers), lines)
        finally:
            response.close()  # Not released to the pool: the server may go on sending.

    async def _open(self, request: Request) -> aiohttp.ClientResponse:
        credential = await self._access.credentials.credential()
        if self._watches is None:
            self._watches = self._session(0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=None)
        with _no_answer_is_unavailable(request):
            async with asyncio.timeout(request.timeout.total_seconds()):
                return await self._call(self._watches, request, credential, timeout)

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._requests, self._watches):
            if session is not None:
                await session.close()
        self._requests = self._watches = None

    def _session(self, connections: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=connections, ttl_dns_cache=30)
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, headers=self._headers
        )

    def _call(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        credential: Credential,
        timeout: aiohttp.ClientTimeout,
    ) -> "aiohttp.client._RequestContextManager":
        headers = {"Accept": request.accept}
        if credential.token:
            headers["Authorization"] = f"Bearer {credential.token}"
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        query = f"?{urlencode(request.query)}" if request.query else ""
        return session.request(
            request.method,
            URL(f"{self._access.server}{request.path}{query}", encoded=True),
            data=request.body,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,  # A redirect would carry the token to somebody else.
            ssl=self._context(credential.key_pair),
            server_hostname=self._access.tls.server_name or None,
        )

    def _context(self, key_pair: KeyPair | None) -> ssl.SSLContext | bool:
        if not self._access.server.startswith("https:"):
            return True
        if key_pair not in self._contexts:
            self._contexts.clear()  # A rotated certificate is not used again.
            self._contexts[key_pair] = self._access.tls.context(key_pair)
        return self._contexts[key_pair]


class _no_answer_is_unavailable:  # noqa: N801 -- reads as the statement that it is
    """Turns what aiohttp raises into `Unavailable`, and says whether the request may have had an effect."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Translate."""
        if not isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
            return
        # Only a connection that was never made surely carried nothing.
        never_sent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        text = str(error) or type(error).__name__
        where = f"{self._request.method} {self._request.path}"
        raise Unavailable(f"No answer to {where}: {text}", is_outcome_known=never_sent) from error


async def _lines(response: aiohttp.ClientResponse, request: Request) -> AsyncIterator[bytes]:
    """Split a stream into lines of any length; aiohttp's own reader refuses long ones (aiohttp#4453)."""
    begun: list[bytes] = []
    with _no_answer_is_unavailable(request):
        async for chunk in response.content.iter_any():
            first, *rest = chunk.split(b"\n")
            if not rest:
                begun.append(first)
                continue
            yield b"".join((*begun, first)) if begun else first
            for line in rest[:-1]:
                yield line
            begun = [rest[-1]] if rest[-1] else []
    if begun:
        yield b"".join(begun)


async def _whole(response: aiohttp.ClientResponse, request: Request) -> AsyncIterator[bytes]:
    with _no_answer_is_unavailable(request):
        body = await response.read()
    yield body


def _lower(headers: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({name.lower(): value for name, value in headers.items()})
