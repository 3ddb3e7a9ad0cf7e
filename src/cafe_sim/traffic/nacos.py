"""A double of Nacos: no Nacos runs here, only what its naming API of version 1 says and does, over HTTP.

Written from the public API documents and the server's source (3.1; its version 1 API behaves as in 2.x):

- an ephemeral instance lives by its client's heartbeats: 15 s without one make it sick, 30 s remove it;
- a heartbeat with details registers an instance that was deleted (nacos#6368);
- an update doesn't touch the instance but what operators know of its address: switch, weight, metadata. That
  is kept for a minute after the instance has gone, and applies to whoever registers the address again;
- the list for consumers holds no instance that is switched off; the catalogue holds all;
- a service is there as long as it has instances, and a minute longer.

All servers share one state, as if they agreed at once. Nothing happens while nobody looks.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import msgspec
from aiohttp import web

from cafe.kernel import Clock

SICK: Final = timedelta(seconds=15)
GONE: Final = timedelta(seconds=30)
FORGOTTEN: Final = timedelta(seconds=60)
TOKEN_SECONDS: Final = 18_000
BEAT_MILLISECONDS: Final = 5_000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Key = tuple[str, int, str]
"""IP, port and cluster."""


@dataclass(slots=True)
class Instance:
    """What a client has registered."""

    ip: str
    port: int
    cluster: str
    beaten: timedelta
    weight: float = 1.0
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Switch:
    """What operators have said of an address.

    Attributes:
        orphaned: Since when there is no instance; None while there is one.
    """

    enabled: bool
    weight: float
    metadata: dict[str, str]
    orphaned: timedelta | None = None


@dataclass(slots=True)
class Service:
    """One service, by namespace and grouped name."""

    instances: dict[Key, Instance] = field(default_factory=dict)
    switches: dict[Key, Switch] = field(default_factory=dict)
    emptied: timedelta | None = None


class Nacos:
    """The double; `application` is one of its servers.

    Args:
        clock: The world's.
        users: Password by name; none asks for no credentials.

    Attributes:
        tokens: That were given and still count; a test may take them away.
    """

    def __init__(self, clock: Clock, users: Mapping[str, str] | None = None) -> None:
        self._clock = clock
        self._users = dict(users or {})
        self.tokens: set[str] = set()
        self.services: dict[tuple[str, str], Service] = {}

    def application(self) -> web.Application:
        """Return one server."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not self._may(request):
                return web.Response(status=403, text="user not found!")
            return await handler(request)

        app = web.Application(middlewares=[guard])
        router = app.router
        router.add_post("/nacos/v1/auth/login", self._log_in)
        router.add_post("/nacos/v1/ns/instance", self._register)
        router.add_put("/nacos/v1/ns/instance", self._update)
        router.add_delete("/nacos/v1/ns/instance", self._deregister)
        router.add_put("/nacos/v1/ns/instance/beat", self._beat)
        router.add_get("/nacos/v1/ns/instance/list", self._list)
        router.add_get("/nacos/v1/ns/catalog/service", self._catalog_service)
        router.add_get("/nacos/v1/ns/catalog/instances", self._catalog_instances)
        return app

    # What clients do.

    async def _register(self, request: web.Request) -> web.Response:
        query = request.query
        key = _key(query)
        metadata = msgspec.json.decode(query.get("metadata") or "{}", type=dict[str, str])
        self._put(_name(query), key, float(query.get("weight", "1")), metadata)
        return web.Response(text="ok")

    async def _deregister(self, request: web.Request) -> web.Response:
        service = self._look(_name(request.query))
        if service is not None:
            self._drop(service, _key(request.query))
        return web.Response(text="ok")

    async def _beat(self, request: web.Request) -> web.Response:
        name = _name(request.query)
        beat = msgspec.json.decode(request.query["beat"]) if request.query.get("beat") else None
        key = (beat["ip"], beat["port"], beat.get("cluster", "DEFAULT")) if beat else _key(request.query)
        service = self._look(name)
        found = service.instances.get(key) if service is not None else None
        if found is not None:
            found.beaten = self._clock.monotonic()
        elif beat is None:
            return web.json_response({"code": 20404, "clientBeatInterval": BEAT_MILLISECONDS})
        else:
            self._put(name, key, beat.get("weight", 1.0), beat.get("metadata", {}))
        return web.json_response({"code": 10200, "clientBeatInterval": BEAT_MILLISECONDS})

    async def _list(self, request: web.Request) -> web.Response:
        name = _name(request.query)
        service = self._look(name) or Service()
        hosts = [self._tell(service, key) for key in service.instances]
        is_healthy_only = request.query.get("healthyOnly") == "true"
        return web.json_response(
            {
                "name": name[1],
                "hosts": [h for h in hosts if h["enabled"] and (h["healthy"] or not is_healthy_only)],
            }
        )

    # What operators do.

    async def _update(self, request: web.Request) -> web.Response:
        query = request.query
        service = self._look(_name(query))
        if service is None:
            return web.Response(status=400, text="service not found")
        service.switches[_key(query)] = Switch(
            enabled=query.get("enabled", "true") == "true",
            weight=float(query.get("weight", "1")),
            metadata=msgspec.json.decode(query.get("metadata") or "{}", type=dict[str, str]),
            orphaned=None if _key(query) in service.instances else self._clock.monotonic(),
        )
        return web.Response(text="ok")

    async def _catalog_service(self, request: web.Request) -> web.Response:
        namespace, name = _name(request.query)
        service = self._look((namespace, name))
        if service is None:
            return web.Response(status=404, text=f"service {name} is not found!")
        clusters = sorted({cluster for _, _, cluster in service.instances})
        return web.json_response({"service": {"name": name}, "clusters": [{"name": c} for c in clusters]})

    async def _catalog_instances(self, request: web.Request) -> web.Response:
        query = request.query
        service = self._look(_name(query)) or Service()
        keys = [key for key in service.instances if key[2] == query["clusterName"]]
        if not keys:
            return web.Response(status=404, text=f"cluster {query['clusterName']} is not found!")
        page, size = int(query["pageNo"]), int(query["pageSize"])
        shown = keys[(page - 1) * size : page * size]
        return web.json_response({"count": len(keys), "list": [self._tell(service, key) for key in shown]})

    # Who may.

    async def _log_in(self, request: web.Request) -> web.Response:
        form = await request.post()
        name, password = str(form.get("username")), str(form.get("password"))
        if self._users.get(name) != password:
            return web.Response(status=403, text="unknown user!")
        token = f"token-{len(self.tokens)}-of-{name}"
        self.tokens.add(token)
        return web.json_response({"accessToken": token, "tokenTtl": TOKEN_SECONDS})

    def _may(self, request: web.Request) -> bool:
        is_open = not self._users or request.path.endswith("/auth/login")
        return is_open or request.query.get("accessToken") in self.tokens

    # Inside.

    def _put(self, name: tuple[str, str], key: Key, weight: float, metadata: dict[str, str]) -> None:
        self._look(name)  # What is forgotten by now doesn't apply any more.
        service = self.services.setdefault(name, Service())
        service.emptied = None
        service.instances[key] = Instance(*key, self._clock.monotonic(), weight, metadata)
        if key in service.switches:
            service.switches[key].orphaned = None

    def _drop(self, service: Service, key: Key) -> None:
        now = self._clock.monotonic()
        if service.instances.pop(key, None) is not None and key in service.switches:
            service.switches[key].orphaned = now
        if not service.instances and service.emptied is None:
            service.emptied = now

    def _look(self, name: tuple[str, str]) -> Service | None:
        """Return a service after what has happened by itself since the last look."""
        service, now = self.services.get(name), self._clock.monotonic()
        if service is None:
            return None
        for key in [k for k, found in service.instances.items() if now - found.beaten >= GONE]:
            self._drop(service, key)
        for key, switch in list(service.switches.items()):
            if switch.orphaned is not None and now - switch.orphaned >= FORGOTTEN:
                del service.switches[key]
        if service.emptied is not None and now - service.emptied >= FORGOTTEN:
            del self.services[name]
            return None
        return service

    def _tell(self, service: Service, key: Key) -> dict[str, Any]:
        found, switch = service.instances[key], service.switches.get(key)
        return {
            "ip": found.ip,
            "port": found.port,
            "clusterName": found.cluster,
            "ephemeral": True,
            "healthy": self._clock.monotonic() - found.beaten < SICK,
            "enabled": switch is None or switch.enabled,
            "weight": found.weight if switch is None else switch.weight,
            "metadata": {**found.metadata, **(switch.metadata if switch is not None else {})},
        }


def _name(query: Mapping[str, str]) -> tuple[str, str]:
    name = query["serviceName"]
    return query.get("namespaceId", "public"), name if "@@" in name else f"DEFAULT_GROUP@@{name}"


def _key(query: Mapping[str, str]) -> Key:
    return query["ip"], int(query["port"]), query.get("clusterName") or "DEFAULT"
