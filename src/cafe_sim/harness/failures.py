"""What is done with a run that broke a rule: shrink it, write it down, show it, say how to see it again."""

import re
from collections.abc import Callable
from pathlib import Path

from cafe_sim.harness.numerals import counted
from cafe_sim.harness.plan import Plan
from cafe_sim.harness.report import plan_in_words, timeline
from cafe_sim.harness.run import Verdict, run
from cafe_sim.harness.scribe import Scribe
from cafe_sim.harness.shrink import MOST_RUNS, measure, shrink
from cafe_sim.harness.tape import Tape, write_tape

Say = Callable[[str], None]


def pursue(plan: Plan, rule: str, folder: Path, *, say: Say, progress: Say, most: int = MOST_RUNS) -> Path:
    """Make a failing plan as small as can be, write its tape, and tell the story.

    Args:
        plan: Breaks *rule* first.
        rule: Which.
        folder: Where tapes go.
        say: Writes a line for keeps.
        progress: Writes a line that the next one may replace.
        most: Runs that shrinking may take; 0 to leave the plan as it is.

    Returns:
        The tape's path.
    """
    say(f"shrinks   seed {plan.seed}, which broke: {rule}")
    shrunk = shrink(plan, rule, lambda candidate: run(candidate).broken, most=most, progress=progress)
    rest = "" if shrunk.is_least else "; more runs might find a smaller one"
    say(f"shrunk    in {counted(shrunk.runs, 'run')}, from {measure(plan)}")
    say(f"          to {measure(shrunk.plan)}{rest}")
    verdict = run(shrunk.plan, guest=Scribe())
    path = folder / f"seed-{plan.seed}-{re.sub(r'[^a-z0-9]+', '-', rule.lower())}.json"
    how = verdict.violations[0].how if verdict.violations else ""
    write_tape(path, Tape(plan=shrunk.plan, trace=verdict.trace, rule=rule, how=how))
    show(shrunk.plan, verdict, say=say)
    say("")
    say(f"again     make simulate TAPE={path}")
    return path


def show(plan: Plan, verdict: Verdict, *, say: Say, most: int = 120) -> None:
    """Tell a run's story: the plan in words, and the timeline."""
    say("")
    for line in (*plan_in_words(plan), "", *timeline(verdict, most)):
        say(line)
