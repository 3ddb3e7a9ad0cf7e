"""A double of SOFARegistry: no SOFARegistry runs here, only what its session servers say and do, over HTTP.

Written from the server's source (`ClientManagerResource`, `SessionDigestResource`, 6.x):

- a client keeps a connection to one session server and publishes through it; who loses the connection
  connects to some server again and publishes all anew;
- `clientOff` drops what the connections of some IPs have published, and leaves the connections: their
  clients don't notice. `clientOpen` closes the connections. Each answers for its own connections alone; below
  `/zone/` it has all other servers do the same, and fails if one of them does;
- each server can be asked for what it pushes of a service: the publishers, by the addresses of their
  connections. A service without publishers is an empty list.

What clients do goes over SOFABolt in the world, and by calls of methods here. All servers share one state, as
if the data servers were quick.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import web

_FIRST_PORT = 40_000


@dataclass(eq=False, slots=True)
class Connection:
    """One client's connection.

    Attributes:
        port: Of its end at the client: nothing answers there.
        published: The URL that requests go to, by data info id.
    """

    server: str
    ip: str
    port: int
    lost: Callable[[], None]
    published: dict[str, str] = field(default_factory=dict)


class SofaRegistry:
    """The double; `application` is one of its session servers.

    Args:
        names: Of the session servers.

    Attributes:
        down: Names of servers that are away.
        is_throttled: Whether operators are refused: the servers limit how often they may be asked.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.down: set[str] = set()
        self.is_throttled = False
        self._connections: list[Connection] = []
        self._ports = count(_FIRST_PORT)

    # What clients do.

    def connect(self, ip: str, lost: Callable[[], None]) -> Connection | None:
        """Connect to any server that is there; None if none is.

        Args:
            ip: The client's.
            lost: Called when the connection is closed by the other side.
        """
        up = [name for name in self.names if name not in self.down]
        if not up:
            return None
        connection = Connection(up[len(self._connections) % len(up)], ip, next(self._ports), lost)
        self._connections.append(connection)
        return connection

    def disconnect(self, connection: Connection) -> None:
        """End a connection, and with it what was published through it."""
        if connection in self._connections:
            self._connections.remove(connection)

    def lookup(self, data_info_id: str) -> list[str]:
        """Return the URLs that a subscriber is pushed."""
        published = (connection.published.get(data_info_id) for connection in self._connections)
        return [url for url in published if url is not None]

    # Faults.

    def stop(self, name: str) -> None:
        """Take a server away; its clients go to another."""
        self.down.add(name)
        self._close(c for c in self._connections if c.server == name)

    # What operators do.

    def application(self, name: str) -> web.Application:
        """Return one session server."""

        async def query(request: web.Request) -> web.Response:
            asked = request.query.get("dataInfoId", "")
            found = [c for c in self._connections if asked in c.published]
            data = [
                {"clientId": f"{c.ip}:{c.port}", "sourceAddress": f"{c.ip}:{c.port}", "appName": ""}
                for c in found
            ]
            return web.json_response({"success": True, "message": None, "data": data})

        app = web.Application()
        app.router.add_get("/digest/data/queryPublisher", query)
        for path, work in (("clientOff", self._drop), ("clientOpen", self._close)):
            app.router.add_post(f"/api/clientManager/{path}", self._handler([name], work))
            app.router.add_post(f"/api/clientManager/zone/{path}", self._handler(self.names, work))
        return app

    def _handler(self, names: Sequence[str], work: Callable[[Iterable[Connection]], None]) -> Any:  # noqa: ANN401
        async def handle(request: web.Request) -> web.Response:
            text = str((await request.post()).get("ips") or "").strip()
            if not text:
                return _answer("ips is empty")
            if self.is_throttled:
                return _answer("too many request")
            ips = {ip.strip() for ip in text.split(";")}
            work(c for c in self._connections if c.ip in ips and c.server in names)
            return _answer("a server of the zone fails" if self.down & set(names) else "")

        return handle

    def _drop(self, connections: Iterable[Connection]) -> None:
        for connection in connections:
            connection.published.clear()

    def _close(self, connections: Iterable[Connection]) -> None:
        for connection in list(connections):
            self._connections.remove(connection)
            connection.lost()


def _answer(problem: str) -> web.Response:
    return web.json_response({"success": not problem, "message": problem})
