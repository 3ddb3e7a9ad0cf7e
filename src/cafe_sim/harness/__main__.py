"""`python -m cafe_sim.harness`: run seeds and tapes, and show what breaks."""

import os
import sys
from pathlib import Path
from typing import Final, NoReturn

import click
from msgspec import Struct

from cafe.kernel import SystemEntropy
from cafe_sim.harness.badinput import EXIT_CODE, BadInput, demand_known
from cafe_sim.harness.campaign import Choice, Tally, blocks_of, run_seeds, sweep
from cafe_sim.harness.draw import draw_plan
from cafe_sim.harness.failures import pursue, show
from cafe_sim.harness.faults.catalogue import CATALOGUE
from cafe_sim.harness.oracle.rules import RULES
from cafe_sim.harness.people import ACTIONS
from cafe_sim.harness.run import run as run_plan
from cafe_sim.harness.scribe import Scribe
from cafe_sim.harness.shrink import MOST_RUNS
from cafe_sim.harness.tape import read_tape

MOST_PURSUED: Final = 3
"""Broken rules whose first seeds are shrunk; others are only named."""
SHOWN: Final = 120
"""Lines of a timeline, unless all are asked for."""


class Wanted(Struct, frozen=True, kw_only=True):
    """The options of `run`."""

    seed: int | None = None
    seeds: str = ""
    minutes: float | None = None
    first: int | None = None
    tape: Path | None = None
    only_kinds: str = ""
    beyond: bool = False
    covers: bool = False
    most_runs: int = MOST_RUNS
    whole: bool = False
    folder: Path = Path(".simulate")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The real controllers in a simulated world, under seeded faults."""


@main.command()
@click.option("--seed", type=int, help="Run this seed, and print its trace hash.")
@click.option("--seeds", default="", metavar="A..B", help="Run these seeds, on all cores.")
@click.option("--minutes", type=click.FloatRange(0), help="Run seeds for so many CPU-minutes.")
@click.option(
    "--from", "first", type=int, help="First seed of --minutes. Default: fresh ones; 0 where CI is set."
)
@click.option("--tape", type=click.Path(path_type=Path), help="Replay a tape.")
@click.option("--only-kinds", default="", metavar="A,B", help="Draw only these faults; see `list`.")
@click.option("--beyond", is_flag=True, help="Draw also faults beyond what anybody promises.")
@click.option("--covers", is_flag=True, help="Fail if a required fault × phase was never met.")
@click.option("--shrink", "most_runs", type=click.IntRange(0), default=MOST_RUNS, show_default=True,
              help="Runs that shrinking a failure may take.")  # fmt: skip
@click.option(
    "--whole", is_flag=True, help="Show the whole timeline; with --seed and --tape also of a good run."
)
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".simulate"), show_default=True,
              help="Where tapes of failures go.")  # fmt: skip
def run(**options: object) -> NoReturn:
    """Run seeds or a tape. Ends with 0 if all is well, 1 if a rule was broken, 2 if the question was bad."""
    wanted = Wanted(**options)  # type: ignore[arg-type] # as declared above
    try:
        sys.exit(0 if _is_well(wanted) else 1)
    except BadInput as error:
        click.echo(f"error {error}", err=True)
        sys.exit(EXIT_CODE)


@main.command("list")
def list_() -> None:
    """List all faults, steps and rules."""
    click.echo("faults")
    for kind in CATALOGUE.values():
        click.echo(f"  {kind.name:34}{kind.place}{'' if kind.is_contract else ', beyond'}")
    click.echo("steps")
    for name in ACTIONS:
        click.echo(f"  {name}")
    click.echo("rules")
    for name, sentence in RULES.items():
        click.echo(f"  {name:34}{sentence}")


def _is_well(wanted: Wanted) -> bool:
    said = [wanted.seed is not None, bool(wanted.seeds), wanted.minutes is not None, wanted.tape is not None]
    if sum(said) != 1:
        raise BadInput(
            "It is not clear what to run.",
            f"{sum(said)} of --seed, --seeds, --minutes and --tape were given.",
            "Give one of them, as --seed 7.",
        )
    if wanted.tape is not None:
        return _replay(wanted.tape, wanted)
    choice = _choice(wanted)
    if wanted.seed is not None:
        return _run_one(wanted.seed, choice, wanted)
    return _run_many(choice, wanted)


def _choice(wanted: Wanted) -> Choice:
    kinds = tuple(kind.strip() for kind in wanted.only_kinds.split(",") if kind.strip())
    for kind in kinds:
        demand_known("fault", kind, CATALOGUE, "--only-kinds")
    return Choice(only_contract=not wanted.beyond, kinds=kinds)


def _replay(path: Path, wanted: Wanted) -> bool:
    tape = read_tape(path)
    verdict = run_plan(tape.plan, guest=Scribe())
    click.echo(f"tape      {path}, seed {tape.plan.seed}")
    if tape.note:
        click.echo(f"note      {tape.note}")
    click.echo(f"hash      {verdict.trace}")
    if verdict.trace != tape.trace:
        click.echo(f"          not {tape.trace} as recorded: the code has changed since")
    if wanted.whole or not verdict.is_good:
        show(tape.plan, verdict, say=click.echo, most=0 if wanted.whole else SHOWN)
    if verdict.is_good and tape.rule:
        click.echo(f"rules     none broken; when recorded: {tape.rule}")
    elif verdict.is_good:
        click.echo("rules     none broken")
    return verdict.is_good


def _run_one(seed: int, choice: Choice, wanted: Wanted) -> bool:
    [result] = run_seeds([seed], choice)
    plan = draw_plan(seed, only_contract=choice.only_contract, kinds=choice.kinds)
    click.echo(f"seed      {seed}")
    click.echo(f"hash      {result.trace}")
    click.echo(f"time      {result.simulated / 3600:.2f} simulated hours in {result.cpu:.2f} CPU-seconds")
    click.echo(f"rules     {result.broken or 'none'} broken")
    if wanted.whole:
        show(plan, run_plan(plan, guest=Scribe()), say=click.echo, most=0)
    if result.broken:
        pursue(plan, result.broken, wanted.folder, say=click.echo, progress=_progress, most=wanted.most_runs)
    return not result.broken


def _run_many(choice: Choice, wanted: Wanted) -> bool:
    first, last = _range(wanted)
    seconds = None if wanted.minutes is None else wanted.minutes * 60
    told: set[int] = set()

    def tell(so_far: Tally) -> None:
        for result in so_far.broken:
            if result.seed not in told:
                told.add(result.seed)
                _progress(f"seed {result.seed} broke: {result.broken}\n")
        _progress(_so_far(so_far, seconds))

    tally = sweep(blocks_of(first, last), choice, seconds, tell)
    _progress("")
    kinds = choice.kinds or tuple(
        k.name for k in CATALOGUE.values() if k.is_usual and (k.is_contract or wanted.beyond)
    )
    lacking = tally.coverage.lacking(kinds) if wanted.covers else []
    _tell(tally, first, kinds)
    for label in lacking:
        click.echo(f"NEVER MET {label}")
    for result in tally.firsts()[:MOST_PURSUED]:
        plan = draw_plan(result.seed, only_contract=choice.only_contract, kinds=choice.kinds)
        click.echo("")
        pursue(plan, result.broken, wanted.folder, say=click.echo, progress=_progress, most=wanted.most_runs)
    return not tally.broken and not lacking


def _range(wanted: Wanted) -> tuple[int, int | None]:
    """Return the first and the last seed; None for no last one."""
    if wanted.minutes is not None:
        if wanted.first is not None:
            return wanted.first, None
        return (0 if os.environ.get("CI") else int(SystemEntropy().fraction() * 1e9)), None
    low, dots, high = wanted.seeds.partition("..")
    if not dots or not low.isdecimal() or not high.isdecimal() or int(low) > int(high):
        raise BadInput(
            f'"{wanted.seeds}" is no range of seeds.', "It is written A..B, A first.", "--seeds 1..200"
        )
    return int(low), int(high)


def _tell(tally: Tally, first: int, kinds: tuple[str, ...]) -> None:
    click.echo(f"seeds     {tally.seeds}, from {first}")
    click.echo(
        f"speed     {tally.seeds_per_second:.2f} seeds per CPU-second, "
        f"{tally.hours_per_minute:.0f} simulated hours per CPU-minute"
    )
    click.echo("met       in so many runs, by the phase of the release")
    for line in tally.coverage.table(kinds):
        click.echo(line)
    click.echo(f"rules     {len(tally.broken) or 'none'} broken")
    for result in tally.broken:
        click.echo(f"  seed {result.seed}: {result.broken}: {result.how}")


def _so_far(tally: Tally, seconds: float | None) -> str:
    spent = f"{tally.cpu / 60:.1f}" + ("" if seconds is None else f" of {seconds / 60:.0f}")
    broken = f", {len(tally.broken)} broke a rule" if tally.broken else ""
    return f"{tally.seeds} seeds, {spent} CPU-minutes{broken}"


def _progress(line: str) -> None:
    """Show how far it is: in place on a terminal, line by line elsewhere."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{line}", nl=False, err=True)
    elif line:
        click.echo(line.rstrip(), err=True)


if __name__ == "__main__":
    main()
