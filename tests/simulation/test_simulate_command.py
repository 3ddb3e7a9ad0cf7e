"""`python -m cafe_sim.harness`, as a person uses it: hashes, summaries, failures, bad input."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from cafe_sim.harness.__main__ import main
from cafe_sim.harness.campaign import blocks_of
from cafe_sim.harness.failures import pursue
from cafe_sim.harness.faults.catalogue import CATALOGUE
from cafe_sim.harness.oracle.rules import RULES
from cafe_sim.harness.plan import Plan, PlannedFault, PlannedStep, Shape
from cafe_sim.harness.run import run
from cafe_sim.harness.scribe import Scribe
from cafe_sim.harness.tape import Tape, read_tape, write_tape

HASH = re.compile(r"^hash +([0-9a-f]{32})$", re.MULTILINE)
TINY = Plan(
    seed=1,
    shape=Shape(cells=1, nodes=1, replicas=1, candidates=1, servers=1),
    steps=(PlannedStep(do="deploy"),),
)
UNANSWERED = structs.replace(TINY, shape=structs.replace(TINY.shape, replicas=2, confirm=True, mind=3600.0))
"""No fault of the product: the operator takes longer to confirm than anybody waits."""


def told(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.slow
def test_a_seed_has_one_hash_in_every_process_and_under_every_hash_seed() -> None:
    command = [sys.executable, "-m", "cafe_sim.harness", "run", "--seed", "7"]
    found: list[str] = []
    for hash_seed in ("0", "7"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        ended = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        found.append(ended.stdout)
    hashes = [HASH.findall(text) for text in found]
    assert len(hashes[0]) == 1
    assert hashes[0] == hashes[1]


@pytest.mark.slow
def test_many_seeds_end_in_a_summary() -> None:
    command = [sys.executable, "-m", "cafe_sim.harness", "run", "--seeds", "1..3"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "seeds     3, from 1" in ended.stdout
    assert re.search(r"[\d.]+ seeds per CPU-second, \d+ simulated hours per CPU-minute", ended.stdout)
    assert "rules     none broken" in ended.stdout
    assert all(name in ended.stdout for name, kind in CATALOGUE.items() if kind.is_usual and kind.is_contract)


@pytest.mark.slow
def test_a_good_tape_is_replayed_and_said_to_be_good(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    write_tape(path, Tape(plan=TINY, trace="other", rule="no bugs", how="something", note="a note"))
    result = told("run", "--tape", str(path))
    assert result.exit_code == 0
    assert "note      a note" in result.output
    assert "not other as recorded: the code has changed since" in result.output
    assert "rules     none broken; when recorded: no bugs" in result.output


@pytest.mark.slow
def test_a_guest_changes_no_hash() -> None:
    seen = run(TINY, guest=Scribe())
    assert seen.trace == run(TINY).trace
    assert any("is made, web:1" in entry.what for entry in seen.journal)


@pytest.mark.slow
def test_a_failure_is_shrunk_written_and_told_and_its_tape_fails_again(tmp_path: Path) -> None:
    fault = PlannedFault(kind="somebody edits a pod", at=1.0, args={"which": 0})
    plan = structs.replace(UNANSWERED, faults=(fault,))
    lines: list[str] = []
    path = pursue(
        plan, "release is complete", tmp_path, say=lines.append, progress=lambda _: None, most=1
    )  # fmt: skip
    text = "\n".join(lines)
    assert read_tape(path).plan.faults == ()
    assert "shrunk    in 1 run, from 1 fault, 1 step, 2 pods in 1 cell" in text
    assert "release manager  deploy" in text
    assert "BROKEN    release is complete: the phase is WaitingForConfirm" in text
    assert f"again     make simulate TAPE={path}" in text
    again = told("run", "--tape", str(path))
    assert again.exit_code == 1
    assert f"hash      {read_tape(path).trace}" in again.output
    assert "BROKEN    release is complete" in again.output


def test_everything_that_can_be_named_is_listed() -> None:
    output = told("list").output
    assert all(name in output for name in (*CATALOGUE, *RULES))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "7", "--only-kinds", "leader frezes"], 'near ones are "leader freezes"'),
        (["--seeds", "7"], "is no range of seeds"),
        (["--seeds", "9..7"], "is no range of seeds"),
        ([], "not clear what to run"),
        (["--seed", "7", "--minutes", "1"], "not clear what to run"),
        (["--seed", "seven"], "Invalid value"),
        (["--tape", "none.json"], "can't be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_bad_question_ends_with_2(arguments: list[str], said: str) -> None:
    result = told("run", *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_blocks_hold_every_seed_once() -> None:
    assert [seed for block in blocks_of(3, 21) for seed in block] == list(range(3, 22))
    endless = blocks_of(5, None)
    assert [next(endless)[0] for _ in range(3)] == [5, 13, 21]
