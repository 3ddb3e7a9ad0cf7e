"""Switch safeguards off one by one, in a copy, and see whether a test notices.

Usage: `.venv/bin/python tools/mutants.py [WORD…]`; words choose mutants by their names. Exits with 1 if one
survives. The mutants are listed in tools/mutants.toml. A copy that can't even be imported kills nothing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = ROOT / "tools/mutants.toml"
TESTS = ("tests/unit/workloads", "tests/unit/placement")
PARTS = ("src", "testbed", "tests/unit", "tests/worlds", "tests/simulation")
WORKERS = 2
LIMIT = 240
NO_TESTS = 5
"""What pytest exits with if a tier holds no test."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One safeguard switched off: in *file*, *old* is replaced by *new*; *tests* should notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = TESTS


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one mutant: `killed`, `survived`, or `stale` if its text is no longer in the code."""

    name: str
    verdict: str
    by: str = ""


def main() -> int:
    """Run the chosen mutants and tell."""
    words = sys.argv[1:]
    chosen = [m for m in listed() if not words or any(w in m.name for w in words)]
    killed = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for result in pool.map(judge, chosen):
            print(f"{result.verdict:9} {result.name}{f'  ({result.by})' if result.by else ''}", flush=True)
            killed += result.verdict == "killed"
    print(f"{killed} of {len(chosen)} mutants killed")
    return 0 if killed == len(chosen) else 1


def listed() -> list[Mutant]:
    """Return all mutants of the list."""
    entries = tomllib.loads(LIST.read_text())["mutant"]
    return [Mutant(**{**entry, "tests": tuple(entry.get("tests", TESTS))}) for entry in entries]


def judge(mutant: Mutant) -> Result:
    """Run the tests on a copy of the tree that holds the mutant, the fast ones first."""
    text = (ROOT / "src/cafe" / mutant.file).read_text()
    if text.count(mutant.old) != 1:
        return Result(mutant.name, "stale", f"found {text.count(mutant.old)} times in {mutant.file}")
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for part in PARTS:
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "tests/conftest.py"):
            shutil.copy(ROOT / name, copy / name)
        (copy / "src/cafe" / mutant.file).write_text(text.replace(mutant.old, mutant.new))
        for tier in ("not slow", "slow"):
            result = judge_tier(mutant, copy, tier)
            if result.verdict != "survived":
                return result
    return Result(mutant.name, "survived")


def judge_tier(mutant: Mutant, copy: Path, tier: str) -> Result:
    """Run one tier of the tests on a copy; a mutant that lets them run for ever is killed too."""
    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", tier]
    command = [sys.executable, "-m", "pytest", *options, *mutant.tests]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return Result(mutant.name, "killed", f"ran for over {LIMIT} s")
    if done.returncode in {0, NO_TESTS}:
        return Result(mutant.name, "survived")
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    by = failed[0].split(" - ")[0].rsplit("::", 1)[-1] if failed else "no test ran"
    return Result(mutant.name, "killed" if failed else "stale", by)


if __name__ == "__main__":
    raise SystemExit(main())
