"""The same rollout by an InPlaceSet and by its peers, in turn, on one real API server.

    python -m bench.rollout [--pods 400] [--nodes 50] [--rounds 3] [--limits raised|own] [--gates …]

All are there all the time; a round gives one after the other another image and measures until every pod runs
it and is available. Fake nodes play the kubelets; see docs/reference/benchmarks.md for what the figures mean.
"""

from collections.abc import Iterator
from itertools import chain

from bench.contest import in_turn, options_of, staged
from bench.contestants import CLONE_SET, IMAGES, OURS
from bench.counting import passes_between, quantile_between, requests_between
from bench.figures import Column, Figures, Rounds, conflicts, costs
from bench.tables import compare, goals, round_line, writes_by_kind


def columns(pods: int) -> dict[str, Column]:
    """Return what is told of each round."""
    return {
        **costs(pods),
        "conflicts": lambda f, _: conflicts(f.writes),
        "pods made anew": lambda f, _: f.created,
        "unavailable pod-s": lambda f, _: f.unavailable,
    }


def details(ours: Figures) -> Iterator[str]:
    """Tell more of our last round."""
    for name, of in (("a pass", "reconcile"), ("loop lag", "loop_lag"), ("a request", "api_request")):
        p99 = quantile_between(ours.before, ours.after, f"cafe_{of}_seconds", 0.99)
        yield f"{f'p99 of {name}, s':24}{p99}"
    yield f"passes                  {dict(passes_between(ours.before, ours.after))}"
    yield f"writes by our client    {dict(requests_between(ours.before, ours.after))}"
    yield f"writes by the audit     {dict(ours.writes)}"


def main() -> None:
    """Measure and print."""
    options = options_of(__doc__, pods=400)
    with staged(options) as stage:
        rounds: Rounds = {one.name: [] for one in stage.contestants}
        for one in stage.contestants:
            stage.create(one, options.pods, options.pods)
        for number in range(options.rounds):
            for one in in_turn(stage.contestants, number):
                rounds[one.name].append(stage.release(one, IMAGES[(number + 1) % 2]))
            last = {name: figures[-1] for name, figures in rounds.items()}
            print(round_line(number + 1, last, options.pods), flush=True)
    told = chain(
        compare(rounds, columns(options.pods)),
        writes_by_kind(rounds, options.pods),
        details(rounds[OURS.name][-1]),
        goals(rounds, CLONE_SET.name, options.pods),
    )
    print("\n".join(told))


if __name__ == "__main__":
    main()
