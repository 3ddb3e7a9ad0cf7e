"""A double of Nacos over HTTP; no Nacos runs here. Consumers ask each server for its list."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp

from cafe.kernel import SystemClock
from cafe.traffic.adapters.nacos import NacosAdapter
from cafe.traffic.domain.facts import Member, Pool
from cafe.traffic.ports import TrafficAdapter
from cafe_sim.traffic.nacos import Nacos
from tests.ports.traffic.registering import RegistryRig, Site
from tests.ports.traffic.rig import Registry
from tests.worlds.answering import Answering

NAMES = ("left", "right")
USERS = {"cafe": "secret", "shop": "secret"}


class NacosRig(RegistryRig):
    """Asks an instance of the list that a consumer gets from a server."""

    undoes_detach = False

    def __init__(self, nacos: Nacos, sites: Mapping[str, Site], http: aiohttp.ClientSession) -> None:
        self.nacos = nacos
        self._sites = sites
        self._http = http
        self._heard: dict[str, list[str]] = {name: [] for name in sites}
        super().__init__(Pool("shop.Cart", 0), tuple(sites))

    def make_adapter(self) -> TrafficAdapter:
        return NacosAdapter({name: site.address for name, site in self._sites.items()}, "cafe", "secret")

    def make_application(self, name: str) -> Answering:
        return Answering(name)

    async def register(self, application: Answering) -> None:
        await self._call("POST", "instance", ip=application.host, port=str(application.port))

    async def register_again(self, member: Member) -> None:
        beat = f'{{"ip":"{member.ip}","port":{member.port},"cluster":"DEFAULT"}}'
        await self._call("PUT", "instance/beat", beat=beat)
        await self.register(self.applications[member.address])

    def known(self, replica: str) -> Sequence[str]:
        return self._heard[replica]

    async def stop(self, replica: str) -> None:
        await self._sites[replica].stop()

    async def start(self, replica: str) -> None:
        await self._sites[replica].start()

    async def settle(self) -> None:
        for name, site in self._sites.items():
            if site.is_up:
                found = await self._call("GET", "instance/list", at=site, healthyOnly="true")
                self._heard[name] = [f"{host['ip']}:{host['port']}" for host in found["hosts"]]

    async def log_in(self) -> None:
        """Have a token for applications and consumers."""
        url = f"http://{self._any().address}/nacos/v1/auth/login"
        async with self._http.post(url, data={"username": "shop", "password": "secret"}) as answer:
            self._token = (await answer.json())["accessToken"]

    def _any(self) -> Site:
        return next(site for site in self._sites.values() if site.is_up)

    async def _call(
        self, method: str, path: str, at: Site | None = None, **query: str
    ) -> dict[str, list[dict]]:  # type: ignore[type-arg]
        url = f"http://{(at or self._any()).address}/nacos/v1/ns/{path}"
        query |= {"serviceName": self.pool.name, "accessToken": self._token}
        async with self._http.request(method, url, params=query) as answer:
            answer.raise_for_status()
            return await answer.json() if answer.content_type == "application/json" else {}


@asynccontextmanager
async def nacos_rig() -> AsyncIterator[Registry]:
    """Yield two servers that ask for credentials."""
    nacos = Nacos(SystemClock(), USERS)
    sites = {name: Site(nacos.application()) for name in NAMES}
    await asyncio.gather(*(site.start() for site in sites.values()))
    async with aiohttp.ClientSession() as http:
        rig = NacosRig(nacos, sites, http)
        await rig.log_in()
        try:
            yield rig
        finally:
            await rig.close()
            await asyncio.gather(*(site.close() for site in sites.values()))
