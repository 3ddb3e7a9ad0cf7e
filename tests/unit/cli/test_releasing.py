"""Releases, pauses and looking: what is written, and what is not."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import (
    NAME,
    NEW,
    OLD,
    SmallCluster,
    a_pod,
    a_set,
    an_event,
    canonical_plan,
    releasing,
    revisions,
)


def settled() -> SmallCluster:
    sets = [a_set("cell-a"), a_set("cell-b")]
    return SmallCluster(releasing(group=2, done=5, phase="Complete"), *revisions(), *sets)


def image_of(cluster: SmallCluster) -> str:
    image: str = cluster.at("CafeDeployment", NAME)["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def test_a_release_shows_its_groups_and_writes_the_image(cafe: Cafe) -> None:
    cluster = settled()
    result = cafe(cluster, "app", "release", NAME, "--image", "registry/productpage:3", "--yes")
    assert result.code == 0, result.err
    assert f"productpage: {NEW} -> registry/productpage:3" in result.out
    assert "total    ○ 0/2   ○ 0/4   ○ 0/4    0/10" in result.out
    assert image_of(cluster) == "registry/productpage:3"
    assert f"cafe app watch {NAME}" in result.err


def test_the_change_cause_is_kept(cafe: Cafe) -> None:
    cluster = settled()
    cafe(cluster, "app", "release", NAME, "--image", "x:3", "--yes", "--cause", "ticket 7")
    annotations = cluster.at("CafeDeployment", NAME)["metadata"]["annotations"]
    assert annotations["kubernetes.io/change-cause"] == "ticket 7"


def test_going_back_takes_the_stored_template(cafe: Cafe) -> None:
    cluster = settled()
    assert cafe(cluster, "app", "release", NAME, "--to-revision", "1", "-y").code == 0
    assert image_of(cluster) == OLD


def test_strategy_options_change_the_strategy_and_keep_the_rest_of_it(cafe: Cafe) -> None:
    cluster = settled()
    arguments = [
        "--image",
        "x:3",
        "--batch-size",
        "2",
        "--no-beta",
        "--no-need-confirm",
        "--max-unavailable",
        "50%",
    ]
    assert cafe(cluster, "app", "release", NAME, *arguments, "--yes").code == 0
    assert cluster.at("CafeDeployment", NAME)["spec"]["strategy"] == {
        "batchSize": 2,
        "upgradeType": "Batch",
        "needWaitingForConfirm": False,
        "maxUnavailable": "50%",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--image", "x:3"], 2, "YesNeeded"),
        (["--yes"], 2, "NothingAsked"),
        (["--image", "nobody=x:3", "--yes"], 2, "NoContainer"),
        (["--image", "productpage=", "--yes"], 2, "BadImage"),
        (["--to-revision", "9", "--yes"], 3, "NoRevision"),
        (["--to-revision", "1", "--image", "x:3", "--yes"], 2, "only one of them"),
        (["--max-unavailable", "0", "--yes"], 2, "BadBudget"),
        (["--max-unavailable", "101%", "--yes"], 2, "BadBudget"),
        (["--batch-size", "0", "--yes"], 2, "batch-size"),
        (["-f", "/no/such/file", "--yes"], 2, "NoManifest"),
    ],
)
def test_a_release_that_makes_no_sense_is_refused_and_writes_nothing(
    cafe: Cafe, arguments: list[str], code: int, said: str
) -> None:
    cluster = settled()
    result = cafe(cluster, "app", "release", NAME, *arguments)
    assert result.code == code
    assert said in result.err
    assert result.err.splitlines()[-1].startswith("do: ")
    assert cluster.writes == []


def test_a_change_that_cannot_be_made_in_place_is_refused_under_in_place_only(
    cafe: Cafe, tmp_path: Path
) -> None:
    cluster = settled()
    cluster.at("CafeDeployment", NAME)["spec"]["strategy"]["podUpgradePolicy"] = "InPlaceOnly"
    template = {"spec": {"containers": [{"name": "productpage", "image": NEW, "env": [{"name": "A"}]}]}}
    path = tmp_path / "template.yaml"
    path.write_text(yaml.safe_dump({"metadata": {"labels": {"app": "productpage"}}, **template}))
    result = cafe(cluster, "app", "release", NAME, "-f", str(path), "--yes")
    assert result.code == 1
    assert "spec.containers[productpage].env" in result.err
    assert cluster.writes == []


def test_somebody_else_s_change_in_between_is_a_conflict(cafe: Cafe) -> None:
    class Racing(SmallCluster):
        async def replace(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 -- as its parent
            if not self.opened:
                self.opened = 1
                other = self.at("CafeDeployment", NAME)
                other["metadata"]["generation"] += 1
                self.store(other)
            return await super().replace(*args, **kwargs)

    cluster = Racing(releasing(group=2, done=5, phase="Complete"), a_set("cell-a"))
    result = cafe(cluster, "app", "release", NAME, "--image", "x:3", "--yes")
    assert result.code == 6
    assert "somebody changed its spec" in result.err
    assert cluster.writes == []


def test_releasing_what_is_there_already_writes_nothing(cafe: Cafe) -> None:
    cluster = settled()
    cluster.at("CafeDeployment", NAME)["metadata"]["annotations"] = {}
    result = cafe(cluster, "app", "release", NAME, "--image", NEW, "--yes")
    assert (result.code, cluster.writes) == (0, [])


def test_a_dry_run_writes_nothing(cafe: Cafe) -> None:
    cluster = settled()
    assert cafe(cluster, "app", "release", NAME, "--image", "x:3", "--dry-run").code == 0
    assert cluster.writes == []


def test_pause_and_resume_write_one_field_once(cafe: Cafe) -> None:
    cluster = settled()
    assert cafe(cluster, "app", "pause", NAME).code == 0
    assert cafe(cluster, "app", "pause", NAME).code == 0
    assert [w["spec"]["strategy"]["pause"] for w in cluster.writes] == [True]
    assert cafe(cluster, "app", "resume", NAME).code == 0
    assert cluster.at("CafeDeployment", NAME)["spec"]["strategy"]["pause"] is False


def test_a_bad_image_shows_its_reason_and_the_exact_way_back(cafe: Cafe) -> None:
    sick = [
        a_pod(f"p-{cell}", cell, image=NEW, problem="ImagePullBackOff", message="Back-off pulling image")
        for cell in ("cell-a", "cell-b")
    ]
    cluster = SmallCluster(releasing(phase="Progressing", done=0), *revisions(), *sick)
    result = cafe(cluster, "app", "get", NAME)
    assert f"do        cafe app release {NAME} --to-revision 1" in result.out
    assert f"2 pods can't start: ImagePullBackOff {NEW} (cell-a: 1, cell-b: 1)" in result.out
    assert "✗ 0/1" in result.out
    as_plugin = cafe(cluster, "app", "get", NAME, program="kubectl cafe")
    assert f"do        kubectl cafe app release {NAME} --to-revision 1" in as_plugin.out


def test_commands_name_the_namespace_if_it_is_not_the_default(cafe: Cafe) -> None:
    document = releasing()
    document["metadata"]["namespace"] = "shop"
    result = cafe(SmallCluster(document), "app", "get", NAME, "-n", "shop")
    assert f"cafe app confirm {NAME} -n shop --group beta --plan {canonical_plan().hash}" in result.out


def test_get_looks_as_it_was_approved(cafe: Cafe) -> None:
    golden = Path(__file__).parents[2] / "golden" / "cli" / "get-waiting.txt"
    event = an_event("GroupOpened", "Beta may be updated", 56)
    result = cafe(SmallCluster(releasing(), *revisions(), event), "app", "get", NAME)
    assert result.out == golden.read_text()
    assert "\x1b" not in result.out


def test_events_of_one_second_are_told_in_the_order_of_their_writes(cafe: Cafe) -> None:
    opened, confirmed = an_event("GroupOpened", "group 1", 56), an_event("GroupConfirmed", "Beta", 56)
    confirmed["metadata"]["name"] = "another"
    cluster = SmallCluster(releasing(), opened, confirmed)
    cluster.store(opened)
    lines = cafe(cluster, "app", "get", NAME).out.splitlines()
    assert [line.split()[1] for line in lines[-2:]] == ["GroupConfirmed", "GroupOpened"]


def test_structured_output_is_the_api_s_own_object(cafe: Cafe) -> None:
    cluster = SmallCluster(releasing(), *revisions())
    assert json.loads(cafe(cluster, "app", "get", NAME, "-o", "json").out) == cluster.at(
        "CafeDeployment", NAME
    )
    listed = yaml.safe_load(cafe(cluster, "app", "list", "-o", "yaml").out)
    assert [item["metadata"]["name"] for item in listed["items"]] == [NAME]
    assert cafe(cluster, "app", "list", "-o", "name").out == f"cafedeployment.apps.cafe.sofastack.io/{NAME}\n"
    plan = json.loads(cafe(cluster, "app", "plan", NAME, "-o", "json").out)
    assert [sum(g["units"].values()) for g in plan["groups"]] == [2, 4, 4]


def test_history_says_where_each_revision_runs(cafe: Cafe) -> None:
    result = cafe(SmallCluster(releasing(), *revisions()), "app", "history", NAME, "--no-headers")
    newest, oldest = result.out.splitlines()
    assert newest.split()[0] == "2"
    assert "cell-a: 1, cell-b: 1" in newest
    assert "cell-a: 4, cell-b: 4" in oldest


def test_what_is_not_there_is_exit_code_3_in_three_lines(cafe: Cafe) -> None:
    result = cafe(SmallCluster(), "app", "get", "nobody")
    assert result.code == 3
    assert result.out == ""
    assert result.err.splitlines()[0] == "error: There is no CafeDeployment default/nobody."


def test_prose_is_chinese_and_flags_are_not(cafe: Cafe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    result = cafe(SmallCluster(releasing()), "app", "get", NAME)
    assert "Beta已完成；下一组等待确认。" in result.out
    assert "--group beta --plan" in result.out


def test_a_listener_gets_words_instead_of_drawings(cafe: Cafe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAFE_ACCESSIBLE", "1")
    result = cafe(SmallCluster(releasing()), "app", "get", NAME)
    assert "cell-b, Beta: 1 of 1, waits for confirmation" in result.out
    assert "╭" not in result.out


def test_colour_in_a_pipe_only_if_it_is_forced_and_never_with_cursor_codes(
    cafe: Cafe, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = SmallCluster(releasing(group=2, done=5, phase="Complete"))
    monkeypatch.setenv("FORCE_COLOR", "1")
    forced = cafe(cluster, "app", "watch", NAME).out + cafe(cluster, "app", "get", NAME).out
    assert "\x1b[" in forced
    assert not any(code in forced for code in ("\x1b[?", "\x1b[H", "\x1b[2J", "\x1b[1A"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in cafe(cluster, "app", "get", NAME).out


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        (("--groups", "cell"), "5, 5"),
        (("--groups", "all"), "10"),
        (("--groups", "40%"), "4, 4, 2"),
        (("--groups", "3"), "3, 3, 4"),
        (("--groups", "1:3"), "2, 2, 3, 3"),
        (("--groups", "each"), ", ".join(["1"] * 10)),
    ],
)
def test_groups_are_previewed_as_they_will_be_cut(cafe: Cafe, words: tuple[str, ...], groups: str) -> None:
    result = cafe(settled(), "app", "plan", NAME, "--image", "x:3", "--no-beta", *words, "-o", "json")
    assert result.code == 0, result.err
    sizes = [sum(group["units"].values()) for group in json.loads(result.out)["groups"]]
    assert ", ".join(map(str, sizes)) == groups


def test_a_release_can_stop_before_chosen_groups(cafe: Cafe) -> None:
    cluster = settled()
    words = ("--groups", "cell", "--stop-before", "2", "--stop-before", "1", "--ask", "first")
    assert cafe(cluster, "app", "release", NAME, "--image", "x:3", "--yes", *words).code == 0
    strategy = cluster.at("CafeDeployment", NAME)["spec"]["strategy"]
    assert strategy["grouping"] == {"strategy": "Cell", "breakpoints": [1, 2], "confirm": "First"}
    cafe(cluster, "app", "release", NAME, "--image", "x:4", "--yes", "--groups", "batch")
    strategy = cluster.at("CafeDeployment", NAME)["spec"]["strategy"]
    assert strategy["grouping"] == {"strategy": "BatchSize", "breakpoints": [1, 2], "confirm": "First"}


@pytest.mark.parametrize("text", ["0", "0%", "101%", "some", "4:x", ""])
def test_groups_that_mean_nothing_are_refused(cafe: Cafe, text: str) -> None:
    cluster = settled()
    result = cafe(cluster, "app", "release", NAME, "--yes", "--groups", text)
    assert (result.code, cluster.writes) == (2, [])
