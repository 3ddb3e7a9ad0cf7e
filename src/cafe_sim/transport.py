"""The product's way to a simulated API server without sockets: the same requests, the same bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cafe.kube.transport import Request, Response, Stream
from cafe_sim.apiserver.dispatch import Caller
from cafe_sim.apiserver.logs import LogStream
from cafe_sim.apiserver.server import ApiServer
from cafe_sim.apiserver.watching import Watch


class SimTransport:
    """Implements `cafe.kube.transport.Transport` on an `ApiServer` of this process.

    Each request is one step on the server's timeline, never inside the caller, so that the order of things is
    the timeline's and not the caller's.

    Args:
        server: Where requests go.
        caller: As whom.
    """

    def __init__(self, server: ApiServer, caller: Caller | None = None) -> None:
        self._server = server
        self._caller = caller or Caller(agent="cafe")
        self._open: list[Watch | LogStream] = []

    async def send(self, request: Request) -> Response:
        """Send *request* and wait for the answer."""
        answer = await self._step(request)
        if isinstance(answer, Response):
            return answer
        answer.close()
        lines = answer.take()
        return Response(200, b"".join(line + b"\n" for line in lines), {"content-type": "application/json"})

    async def _step(self, request: Request) -> Response | Watch | LogStream:
        done: asyncio.Future[Response | Watch | LogStream] = asyncio.get_running_loop().create_future()

        def serve() -> None:
            if done.done():
                return
            try:
                done.set_result(self._server.dispatch(request, self._caller))
            except Exception as error:  # noqa: BLE001 -- whoever asked is told, or would wait for ever
                done.set_exception(error)

        self._server.timeline.soon(serve)
        return await done

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Open a watch or a log; leaving the context closes it."""
        answer = await self._step(request)
        if isinstance(answer, Response):
            yield Stream(answer.status, answer.headers, _once(answer.body))
            return
        self._open.append(answer)
        try:
            yield Stream(200, {"content-type": "application/json"}, lines_of(answer))
        finally:
            answer.close()
            self._open.remove(answer)

    async def close(self) -> None:
        """Close all open streams."""
        for answer in list(self._open):
            answer.close()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def lines_of(source: Watch | LogStream) -> AsyncIterator[bytes]:
    """Yield the lines of a watch or a log as they come."""
    ready = asyncio.Event()
    source.wake = ready.set
    while True:
        ready.clear()
        for line in source.take():
            yield line
        if source.is_over:
            for line in source.take():
                yield line
            return
        await ready.wait()
