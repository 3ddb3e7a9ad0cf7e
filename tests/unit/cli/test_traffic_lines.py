"""What the screens of an application say of its pods' traffic."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len

from cafe.api.names import ACK_PREFIX, EXPECTED_ANNOTATION, OPERATION_PREFIX
from cafe.api.trafficmarks import (
    Ack,
    Operation,
    OperationType,
    employer_id,
    employer_name,
    protection_of,
    write_expected,
    write_mark,
)
from cafe.cli.ports import Document
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import NAME, NOW, SmallCluster, a_pod, releasing, revisions

GOLDEN = Path(__file__).parents[2] / "golden" / "cli"
EDGE, SHOP = employer_name("Pool", "default", "edge/web"), employer_name("Service", "default", "web")
EXPECTED = {employer: protection_of(employer) for employer in (EDGE, SHOP)}
Wish = tuple[OperationType, str, timedelta]


def a_guarded_pod(
    name: str, *holders: str, wish: Wish | None = None, said: str = "", is_stuck: bool = False
) -> Document:
    """Return a pod of the employers edge and web; *holders* may still send it requests."""
    pod = a_pod(name, "cell-a")
    notes = {EXPECTED_ANNOTATION: write_expected(EXPECTED)}
    if wish is not None:
        kind, actor, ago = wish
        start: datetime = NOW - ago
        notes[OPERATION_PREFIX + "x"] = write_mark(Operation(type=kind, actor=actor, start=start))
        for employer in EXPECTED.keys() - set(holders):
            ack = Ack(uid="u", restarts=0, at=start, operations={"x": start}, evidence="gone for 1.2 s")
            notes[ACK_PREFIX + employer_id(employer)] = write_mark(ack)
        if is_stuck:
            ack = Ack(uid="u", restarts=0, at=NOW, evidence=said, is_stuck=True)
            notes[ACK_PREFIX + employer_id(EDGE)] = write_mark(ack)
    finalizers = [EXPECTED[holder] for holder in holders]
    pod["metadata"] |= {"uid": "u", "annotations": notes, "finalizers": finalizers}
    return pod


def under_way() -> SmallCluster:
    minutes, seconds = timedelta(minutes=1), timedelta(seconds=1)
    return SmallCluster(
        releasing(),
        *revisions(),
        a_guarded_pod("p-serving", EDGE, SHOP),
        a_guarded_pod("p-draining", EDGE, wish=(OperationType.UPDATE, "update", 4 * seconds)),
        a_guarded_pod("p-drained", wish=(OperationType.UPDATE, "update", 9 * seconds)),
        a_guarded_pod("p-held", wish=(OperationType.OFFLINE, "ann", 30 * minutes)),
        a_guarded_pod(
            "p-stuck",
            EDGE,
            wish=(OperationType.UPDATE, "update", 5 * minutes),
            said="right: no answer",
            is_stuck=True,
        ),
        a_guarded_pod("p-attaching", SHOP),
        a_pod("p-unguarded", "cell-b"),
    )


def test_the_screen_of_an_application_names_pods_that_are_out_of_traffic_as_it_was_approved(
    cafe: Cafe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    result = cafe(under_way(), "app", "get", NAME)
    assert result.out == (GOLDEN / "get-traffic.txt").read_text()


def test_it_says_the_same_in_chinese(cafe: Cafe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    result = cafe(under_way(), "app", "get", NAME)
    assert result.out == (GOLDEN / "get-traffic-chinese.txt").read_text()


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_narrow_terminal_still_tells_the_pod_and_where_it_stands(
    cafe: Cafe, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = cafe(under_way(), "app", "get", NAME).out
    told = out[out.index("TRAFFIC") :].splitlines()
    stuck = next(line for line in out.splitlines() if "DrainStuck" in line)
    assert stuck.startswith("p-stuck")
    assert "5m" in stuck
    assert all(cell_len(line) <= columns for line in told)


def test_where_all_pods_serve_the_screen_says_nothing_of_traffic(cafe: Cafe) -> None:
    cluster = SmallCluster(releasing(), *revisions(), a_guarded_pod("p-1", EDGE, SHOP))
    assert "TRAFFIC" not in cafe(cluster, "app", "get", NAME).out


def test_what_needs_a_person_is_named_first_and_many_pods_are_counted(cafe: Cafe) -> None:
    update = (OperationType.UPDATE, "update", timedelta(minutes=9))
    many = [a_guarded_pod(f"p-{n}", EDGE, wish=update) for n in range(7)]
    stuck = a_guarded_pod("q", EDGE, wish=update, said="no answer", is_stuck=True)
    out = cafe(SmallCluster(releasing(), *revisions(), *many, stuck), "app", "get", NAME).out
    shown = out[out.index("TRAFFIC") :].splitlines()
    assert shown[1].startswith("q ")
    assert "and 3 more" in out


def test_the_list_of_pods_says_of_each_where_it_stands(cafe: Cafe) -> None:
    out = cafe(under_way(), "app", "pods", NAME).out
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert "TRAFFIC" in rows["NAME"]
    for name, told in (
        ("serving", "Serving"),
        ("draining", "Draining 4s"),
        ("drained", "Drained 9s"),
        ("held", "Held 30m"),
        ("stuck", "DrainStuck 5m"),
        ("attaching", "Attaching"),
        ("unguarded", " - "),
    ):
        assert told in rows[f"p-{name}"]
