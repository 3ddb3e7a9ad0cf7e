"""A run on paper: the plan, what came of it, and what was wrong.

A tape needs neither the seed's draws nor the commit that it was made at: the plan says all that happens. Its
trace hash holds only for the code that wrote it; the plan holds as long as its faults mean the same.
"""

import json
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from cafe_sim.harness.badinput import BadInput, demand_known
from cafe_sim.harness.meaning import demand_meaning
from cafe_sim.harness.oracle.rules import RULES
from cafe_sim.harness.plan import PLAN_VERSION, Plan

FORMAT: Final = "cafe-simulation-tape"
VERSION: Final = 1
"""Of the tape's own fields; the plan has a version of its own."""


class Tape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written.

    Attributes:
        plan: The run.
        trace: Hash of the run that was recorded.
        rule: Which rule it broke first; empty if none.
        how: What the oracle said.
        note: For those who keep the tape: what was wrong.
    """

    plan: Plan
    trace: str
    rule: str = ""
    how: str = ""
    note: str = ""
    format: str = FORMAT
    version: int = VERSION


def write_tape(path: Path, tape: Tape) -> None:
    """Write a tape, for eyes and differences as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(msgspec.to_builtins(tape), indent=1, ensure_ascii=False)
    path.write_text(text + "\n")


def read_tape(path: Path) -> Tape:
    """Read a tape.

    Raises:
        BadInput: It is missing, corrupt, foreign, of another version, or names what is unknown here.
    """
    raw = _document(path)
    where = str(path)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else None
        why = f'Its "format" is {json.dumps(found)}, not "{FORMAT}".'
        raise BadInput(f"{where} is no tape of this simulation.", why, "Name a file that `run` wrote.")
    plan = raw.get("plan")
    _demand_version(where, "tape", raw.get("version"), VERSION)
    _demand_version(where, "plan", plan.get("version") if isinstance(plan, dict) else None, PLAN_VERSION)
    try:
        tape = msgspec.convert(raw, Tape)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where} is corrupt.", f"{error}.", REMEDY) from error
    if tape.rule:
        demand_known("rule", tape.rule, RULES, where)
    demand_meaning(tape.plan, where)
    return tape


REMEDY: Final = "Take another copy of it, or draw its seed again: `run --seed N`."


def _document(path: Path) -> Any:  # noqa: ANN401 -- any JSON
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} can't be read.", f"{error.strerror}.", "Name a tape that exists.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is corrupt.", f"It is no JSON: {error}.", REMEDY) from error


def _demand_version(where: str, part: str, found: object, known: int) -> None:
    if found == known and not isinstance(found, bool):
        return
    raise BadInput(
        f"{where} is of another version.",
        f"Its {part} has version {json.dumps(found)}; this simulator knows {known}.",
        "Replay it with the code of its time, or draw its seed anew: `run --seed N`.",
    )
