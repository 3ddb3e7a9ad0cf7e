"""Kills the controller at each of its writes: a proxy that sees them, and processes that start at once.

    controller, life n ── http, token n ──▶ proxy ── https, administrator ──▶ API server
           ▲                                  │ the write is applied and answered
           └───────────── SIGKILL ────────────┘ before or after the answer is passed on

A life writes exactly once: the proxy passes on one write that succeeds, kills the life, and whatever else
that life had on its way is refused. Reads and watches pass freely.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

from testbed.client import Client

DROPPED: Final = {"transfer-encoding", "content-length", "connection", "host", "authorization"}
SOON: Final = timedelta(seconds=10)
MOMENT: Final = timedelta(milliseconds=2)


class Kill(Enum):
    """When a life ends."""

    BEFORE_THE_ANSWER = "killed before the answer"
    AFTER_THE_ANSWER = "killed after the answer"
    NEVER = "undisturbed"


@dataclass
class Proxy:
    """Stands between controllers and the API server.

    Attributes:
        writes: What was written, in order: verb and path.
        lives: Process id of each life that may write, by its token.
    """

    server: str
    client: Client
    kill: Kill
    writes: list[str] = field(default_factory=list)
    lives: dict[str, int] = field(default_factory=dict)
    port: int = 0

    async def serve(self, is_up: threading.Event) -> None:
        """Serve until `stop`; *is_up* is set once that is possible and *port* is known."""
        self._one_at_a_time = asyncio.Lock()
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        connector = aiohttp.TCPConnector(limit=0, ssl=self.client.context)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.port = int(runner.addresses[0][1])
            is_up.set()
            await self._stop.wait()
            await runner.cleanup()
        await asyncio.sleep(0)  # Aborted connections are taken down in the loop's next turn.

    def stop(self) -> None:
        """Have `serve` end; for other threads."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        try:
            if request.method == "GET":
                return await self._read(request)
            async with self._one_at_a_time:
                return await self._write(request)
        except (ConnectionError, aiohttp.ClientConnectionError):
            return web.Response(status=502)

    async def _read(self, request: web.Request) -> web.StreamResponse:
        async with self._ask(request, b"") as answer:
            passed = web.StreamResponse(status=answer.status, headers=kept(answer.headers))
            await passed.prepare(request)
            async for chunk in answer.content.iter_any():
                await passed.write(chunk)
            await passed.write_eof()
            return passed

    async def _write(self, request: web.Request) -> web.StreamResponse:
        life = request.headers["Authorization"]
        if life not in self.lives:
            raise ConnectionResetError("A write of a life that has ended")
        async with self._ask(request, await request.read()) as answer:
            body = await answer.read()
        passed = web.Response(status=answer.status, body=body, headers=kept(answer.headers))
        if answer.status >= 400:
            return passed
        self.writes.append(f"{request.method} {request.path}")
        if self.kill is Kill.AFTER_THE_ANSWER:
            await passed.prepare(request)
            await passed.write_eof()
        if self.kill is not Kill.NEVER:
            os.kill(self.lives.pop(life), signal.SIGKILL)
        return passed

    def _ask(self, request: web.Request, body: bytes) -> "aiohttp.client._RequestContextManager":
        url = f"{self.server}{request.raw_path}"
        return self._session.request(request.method, url, data=body or None, headers=kept(request.headers))


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are passed on."""
    return {name: value for name, value in headers.items() if name.lower() not in DROPPED}


@contextmanager
def proxy(server: str, client: Client, kill: Kill) -> Iterator[Proxy]:
    """Serve a proxy in a thread of its own."""
    one, is_up = Proxy(server, client, kill), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(one.serve(is_up)))
    thread.start()
    try:
        assert is_up.wait(SOON.total_seconds())
        yield one
    finally:
        one.stop()
        thread.join()


class Lives:
    """Starts a controller, and another one whenever it has died."""

    def __init__(self, through: Proxy, directory: Path) -> None:
        self._proxy = through
        self._directory = directory
        self._warm = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._live_on)
        self.count = 0

    @property
    def writes(self) -> list[str]:
        """Return what all lives wrote, in order: verb and path."""
        return self._proxy.writes

    def start(self) -> None:
        """Begin the first life."""
        self._thread.start()

    def stop(self) -> None:
        """End the life under way and begin no other."""
        self._is_over.set()
        os.killpg(self._warm.pid, signal.SIGKILL)
        self._thread.join()
        self._warm.communicate()

    def _live_on(self) -> None:
        while not self._is_over.is_set():
            pid = self._begin()
            while Path(f"/proc/{pid}").exists() and not self._is_over.is_set():
                self._is_over.wait(MOMENT.total_seconds())

    def _begin(self) -> str:
        self.count += 1
        token = f"life-{self.count}"
        config = self._directory / f"{token}.yaml"
        config.write_text(KUBECONFIG.format(port=self._proxy.port, token=token))
        line = f"{self._directory}/controller.log --kubeconfig={config} --no-leader-elect"
        assert self._warm.stdin
        assert self._warm.stdout
        self._warm.stdin.write(f"{line}\n")
        self._warm.stdin.flush()
        pid = self._warm.stdout.readline().strip()
        if pid:  # Else all is over.
            self._proxy.lives[f"Bearer {token}"] = int(pid)
        return pid


KUBECONFIG: Final = """
apiVersion: v1
kind: Config
current-context: it
contexts: [{{name: it, context: {{cluster: it, user: it}}}}]
clusters: [{{name: it, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: it, user: {{token: {token}}}}}]
"""


@contextmanager
def mortal_controller(server: str, client: Client, kill: Kill, directory: Path) -> Iterator[Lives]:
    """Run the controller, killed at each write, while the block lasts."""
    with ExitStack() as stack:
        through = stack.enter_context(proxy(server, client, kill))
        lives = Lives(through, directory)
        stack.callback(lives.stop)
        lives.start()
        yield lives
