"""The command line's cluster over the real client: which requests go out, what errors become."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cafe.cli.errors import Problem
from cafe.cli.ports import Place, Whereabouts
from cafe.cli.resources import APPS, PODS
from cafe.kernel import ObjectKey, Refusal, SystemEntropy, Unavailable
from cafe.kube.client import Client
from cafe.kube.transport import Request, Response, Stream
from cafe.processes.reaching import RemoteCluster, find_access
from tests.unit.cli.world import NAME, StillClock, releasing

KEY = ObjectKey("default", NAME)
Answer = Callable[[Request], Response]


class Scripted:
    """A transport that answers by a function, and streams what it was given, one list per watch."""

    def __init__(self, answer: Answer, *watches: list[dict[str, Any] | Exception]) -> None:
        self.answer = answer
        self.watches = list(watches)
        self.sent: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.sent.append(request)
        return self.answer(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        self.sent.append(request)
        yield Stream(200, {}, self._lines(self.watches.pop(0)))

    async def _lines(self, events: list[dict[str, Any] | Exception]) -> AsyncIterator[bytes]:
        for event in events:
            if isinstance(event, Exception):
                raise event
            yield json.dumps(event).encode()

    async def close(self) -> None:
        self.sent.clear()


def ok(body: object) -> Response:
    return Response(200, json.dumps(body).encode())


def status(code: int, reason: str, message: str = "no") -> Response:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}
    return Response(code, json.dumps(body).encode())


def remote(transport: Scripted) -> RemoteCluster:
    client = Client(transport, StillClock(), SystemEntropy(), field_manager="cafe-cli")
    return RemoteCluster(client, Place("ctx", "https://server", "default", "k (--kubeconfig)"))


def at(version: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- fields
    document = releasing(**changes)
    document["metadata"]["resourceVersion"] = str(version)
    return document


async def test_lists_give_each_item_its_type() -> None:
    transport = Scripted(lambda _: ok({"metadata": {}, "items": [{"metadata": {"name": "p"}}]}))
    (pod,) = await remote(transport).list(PODS, "default", labels="a=b")
    assert (pod["kind"], pod["apiVersion"]) == ("Pod", "v1")
    assert ("labelSelector", "a=b") in transport.sent[0].query


async def test_it_is_the_namespace_that_is_missing_if_the_server_says_so() -> None:
    found = {"resources": [{"name": "services", "kind": "Service", "namespaced": True}]}
    said = 'namespaces "shop" not found'
    transport = Scripted(lambda r: ok(found) if r.method == "GET" else status(404, "NotFound", said))
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}}
    with pytest.raises(Problem) as caught:
        await remote(transport).apply(service, dry_run=True)
    assert (caught.value.code, caught.value.what) == ("NoNamespace", "There is no namespace shop.")
    assert caught.value.do == "kubectl create namespace shop"


async def test_a_dry_run_that_fails_had_no_effect_whatever_went_wrong() -> None:
    found = {"resources": [{"name": "services", "kind": "Service", "namespaced": True}]}
    transport = Scripted(lambda r: ok(found) if r.method == "GET" else status(500, "InternalError"))
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}}
    with pytest.raises(Unavailable) as dry:
        await remote(transport).apply(service, dry_run=True)
    assert dry.value.is_outcome_known
    with pytest.raises(Unavailable) as wet:
        await remote(transport).apply(service)
    assert not wet.value.is_outcome_known


async def test_apply_asks_the_server_how_a_kind_is_addressed_and_asks_once() -> None:
    found = {
        "resources": [
            {"name": "services", "kind": "Service", "namespaced": True},
            {"name": "services/status", "kind": "Service", "namespaced": True},
        ]
    }
    transport = Scripted(lambda r: ok(found if r.method == "GET" else {"metadata": {"name": "web"}}))
    cluster = remote(transport)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"}}
    await cluster.apply(service, dry_run=True)
    await cluster.apply(service)
    assert [r.path for r in transport.sent] == ["/api/v1", *["/api/v1/namespaces/default/services/web"] * 2]
    assert ("dryRun", "All") in transport.sent[1].query
    assert transport.sent[2].query == (("fieldManager", "cafe-cli"),)


async def test_a_kind_that_the_server_does_not_know_is_said_so() -> None:
    transport = Scripted(lambda _: ok({"resources": []}))
    document = {"apiVersion": "v1", "kind": "Serviec", "metadata": {"name": "web", "namespace": "default"}}
    with pytest.raises(Problem, match="knows no Serviec"):
        await remote(transport).apply(document)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (status(404, "NotFound", f'cafedeployments "{NAME}" not found'), 3),
        (status(404, "NotFound", "the server could not find the requested resource"), 3),
        (status(401, "Unauthorized"), 4),
        (status(403, "Forbidden"), 5),
    ],
)
async def test_each_no_of_the_server_has_its_exit_code(answer: Response, code: int) -> None:
    with pytest.raises(Problem) as caught:
        await remote(Scripted(lambda _: answer)).get(APPS, KEY)
    assert caught.value.exit == code
    assert caught.value.do


async def test_following_goes_on_through_a_broken_connection_and_says_so() -> None:
    versions = iter([at(1), at(3, done=0, phase="Progressing")])
    transport = Scripted(
        lambda _: ok(next(versions)),
        [{"type": "MODIFIED", "object": at(2)}, Unavailable("connection reset")],
        [{"type": "DELETED", "object": at(4)}],
    )
    seen = []
    async with aclosing(remote(transport).follow(APPS, KEY)) as sightings:
        async for sighting in sightings:
            version = sighting.document["metadata"]["resourceVersion"] if sighting.document else "gone"
            seen.append((version, sighting.problem))
    assert seen == [("1", ""), ("2", ""), ("2", "connection reset"), ("3", ""), ("gone", "")]


async def test_following_lists_again_after_a_version_that_is_too_old_and_repeats_nothing() -> None:
    expired = {
        "type": "ERROR",
        "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"},
    }
    transport = Scripted(lambda _: ok(at(1)), [expired], [{"type": "DELETED", "object": at(2)}])
    async with aclosing(remote(transport).follow(APPS, KEY)) as sightings:
        seen = [s.document is not None async for s in sightings]
    assert seen == [True, False]


async def test_following_what_was_never_there_is_not_found() -> None:
    transport = Scripted(lambda _: status(404, "NotFound", "not found"))
    with pytest.raises(Problem, match="There is no CafeDeployment"):
        await anext(remote(transport).follow(APPS, KEY))


def test_a_missing_kubeconfig_is_named_with_who_named_it(tmp_path: Path) -> None:
    asked = Whereabouts((tmp_path / "nowhere",), "--kubeconfig", is_explicit=True)
    with pytest.raises(Refusal) as caught:
        find_access(asked, StillClock())
    assert "nowhere does not exist" in caught.value.what
    assert "--kubeconfig names it" in caught.value.why
