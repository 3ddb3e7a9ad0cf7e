"""Who releases A, then B, and in the middle of it C, ends where C after A would have led. Whatever fails.

    deploy A ──▶ B begins ──▶ C, some seconds later, under the faults of a seed ──▶ an end
    deploy A ──────────────▶ C, and nothing fails ─────────────────────────────────▶ the same end

`python -m cafe_sim.harness.superseding [SEEDS]` tells both for each seed and each kind of pod set.
"""

import sys
from dataclasses import dataclass

import msgspec

from cafe_sim.harness.chance import Chance
from cafe_sim.harness.draw import draw_plan
from cafe_sim.harness.ends import End
from cafe_sim.harness.names import SETS_OF
from cafe_sim.harness.plan import Plan, PlannedStep
from cafe_sim.harness.run import run
from cafe_sim.harness.sweep import GLIMPSE, Onlooker

FIRST = 60.0
"""Seconds that A has before B comes: some worlds are through with it by then, others are not."""
SEEDS = 40
DETOURS: tuple[PlannedStep, ...] = (
    PlannedStep(do="retag"),
    PlannedStep(do="outgrow", args={"cpu": 5000}),
    *(PlannedStep(do="break", args={"which": which}) for which in range(3)),
)
"""What B is: an image that serves, one that never does, more CPU than there is room for."""
RELEASE = PlannedStep(do="release", after=FIRST)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a story ended.

    Attributes:
        broken: Rules that were broken, in words.
        end: None if it came to none.
    """

    broken: tuple[str, ...]
    end: End | None


def plans_of(kind: str, seed: int) -> tuple[Plan, Plan]:
    """Return the stories of a seed: the one with a detour and faults, and the straight one without."""
    drawn = draw_plan(seed, shape={"kind": kind, "cpu": 100})
    chance = Chance(seed, "superseding")
    detour = msgspec.structs.replace(chance.one_of(DETOURS), after=FIRST)
    left = float(chance.between(0, 30))
    back = (PlannedStep(do="go back", after=left),) if detour.do == "outgrow" else ()
    release = msgspec.structs.replace(RELEASE, after=0.0 if back else left)
    deploy = PlannedStep(do="deploy")
    detoured = msgspec.structs.replace(drawn, steps=(deploy, detour, *back, release))
    return detoured, msgspec.structs.replace(drawn, steps=(deploy, RELEASE), faults=(), disorder=0.0)


def told(plan: Plan) -> Ending:
    """Tell a story."""
    onlooker = Onlooker()
    verdict = run(plan, silence=GLIMPSE, guest=onlooker)
    return Ending(tuple(f"{v.rule}: {v.how}" for v in verdict.violations), onlooker.end)


def amiss(kind: str, seed: int) -> list[str]:
    """Return what was broken, and in what the two ends of a seed differ."""
    detoured, straight = (told(plan) for plan in plans_of(kind, seed))
    broken = [*detoured.broken, *straight.broken]
    if broken or detoured.end is None or straight.end is None:
        return broken or ["a story came to no end"]
    ours, theirs = _lasting(detoured.end), _lasting(straight.end)
    return [f"{name} are {ours[name]}, not {theirs[name]}" for name in ours if ours[name] != theirs[name]]


def _lasting(end: End) -> dict[str, object]:
    """Return what doesn't tell of the way: plans and groups do, and how far an ordinal had to be opened."""
    phase, _, *revisions, _ = end.release
    sets = {name: (found[0], found[1], *found[3:]) for name, found in end.sets.items()}
    return {"pods": end.cells, "phase and revisions": (phase, revisions), "sets": sets}


def main() -> int:
    """Tell all stories; 1 if two ends differ."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    bad = 0
    for kind in SETS_OF:
        for seed in range(seeds):
            for how in amiss(kind, seed):
                bad += 1
                print(f"{kind}, seed {seed}: {how}")  # noqa: T201 -- a command
    print(f"A, B, C and A, C told for {seeds} seeds of each kind: {bad} end otherwise")  # noqa: T201 -- as above
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
