"""Makes a failing plan smaller while the same rule breaks: what is left over is what it takes.

    faults (delta debugging) ─▶ how long they last ─▶ steps ─▶ sizes ─▶ schedule ─▶ again, while it helps

The measure is the distance from a small world without faults in which everybody takes turns.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

from cafe_sim.harness.numerals import counted
from cafe_sim.harness.plan import Plan, PlannedFault, PlannedStep

T = TypeVar("T")

MOST_RUNS: Final = 400
"""Enough for any plan that was drawn; a bound for those that resist."""
CALM: Final[tuple[tuple[str, Any], ...]] = (
    ("cells", 1), ("replicas", 1), ("nodes", 1), ("candidates", 1), ("servers", 1), ("grace", 0),
    ("dwell", 0), ("batch", 1), ("unavailable", 1), ("slowest", 2), ("history", 10_000), ("mind", 1.0),
    ("confirm", False), ("beta", False), ("policy", "InPlaceIfPossible"), ("surge", 0),
    ("kind", "InPlaceSet"), ("cold", False), ("moves", False),
    ("tolerance", 0),
)  # fmt: skip
"""Sizes, and what each is in the smallest and calmest world."""

Judge = Callable[[Plan], str]
"""Runs a plan; returns the rule that it broke first, empty if none."""
Progress = Callable[[str], None]


class Shrunk(Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        plan: The smallest that was found.
        runs: How many plans were tried.
        is_least: Whether nothing more helped; False if the runs were used up before.
    """

    plan: Plan
    runs: int
    is_least: bool


def shrink(
    plan: Plan, rule: str, judge: Judge, *, most: int = MOST_RUNS, progress: Progress = lambda _: None
) -> Shrunk:
    """Return a smaller plan that still breaks *rule* first.

    Args:
        plan: Breaks *rule*.
        rule: Must break in each step; another one is another story.
        judge: Runs a plan.
        most: Bound of runs.
        progress: Told of each success.
    """
    return _Shrinking(plan, rule, judge, most, progress).go()


class _SpentError(Exception):
    """No more runs are left."""


class _Shrinking:
    def __init__(self, plan: Plan, rule: str, judge: Judge, most: int, progress: Progress) -> None:
        # A fault keeps its stream of chance, whichever others go.
        numbered = (
            structs.replace(f, number=n if f.number is None else f.number) for n, f in enumerate(plan.faults)
        )
        self.plan = structs.replace(plan, faults=tuple(numbered))
        self._rule = rule
        self._judge = judge
        self._left = most
        self._most = most
        self._progress = progress
        self._tried: set[str] = set()

    def go(self) -> Shrunk:
        is_least = False
        try:
            while not is_least:
                before = self.plan
                self._fewer_faults()
                self._shorter_faults()
                self._fewer_steps()
                self._smaller_sizes()
                self._calmer_schedule()
                is_least = self.plan == before
        except _SpentError:
            pass
        return Shrunk(plan=self.plan, runs=self._most - self._left, is_least=is_least)

    def _breaks(self, plan: Plan) -> bool:
        """Try a plan, and go on with it if it breaks the rule."""
        key = repr(plan)
        if key in self._tried:
            return False
        if self._left <= 0:
            raise _SpentError
        self._tried.add(key)
        self._left -= 1
        if self._judge(plan) != self._rule:
            return False
        self.plan = plan
        self._progress(f"run {self._most - self._left}: {measure(plan)}")
        return True

    def _fewer_faults(self) -> None:
        self._fewer(lambda: self.plan.faults, lambda kept: structs.replace(self.plan, faults=kept))

    def _fewer_steps(self) -> None:
        """Leave out steps, but for the deployment: without an application no promise can be kept."""
        self._fewer(
            lambda: tuple(step for step in self.plan.steps if step.do != "deploy"),
            lambda kept: self._with_steps(
                tuple(s for s in self.plan.steps if s.do == "deploy" or any(s is k for k in kept))
            ),
        )

    def _fewer(self, items: Callable[[], tuple[T, ...]], plan_of: Callable[[tuple[T, ...]], Plan]) -> None:
        """Leave out ever smaller parts."""
        part = len(items())
        while part >= 1:
            is_fewer = any(self._breaks(plan_of(kept)) for kept in without_parts(items(), part))
            part = min(part, len(items())) if is_fewer else part // 2

    def _with_steps(self, kept: tuple[PlannedStep, ...]) -> Plan:
        """Return the plan with some of its steps, each at its old time, so that faults meet what they met."""
        times: dict[int, float] = {}
        now = 0.0
        for step in self.plan.steps:
            now += step.after
            times[id(step)] = now
        moved: list[PlannedStep] = []
        last = 0.0
        for step in kept:
            moved.append(structs.replace(step, after=round(times[id(step)] - last, 3)))
            last = times[id(step)]
        return structs.replace(self.plan, steps=tuple(moved))

    def _shorter_faults(self) -> None:
        for place in range(len(self.plan.faults)):
            self._change_fault(place, lasts=0.0)
            while self.plan.faults[place].lasts > 1.0:
                if not self._change_fault(place, lasts=round(self.plan.faults[place].lasts / 2, 3)):
                    break

    def _change_fault(self, place: int, **changes: Any) -> bool:  # noqa: ANN401 -- fields of a fault
        changed = structs.replace(self.plan.faults[place], **changes)
        faults = (*self.plan.faults[:place], changed, *self.plan.faults[place + 1 :])
        return self._breaks(structs.replace(self.plan, faults=faults))

    def _smaller_sizes(self) -> None:
        for name, least in CALM:
            value = getattr(self.plan.shape, name)
            if value == least or self._resize(name, least):
                continue
            if type(value) is int and value > least:
                self._least_between(least, value, partial(self._resize, name))

    def _resize(self, name: str, value: object) -> bool:
        shape = structs.replace(self.plan.shape, **{name: value})
        faults = tuple(_within(fault, shape.servers) for fault in self.plan.faults)
        return self._breaks(structs.replace(self.plan, shape=shape, faults=faults))

    def _calmer_schedule(self) -> None:
        if self.plan.disorder == 0.0:
            return
        if self._breaks(structs.replace(self.plan, disorder=0.0, order_until=None)):
            return
        for disorder in (0.1, 0.2, 0.5):
            if disorder < self.plan.disorder and self._breaks(structs.replace(self.plan, disorder=disorder)):
                break
        most = self.plan.order_until or FIRST_BOUND
        if self._breaks(structs.replace(self.plan, order_until=most)) or self.plan.order_until:
            self._least_between(
                0, most, lambda step: self._breaks(structs.replace(self.plan, order_until=step))
            )

    def _least_between(self, low: int, high: int, breaks: Callable[[int], bool]) -> None:
        """Bisect: *high* breaks, *low* does not."""
        while high - low > 1:
            middle = (low + high) // 2
            if breaks(middle):
                high = middle
            else:
                low = middle


FIRST_BOUND: Final = 1 << 17
"""Callbacks; longer runs are shrunk in other ways."""


def without_parts(items: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield *items* without each part of *size* of them, the last ones first."""
    for end in range(len(items), 0, -size):
        start = max(0, end - size)
        yield (*items[:start], *items[end:])


def _within(fault: PlannedFault, servers: int) -> PlannedFault:
    """Return a fault that befalls an API server that there is."""
    if "replica" not in fault.args:
        return fault
    return structs.replace(fault, args={**fault.args, "replica": fault.args["replica"] % servers})


def measure(plan: Plan) -> str:
    """Say how large a plan is."""
    shape = plan.shape
    order = "all in turn" if plan.disorder == 0 else f"disorder {plan.disorder:g}"
    if plan.disorder and plan.order_until is not None:
        order += f" for {plan.order_until} callbacks"
    return (
        f"{counted(len(plan.faults), 'fault')}, {counted(len(plan.steps), 'step')}, "
        f"{counted(shape.replicas, 'pod')} in {counted(shape.cells, 'cell')}, {order}"
    )
