"""What is so of Nacos alone, and of SOFARegistry alone, on their doubles."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from cafe.kernel import Refusal
from cafe.traffic.adapters.nacos import PAGE, NacosAdapter
from cafe.traffic.adapters.sofaregistry import PATIENCE, SofaRegistryAdapter
from cafe.traffic.domain.facts import Member, MemberState, Pool
from cafe.traffic.ports import TrafficAdapter
from cafe_sim.traffic.nacos import FORGOTTEN, GONE, SICK, Nacos
from cafe_sim.traffic.sofaregistry import Connection, SofaRegistry
from tests.ports.traffic.registering import Site
from tests.worlds.clock import HandClock

CART = Pool("shop.Cart", 80)
ONE = Member("one", "10.0.0.1", 80)
SERVICE = {"serviceName": "shop.Cart", "ip": "10.0.0.1", "port": "80"}

Call = Callable[..., Awaitable[object]]


async def state(adapter: TrafficAdapter, member: Member = ONE, pool: Pool = CART) -> MemberState | None:
    (view,) = (await adapter.observe([pool]))[pool.name]
    assert not view.problem
    found = view.members.get(member.address)
    return found.state if found is not None else None


@asynccontextmanager
async def nacos_of(nacos: Nacos, password: str = "") -> AsyncIterator[tuple[NacosAdapter, Call]]:
    """Yield an adapter of one server, and a call as clients make it."""
    site = Site(nacos.application())
    await site.start()
    adapter = NacosAdapter({"only": site.address}, "cafe" if password else "", password)
    async with aiohttp.ClientSession() as http:

        async def call(method: str, path: str, **query: str) -> object:
            url = f"http://{site.address}/nacos/v1/ns/{path}"
            async with http.request(method, url, params=query) as answer:
                answer.raise_for_status()
                return await answer.json() if answer.content_type == "application/json" else None

        try:
            yield adapter, call
        finally:
            await adapter.close()
            await site.close()


async def test_a_heartbeat_undoes_a_delete_and_not_a_switch() -> None:
    beat = '{"ip":"10.0.0.1","port":80}'
    async with nacos_of(Nacos(HandClock())) as (adapter, call):
        await call("POST", "instance", **SERVICE)
        await call("DELETE", "instance", **SERVICE)
        await call("PUT", "instance/beat", serviceName="shop.Cart", beat=beat)
        assert await state(adapter) is MemberState.SERVING
        await adapter.detach(CART, [ONE])
        await call("PUT", "instance/beat", serviceName="shop.Cart", beat=beat)
        assert await state(adapter) is None


async def test_weight_and_metadata_are_as_they_were_after_a_switch_off_and_on() -> None:
    async with nacos_of(Nacos(HandClock())) as (adapter, call):
        await call("POST", "instance", **SERVICE, weight="5.0", metadata='{"zone":"a"}', clusterName="EAST")
        before = await call("GET", "instance/list", serviceName="shop.Cart")
        await adapter.detach(CART, [ONE])
        assert await state(adapter) is None
        await adapter.attach(CART, [ONE])
        assert await call("GET", "instance/list", serviceName="shop.Cart") == before


async def test_an_instance_without_heartbeats_is_down_then_gone_and_its_switch_is_forgotten_later() -> None:
    clock = HandClock()
    async with nacos_of(Nacos(clock)) as (adapter, call):
        await call("POST", "instance", **SERVICE)
        clock.passed += SICK
        assert await state(adapter) is MemberState.DOWN
        await adapter.detach(CART, [ONE])
        clock.passed += GONE
        assert await state(adapter) is None
        await call("POST", "instance", **SERVICE)
        assert await state(adapter) is None
        await call("DELETE", "instance", **SERVICE)
        clock.passed += FORGOTTEN
        await call("POST", "instance", **SERVICE)
        assert await state(adapter) is MemberState.SERVING


async def test_a_service_of_another_namespace_and_group_is_not_mistaken() -> None:
    pool = Pool("bank/shop@@Cart", 80)
    async with nacos_of(Nacos(HandClock())) as (adapter, call):
        named = {**SERVICE, "serviceName": "shop@@Cart"}
        await call("POST", "instance", **named)
        assert await state(adapter, pool=pool) is None
        await call("POST", "instance", **named, namespaceId="bank")
        assert await state(adapter, pool=pool) is MemberState.SERVING
        await adapter.detach(pool, [ONE])
        assert await state(adapter, pool=pool) is None
        assert await state(adapter, pool=Pool("shop@@Cart", 80)) is MemberState.SERVING


@pytest.mark.slow
async def test_an_instance_on_a_later_page_is_found() -> None:
    async with nacos_of(Nacos(HandClock())) as (adapter, call):
        for port in range(1, PAGE + 3):
            await call("POST", "instance", serviceName="shop.Cart", ip="10.0.0.1", port=str(port))
        last = Member("last", "10.0.0.1", PAGE + 2)
        await adapter.detach(CART, [last])
        assert await state(adapter, last) is None
        assert await state(adapter) is MemberState.SERVING


async def test_a_wrong_password_is_refused_by_name() -> None:
    async with nacos_of(Nacos(HandClock(), {"cafe": "secret"}), "guessed") as (adapter, _):
        for call in (adapter.observe([CART]), adapter.detach(CART, [ONE])):
            with pytest.raises(Refusal) as refused:
                await call
            assert refused.value.code == "CredentialsRefused"


async def test_a_token_that_has_run_out_is_renewed() -> None:
    nacos = Nacos(HandClock(), {"cafe": "secret"})
    async with nacos_of(nacos, "secret") as (adapter, _):
        assert await state(adapter) is None
        nacos.tokens.clear()
        assert await state(adapter) is None


class Client:
    """Publishes, and again whenever it is told to."""

    def __init__(self, registry: SofaRegistry, ip: str) -> None:
        self.registry = registry
        self.ip = ip
        self.lost = 0
        self.publish()

    def publish(self) -> Connection:
        connection = self.registry.connect(self.ip, self._lose)
        assert connection is not None
        connection.published["shop.Cart#@#DEFAULT_INSTANCE_ID#@#SOFA"] = f"bolt://{self.ip}:80"
        self.connection = connection
        return connection

    def _lose(self) -> None:
        self.lost += 1


@asynccontextmanager
async def sofaregistry_of(
    registry: SofaRegistry, clock: HandClock, *reached: str
) -> AsyncIterator[SofaRegistryAdapter]:
    """Yield an adapter that reaches some of the session servers; the others are there for each other."""
    sites = {name: Site(registry.application(name)) for name in registry.names}
    await asyncio.gather(*(site.start() for site in sites.values()))
    adapter = SofaRegistryAdapter({name: site.address for name, site in sites.items()}, clock)
    await asyncio.gather(*(sites[name].stop() for name in registry.names if name not in reached))
    try:
        yield adapter
    finally:
        await adapter.close()
        await asyncio.gather(*(site.close() for site in sites.values()))


async def test_a_session_server_that_only_others_reach_is_told_by_them() -> None:
    registry = SofaRegistry(["far", "near"])
    client = Client(registry, "10.0.0.1")
    assert client.connection.server == "far"
    async with sofaregistry_of(registry, HandClock(), "near") as adapter:
        await adapter.detach(CART, [ONE])
        far, near = (await adapter.observe([CART]))[CART.name]
        assert far.problem
        assert not near.problem
        assert not near.members
        await adapter.attach(CART, [ONE])
        assert client.lost == 1


async def test_connections_are_closed_once_and_again_only_when_patience_is_over() -> None:
    registry, clock = SofaRegistry(["only"]), HandClock()
    client = Client(registry, "10.0.0.1")
    async with sofaregistry_of(registry, clock, "only") as adapter:
        await adapter.attach(CART, [ONE])
        assert client.lost == 0
        await adapter.detach(CART, [ONE])
        for _ in range(2):
            await adapter.attach(CART, [ONE])
            registry.connect("10.0.0.1", client._lose)  # Connected again, and not published yet.
        assert client.lost == 1
        clock.passed += PATIENCE
        await adapter.attach(CART, [ONE])
        assert client.lost == 3  # Two connections.


async def test_an_operator_who_is_refused_for_now_finds_nothing_changed_and_may_ask_again() -> None:
    registry = SofaRegistry(["only"])
    client = Client(registry, "10.0.0.1")
    async with sofaregistry_of(registry, HandClock(), "only") as adapter:
        registry.is_throttled = True
        await adapter.detach(CART, [ONE])
        assert await state(adapter) is MemberState.SERVING
        registry.is_throttled = False
        await adapter.detach(CART, [ONE])
        assert await state(adapter) is None
        registry.is_throttled = True
        await adapter.attach(CART, [ONE])
        assert client.lost == 0
        registry.is_throttled = False
        await adapter.attach(CART, [ONE])
        assert client.lost == 1


async def test_a_pod_goes_with_all_its_services_and_leaves_other_pods_alone() -> None:
    registry = SofaRegistry(["only"])
    one, two = Client(registry, "10.0.0.1"), Client(registry, "10.0.0.2")
    one.connection.published["shop.Pay#@#DEFAULT_INSTANCE_ID#@#SOFA"] = "bolt://10.0.0.1:80"
    async with sofaregistry_of(registry, HandClock(), "only") as adapter:
        await adapter.detach(CART, [ONE])
        assert await state(adapter, ONE, Pool("shop.Pay", 80)) is None
        assert await state(adapter, Member("two", "10.0.0.2", 80)) is MemberState.SERVING
        assert two.lost == 0
