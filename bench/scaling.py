"""From no pod to many, by an InPlaceSet and by its peers, in turn, on one real API server.

    python -m bench.scaling [--pods 500] [--nodes 50] [--rounds 3] [--limits raised|own] [--gates …]

A round scales one after the other from 0 to all pods and measures until every pod is available, then down
again until none is left. See docs/reference/benchmarks.md for what the figures mean.
"""

from itertools import chain

from bench.contest import SERVERS, WATCHER, in_turn, options_of, staged
from bench.figures import Column, Rounds, costs
from bench.tables import compare, round_line, writes_by_kind


def up(pods: int) -> dict[str, Column]:
    """Return what is told of each round up."""

    def share_of(program: str) -> Column:
        return lambda figures, name: 100 * figures.share_of(program or name)

    table = costs(pods)
    table["CPU ms/pod, scheduler"] = lambda f, _: 1000 * f.cpu["kube-scheduler"] / pods
    table["% of the CPU, controller"] = share_of("")
    for program in SERVERS:
        table[f"% of the CPU, {program.removesuffix('-fake')}"] = share_of(program)
    table["% of the CPU, the watching"] = share_of(WATCHER)
    return table


def down(pods: int) -> dict[str, Column]:
    """Return what is told of each round down."""
    titles = ("pods/s", "seconds", "writes/pod", "CPU ms/pod, controller", "CPU ms/pod, API server")
    return {title: of for title, of in costs(pods).items() if title in titles}


def main() -> None:
    """Measure and print."""
    options = options_of(__doc__, pods=500)
    pods = options.pods
    with staged(options) as stage:
        grown: Rounds = {one.name: [] for one in stage.contestants}
        shrunk: Rounds = {one.name: [] for one in stage.contestants}
        for one in stage.contestants:
            stage.create(one, 0, pods)
        for number in range(options.rounds):
            for one in in_turn(stage.contestants, number):
                grown[one.name].append(stage.scale(one, pods))
                shrunk[one.name].append(stage.scale(one, 0))
            for way, rounds in (("up", grown), ("down", shrunk)):
                last = {name: figures[-1] for name, figures in rounds.items()}
                print(f"{round_line(number + 1, last, pods)} {way}", flush=True)
    told = chain(
        (f"0 to {pods}",),
        compare(grown, up(pods)),
        writes_by_kind(grown, pods),
        (f"{pods} to 0",),
        compare(shrunk, down(pods)),
        writes_by_kind(shrunk, pods),
    )
    print("\n".join(told))


if __name__ == "__main__":
    main()
