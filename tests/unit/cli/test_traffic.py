"""Whose requests reach pods, as people see it, and pods that people take out of traffic."""

import json

import pytest

from cafe.api.names import EXPECTED_ANNOTATION, FORCED_ANNOTATION, OPERATION_PREFIX, PROTECTION_PREFIX
from cafe.api.trafficmarks import Operation, OperationType, write_mark
from cafe.cli.errors import Exit
from cafe.cli.ports import Document
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import NAME, NOW, SmallCluster, a_pod, releasing

EMPLOYER, HELD = "Service/shop/api", PROTECTION_PREFIX + "api"
DRAIN = Operation(type=OperationType.OFFLINE, actor="ann", start=NOW, reason="ticket 9")


def guarded(name: str, *finalizers: str, **operations: Operation) -> Document:
    pod = a_pod(name, "cell-a")
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    pod["metadata"]["finalizers"] = list(finalizers)
    pod["metadata"]["annotations"] = {
        EXPECTED_ANNOTATION: json.dumps({EMPLOYER: HELD}),
        **{OPERATION_PREFIX + who: write_mark(op) for who, op in operations.items()},
    }
    return pod


def shop(*pods: Document) -> SmallCluster:
    return SmallCluster(releasing(group=0, done=0), *pods)


@pytest.mark.parametrize(
    ("pod", "phase"),
    [
        (a_pod("p-1", "cell-a"), "Unguarded"),
        (guarded("p-1", HELD), "Serving"),
        (guarded("p-1"), "Attaching"),
        (guarded("p-1", HELD, ann=DRAIN), "Draining"),
        (guarded("p-1", ann=DRAIN), "Draining"),
    ],
)
def test_each_pod_tells_how_its_traffic_stands(cafe: Cafe, pod: Document, phase: str) -> None:
    result = cafe(shop(pod), "traffic", "get", NAME)
    assert result.code == 0, result.err
    assert phase in result.out


def test_a_pod_is_taken_offline_with_the_reason_on_it_and_brought_back(cafe: Cafe) -> None:
    cluster = shop(guarded("p-1", HELD), guarded("p-2", HELD))
    result = cafe(cluster, "traffic", "offline", "p-1", "--reason", "ticket 9")
    assert result.code == 0, result.err
    (written,) = cluster.writes
    (wish,) = [v for k, v in written["metadata"]["annotations"].items() if k.startswith(OPERATION_PREFIX)]
    assert "ticket 9" in wish
    away = shop(guarded("p-1", ann=DRAIN), guarded("p-2", HELD))
    assert cafe(away, "traffic", "online", "p-1").code == 0
    (back,) = away.writes
    assert not [k for k in back["metadata"]["annotations"] if k.startswith(OPERATION_PREFIX)]


def test_a_forced_drain_leaves_who_and_why_on_the_pod(cafe: Cafe) -> None:
    cluster = shop(guarded("p-1", HELD, ann=DRAIN))
    result = cafe(cluster, "traffic", "force", "p-1", "--level", "3", "--reason", "balancer is gone")
    assert result.code == 0, result.err
    notes = cluster.writes[0]["metadata"]["annotations"]
    assert json.loads(notes[FORCED_ANNOTATION])["reason"] == "balancer is gone"
    again = shop(cluster.writes[0])
    assert cafe(again, "traffic", "force", "p-1", "--level", "1", "--reason", "x").code == Exit.CONFLICT
    assert cafe(again, "traffic", "force", "p-1", "--level", "3", "--reason", "still gone").code == 0
    lines = again.writes[0]["metadata"]["annotations"][FORCED_ANNOTATION].split("\n")
    assert lines[0] == notes[FORCED_ANNOTATION], "the record grows and is never rewritten"
    assert "still gone" in lines[1]
    assert '"force":3' in notes[OPERATION_PREFIX + "ann"].replace(" ", "")


def test_only_a_known_employer_is_skipped(cafe: Cafe) -> None:
    cluster = shop(guarded("p-1", HELD, ann=DRAIN))
    words = ("traffic", "force", "p-1", "--level", "2", "--reason", "x", "--skip")
    result = cafe(cluster, *words, "Service/shop/other")
    assert (result.code, cluster.writes) == (Exit.USAGE, [])
    assert cafe(cluster, *words, EMPLOYER).code == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("offline", "p-1", "--reason", "x"), Exit.CONFLICT, "No other pod"),
        (("offline", "p-1"), Exit.USAGE, "--reason"),
        (("offline", "p-9", "--reason", "x"), Exit.NOT_FOUND, "p-9"),
        (("online", "p-1"), Exit.CONFLICT, "Nobody has taken p-1 offline"),
        (("force", "p-1", "--level", "3", "--reason", "x"), Exit.CONFLICT, "Nobody wants p-1"),
    ],
)
def test_what_makes_no_sense_changes_no_traffic(
    cafe: Cafe, words: tuple[str, ...], code: Exit, told: str
) -> None:
    cluster = shop(guarded("p-1", HELD))
    result = cafe(cluster, "traffic", *words)
    assert (result.code, cluster.writes) == (code, [])
    assert told in result.out + result.err


def test_the_doctor_tells_what_a_lossless_change_lacks(cafe: Cafe) -> None:
    result = cafe(shop(guarded("p-1", HELD)), "traffic", "doctor", NAME)
    assert result.code == Exit.FAILURE
    assert "without the gate of traffic" in result.out
    assert "Nobody is known to send requests" in result.out
