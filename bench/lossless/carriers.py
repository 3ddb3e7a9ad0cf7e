"""What carries the requests: HAProxy, a Service, a registry with two kinds of consumers.

Each says how its members are declared to CAFE, and what does the same without CAFE: what people have today.
"""

import asyncio
import itertools
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Protocol
from urllib.parse import quote

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

from bench.lossless.load import Choose, in_turn
from cafe.traffic.adapters.discovery import Files
from cafe.traffic.adapters.envoy import EnvoyAdapter
from cafe.traffic.adapters.haproxy import HAProxyAdapter
from cafe.traffic.adapters.parking import address_of
from cafe.traffic.domain.facts import Member, Pool
from cafe.traffic.ports import TrafficAdapter
from testbed.envoy import CLUSTER, PROVIDER, Envoy
from testbed.haproxy import HAProxy
from testbed.images import PORT
from testbed.zookeeper import ZooKeeper

DIRECTORY: Final = "/dubbo/shop.Cart/providers"
QUIET: Final = logging.getLogger("bench.kazoo")
QUIET.setLevel(logging.CRITICAL)
REFRESH: Final = 2.0
"""Seconds for which a caching consumer believes what it saw."""

Pods = Mapping[str, Mapping[str, Any]]
"""All pods of the application, by UID."""


class Carrier(Protocol):
    """One way for requests to reach pods."""

    name: str
    is_reusing: bool

    def declared(self) -> Mapping[str, Any] | None:
        """Return the spec of its TrafficProvider, or None if it needs none."""

    def pool(self) -> Mapping[str, Any] | None:
        """Return the pool of the TrafficBinding, or None if it needs none."""

    def choose(self) -> Choose:
        """Return whom clients ask."""

    async def follow(self, pods: Pods, *, is_guarded: bool) -> None:
        """Do what goes on outside of CAFE whenever pods have changed."""

    async def close(self) -> None:
        """End everything."""


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is ready, and not on its way out."""
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions") or []}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


class ByHAProxy:
    """Two processes; without CAFE, something that follows readiness, as ingress controllers do."""

    name = "HAProxy"
    is_reusing = True

    def __init__(self) -> None:
        self.processes = HAProxy(2)
        self._adapter = HAProxyAdapter(self.processes.addresses)
        self._members: dict[str, Member] = {}

    def declared(self) -> Mapping[str, Any] | None:
        """Return the spec of its TrafficProvider."""
        replicas = [{"name": n, "address": a} for n, a in self.processes.addresses.items()]
        return {"type": "HAProxy", "replicas": replicas}

    def pool(self) -> Mapping[str, Any] | None:
        """Return the pool of the TrafficBinding."""
        return {"name": "edge", "provider": PROVIDER, "pool": "web", "port": PORT}

    def choose(self) -> Choose:
        """Ask both processes in turn."""
        return in_turn(lambda: list(self.processes.fronts.values()))

    async def follow(self, pods: Pods, *, is_guarded: bool) -> None:
        """Without CAFE: have as members whoever is ready."""
        if not is_guarded:
            self._members = await have_ready(self._adapter, Pool("web", PORT), self._members, pods)

    async def close(self) -> None:
        """End both processes."""
        self.processes.close()


class ByEnvoy:
    """Two processes; without CAFE, something that follows readiness, as control planes of meshes do."""

    name = "Envoy"
    is_reusing = True

    def __init__(self, discovery_port: int) -> None:
        """Have them ask at that port of loopback; at 0, watch files that are written here."""
        self.processes = Envoy(2, discovery_port=discovery_port)
        self._adapter = EnvoyAdapter(self.processes.addresses, Files(self.processes.files))
        self._members: dict[str, Member] = {}

    def declared(self) -> Mapping[str, Any] | None:
        """Return the spec of its TrafficProvider."""
        replicas = [{"name": n, "address": a} for n, a in self.processes.addresses.items()]
        return {"type": "Envoy", "replicas": replicas}

    def pool(self) -> Mapping[str, Any] | None:
        """Return the pool of the TrafficBinding."""
        return {"name": "mesh", "provider": PROVIDER, "pool": CLUSTER, "port": PORT}

    def choose(self) -> Choose:
        """Ask both processes in turn."""
        return in_turn(lambda: list(self.processes.fronts.values()))

    async def follow(self, pods: Pods, *, is_guarded: bool) -> None:
        """Without CAFE: have as members whoever is ready."""
        if not is_guarded:
            self._members = await have_ready(self._adapter, Pool(CLUSTER, PORT), self._members, pods)

    async def close(self) -> None:
        """End both processes."""
        await self._adapter.close()
        self.processes.close()


async def have_ready(
    adapter: TrafficAdapter, pool: Pool, before: Mapping[str, Member], pods: Pods
) -> dict[str, Member]:
    """Have as members of a pool whoever is ready; return them by UID."""
    ready = {
        uid: Member(pod["metadata"]["name"], pod["status"]["podIP"], PORT)
        for uid, pod in pods.items()
        if is_ready(pod)
    }
    gone = [member for uid, member in before.items() if uid not in ready]
    new = [member for uid, member in ready.items() if uid not in before]
    if gone:
        await adapter.remove(pool, gone)
    if new:
        await adapter.attach(pool, new)
    return ready


class ByService:
    """A Service by kube-proxy; a connection for each request, since it chooses once for a connection."""

    name = "Service"
    is_reusing = False

    def __init__(self, address: str) -> None:
        self._address = address

    def declared(self) -> Mapping[str, Any] | None:
        """Return nothing: Services are known."""
        return None

    def pool(self) -> Mapping[str, Any] | None:
        """Return nothing: Services are known."""
        return None

    def choose(self) -> Choose:
        """Ask the Service."""
        return lambda: f"{self._address}:{PORT}"

    async def follow(self, pods: Pods, *, is_guarded: bool) -> None:
        """Do nothing: kube-proxy follows by itself."""

    async def close(self) -> None:
        """Do nothing."""


class ByZooKeeper:
    """Applications that register themselves, and consumers that watch or look every two seconds."""

    name = "ZooKeeper"
    is_reusing = True

    def __init__(self) -> None:
        self.servers = ZooKeeper(3)
        self._all = ",".join(self.servers.addresses.values())
        self._sessions: dict[str, tuple[str, KazooClient]] = {}
        self._consumer = self._session()
        self._consumer.ensure_path(DIRECTORY)
        self._watched: list[str] = []
        self._cached: list[str] = []
        self._consumer.ChildrenWatch(DIRECTORY, self._hear)
        self._looking = asyncio.create_task(self._keep_looking())

    def _session(self) -> KazooClient:
        client = KazooClient(self._all, timeout=2.0, logger=QUIET)
        client.start(10)
        return client

    def _hear(self, names: list[str]) -> None:
        self._watched = sorted(filter(None, map(address_of, names)))

    async def _keep_looking(self) -> None:
        while True:
            with suppress(KazooException):
                names = await asyncio.to_thread(self._consumer.get_children, DIRECTORY)
                self._cached = sorted(filter(None, map(address_of, names)))
            await asyncio.sleep(REFRESH)

    def declared(self) -> Mapping[str, Any] | None:
        """Return the spec of its TrafficProvider."""
        replicas = [{"name": n, "address": a} for n, a in self.servers.addresses.items()]
        return {"type": "ZooKeeper", "replicas": replicas}

    def pool(self) -> Mapping[str, Any] | None:
        """Return the pool of the TrafficBinding."""
        drain = {"refreshSeconds": REFRESH}
        return {"name": "rpc", "provider": PROVIDER, "pool": DIRECTORY, "port": PORT, "drain": drain}

    def choose(self) -> Choose:
        """Ask whom either consumer knows, in turn."""
        both = itertools.cycle((in_turn(lambda: self._watched), in_turn(lambda: self._cached)))

        def choose() -> str | None:
            return next(both)()

        return choose

    async def follow(self, pods: Pods, *, is_guarded: bool) -> None:
        """Register each container that has started; its session ends with it."""
        del is_guarded
        await asyncio.to_thread(self._register, dict(pods))

    def _register(self, pods: Pods) -> None:
        running: dict[str, tuple[str, str]] = {}
        for uid, pod in pods.items():
            for told in pod["status"].get("containerStatuses") or []:
                if "running" in told["state"] and pod["status"].get("podIP"):
                    running[uid] = (told["containerID"], pod["status"]["podIP"])
        for uid, (container, client) in list(self._sessions.items()):
            if running.get(uid, ("", ""))[0] != container:
                del self._sessions[uid]
                client.stop()
        for uid, (container, ip) in running.items():
            if uid not in self._sessions:
                client = self._session()
                url = f"dubbo://{ip}:{PORT}/shop.Cart?application=web&timestamp={container[-8:]}"
                client.create(f"{DIRECTORY}/{quote(url, safe='')}", b"", ephemeral=True)
                self._sessions[uid] = (container, client)

    async def close(self) -> None:
        """End all sessions and servers."""
        self._looking.cancel()
        for _, client in self._sessions.values():
            client.stop()
        self._consumer.stop()
        self.servers.close()
