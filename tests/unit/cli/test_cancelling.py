"""A release that is under way is cancelled: back to what ran before it."""

import pytest

from cafe.cli.errors import Exit
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.test_publishing import shop
from tests.unit.cli.world import NAME, OLD, SmallCluster, an_app, releasing, revisions


def test_an_application_goes_back_to_what_ran_whole(cafe: Cafe) -> None:
    cluster = SmallCluster(releasing(group=1, done=1), *revisions())
    result = cafe(cluster, "app", "cancel", NAME, "--reason", "ticket 17", "--yes")
    assert result.code == 0, result.err
    assert "productpage: registry/productpage:2 -> registry/productpage:1" in result.out
    (written,) = cluster.writes
    assert written["spec"]["template"]["spec"]["containers"][0]["image"] == OLD
    assert "cafe app cancel: ticket 17" in str(written["metadata"]["annotations"])


def test_a_rehearsal_shows_it_and_writes_nothing(cafe: Cafe) -> None:
    cluster = SmallCluster(releasing(group=1, done=1), *revisions())
    result = cafe(cluster, "app", "cancel", NAME, "--reason", "x", "--dry-run")
    assert (result.code, cluster.writes) == (0, [])
    assert "productpage: registry/productpage:2 -> registry/productpage:1" in result.out


def test_a_service_goes_back_to_its_last_good_revision_and_the_other_is_held(cafe: Cafe) -> None:
    rendered = releasing(group=0, done=0)
    rendered["metadata"]["name"] = "shop"
    owner = {"kind": "CafeAppService", "name": "shop", "uid": "service", "controller": True}
    rendered["metadata"]["ownerReferences"] = [{"apiVersion": "apps.cafe.sofastack.io/v1alpha1", **owner}]
    cluster = shop(rendered, live=2, good=1)
    result = cafe(cluster, "app", "cancel", "shop", "--reason", "orders were lost", "--yes")
    assert result.code == 0, result.err
    first, second = cluster.writes
    assert (first["kind"], first["spec"]["hold"]) == ("CafeAppRevision", {"reason": "orders were lost"})
    assert (second["kind"], second["spec"]["publish"]["revision"]) == ("CafeAppService", 1)


def first_release() -> SmallCluster:
    app = releasing(group=0, done=0)
    app["status"]["currentRevision"] = ""
    return SmallCluster(app, *revisions())


@pytest.mark.parametrize(
    ("cluster", "words", "code", "told"),
    [
        pytest.param(
            SmallCluster(an_app(), *revisions()),
            ("--reason", "x", "-y"),
            Exit.CONFLICT,
            "No release",
            id="none",
        ),
        pytest.param(first_release(), ("--reason", "x", "-y"), Exit.NOT_FOUND, "It is its first", id="first"),
        pytest.param(
            SmallCluster(releasing()),
            ("--reason", "x", "-y"),
            Exit.NOT_FOUND,
            "not stored any more",
            id="lost",
        ),
        pytest.param(
            SmallCluster(releasing(), *revisions()),
            ("--reason", "x"),
            Exit.USAGE,
            "Repeat with --yes",
            id="unasked",
        ),
        pytest.param(
            SmallCluster(releasing(), *revisions()), ("-y",), Exit.USAGE, "--reason", id="no reason"
        ),
    ],
)
def test_what_can_not_be_cancelled_is_told_and_nothing_is_written(
    cafe: Cafe, cluster: SmallCluster, words: tuple[str, ...], code: Exit, told: str
) -> None:
    result = cafe(cluster, "app", "cancel", NAME, *words)
    assert (result.code, cluster.writes) == (code, [])
    assert told in result.err
