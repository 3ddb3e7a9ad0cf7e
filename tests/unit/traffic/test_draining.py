"""When traffic counts as gone, and when as back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.trafficmarks import Operation, OperationType
from cafe.traffic.contract import TrafficFact
from cafe.traffic.domain.draining import (
    Command,
    Memory,
    Verdict,
    Want,
    doubt_absence,
    judge_attached,
    judge_detached,
    judge_forgotten,
    want_of,
)
from cafe.traffic.domain.facts import Employer, MemberState, MemberView, PodTraffic, Pool, ReplicaView, Rules

NOW = datetime(2030, 1, 1, tzinfo=UTC)
POOL = Pool("web", 80)
ADDRESS = "10.0.0.1:80"
SERVING, DRAINING, DOWN = MemberState.SERVING, MemberState.DRAINING, MemberState.DOWN


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


RULES = Rules(floor=seconds(2), quiet=seconds(1), deadline=seconds(120))
EDGE = Employer("Pool/shop/edge/web", "edge", POOL, RULES)


def pod(*, force: int = 0, is_asked: bool = True, **more: object) -> PodTraffic:
    op = Operation(type=OperationType.UPDATE, actor="cafe", start=NOW, force=force)
    fact = TrafficFact(operations={"update": op} if is_asked else {}, is_gate_on=not is_asked)
    return PodTraffic("shop", "web-1", "u", "1", "10.0.0.1", fact, **more)  # type: ignore[arg-type] -- a test's


def process(
    name: str, state: MemberState | None, *, active: int = 0, queued: int = 0, arrivals: int = 0
) -> ReplicaView:
    views = {} if state is None else {ADDRESS: MemberView(ADDRESS, state, active, queued, arrivals)}
    return ReplicaView(name, views)


GONE = [process("a", DRAINING), process("b", None)]
SINCE = Memory(asked=seconds(0), detached=seconds(10), quiet=seconds(10))


def detached(
    views: list[ReplicaView], memory: Memory | None = SINCE, at: float = 12, **more: bool
) -> Verdict:
    return judge_detached(pod(), EDGE, views, memory, seconds(at), **more)


def test_it_is_gone_once_everything_speaks_for_it() -> None:
    verdict = detached(GONE)
    assert verdict.is_proven
    assert verdict.evidence == "detached at a, b for 2.0 s, nothing in flight, no arrival for 2.0 s"


@pytest.mark.parametrize(
    ("view", "evidence", "command"),
    [
        (process("b", SERVING), "not detached yet at b", Command.DETACH),
        (process("b", DOWN), "not detached yet at b", Command.DETACH),
        (ReplicaView("b", problem="no answer"), "b: no answer", Command.DETACH),
        (process("b", DRAINING, active=2), "2 requests in flight, 0 queued", None),
        (process("b", DRAINING, queued=1), "0 requests in flight, 1 queued", None),
    ],
)
def test_one_process_is_enough_to_hold_it(view: ReplicaView, evidence: str, command: Command | None) -> None:
    verdict = detached([GONE[0], view])
    assert not verdict.is_proven
    assert (verdict.evidence, verdict.command) == (evidence, command)


def test_the_floor_is_waited_for_however_quiet_it_is() -> None:
    verdict = detached(GONE, at=11.5)
    assert not verdict.is_proven
    assert verdict.wait == seconds(0.5)


def test_without_memory_everybody_is_told_first_and_all_times_begin_anew() -> None:
    """What is read back may be older than the wish, of a time when the pod was detached for another one."""
    first = detached(GONE, memory=None, at=99)
    assert not first.is_proven
    assert first.command is Command.DETACH
    assert first.memory == Memory(asked=seconds(99))
    second = detached(GONE, first.memory, at=100)
    assert second.memory == Memory(asked=seconds(99), detached=seconds(100), quiet=seconds(100))
    assert not second.is_proven


def test_a_request_that_arrives_begins_the_quiet_window_anew() -> None:
    noisy = [process("a", DRAINING, arrivals=1), GONE[1]]
    verdict = detached(noisy)
    assert not verdict.is_proven
    assert verdict.wait == seconds(1)
    assert detached(noisy, verdict.memory, at=13).is_proven


def test_a_member_that_is_seen_serving_again_begins_the_floor_anew() -> None:
    back = detached([GONE[0], process("b", SERVING)])
    assert back.memory is not None
    assert back.memory.detached is None
    assert not detached(GONE, back.memory, at=13).is_proven


def test_a_process_that_was_out_of_reach_begins_the_floor_anew() -> None:
    lost = detached([GONE[0], ReplicaView("b", problem="no answer")])
    assert not detached(GONE, lost.memory, at=13).is_proven
    assert detached(GONE, detached(GONE, lost.memory, at=13).memory, at=15).is_proven


def test_who_forces_leaves_out_the_quiet_window_and_nothing_else() -> None:
    noisy = [process("a", DRAINING, arrivals=1)]
    forced = judge_detached(pod(force=1), EDGE, noisy, SINCE, seconds(12))
    assert forced.is_proven
    assert not judge_detached(pod(force=1), EDGE, noisy, SINCE, seconds(11)).is_proven


def test_the_last_member_stays_unless_it_is_said_otherwise() -> None:
    standing = [process("a", SERVING)]
    verdict = detached(standing, is_last=True)
    assert verdict.command is None
    assert "nobody else" in verdict.evidence
    bold = Employer(EDGE.name, "edge", POOL, RULES, may_drain_last=True)
    assert judge_detached(pod(), bold, standing, None, seconds(0), is_last=True).command is Command.DETACH
    assert detached(GONE, is_last=True).is_proven, "who is detached already is no member"


def test_what_takes_too_long_is_stuck_and_nothing_else_happens() -> None:
    verdict = detached([process("a", DRAINING, active=1)], at=120)
    assert verdict.is_stuck
    assert verdict.command is None
    assert not verdict.is_proven


def test_it_is_back_once_every_process_sends_requests() -> None:
    both = [process("a", SERVING), process("b", SERVING)]
    assert judge_attached(pod(is_asked=False), EDGE, both).is_proven
    for other in (
        process("b", DRAINING),
        process("b", DOWN),
        process("b", None),
        ReplicaView("b", problem="x"),
    ):
        verdict = judge_attached(pod(is_asked=False), EDGE, [both[0], other])
        assert not verdict.is_proven
        assert verdict.command is Command.ATTACH


def test_who_is_going_is_forgotten_and_only_waited_for_while_it_may_answer() -> None:
    lost = [process("a", None), ReplicaView("b", problem="no answer")]
    assert judge_forgotten(pod(is_leaving=True), EDGE, [process("a", SERVING)]).command is Command.REMOVE
    assert not judge_forgotten(pod(is_leaving=True), EDGE, [process("a", SERVING)]).is_proven
    assert not judge_forgotten(pod(is_leaving=True), EDGE, lost).is_proven
    assert not judge_forgotten(pod(is_leaving=True, is_over=True), EDGE, lost).is_proven, "it would send on"
    ordinal = pod(is_leaving=True, is_over=True, is_named_again=True)
    assert judge_forgotten(ordinal, EDGE, lost).is_proven
    declared = judge_forgotten(pod(is_leaving=True), EDGE, [process("a", DRAINING)])
    assert declared.is_proven
    assert declared.command is Command.REMOVE


def test_what_is_wanted_follows_from_the_pod_alone() -> None:
    assert want_of(pod(is_ready=True, is_asked=False), EDGE) is Want.ATTACHED
    assert want_of(pod(is_asked=False), EDGE) is Want.AS_IT_IS
    assert want_of(pod(is_ready=True), EDGE) is Want.DETACHED
    assert want_of(pod(is_leaving=True), EDGE) is Want.FORGOTTEN
    retired = Employer(EDGE.name, "edge", POOL, RULES, is_retired=True)
    assert want_of(pod(is_ready=True, is_asked=False), retired) is Want.FORGOTTEN


STATES = st.sampled_from([SERVING, DRAINING, DOWN, None])
PROCESSES = st.lists(
    st.builds(
        lambda state, active, problem: (
            ReplicaView("x", problem="lost") if problem else process("x", state, active=active)
        ),
        STATES,
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=3,
)


@given(PROCESSES, st.floats(0, 30), st.floats(0, 30))
def test_nothing_is_proven_while_anybody_may_send_or_waits_for_an_answer(
    views: list[ReplicaView], detached_at: float, at: float
) -> None:
    memory = Memory(asked=seconds(0), detached=seconds(detached_at), quiet=seconds(detached_at))
    verdict = judge_detached(pod(), EDGE, views, memory, seconds(at))
    members = [m for v in views for m in v.members.values()]
    if verdict.is_proven:
        assert views
        assert not any(v.problem for v in views)
        assert not any(m.state in {SERVING, DOWN} or m.active for m in members)
        assert at - detached_at >= 2


@given(
    since=st.floats(0, 30),
    states=st.lists(st.sampled_from([None, SERVING, DRAINING, DOWN]), min_size=1, max_size=3),
)
def test_a_member_that_was_just_told_of_is_not_gone_because_nobody_speaks_of_it(
    since: float, states: list[MemberState | None]
) -> None:
    views = [process(str(n), state) for n, state in enumerate(states)]
    seen = doubt_absence(views, ADDRESS, seconds(100), seconds(100 + since))
    is_doubted = since < 10 and None in states
    assert [view.members for view in seen] == [view.members for view in views]
    assert any(view.problem for view in seen) == is_doubted
    assert not (is_doubted and detached(list(seen), at=1000).is_proven)
