"""What Envoys are told, and what they say."""

import asyncio
import json
from pathlib import Path
from random import Random  # noqa: TID251 -- Hypothesis lends it

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from cafe.traffic.adapters.discovery import PATH, Discovery, Files
from cafe.traffic.adapters.endpointsets import Endpoints
from cafe.traffic.adapters.envoy import Garbled, read_clusters
from cafe.traffic.domain.facts import Member, MemberState

MEMBERS = st.builds(Member, st.text("ab", min_size=1), st.ip_addresses(v=4).map(str), st.integers(1, 65_535))
SOME = st.lists(MEMBERS, max_size=5)
ONE = Member("one", "10.0.0.1", 80)


@given(SOME, SOME, st.randoms())
def test_equal_endpoints_have_equal_versions_in_whatever_order_they_came(
    attached: list[Member], detached: list[Member], chance: Random
) -> None:
    told = Endpoints("web").attached(attached).detached(detached)
    shuffled = list(attached)
    chance.shuffle(shuffled)
    again = Endpoints("web").attached(shuffled).detached(detached)
    if {m.address: m for m in attached} == {m.address: m for m in shuffled}:
        assert told.version == again.version


@given(SOME, MEMBERS)
def test_each_change_makes_another_version_and_what_changes_nothing_none(
    attached: list[Member], member: Member
) -> None:
    told = Endpoints("web").attached([*attached, member])
    drained = told.detached([member])
    assert drained.version != told.version
    assert drained.detached([member]).version == drained.version
    assert drained.attached([member]).version == told.version
    assert told.without([member]).version != told.version
    assert told.without([member]).detached([member]) == told.without([member]), "a stranger is not added"


def test_what_an_envoy_says_is_read() -> None:
    host = {
        "address": {"socket_address": {"address": "10.0.0.1", "port_value": 80}},
        "stats": [
            {"name": "rq_active", "value": "2"},
            {"name": "rq_total", "value": "7"},
            {"name": "cx_active"},
        ],
        "health_status": {"eds_health_status": "HEALTHY"},
    }
    sick = {**host, "health_status": {"eds_health_status": "HEALTHY", "failed_outlier_check": True}}
    drained = {**host, "health_status": {"eds_health_status": "DRAINING", "failed_active_health_check": True}}
    for told, state in (
        (host, MemberState.SERVING),
        (sick, MemberState.DOWN),
        (drained, MemberState.DRAINING),
    ):
        text = json.dumps({"cluster_statuses": [{"name": "web", "host_statuses": [told]}, {"name": "empty"}]})
        view = read_clusters(text)["web"]["10.0.0.1:80"]
        assert (view.state, view.active, view.arrivals) == (state, 2, 7)


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_what_is_no_answer_is_never_taken_for_one(text: str) -> None:
    with pytest.raises(Garbled):
        read_clusters(text)


async def test_a_request_is_held_until_there_is_news_and_an_unknown_cluster_is_not_answered_for() -> None:
    discovery = Discovery()
    told = discovery.of("edge")
    async with TestClient(TestServer(discovery.application())) as client:
        asked = {"node": {"cluster": "edge"}, "resource_names": ["web"], "version_info": ""}
        waiting = asyncio.ensure_future(client.post(PATH, json=asked))
        other = {**asked, "node": {"cluster": "another"}}
        stranger = asyncio.ensure_future(client.post(PATH, json=other))
        await asyncio.sleep(0)
        assert not waiting.done()
        told.put(Endpoints("web").attached([ONE]))
        first = await (await waiting).json()
        assert first["resources"][0]["endpoints"][0]["lb_endpoints"][0]["health_status"] == "HEALTHY"
        again = asyncio.ensure_future(
            client.post(PATH, json={**asked, "version_info": first["version_info"]})
        )
        told.put(Endpoints("web").attached([ONE]).detached([ONE]))
        second = await (await again).json()
        assert second["resources"][0]["endpoints"][0]["lb_endpoints"][0]["health_status"] == "DRAINING"
        assert not stranger.done()
        discovery.close()
        assert (await stranger).status == 304
        assert (await client.post(PATH, data="no json")).status == 400


def test_a_file_is_whole_whenever_it_is_read(tmp_path: Path) -> None:
    files = Files(tmp_path)
    assert files.get("web") is None
    files.put(Endpoints("web").attached([ONE]))
    path = tmp_path / "web.json"
    assert json.loads(path.read_text())["resources"][0]["cluster_name"] == "web"
    assert [p.name for p in tmp_path.iterdir()] == ["web.json"]
