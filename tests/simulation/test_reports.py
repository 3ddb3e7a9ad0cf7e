"""What a person reads of a failing run, and what a run over many seeds says it has met."""

from cafe_sim.harness.coverage import REQUIRED, Coverage
from cafe_sim.harness.faults.catalogue import CATALOGUE
from cafe_sim.harness.journal import Entry
from cafe_sim.harness.oracle.watch import Violation
from cafe_sim.harness.plan import Plan, PlannedFault, PlannedStep
from cafe_sim.harness.report import WIDTH, plan_in_words, timeline
from cafe_sim.harness.run import Verdict

PLAN = Plan(
    seed=16,
    steps=(PlannedStep(do="deploy"), PlannedStep(do="scale", after=60.0, args={"replicas": 3})),
    faults=(
        PlannedFault(kind="leader freezes", at=4.9, lasts=17.0, args={"candidate": 0, "target": "pods"}),
    ),
)
BROKEN = Violation("not too many pods", 23.0, "web-cell-a-9kd45 is pod 4 of 3")


def verdict(*entries: Entry, violations: tuple[Violation, ...] = ()) -> Verdict:
    journal = list(entries)
    return Verdict(
        trace="",
        violations=list(violations),
        labels=[],
        simulated=0,
        steps=0,
        commits=0,
        journal=journal,
    )


def test_a_plan_is_told_in_words() -> None:
    text = "\n".join(plan_in_words(PLAN))
    assert "16. 4 pods in 2 cells of 2 nodes" in text
    assert "   60.000  scale, replicas 3" in text
    assert "    4.900  leader freezes for 17 s, candidate 0, target pods" in text


def test_times_count_from_the_beginning_of_the_story() -> None:
    lines = timeline(verdict(Entry(1.0, "controller-0.1", "starts"), Entry(3.5, "controller-0.1", "freezes")))
    assert lines[2] == "    2.500  controller-0.1   freezes"


def test_the_broken_rule_is_marked_and_explained() -> None:
    entry = Entry(23.0, "oracle", f"BROKEN {BROKEN.rule}: {BROKEN.how}")
    lines = timeline(verdict(entry, violations=(BROKEN,)))
    assert [line for line in lines if line.startswith(">>")]
    assert "the rule  No pod is made beyond replicas." in lines


def test_lines_that_say_the_same_are_folded() -> None:
    made = [Entry(float(n), "controller-0.1", f"pod web-cell-a-{n}abc: is made, web:1") for n in range(5)]
    lines = timeline(verdict(*made))
    assert lines[1] == "    0.000  controller-0.1   pod web-cell-a-0abc: is made, web:1 (and 4 like it,"
    assert lines[2].strip() == "until 4.000)"


def test_the_middle_of_a_long_story_is_left_out() -> None:
    words = ["starts", "freezes", "goes on"]
    lines = timeline(verdict(*(Entry(float(n), "x", words[n % 3]) for n in range(300))), most=50)
    assert "           ⋮ 250 lines" in lines
    assert len(lines) == 1 + 51 + 2


def test_no_line_is_wider_than_a_terminal() -> None:
    entries = [
        Entry(1.0, "somebody with kubectl", "word " * 100),
        Entry(2.0, "oracle", "BROKEN " + "w" * 200),
    ]
    lines = [*timeline(verdict(*entries, violations=(BROKEN,))), *plan_in_words(PLAN), *table()]
    assert max(map(len, lines)) <= WIDTH


def table() -> list[str]:
    coverage = Coverage()
    coverage.add(["leader freezes while updating", "leader freezes while at rest"])
    coverage.add(["leader freezes while updating"])
    return coverage.table(tuple(CATALOGUE))


def test_the_table_counts_runs_by_fault_and_phase() -> None:
    row = next(line for line in table() if line.startswith("leader freezes"))
    assert row.split()[2:] == ["2", "-", "1"]


def test_what_must_be_met_and_was_not_is_named() -> None:
    coverage = Coverage()
    coverage.add(f"leader freezes while {phase}" for phase in REQUIRED["leader freezes"])
    assert coverage.lacking(["leader freezes"]) == []
    assert "watch lags while updating" in coverage.lacking(["watch lags"])


def test_every_fault_must_be_met_somewhere() -> None:
    assert REQUIRED.keys() == CATALOGUE.keys()
    assert all(REQUIRED.values())
