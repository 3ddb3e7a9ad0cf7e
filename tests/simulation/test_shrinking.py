"""Shrinking by laws alone: the judge here is a sentence about the plan, so no world is run."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from cafe_sim.harness.draw import draw_plan
from cafe_sim.harness.plan import Plan, PlannedFault, PlannedStep, Shape
from cafe_sim.harness.shrink import Judge, Shrunk, measure, shrink, without_parts

RULE = "not too many pods"
LARGE = structs.replace(
    draw_plan(7),
    shape=Shape(cells=3, nodes=3, replicas=8, candidates=3, servers=3, grace=20, confirm=True),
    disorder=1.0,
    faults=tuple(
        PlannedFault(kind="watch lags", at=float(n), lasts=30.0, args={"replica": n % 3, "seconds": 3.0})
        for n in range(12)
    ),
    steps=tuple(PlannedStep(do="release" if n else "deploy", after=10.0 * n) for n in range(6)),
)


def shrunk_by(judge: Judge, plan: Plan = LARGE) -> Shrunk:
    return shrink(plan, RULE, judge)


def test_what_breaks_in_every_world_shrinks_to_the_calmest_one() -> None:
    found = shrunk_by(lambda _: RULE)
    assert found.is_least
    assert (found.plan.faults, found.plan.steps, found.plan.disorder) == ((), LARGE.steps[:1], 0.0)
    assert found.plan.shape == Shape(
        cells=1, nodes=1, replicas=1, batch=1, beta=False, candidates=1, servers=1, slowest=2, mind=1.0
    )


@given(st.sets(st.integers(0, 11), min_size=1, max_size=4))
def test_just_the_faults_that_it_takes_are_left(needed: set[int]) -> None:
    def judge(plan: Plan) -> str:
        return RULE if {f.at for f in plan.faults} >= {float(n) for n in needed} else ""

    found = shrunk_by(judge)
    assert [fault.at for fault in found.plan.faults] == sorted(float(n) for n in needed)
    assert all(fault.lasts == 0 for fault in found.plan.faults)


def test_a_fault_that_is_left_keeps_its_stream_of_chance() -> None:
    found = shrunk_by(lambda plan: RULE if any(f.at == 8.0 for f in plan.faults) else "")
    assert [fault.number for fault in found.plan.faults] == [8]


def test_a_fault_that_is_left_befalls_an_api_server_that_there_is() -> None:
    found = shrunk_by(lambda plan: RULE if any(f.at == 8.0 for f in plan.faults) else "")
    assert found.plan.shape.servers == 1
    assert [fault.args["replica"] for fault in found.plan.faults] == [0]


def test_a_step_that_is_left_happens_when_it_happened() -> None:
    def times(plan: Plan) -> list[float]:
        return [sum(s.after for s in plan.steps[: n + 1]) for n in range(len(plan.steps))]

    found = shrunk_by(lambda plan: RULE if 100.0 in times(plan) and 30.0 in times(plan) else "")
    assert times(found.plan) == [0.0, 30.0, 100.0]


def test_sizes_stop_where_the_rule_no_longer_breaks() -> None:
    found = shrunk_by(lambda plan: RULE if plan.shape.replicas >= 5 and plan.shape.grace > 7 else "")
    assert (found.plan.shape.replicas, found.plan.shape.grace) == (5, 8)


def test_a_schedule_that_matters_is_drawn_no_longer_than_needed() -> None:
    def judge(plan: Plan) -> str:
        is_drawn = plan.disorder > 0 and (plan.order_until is None or plan.order_until >= 1234)
        return RULE if is_drawn else ""

    found = shrunk_by(judge)
    assert (found.plan.disorder, found.plan.order_until) == (0.1, 1234)


def test_another_rule_is_another_story() -> None:
    found = shrunk_by(lambda plan: RULE if len(plan.faults) > 3 else "no bugs")
    assert len(found.plan.faults) == 4


def test_the_runs_are_bounded() -> None:
    count = 0

    def judge(plan: Plan) -> str:
        nonlocal count
        count += 1
        return RULE if len(plan.faults) > 3 else ""

    found = shrink(LARGE, RULE, judge, most=5)
    assert (count, found.runs, found.is_least) == (5, 5, False)


def test_each_success_is_told() -> None:
    told: list[str] = []
    shrink(LARGE, RULE, lambda _: RULE, progress=told.append)
    assert told[0] == "run 1: 0 faults, 6 steps, 8 pods in 3 cells, disorder 1"
    assert told[-1].endswith(measure(shrunk_by(lambda _: RULE).plan))


def test_all_parts_are_left_out_in_turn() -> None:
    assert list(without_parts("abcde", 2)) == [("a", "b", "c"), ("a", "d", "e"), ("b", "c", "d", "e")]
