"""What single units have otherwise: shown before a release, restored by the way back, refused beforehand."""

import copy
import json
from typing import Any

import pytest

from cafe.cli.ports import Document
from tests.unit.appservices.services import content
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.test_publishing import a_revision as a_service_revision
from tests.unit.cli.test_publishing import a_service
from tests.unit.cli.test_publishing import an_app as a_rendered_app
from tests.unit.cli.world import NAME, NEW, OLD, SmallCluster, a_revision, a_set, an_app

BOX = "productpage"
AHEAD = {"units": ["cell-a"], "containers": [{"name": BOX, "image": "registry/productpage:9"}]}
GOLD = {"units": ["cell-a", "cell-z"], "labels": {"tier": "gold"}}


def with_overrides(*overrides: Document) -> Document:
    app = an_app()
    app["spec"]["topology"]["overrides"] = copy.deepcopy([*overrides])
    return app


def kept(number: int, image: str, *overrides: Document) -> Document:
    """Return a revision as the controller stores it."""
    found = a_revision(number, f"{number}aaaaaaaaa", image)
    template = {**found["data"], "$patch": "replace"}
    spec: Document = {"template": template}
    if overrides:
        spec["topology"] = {"overrides": [*overrides]}
    return {**found, "data": {"spec": spec}}


def cluster_of(app: Document, *revisions: Document) -> SmallCluster:
    return SmallCluster(app, *revisions, a_set("cell-a"), a_set("cell-b"))


def topology(cluster: SmallCluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.at("CafeDeployment", NAME)["spec"]["topology"]
    return found


def test_going_back_restores_what_single_units_had_but_for_units_that_are_gone(cafe: Cafe) -> None:
    gone = {"units": ["cell-z"], "labels": {"tier": "silver"}}
    cluster = cluster_of(with_overrides(), kept(1, OLD, AHEAD, GOLD, gone), kept(2, NEW))
    result = cafe(cluster, "app", "release", NAME, "--to-revision", "1", "--yes")
    assert result.code == 0, result.err
    assert topology(cluster)["overrides"] == [AHEAD, {**GOLD, "units": ["cell-a"]}]
    assert f"In cell-a only, {BOX}.image: {NEW} -> registry/productpage:9" in result.out
    assert "In cell-a only, labels[tier]: - -> gold" in result.out


def test_going_back_to_a_time_without_overrides_takes_them_away(cafe: Cafe) -> None:
    cluster = cluster_of(with_overrides(AHEAD), kept(1, NEW), kept(2, NEW, AHEAD))
    result = cafe(cluster, "app", "release", NAME, "--to-revision", "1", "--yes")
    assert result.code == 0, result.err
    assert "overrides" not in topology(cluster)
    assert f"In cell-a only, {BOX}.image: registry/productpage:9 -> {NEW}" in result.out
    assert "0/5" in result.out


def test_a_new_image_leaves_the_overrides_and_says_who_stays(cafe: Cafe) -> None:
    cluster = cluster_of(with_overrides(AHEAD))
    result = cafe(cluster, "app", "release", NAME, "--image", "registry/productpage:3", "--yes")
    assert result.code == 0, result.err
    assert topology(cluster)["overrides"] == [AHEAD]
    assert f"In cell-a, {BOX}.image stays registry/productpage:9." in result.out


@pytest.mark.parametrize("command", ["plan", "release"])
def test_what_the_controller_would_refuse_is_refused_before_anything_is_written(
    cafe: Cafe, command: str
) -> None:
    cluster = cluster_of(with_overrides(AHEAD))
    words = ["--image", "registry/productpage:9"]
    result = cafe(cluster, "app", command, NAME, *words, *(["--yes"] if command == "release" else []))
    assert result.code != 0
    assert "BadOverride" in result.err
    assert "what the template says" in result.err
    assert cluster.at("CafeDeployment", NAME) == with_overrides(AHEAD) | {
        "metadata": cluster.at("CafeDeployment", NAME)["metadata"]
    }


def test_the_lines_are_told_in_chinese(cafe: Cafe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    cluster = cluster_of(with_overrides(AHEAD), kept(1, OLD))
    result = cafe(cluster, "app", "plan", NAME, "--to-revision", "1")
    assert f"仅在 cell-a，{BOX}.image" in result.out


CELLS = {"unitType": "Cell", "values": ["cell-a", "cell-b"]}
SHOP_AHEAD = {"units": ["cell-a"], "containers": [{"name": "shop", "image": "registry.bank/shop:2.0"}]}


def test_publishing_shows_the_cell_that_has_something_otherwise_and_judges_its_risk(cafe: Cafe) -> None:
    one = content(deploy__topology=CELLS)
    two = content(deploy__topology={**CELLS, "overrides": [SHOP_AHEAD]})
    app = a_rendered_app()
    app["spec"]["topology"] = CELLS
    revisions = a_service_revision(1, one), a_service_revision(2, two)
    cluster = SmallCluster(a_service(of=two), *revisions, app)
    told = cafe(cluster, "app", "diff", "shop", "1", "2")
    path = "deploy.topology.overrides[cell-a].containers[shop].image"
    assert f"! {path}: registry.bank/shop:1.2 -> registry.bank/shop:2.0" in told.out
    refused = cafe(cluster, "app", "publish", "shop", "2", "--yes")
    assert "HighRisk" in refused.err
    assert "In cell-a only, shop.image: registry.bank/shop:1.2 -> registry.bank/shop:2.0" in refused.out
    assert "shop:1.2 (otherwise in cell-a)" in cafe(cluster, "app", "revisions", "shop").out


def test_history_tells_revisions_of_the_same_images_apart(cafe: Cafe) -> None:
    cluster = cluster_of(with_overrides(), kept(1, NEW), kept(2, NEW, GOLD))
    out = cafe(cluster, "app", "history", NAME).out
    assert out.count("(otherwise in cell-a, cell-z)") == 1
    told = json.loads(cafe(cluster, "app", "history", NAME, "-o", "json").out)["items"]
    assert [item.get("overrides") for item in told] == [[GOLD], None]
