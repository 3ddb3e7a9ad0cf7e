"""From no pod to many, by an InPlaceSet and by a native Deployment, in turn, on one real API server.

    python -m bench.scaling [--pods 500] [--nodes 50] [--rounds 3]

A round scales one of them from 0 to all pods and measures until every pod is available, then down again
until none is left. See docs/reference/benchmarks.md for what the figures mean.
"""

import argparse

from bench.contest import (
    KINDS,
    OURS,
    PEER,
    SERVERS,
    WATCHER,
    Column,
    Figures,
    compare,
    costs,
    in_turn,
    staged,
)
from bench.machine import machine


def rows(pods: int) -> dict[str, Column]:
    """Return what is told of each round up."""

    def share_of(program: str) -> Column:
        return lambda figures, kind: 100 * figures.share_of(program or kind)

    table = costs(pods)
    table["CPU ms/pod, scheduler"] = lambda f, _: 1000 * f.cpu["kube-scheduler"] / pods
    table["% of the CPU, controller"] = share_of("")
    for program in SERVERS:
        table[f"% of the CPU, {program.removesuffix('-fake')}"] = share_of(program)
    table["% of the CPU, the watching"] = share_of(WATCHER)
    return table


def down(pods: int) -> dict[str, Column]:
    """Return what is told of each round down."""
    names = ("pods/s", "seconds", "writes/pod", "CPU ms/pod, controller", "CPU ms/pod, API server")
    return {name: of for name, of in costs(pods).items() if name in names}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=500)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine(), flush=True)
    grown: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
    shrunk: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
    with staged(options.nodes) as stage:
        for kind in KINDS:
            stage.create(kind, 0, options.pods)
        for number in range(options.rounds):
            for kind in in_turn(number):
                grown[kind].append(stage.scale(kind, options.pods))
                shrunk[kind].append(stage.scale(kind, 0))
                took = f"{grown[kind][-1].took:.1f} s up, {shrunk[kind][-1].took:.1f} s down"
                print(f"round {number + 1}   {kind}: {took}", flush=True)
    print(f"0 to {options.pods}\n" + "\n".join(compare(grown, rows(options.pods))))
    print(f"{options.pods} to 0\n" + "\n".join(compare(shrunk, down(options.pods))))
    for kind in (OURS, PEER):
        print(f"writes up, {kind}: {dict(grown[kind][-1].writes)}")
        print(f"writes down, {kind}: {dict(shrunk[kind][-1].writes)}")


if __name__ == "__main__":
    main()
