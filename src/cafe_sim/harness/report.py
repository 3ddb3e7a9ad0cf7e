"""What a person reads of a run: the plan in words, and a timeline of a terminal's width.

Noise is folded: lines that say the same but for names and numbers become one with a count, and the middle of
a long story is left out. What matters most, the broken rule, is marked.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from cafe_sim.harness.journal import Entry
from cafe_sim.harness.names import IN_PLACE
from cafe_sim.harness.numerals import counted
from cafe_sim.harness.oracle.rules import RULES
from cafe_sim.harness.plan import Plan, PlannedFault, Shape
from cafe_sim.harness.run import Verdict

WIDTH: Final = 80
WHO: Final = 16
FIRST: Final = 25
"""Lines of the beginning that are always shown."""
BROKEN: Final = "BROKEN "


def plan_in_words(plan: Plan) -> list[str]:
    """Return what a plan says, in lines."""
    lines = _wrapped(_shape_in_words(plan), "seed      ")
    now = 0.0
    for step in plan.steps:
        now += step.after
        args = "".join(f", {name} {value}" for name, value in step.args.items())
        lines += _wrapped(f"{now:9.3f}  {step.do}{args}", "step ")
    for fault in plan.faults:
        lines += _wrapped(f"{fault.at:9.3f}  {_fault_in_words(fault)}", "fault")
    return lines


def _shape_in_words(plan: Plan) -> str:
    shape = plan.shape
    order = "in turn" if plan.disorder == 0 else f"drawn with disorder {plan.disorder:g}"
    if plan.disorder and plan.order_until is not None:
        order += f" until callback {plan.order_until}, in turn from there"
    size = f"{counted(shape.replicas, 'pod')} in {counted(shape.cells, 'cell')}"
    around = f"{counted(shape.candidates, 'controller')}, {counted(shape.servers, 'API server')}"
    return (
        f"{plan.seed}. {size} of {counted(shape.nodes, 'node')}; {_strategy(shape)}. "
        f"{around}, requests travel up to {shape.slowest} ms, the operator thinks for {shape.mind:g} s, "
        f"{shape.history} commits can be watched from. Callbacks run {order}."
    )


def _strategy(shape: Shape) -> str:
    words = ["Beta first" if shape.beta else "no Beta", f"groups of {shape.batch}"]
    words += ["confirmed by a person"] if shape.confirm else []
    words += [f"{shape.unavailable} unavailable at most", f"grace {shape.grace} s", f"dwell {shape.dwell} s"]
    words += [f"{shape.cpu}m of CPU each"] if shape.cpu else []
    words += ["moved for lack of room"] if shape.moves else []
    words += [f"{shape.tolerance} failures tolerated"] if shape.tolerance else []
    if shape.kind != IN_PLACE:
        words += [f"{shape.surge} too many at most"] if shape.surge else []
        return f"{', '.join(words)}, served by {shape.kind}s"
    return ", ".join([*words, shape.policy])


def _fault_in_words(fault: PlannedFault) -> str:
    args = "".join(f", {name} {value}" for name, value in fault.args.items() if value != "")
    lasts = f" for {fault.lasts:g} s" if fault.lasts else ""
    return f"{fault.kind}{lasts}{args}"


def _wrapped(text: str, head: str) -> list[str]:
    return textwrap.wrap(f"{head}{text}", WIDTH, subsequent_indent=" " * 16, drop_whitespace=True)


def timeline(verdict: Verdict, most: int = 120) -> list[str]:
    """Return what happened, in lines.

    Args:
        verdict: What came of it, best with a `Scribe` as the guest.
        most: Lines; the middle is left out. 0 for all.
    """
    began = _beginning(verdict.journal)
    rows = [line for fold in _folded(verdict.journal) for line in _lines(fold, began)]
    if most and len(rows) > most:
        last = most - FIRST
        rows = [*rows[:FIRST], f"           ⋮ {len(rows) - most} lines", *rows[-last:]]
    return [f"{'seconds':>9}  {'who':{WHO}} what", *rows, *_judgement(verdict)]


def _beginning(journal: Sequence[Entry]) -> float:
    """Return when the story began: all times of a plan are counted from there."""
    return next((entry.at for entry in journal if entry.what == "starts"), 0.0)


def _folded(journal: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yield entries, those that say the same together."""
    fold: list[Entry] = []
    for entry in journal:
        if fold and (_gist(entry) != _gist(fold[0]) or entry.what.startswith(BROKEN)):
            yield fold
            fold = []
        fold.append(entry)
    if fold:
        yield fold


def _gist(entry: Entry) -> tuple[str, str]:
    return entry.who, re.sub(r"[\w./]*\d[\w./-]*|web-[a-z0-9-]+", "#", entry.what)


def _lines(fold: list[Entry], began: float) -> Iterator[str]:
    first, last = fold[0], fold[-1]
    is_broken = first.what.startswith(BROKEN)
    mark = ">>" if is_broken else "  "
    what = re.sub(r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", r"\1…", first.what)
    if len(fold) > 1:
        what = f"{what} (and {len(fold) - 1} like it, until {last.at - began:.3f})"
    head = f"{mark}{first.at - began:7.3f}  {_clipped(first.who):{WHO}} "
    lines = textwrap.wrap(what, WIDTH - len(head)) or [""]
    if not is_broken and len(lines) > 2:
        lines = [lines[0], textwrap.shorten(" ".join(lines[1:]), WIDTH - len(head) - 2, placeholder=" …")]
    for number, line in enumerate(lines):
        yield (head if number == 0 else " " * len(head)) + line


def _clipped(who: str) -> str:
    return who if len(who) <= WHO else f"{who[: WHO - 1]}…"


def _judgement(verdict: Verdict) -> list[str]:
    if verdict.is_good:
        return ["", "No rule was broken."]
    lines = [""]
    for violation in verdict.violations:
        lines += textwrap.wrap(
            f"BROKEN    {violation.rule}: {violation.how}", WIDTH, subsequent_indent=" " * 10
        )
        lines += textwrap.wrap(
            f"the rule  {RULES.get(violation.rule, '')}", WIDTH, subsequent_indent=" " * 10
        )
    return lines
