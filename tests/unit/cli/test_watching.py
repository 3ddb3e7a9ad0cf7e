"""Following a release: what is said, and how it ends."""

import json
from typing import Any

import pytest

from cafe.cli.ports import Sighting
from cafe.kernel import Unavailable
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import NAME, SmallCluster, an_app, releasing

UPDATING = releasing(phase="Progressing", done=0)
WAITING = releasing()
PAUSED = releasing(phase="Paused", done=0)
IMPOSSIBLE = releasing(phase="Progressing", done=0, reason="InPlaceImpossible")
SICK = releasing(phase="Progressing", done=0, reason="BudgetSpent")
COMPLETE = releasing(group=2, done=5, phase="Complete")
REFUSED = an_app(phase="Refused", waiting={"reason": "PinsShort", "message": "Every unit is pinned."})


def following(*documents: dict[str, Any]) -> SmallCluster:
    cluster = SmallCluster(documents[0])
    for version, document in enumerate(documents[1:], 200):
        stored = {**document, "metadata": {**document["metadata"], "resourceVersion": str(version)}}
        cluster.script.append(Sighting(stored))
    return cluster


@pytest.mark.parametrize(
    ("states", "goal", "code"),
    [
        ((UPDATING, COMPLETE), "complete", 0),
        ((UPDATING, WAITING), "complete", 8),
        ((UPDATING, PAUSED), "complete", 8),
        ((UPDATING, REFUSED), "complete", 7),
        ((UPDATING, IMPOSSIBLE), "complete", 8),
        ((SICK, COMPLETE), "complete", 0),
        ((UPDATING, WAITING), "confirm", 0),
        ((UPDATING, PAUSED), "paused", 0),
        ((UPDATING, COMPLETE), "confirm", 7),
    ],
)
def test_the_exit_code_of_wait_tells_how_it_ended(
    cafe: Cafe, states: tuple[dict[str, Any], ...], goal: str, code: int
) -> None:
    assert cafe(following(*states), "app", "wait", NAME, "--for", goal).code == code


def test_a_status_older_than_the_spec_ends_no_wait(cafe: Cafe) -> None:
    fresh = {**COMPLETE, "metadata": {**COMPLETE["metadata"], "generation": 9}}
    result = cafe(following(fresh, WAITING), "app", "wait", NAME)
    assert result.code == 8


@pytest.mark.slow
def test_a_wait_that_takes_too_long_says_that_the_release_goes_on(cafe: Cafe) -> None:
    result = cafe(SmallCluster(UPDATING), "app", "wait", NAME, "--timeout", "1s")
    assert result.code == 124
    assert "The release itself goes on" in result.err


def test_in_a_pipe_each_change_is_one_line(cafe: Cafe) -> None:
    result = cafe(following(UPDATING, UPDATING, WAITING, COMPLETE), "app", "watch", NAME, "--stay")
    lines = result.out.splitlines()
    assert result.code == 0
    assert len(lines) == 3
    assert "Beta 0/2 updating" in lines[0]
    assert "do cafe app confirm" in lines[1]
    assert lines[2].endswith("runs in all 10 pods.")


def test_in_a_pipe_watch_ends_as_wait_does(cafe: Cafe) -> None:
    assert cafe(following(UPDATING, WAITING, COMPLETE), "app", "watch", NAME).code == 8


def test_json_is_one_object_a_line_with_a_rising_seq(cafe: Cafe) -> None:
    result = cafe(following(UPDATING, COMPLETE), "app", "watch", NAME, "-o", "json")
    told = [json.loads(line) for line in result.out.splitlines()]
    assert [t["object"]["status"]["phase"] for t in told] == ["Progressing", "Complete"]
    assert told[0]["seq"] < told[1]["seq"]


def test_a_broken_connection_is_shown_and_ends_nothing(cafe: Cafe) -> None:
    cluster = following(UPDATING, COMPLETE)
    cluster.script.insert(0, Sighting(WAITING, "connection reset"))
    result = cafe(cluster, "app", "watch", NAME)
    assert result.code == 0
    assert "STALE: connection reset" in result.out.splitlines()[1]


def test_a_deleted_application_ends_the_watch_with_code_3(cafe: Cafe) -> None:
    cluster = following(UPDATING)
    cluster.script.append(Sighting(None))
    assert cafe(cluster, "app", "watch", NAME).code == 3


def test_an_error_of_the_server_ends_the_watch_in_three_lines(cafe: Cafe) -> None:
    cluster = following(UPDATING)
    cluster.script.append(Unavailable("connection refused"))
    result = cafe(cluster, "app", "watch", NAME)
    assert result.code == 1
    assert result.err.startswith("error: The server gave no answer: connection refused")


def test_a_duration_that_is_none_is_refused(cafe: Cafe) -> None:
    assert cafe(SmallCluster(UPDATING), "app", "wait", NAME, "--timeout", "soon").code == 2


def test_a_pull_that_fails_again_and_again_is_told_once(cafe: Cafe) -> None:
    def failing(word: str) -> dict[str, Any]:
        document = releasing(phase="Progressing", done=0)
        document["status"]["waiting"]["message"] = f"cell-a: p (productpage: {word}) is not available yet"
        return document

    states = following(failing("ErrImagePull"), failing("ImagePullBackOff"), failing("ErrImagePull"), WAITING)
    assert len(cafe(states, "app", "watch", NAME).out.splitlines()) == 2
