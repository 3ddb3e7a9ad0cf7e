"""`python -m cafe_sim.harness.ablations [--seeds N] [WORD…]`: which seed misses each safeguard.

Words choose ablations by their names. Exits with 1 if one is not found that should be, 2 on bad input.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cafe_sim.harness.ablations import Ablation, Drifted, load_ablations, switch_off

SEEDS = 2000
ROW = "{:54} {:>6} {:>7} {:30} {:>6} {:>6}"


def main() -> int:
    """Look for all, or be the process that looks for one."""
    parser = argparse.ArgumentParser(prog="ablations", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="a part of a name")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many to try at most")
    parser.add_argument("--workers", type=int, default=2, help="processes at once")
    parser.add_argument("--plans", action="store_true", help="print what is left of each plan")
    parser.add_argument("--within", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--judge", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.judge:
        return _judge()
    listed = load_ablations()
    if options.within:
        return _look(listed[options.within], options.seeds)
    chosen = [a for a in listed.values() if not options.words or any(w in a.name for w in options.words)]
    if not chosen:
        parser.error(f"no ablation is called {' or '.join(options.words)}")
    return _tell(chosen, options)


def _tell(chosen: list[Ablation], options: argparse.Namespace) -> int:
    print(ROW.format("without", "seed", "tried", "breaks", "faults", "CPU s"), flush=True)  # noqa: T201 -- a command
    missed = 0
    with ThreadPoolExecutor(options.workers) as pool:
        for one, row in zip(chosen, pool.map(lambda a: search(a, options.seeds), chosen), strict=True):
            find = row["find"]
            missed += find is None and not one.needless
            told = ("-", row["tried"], "nothing", "-") if find is None else _columns(row)
            print(ROW.format(one.name, *told, round(row["seconds"])), flush=True)  # noqa: T201 -- as above
            if find is not None and options.plans:
                print(f"  {find['how']}\n  {json.dumps(find['plan'])}", flush=True)  # noqa: T201 -- as above
    return 1 if missed else 0


def _columns(row: dict[str, Any]) -> tuple[object, ...]:
    find = row["find"]
    shrunk = f"{find['faults']}→{len(find['plan'].get('faults', ()))}"
    return find["seed"], row["tried"], find["rule"], shrunk


def search(ablation: Ablation, seeds: int) -> dict[str, Any]:
    """Return the first find that the whole product withstands.

    Returns:
        `find`, None if there is none; `tried`, how many seeds; `seconds` of CPU time.
    """
    begun = time.perf_counter()
    tried = 0
    with _child("--within", ablation.name, "--seeds", str(seeds)) as looking:
        for line in _lines(looking):
            told = json.loads(line)
            if "drifted" in told:
                raise Drifted(told["drifted"])
            tried = told["tried"]
            if "find" in told and _is_withstood(told["find"]["plan"]):
                looking.terminate()
                return {**told, "seconds": time.perf_counter() - begun}
    return {"find": None, "tried": tried, "seconds": time.perf_counter() - begun}


def _lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    if process.stdout is not None:
        yield from process.stdout


def _child(*arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "cafe_sim.harness.ablations", *arguments]
    return subprocess.Popen(  # noqa: S603 -- this very program
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _is_withstood(plan: dict[str, Any]) -> bool:
    """Whether the whole product breaks nothing under the plan that breaks the ablated one."""
    with _child("--judge") as judging:
        out, _ = judging.communicate(json.dumps(plan))
    return bool(json.loads(out)["is_good"])


def _look(ablation: Ablation, seeds: int) -> int:
    """Be the process that lacks the safeguard: one line of JSON for each find, one at the end."""
    import msgspec  # noqa: PLC0415 -- nothing may be imported before that brings the product

    try:
        switch_off(ablation)
        for edit in ablation.edits:
            importlib.import_module(edit.module)
    except Drifted as drifted:
        print(json.dumps({"drifted": str(drifted)}))  # noqa: T201 -- told to the parent
        return 2
    found = importlib.import_module("cafe_sim.harness.ablations.search").finds(ablation, range(seeds))
    for find in found:
        told = {"tried": find.seed + 1, "find": msgspec.to_builtins(find)}
        print(json.dumps(told), flush=True)  # noqa: T201 -- as above
    print(json.dumps({"tried": seeds}), flush=True)  # noqa: T201 -- as above
    return 0


def _judge() -> int:
    """Be a process with the whole product: run the plan that comes in."""
    run = importlib.import_module("cafe_sim.harness.run").run
    plan = importlib.import_module("cafe_sim.harness.plan").Plan
    convert = importlib.import_module("msgspec").convert
    verdict = run(convert(json.load(sys.stdin), plan))
    print(json.dumps({"is_good": verdict.is_good, "broken": verdict.broken}))  # noqa: T201 -- told to the parent
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
