"""Revisions of application services: looking, comparing, publishing, going back."""

import json
from typing import Any

import msgspec
import pytest

from cafe.api.cafeapprevision import AppContent
from cafe.api.names import API_VERSION
from cafe.cli.ports import Document
from tests.unit.appservices.services import container, content
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import SmallCluster


def a_revision(number: int, held: AppContent, hold: str = "", cause: str = "") -> Document:
    spec: Document = {
        "service": "shop",
        "number": number,
        "digest": f"digest{number}",
        "content": msgspec.to_builtins(held),
        "cause": cause,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "CafeAppRevision",
        "metadata": {
            "name": f"shop-{number}",
            "namespace": "default",
            "uid": f"r{number}",
            "generation": 1,
            "creationTimestamp": "2026-03-01T11:30:00Z",
            "ownerReferences": [{"uid": "s-1", "kind": "CafeAppService", "name": "shop", "controller": True}],
        },
        "spec": {**spec, **({"hold": {"reason": hold}} if hold else {})},
    }


def a_service(live: int = 1, good: int = 1, edited: int = 2, of: AppContent | None = None) -> Document:
    return {
        "apiVersion": API_VERSION,
        "kind": "CafeAppService",
        "metadata": {"name": "shop", "namespace": "default", "uid": "s-1", "generation": 3},
        "spec": {
            **msgspec.to_builtins(of or TWO),
            "publish": {"revision": live, "replicas": 7},
            "historyLimit": 5,
        },
        "status": {"liveRevision": live, "lastGoodRevision": good, "specRevision": edited},
    }


def an_app(**spec: Any) -> Document:  # noqa: ANN401 -- any field
    owner = {"uid": "s-1", "kind": "CafeAppService", "name": "shop", "controller": True}
    body = msgspec.to_builtins(content())
    return {
        "apiVersion": API_VERSION,
        "kind": "CafeDeployment",
        "metadata": {
            "name": "shop",
            "namespace": "default",
            "uid": "a-1",
            "generation": 1,
            "ownerReferences": [owner],
        },
        "spec": {"selector": body["selector"], "template": body["template"], "replicas": 10, **spec},
    }


ONE = content()
TWO = container(image="registry.bank/shop:1.3")
RISKY = container(image="registry.bank/shop:2.0")


def shop(*more: Document, **service: Any) -> SmallCluster:  # noqa: ANN401 -- fields
    return SmallCluster(a_service(**service), a_revision(1, ONE, cause="first"), a_revision(2, TWO), *more)


def published(cluster: SmallCluster) -> Document:
    spec: Document = cluster.at("CafeAppService", "shop")["spec"]["publish"]
    return spec


def test_revisions_are_listed_with_what_they_are(cafe: Cafe) -> None:
    cluster = shop(a_revision(3, RISKY, hold="orders were lost"))
    result = cafe(cluster, "app", "revisions", "shop")
    assert result.code == 0, result.err
    assert [line.split()[0] for line in result.out.splitlines()] == ["REVISION", "3", "2", "1"]
    assert "on hold: orders were lost" in result.out
    assert "as edited" in result.out.splitlines()[2]
    assert "live, last good" in result.out.splitlines()[3]


def test_a_difference_is_told_with_its_risk_and_exit_code_10(cafe: Cafe) -> None:
    cluster = shop(a_revision(3, RISKY))
    result = cafe(cluster, "app", "diff", "shop", "1", "3")
    assert result.code == 10
    assert (
        "! template.spec.containers[shop].image: registry.bank/shop:1.2 -> registry.bank/shop:2.0"
        in result.out
    )
    assert "the major version changes from 1 to 2" in result.out
    whole = json.loads(cafe(cluster, "app", "diff", "shop", "-o", "json").out)
    assert (whole["risk"], whole["changes"][0]["new"]) == ("Ordinary", "registry.bank/shop:1.3")
    same = cafe(cluster, "app", "diff", "shop", "2", "2")
    assert (same.code, same.out) == (0, "They are equal.\n")


def test_publishing_writes_the_number_and_leaves_the_rest(cafe: Cafe) -> None:
    cluster = shop()
    result = cafe(cluster, "app", "publish", "shop", "2", "--yes")
    assert result.code == 0, result.err
    assert published(cluster) == {"revision": 2, "replicas": 7}
    assert "shop does not run yet" in result.out
    assert "Revision 2 of shop goes live" in result.err


def test_publishing_shows_the_groups_of_what_runs(cafe: Cafe) -> None:
    result = cafe(shop(an_app()), "app", "publish", "shop", "2", "--yes", "--dry-run")
    assert "shop: registry.bank/shop:1.2 -> registry.bank/shop:1.3" in result.out
    assert "Pods stay where they are" in result.out


def test_a_risky_change_needs_more_than_a_yes(cafe: Cafe) -> None:
    cluster = shop(a_revision(3, RISKY))
    refused = cafe(cluster, "app", "publish", "shop", "3", "--yes")
    assert (refused.code, cluster.writes) == (8, [])
    assert "It changes template.spec.containers[shop].image (HighRisk)" in refused.err
    assert cafe(cluster, "app", "publish", "shop", "3", "--yes", "--accept-risk").code == 0
    assert published(cluster)["revision"] == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("publish", "shop", "9", "--yes"), 3, "shop has no revision 9."),
        (("publish", "shop", "3", "--yes"), 6, "Revision 3 of shop is on hold"),
        (("publish", "shop", "2"), 2, "Nobody is there to agree"),
        (("publish", "none", "2", "--yes"), 3, "There is no CafeAppService"),
        (("rollback", "shop", "--to", "1", "--reason", "x", "--yes"), 2, "Revision 1 is live"),
        (("rollback", "shop", "--reason", "x", "--yes"), 3, "no earlier revision"),
        (("hold", "shop", "9", "--reason", "x"), 3, "shop has no revision 9."),
    ],
)
def test_what_can_not_be_done_is_told_and_nothing_is_written(
    cafe: Cafe, words: tuple[str, ...], code: int, said: str
) -> None:
    cluster = shop(a_revision(3, RISKY, hold="orders were lost"))
    result = cafe(cluster, "app", *words)
    assert result.code == code, result.err
    assert said in result.err
    assert cluster.writes == []


def test_going_back_holds_what_is_left_before_it_publishes(cafe: Cafe) -> None:
    cluster = shop(live=2, good=1)
    result = cafe(cluster, "app", "rollback", "shop", "--reason", "orders were lost", "--yes")
    assert result.code == 0, result.err
    first, second = cluster.writes
    assert (first["kind"], first["spec"]["hold"]) == ("CafeAppRevision", {"reason": "orders were lost"})
    assert (second["kind"], second["spec"]["publish"]["revision"]) == ("CafeAppService", 1)


def test_a_hold_is_put_and_lifted(cafe: Cafe) -> None:
    cluster = shop()
    cafe(cluster, "app", "hold", "shop", "2", "--reason", "ticket 7")
    assert cluster.at("CafeAppRevision", "shop-2")["spec"]["hold"] == {"reason": "ticket 7"}
    cafe(cluster, "app", "unhold", "shop", "2")
    assert "hold" not in cluster.at("CafeAppRevision", "shop-2")["spec"]


def test_an_image_alone_begins_from_what_is_live(cafe: Cafe) -> None:
    cluster = shop()
    refused = cafe(cluster, "app", "image", "shop", "registry.bank/shop:1.4")
    assert (refused.code, cluster.writes) == (6, [])
    assert "edits that are not live" in refused.err
    result = cafe(cluster, "app", "image", "shop", "registry.bank/shop:1.4", "--discard-edits")
    assert result.code == 0, result.err
    spec = cluster.at("CafeAppService", "shop")["spec"]
    wanted = container(image="registry.bank/shop:1.4")
    kept = {key: spec.pop(key) for key in ("publish", "historyLimit")}
    assert msgspec.convert(spec, AppContent) == wanted
    assert kept == {"publish": {"revision": 1, "replicas": 7}, "historyLimit": 5}


def test_a_rendered_application_is_released_through_its_service(cafe: Cafe) -> None:
    cluster = shop(an_app())
    refused = cafe(cluster, "app", "release", "shop", "--image", "x:1", "--yes")
    assert (refused.code, cluster.writes) == (6, [])
    assert "cafe app rollback shop" in refused.err
    assert cafe(cluster, "app", "pause", "shop").code == 0
    assert published(cluster) == {"revision": 1, "replicas": 7, "pause": True}
    assert cafe(cluster, "app", "resume", "shop").code == 0
    assert published(cluster)["pause"] is False
