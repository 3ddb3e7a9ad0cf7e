"""Past failures, replayed: each tape says what was wrong once, and must be good now."""

import json
from pathlib import Path
from typing import Any

import pytest

from cafe_sim.harness.badinput import BadInput
from cafe_sim.harness.plan import Plan, PlannedFault, PlannedStep
from cafe_sim.harness.run import run
from cafe_sim.harness.tape import Tape, read_tape, write_tape

TAPES = sorted((Path(__file__).parent / "tapes").glob("*.json"))
FREEZE = PlannedFault(kind="leader freezes", at=4.9, lasts=17.0, args={"candidate": 0, "target": "pods"})
TAPE = Tape(
    plan=Plan(seed=16, steps=(PlannedStep(do="deploy"),), faults=(FREEZE,)),
    trace="0123",
    rule="not too many pods",
)


def changed(tmp_path: Path, change: dict[str, Any]) -> Path:
    """Write the tape with some of its values changed; keys are paths."""
    path = tmp_path / "tape.json"
    write_tape(path, TAPE)
    document = json.loads(path.read_text())
    for where, value in change.items():
        *way, last = where.split(".")
        place = document
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        place[last] = value
    path.write_text(json.dumps(document))
    return path


def test_there_are_tapes() -> None:
    assert TAPES


@pytest.mark.slow
@pytest.mark.parametrize("path", TAPES, ids=lambda p: p.stem)
def test_a_past_failure_stays_mended(path: Path) -> None:
    assert run(read_tape(path).plan).violations == []


@pytest.mark.parametrize("path", TAPES, ids=lambda p: p.stem)
def test_a_kept_tape_says_what_was_wrong(path: Path) -> None:
    tape = read_tape(path)
    assert tape.note
    assert tape.rule
    assert tape.how


def test_a_tape_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_tape(tmp_path / "new" / "tape.json", TAPE)
    assert read_tape(tmp_path / "new" / "tape.json") == TAPE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "cassette"}, "no tape of this simulation"),
        ({"version": 2}, "of another version"),
        ({"version": None}, "of another version"),
        ({"plan.version": 0}, "Its plan has version 0"),
        ({"plan.seed": "seven"}, "is corrupt"),
        ({"plan.shape.colour": 1}, "is corrupt"),
        ({"plan": []}, "of another version"),
        ({"rule": "not to many pods"}, 'near ones are "not too many pods"'),
        ({"plan.faults.0.kind": "leader frezes"}, 'near ones are "leader freezes"'),
        ({"plan.steps.0.do": "deplo"}, 'near ones are "deploy"'),
        ({"plan.steps.0.after": -1}, "has a time of -1"),
        ({"plan.faults.0.args": {}}, "it needs"),
        ({"plan.faults.0.args.target": "podz"}, 'has target "podz"'),
        ({"plan.faults.0.args.candidate": "0"}, "has candidate '0'"),
        ({"plan.faults.0.args.candidate": True}, "has candidate True"),
        ({"plan.shape.cells": 0}, "shape.cells is 0"),
        ({"plan.shape.policy": "Hope"}, 'shape.policy is "Hope"'),
        ({"plan.disorder": 2}, "no share"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_a_tape_that_means_nothing_is_refused_in_three_parts(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput) as refused:
        read_tape(changed(tmp_path, change))
    assert said in str(refused.value)
    assert all((refused.value.what, refused.value.why, refused.value.remedy))


def test_a_fault_needs_the_api_server_that_it_befalls(tmp_path: Path) -> None:
    fault = {"kind": "watch cache is stale", "at": 1.0, "args": {"replica": 2}}
    change = {"plan.faults": [fault], "plan.shape.servers": 2}
    with pytest.raises(BadInput, match="befalls API server 2 of 2"):
        read_tape(changed(tmp_path, change))


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '"tape"', "\0\0\xff"])
def test_what_is_no_tape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tape.json"
    path.write_text(text)
    with pytest.raises(BadInput):
        read_tape(path)


def test_a_missing_tape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be read"):
        read_tape(tmp_path / "none.json")
