"""Applications that answer requests over HTTP on loopback, and those who ask them, each request once."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import aiohttp
from aiohttp import web


class Lost(Exception):
    """A request that nobody answered."""


class Answering:
    """An application that answers each request with its name.

    Attributes:
        work: How long it takes to answer.
        seen: How often each request's body arrived.
        held: How many requests to /hold it works on; they are answered when it is told to.
    """

    host = "127.0.0.1"

    def __init__(self, name: str, work: timedelta = timedelta(0)) -> None:
        self.name = name
        self.work = work
        self.port = 0
        self.seen: Counter[str] = Counter()
        self.held = 0
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen; after a kill on the same port."""
        app = web.Application()
        app.router.add_post("/", self._answer)
        app.router.add_post("/hold", self._hold)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def kill(self) -> None:
        """End as by SIGKILL: connections break."""
        runner, self._runner = self._runner, None
        if runner is not None:
            for connection in runner.server.connections if runner.server else ():
                if connection.transport is not None:
                    connection.transport.abort()
            await runner.cleanup()

    async def close(self) -> None:
        self.release()
        await self.kill()

    def release(self) -> None:
        """Let the requests that are held be answered."""
        self._released.set()
        self._released = asyncio.Event()

    async def _answer(self, request: web.Request) -> web.Response:
        self.seen[await request.text()] += 1
        await asyncio.sleep(self.work.total_seconds())
        return web.Response(text=self.name)

    async def _hold(self, request: web.Request) -> web.Response:
        self.seen[await request.text()] += 1
        self.held += 1
        await self._released.wait()
        self.held -= 1
        return web.Response(text=self.name)


class Asking:
    """Posts to known addresses in turn, over a new connection each time, and never again."""

    def __init__(self) -> None:
        self.addresses: Sequence[str] = ()
        self._turn = itertools.count()
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0))

    def choose(self) -> str:
        """Return the address of whoever is next.

        Raises:
            Lost: Nobody is known.
        """
        if not self.addresses:
            raise Lost("nobody is registered")
        return self.addresses[next(self._turn) % len(self.addresses)]

    async def post(self, address: str, body: str = "", path: str = "/") -> str:
        """Post once; return who answered.

        Raises:
            Lost: No answer came.
        """
        try:
            async with self._http.post(f"http://{address}{path}", data=body) as answer:
                return await answer.text()
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(str(error)) from error

    async def close(self) -> None:
        await self._http.close()
