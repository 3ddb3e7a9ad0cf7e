"""When a pod's traffic from one employer counts as gone, and when as back.

    serving ──asked──▶ detach on every process ──read back──▶ detached
                                                               │ active and queued 0
                                                               │ floor since then
                                                               │ no arrival for the quiet window
                                                               ▼
    serving ◀──protection── attached on every process ◀──asked──  protection off, acknowledged

What was seen earlier is a help, never evidence: whoever starts without memory waits all times anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from cafe.traffic.contract import LOWERED
from cafe.traffic.domain.facts import Employer, MemberState, MemberView, PodTraffic, ReplicaView

NO_TIME = timedelta(0)
TELLS_WITHIN = timedelta(seconds=10)
"""For so long a process that was told to send a pod requests may know it and not say so yet."""


class Want(StrEnum):
    """What an employer should do about a pod."""

    ATTACHED = "attached"
    DETACHED = "detached"
    FORGOTTEN = "forgotten"
    AS_IT_IS = "as it is"


class Command(StrEnum):
    """What a provider is told about a member."""

    ATTACH = "attach"
    DETACH = "detach"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Memory:
    """What was seen of a detached member.

    Attributes:
        asked: Since when it is to be detached.
        detached: Since when no process sends it anything new; None if one still may.
        quiet: Since when no request has arrived.
        arrivals: How many had, by then.
    """

    asked: timedelta
    detached: timedelta | None = None
    quiet: timedelta = NO_TIME
    arrivals: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about one pod and one employer.

    Attributes:
        evidence: What proves it, or what is still waited for; for people.
        is_proven: Whether the traffic is where it is wanted, so that the pod's marks may say so.
        is_stuck: Whether it has taken longer than it may.
        wait: When time alone may change the verdict.
    """

    memory: Memory | None
    evidence: str
    command: Command | None = None
    is_proven: bool = False
    is_stuck: bool = False
    wait: timedelta | None = None


def want_of(pod: PodTraffic, employer: Employer) -> Want:
    """Return what *employer* should do about *pod*."""
    if pod.is_leaving or pod.is_over or employer.is_retired:
        return Want.FORGOTTEN
    if pod.fact.operations or not pod.fact.is_gate_on:
        # A new pod's gate is down, too, and so it has nothing to lose.
        return Want.DETACHED if pod.fact.operations else Want.AS_IT_IS
    return Want.ATTACHED if pod.is_ready else Want.AS_IT_IS


def judge_attached(pod: PodTraffic, employer: Employer, views: Sequence[ReplicaView]) -> Verdict:
    """Return what it takes until every process sends the pod requests."""
    address = pod.member(employer.pool).address
    if problems := _problems(views):
        return Verdict(None, problems, Command.ATTACH)
    lacking = [v.name for v in views if _state(v, address) is not MemberState.SERVING]
    if lacking:
        return Verdict(None, f"not attached yet at {', '.join(lacking)}", Command.ATTACH)
    return Verdict(None, f"attached at {_names(views)}", is_proven=True)


def judge_detached(
    pod: PodTraffic,
    employer: Employer,
    views: Sequence[ReplicaView],
    memory: Memory | None,
    now: timedelta,
    *,
    is_last: bool = False,
) -> Verdict:
    """Return what it takes until no request can reach the pod from the employer any more.

    Args:
        pod: Of which somebody holds an operation.
        employer: Whose traffic is to go.
        views: What each process says, read after *now* was taken.
        memory: What was seen before; None if nothing was.
        now: Monotonic, as all times of *memory*.
        is_last: Whether nobody else in the pool would be left to answer.
    """
    is_told = memory is not None
    memory = memory or Memory(asked=now)
    address = pod.member(employer.pool).address
    members = [found for view in views if (found := view.members.get(address)) is not None]
    serving = [v.name for v in views if _state(v, address) in {MemberState.SERVING, MemberState.DOWN}]
    problems = _problems(views)
    # A read-back may be older than the wish: until it was told, nobody is believed to be detached already.
    memory = _seen(memory, members, now, is_detached=is_told and not problems and not serving)
    is_stuck = now - memory.asked >= employer.rules.deadline
    may_go = employer.may_drain_last or all(op.reason == LOWERED for op in pod.fact.operations.values())
    if is_last and serving and not may_go:
        return Verdict(
            memory, "it is the last member of the pool: nobody else would answer", is_stuck=is_stuck
        )
    if problems or serving or not is_told:
        told = problems or (f"not detached yet at {', '.join(serving)}" if serving else "being detached")
        return Verdict(memory, told, Command.DETACH, is_stuck=is_stuck)
    busy = sum(m.active for m in members), sum(m.queued for m in members)
    if any(busy):
        return Verdict(memory, f"{busy[0]} requests in flight, {busy[1]} queued", is_stuck=is_stuck)
    left = _time_left(pod, employer, memory, now)
    if left > NO_TIME:
        told = f"detached, no request in flight; {left.total_seconds():.1f} s to be sure"
        return Verdict(memory, told, wait=left)
    return Verdict(memory, _proof(memory, views, now), is_proven=True)


def doubt_absence(
    views: Sequence[ReplicaView], address: str, attached: timedelta, now: timedelta
) -> Sequence[ReplicaView]:
    """Return *views*, with a problem where a process says nothing of a member that it was just told of.

    A view may be older than what its process was told. One that still shows a member as serving holds a drain
    up, and is harmless; one in which the member isn't there yet would hide the requests that it has.

    Args:
        views: What each process says.
        address: Of the member that is to be detached.
        attached: When the processes were last told to send it requests, or may have been.
        now: Monotonic, as *attached*.
    """
    if now - attached >= TELLS_WITHIN:
        return views
    return [
        view
        if view.problem or address in view.members
        else replace(view, problem="it says nothing yet of a member that it was just told of")
        for view in views
    ]


def judge_forgotten(pod: PodTraffic, employer: Employer, views: Sequence[ReplicaView]) -> Verdict:
    """Return what it takes until no process knows a pod that is going, or has gone.

    Its containers end whatever is waited for here, so nothing is: neither requests in flight nor time. A
    process that can't be reached is waited for: it would go on sending requests to an address that somebody
    else gets. But a pod whose name another one needs, as in a StatefulSet, goes once it is over. A process
    that knows it and sends it nothing will do: what a configuration declares can't be deleted.
    """
    address = pod.member(employer.pool).address
    states = {v.name: _state(v, address) for v in views if not v.problem}
    told = Command.REMOVE if any(states.values()) else None
    serving = [n for n, state in states.items() if state in {MemberState.SERVING, MemberState.DOWN}]
    if serving:
        return Verdict(None, f"still known at {', '.join(serving)}", told)
    problems = _problems(views)
    if problems and not (pod.is_over and pod.is_named_again):
        return Verdict(None, problems, Command.REMOVE)
    return Verdict(None, problems or f"unknown at {_names(views)}", told, is_proven=True)


def _seen(memory: Memory, members: Sequence[MemberView], now: timedelta, *, is_detached: bool) -> Memory:
    """Return what is known after one more look."""
    arrivals = sum(m.arrivals or 0 for m in members)
    if not is_detached:
        return replace(memory, detached=None, arrivals=arrivals)
    if memory.detached is None:
        return replace(memory, detached=now, quiet=now, arrivals=arrivals)
    if arrivals > memory.arrivals:
        return replace(memory, quiet=now, arrivals=arrivals)
    return replace(memory, arrivals=arrivals)


def _time_left(pod: PodTraffic, employer: Employer, memory: Memory, now: timedelta) -> timedelta:
    since = memory.detached if memory.detached is not None else now
    left = since + employer.rules.floor - now
    if all(op.force >= 1 for op in pod.fact.operations.values()):
        return left
    return max(left, memory.quiet + employer.rules.quiet - now)


def _proof(memory: Memory, views: Sequence[ReplicaView], now: timedelta) -> str:
    detached = memory.detached if memory.detached is not None else now
    return (
        f"detached at {_names(views)} for {(now - detached).total_seconds():.1f} s, nothing in flight, "
        f"no arrival for {(now - memory.quiet).total_seconds():.1f} s"
    )


def _state(view: ReplicaView, address: str) -> MemberState | None:
    found = view.members.get(address)
    return found.state if found is not None else None


def _problems(views: Sequence[ReplicaView]) -> str:
    if not views:
        return "nothing can be asked"
    return "; ".join(f"{view.name}: {view.problem}" for view in views if view.problem)


def _names(views: Sequence[ReplicaView]) -> str:
    return ", ".join(view.name for view in views)
