"""Pods that fail in the middle of a release: skipped with a reason, or made anew."""

import pytest

from cafe.api.names import SKIP_ANNOTATION, SPECIFIED_DELETE_LABEL
from cafe.cli.errors import Exit
from cafe.cli.ports import Document
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import NAME, NEW, SmallCluster, a_pod, releasing


def a_ready_pod(name: str) -> Document:
    pod = a_pod(name, "cell-a")
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    return pod


def stuck() -> SmallCluster:
    """Return a release of which two pods fail."""
    sick = [a_pod(f"p-{n}", "cell-a", image=NEW, problem="CrashLoopBackOff") for n in (1, 2)]
    return SmallCluster(releasing(group=0, done=0), *sick, a_ready_pod("p-3"))


def test_a_pod_is_skipped_with_its_reason_on_it(cafe: Cafe) -> None:
    cluster = stuck()
    result = cafe(cluster, "app", "skip", NAME, "p-1", "--reason", "broken disk, ticket 17")
    assert result.code == 0, result.err
    assert "p-1 is skipped" in result.out + result.err
    (written,) = cluster.writes
    assert written["metadata"]["name"] == "p-1"
    assert written["metadata"]["annotations"][SKIP_ANNOTATION] == "broken disk, ticket 17"


def test_pods_that_fail_are_made_anew_those_named_or_all(cafe: Cafe) -> None:
    cluster = stuck()
    assert cafe(cluster, "app", "retry", NAME).code == 0
    assert [w["metadata"]["name"] for w in cluster.writes] == ["p-1", "p-2"]
    assert all(w["metadata"]["labels"][SPECIFIED_DELETE_LABEL] == "true" for w in cluster.writes)
    one = stuck()
    assert cafe(one, "app", "retry", NAME, "p-2").code == 0
    assert [w["metadata"]["name"] for w in one.writes] == ["p-2"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("skip", NAME, "p-3", "--reason", "x"), Exit.CONFLICT, "p-3 is ready"),
        (("skip", NAME, "p-1", "p-3", "--reason", "x"), Exit.CONFLICT, "p-3 is ready"),
        (("skip", NAME, "p-9", "--reason", "x"), Exit.NOT_FOUND, "has no pod p-9"),
        (("skip", NAME, "p-1"), Exit.USAGE, "--reason"),
        (("retry", NAME, "p-3"), Exit.CONFLICT, "p-3 is ready"),
        (("retry", "nobody"), Exit.NOT_FOUND, "nobody"),
    ],
)
def test_what_makes_no_sense_writes_nothing(
    cafe: Cafe, words: tuple[str, ...], code: Exit, told: str
) -> None:
    cluster = stuck()
    result = cafe(cluster, "app", *words)
    assert (result.code, cluster.writes) == (code, [])
    assert told in result.err


def test_where_nothing_fails_nothing_is_made_anew(cafe: Cafe) -> None:
    cluster = SmallCluster(releasing(group=0, done=0), a_ready_pod("p-3"))
    result = cafe(cluster, "app", "retry", NAME)
    assert (result.code, cluster.writes) == (Exit.CONFLICT, [])
    assert "All pods" in result.err
